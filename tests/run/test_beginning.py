"""``rung init``: the config says what the files hold, reads back, and nothing of the user's is written over."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung.cli import main
from rung.config import load_config
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import overlaps
from rung.errors import ConfigError, DataError, StorageError
from rung.run.beginning import begin
from rung.run.file_settings import InitSettings
from tests.run.small_world import SmallWorld, build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    return build_world(tmp_path_factory.mktemp("world"))


def test_files_take_their_places_by_name(world: SmallWorld, tmp_path: Path, capsys) -> None:
    out = tmp_path / "lift"
    files = [str(world.folder / name) for name in ("train.extxyz", "test.extxyz")]
    words = ["init", *files, "--base", str(world.folder / "base.model"), "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "lifts low to high" in said.err.replace("\n", " ")
    config = load_config(out / "config.yaml")
    assert (config.target, config.base.fidelity, config.method.name) == ("high", "low", "readout")
    read = [path.resolve() for path in (*config.data.train, *config.data.evaluate["test"])]
    assert read == [Path(name).resolve() for name in files]
    assert config.base.file.resolve() == (world.folder / "base.model").resolve()
    text = (out / "config.yaml").read_text()
    assert "# of high: 6 energies, 6 with forces" in text
    assert "# for training: 10 energies (σ 2 meV, median), no forces" in text
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert (out / "config.yaml").read_text() == text


def test_one_file_is_divided_and_a_base_is_trained_first(world: SmallWorld, tmp_path: Path) -> None:
    everything = tmp_path / "all.extxyz"
    whole = read_structures(world.folder / "train.extxyz")
    turned = replace(whole[3], structure_id="copy", labels={"low": whole[3].labels["low"]})
    write_structures(everything, [*whole, turned])
    begun = begin(InitSettings(files=(everything,), out=tmp_path / "lift", test=0.3))
    parts = {name: read_structures(paths) for name, paths in begun.splits.items()}
    assert not overlaps(parts)
    assert 0.15 < len(parts["test"]) / len(whole) < 0.45
    assert all(each["high"].energies for each in begun.census.values())
    assert begun.base_config is not None
    base, lift = load_config(begun.base_config), load_config(begun.config)
    assert (base.target, base.method.name, base.base) == ("low", "scratch", None)
    assert lift.base is not None and lift.base.file == base.run / "model.rung"
    assert lift.data.train == base.data.train
    again = begin(InitSettings(files=(everything,), out=tmp_path / "again", test=0.3, group="composition"))
    formulas = {name: {one.formula for one in read_structures(paths)} for name, paths in again.splits.items()}
    assert not formulas["train"] & formulas["test"]


def test_a_kind_of_energy_is_no_level_and_a_name_that_cannot_be_one_leaves_nothing(
    world: SmallWorld, tmp_path: Path
) -> None:
    frames = read_structures(world.folder / "train.extxyz")
    few = [
        replace(one, labels={**one.labels, "kinetic": one.labels["low"]}) if number < 3 else one
        for number, one in enumerate(frames)
    ]
    write_structures(tmp_path / "kinetic.extxyz", few)
    begun = begin(InitSettings(files=(tmp_path / "kinetic.extxyz",), out=tmp_path / "kinetic"))
    assert (begun.low, begun.target) == ("low", "high")
    named = [
        replace(one, labels={"ccsd(t)" if name == "high" else name: label for name, label in one.labels.items()})
        for one in frames
    ]
    write_structures(tmp_path / "named.extxyz", named)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"'ccsd\(t\)' must be .*; rename its labels, as rung convert --keys"):
            begin(InitSettings(files=(tmp_path / "named.extxyz",), out=tmp_path / "named"))
    assert not (tmp_path / "named").exists()


def test_what_cannot_be_told_is_asked(world: SmallWorld, tmp_path: Path) -> None:
    file, out = world.folder / "train.extxyz", tmp_path / "out"
    with pytest.raises(ConfigError, match="fidelity"):
        begin(InitSettings(files=(file,), target="hihg", out=out))
    with pytest.raises(ConfigError, match="Base and target are both high"):
        begin(InitSettings(files=(file,), target="high", base_fidelity="high", out=out))
    with pytest.raises(ConfigError, match="No fidelity beside low has forces"):
        begin(InitSettings(files=(file,), target="low", out=out))
    frames = read_structures(file)
    equal = [replace(one, labels={"a": one.labels["low"], "b": one.labels["low"]}) for one in frames]
    write_structures(tmp_path / "equal.extxyz", equal)
    with pytest.raises(ConfigError, match="cannot be told of a, b"):
        begin(InitSettings(files=(tmp_path / "equal.extxyz",), out=out))
    write_structures(tmp_path / "bare.extxyz", [replace(one, labels={}) for one in frames])
    with pytest.raises(DataError, match="rung convert"):
        begin(InitSettings(files=(tmp_path / "bare.extxyz",), out=out))
    with pytest.raises(
        ConfigError, match=r"rung convert --keys energy=KEY_energy --fidelity cc, .*fidelities\.cc\.key"
    ):
        begin(InitSettings(files=(file,), target="cc", out=out))
    write_structures(tmp_path / "named.extxyz", [replace(one, labels={}, info={"DFT_E": -1.0}) for one in frames])
    with pytest.raises(DataError, match="rung convert --keys energy=DFT_E --fidelity NAME"):
        begin(InitSettings(files=(tmp_path / "named.extxyz",), out=out))
    gold = frames[0].atoms.copy()
    gold.numbers[0] = 79
    label = {"low": frames[0].labels["low"], "high": replace(frames[0].labels["high"], energy=-1.0)}
    golden = replace(frames[0], atoms=gold, structure_id="g", labels=label)
    write_structures(tmp_path / "gold.extxyz", [*frames, golden])
    with pytest.raises(ConfigError, match=r"\bAu\b"):
        begin(InitSettings(files=(tmp_path / "gold.extxyz",), base=world.folder / "base.model", out=out))
    assert not out.exists()
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(StorageError, match=r"thesis\.tex"):
        begin(InitSettings(files=(file,), out=out))


def test_few_or_exact_labels_are_said(world: SmallWorld, tmp_path: Path) -> None:
    def exact(structure):
        high = structure.labels.get("high")
        return (
            structure
            if high is None
            else replace(structure, labels={**structure.labels, "high": replace(high, energy_stderr=np.nan)})
        )

    frames = [exact(one) for one in read_structures(world.folder / "train.extxyz")]
    write_structures(tmp_path / "train.extxyz", frames)
    write_structures(tmp_path / "other.extxyz", [replace(one, labels={}) for one in frames[:2]])
    begun = begin(InitSettings(files=(tmp_path / "train.extxyz", tmp_path / "other.extxyz"), out=tmp_path / "lift"))
    assert [sentence.split()[0] for sentence in begun.warnings] == ["10", "The", "No"]
