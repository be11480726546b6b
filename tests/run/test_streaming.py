"""A run whose structures stay in their files ends as one that keeps them in memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from rung.checkpoint import load as load_checkpoint
from rung.config import load_config
from rung.data.frames import StreamedStructures
from rung.data.readers.structures import read_structures, write_structures
from rung.errors import ConfigError, DataError
from rung.run import checking
from rung.run.inputs import open_splits, read_splits
from rung.run.stages import run_fit
from rung.storage import read_json
from tests.fit.toy_surface import toy_structures

CONFIG = """
run: {name}
fidelities: {{low: }}
target: low
data: {{train: train.extxyz, evaluate: {{test: test.extxyz}}, stream: {stream}}}
method:
  name: scratch
  architecture: {{channels: 2, max_l: 0, max_harmonic: 1, layers: 1, cutoff: 3.0, correlation: 1,
                 radial_units: [4], readout_units: 2}}
  training: {{epochs: 2, batch_size: 4}}
"""


def config_of(folder: Path, name: str, *, stream: bool) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(CONFIG.format(name=name, stream=str(stream).lower()))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_structures(tmp_path / "train.extxyz", toy_structures(12))
    write_structures(tmp_path / "test.extxyz", toy_structures(4, seed=4))
    return tmp_path


def test_a_streamed_run_ends_with_the_same_bits(data: Path) -> None:
    kept = run_fit(load_config(config_of(data, "kept", stream=False)))
    streamed = run_fit(load_config(config_of(data, "streamed", stream=True)))
    assert read_json(kept.folder.metrics)["splits"] == read_json(streamed.folder.metrics)["splits"]
    one, two = (load_checkpoint(run.folder.model).potential for run in (kept, streamed))
    assert one.fingerprint == two.fingerprint
    packed = sorted(path.name for path in streamed.folder.path.rglob("rows.json"))
    assert packed == ["rows.json"] * 2  # what is learnt and what is held out
    assert not list(kept.folder.path.rglob("rows.json"))


@pytest.mark.parametrize("geometries", ["all", "disjoint"])
def test_several_fidelities_are_streamed_to_the_same_bits(data: Path, geometries: str) -> None:
    low, high = toy_structures(14, forces=False), toy_structures(8, forces=False, fidelity="high", depth=1.3)
    both = [replace(one, labels={**one.labels, **two.labels}) for one, two in zip(low, high, strict=False)]
    write_structures(data / "train.extxyz", [*both, *low[8:]])
    runs = {}
    for name, stream in (("kept", False), ("streamed", True)):
        text = CONFIG.format(name=name, stream=str(stream).lower()).replace("{low: }", "{low: , high: }")
        text = text.replace("target: low", "target: high").replace("name: scratch", "name: joint")
        path = data / f"{name}.yaml"
        path.write_text(text + f"  geometries: {geometries}\n")
        runs[name] = run_fit(load_config(path))
    one, two = (load_checkpoint(run.folder.model).potential for run in runs.values())
    assert one.fingerprint == two.fingerprint
    assert one.fidelities == ("high", "low")
    assert len(list(runs["streamed"].folder.path.rglob("rows.json"))) == 2


def test_what_is_evaluated_is_read_and_splits_stay_apart(data: Path) -> None:
    splits = open_splits(load_config(config_of(data, "run", stream=True)))
    assert isinstance(splits["train"], StreamedStructures)
    assert isinstance(splits["test"], tuple)
    write_structures(data / "test.extxyz", toy_structures(12)[7:9])
    with pytest.raises(DataError, match=r"of train stands in test too; remove it .* rung barrier --path FILE"):
        open_splits(load_config(config_of(data, "run", stream=True)))


def test_a_turned_copy_under_another_name_is_found_in_files_that_stay_where_they_are(data: Path) -> None:
    copy = toy_structures(12)[7]
    atoms = copy.atoms.copy()
    atoms.rotate(40, "x", rotate_cell=True)
    atoms.positions += 3.0
    write_structures(data / "test.extxyz", [replace(copy, atoms=atoms[::-1], structure_id="turned", labels={})])
    with pytest.raises(DataError, match=r"'toy-0-7' of train stands in test too, be it shifted, wrapped, turned"):
        open_splits(load_config(config_of(data, "run", stream=True)))


def test_studies_say_that_they_do_not_stream(data: Path) -> None:
    with pytest.raises(ConfigError, match=r"remove data\.stream"):
        read_splits(load_config(config_of(data, "run", stream=True)))


def test_a_label_that_can_be_none_is_refused_wherever_it_stands_in_a_streamed_file(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SAMPLE", 2)  # the doctor would not see it
    lines = (data / "train.extxyz").read_text().split("low_energy=")
    (data / "train.extxyz").write_text(
        "low_energy=".join([*lines[:5], "-inf " + lines[5].split(" ", 1)[1], *lines[6:]])
    )
    config = load_config(config_of(data, "spoilt", stream=True))
    with pytest.raises(DataError, match=r"train.extxyz, frame 4: low_energy is infinite"):
        run_fit(config)
    assert not (data / "spoilt").exists()


def test_a_geometry_that_no_matter_has_is_refused_wherever_it_stands_in_a_streamed_file(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SAMPLE", 2)
    structures = list(read_structures(data / "train.extxyz"))
    structures[4].atoms.positions[1] = structures[4].atoms.positions[0]
    write_structures(data / "train.extxyz", structures)
    with pytest.raises(DataError, match=r"train.extxyz, frame 4: the structure .* at one place"):
        run_fit(load_config(config_of(data, "double", stream=True)))
    assert not (data / "double").exists()
