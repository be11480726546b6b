"""A run whose structures stay in their files ends as one that keeps them in memory."""

from pathlib import Path

import pytest

from rung.checkpoint import load as load_checkpoint
from rung.config import load_config
from rung.data.frames import StreamedStructures
from rung.data.readers import write_structures
from rung.errors import ConfigError, DataError
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


def test_what_is_evaluated_is_read_and_splits_stay_apart(data: Path) -> None:
    splits = open_splits(load_config(config_of(data, "run", stream=True)))
    assert isinstance(splits["train"], StreamedStructures)
    assert isinstance(splits["test"], tuple)
    write_structures(data / "test.extxyz", toy_structures(12)[7:9])
    with pytest.raises(DataError, match="of train stands in test too"):
        open_splits(load_config(config_of(data, "run", stream=True)))


def test_studies_say_that_they_do_not_stream(data: Path) -> None:
    with pytest.raises(ConfigError, match=r"remove data\.stream"):
        read_splits(load_config(config_of(data, "run", stream=True)))
