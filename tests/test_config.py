"""Configs: what is read is what was written, and what is wrong is said in one sentence that helps."""

from pathlib import Path

import pytest
import yaml

from rung.config import RunConfig, load_config, write_config
from rung.errors import ConfigError, RungError
from rung.settings import Settings
from rung.study import StudyConfig, load_study_config

MINIMAL = """
run: runs/mos2
fidelities: {pbe: {level_of_theory: PBE}, r2scan: }
target: r2scan
base: {file: base.model, fidelity: pbe}
data: {train: train.extxyz, evaluate: {test: test.extxyz, ood: [ood1.extxyz, ood2.extxyz]}}
method: {name: readout}
"""


def _write(folder: Path, text: str = MINIMAL, **changes: object) -> Path:
    values = yaml.safe_load(text)
    for key, value in changes.items():
        if value is None:
            values.pop(key)
        else:
            values[key] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path))
    assert config.run == tmp_path / "runs/mos2"
    assert config.base is not None and config.base.file == tmp_path / "base.model"
    assert config.data.train == (tmp_path / "train.extxyz",)
    assert config.data.evaluate["ood"] == (tmp_path / "ood1.extxyz", tmp_path / "ood2.extxyz")
    assert config.cache == tmp_path / "runs/rung-cache"
    absolute = load_config(_write(tmp_path, run=str(tmp_path / "elsewhere"), cache="designs"))
    assert absolute.run == tmp_path / "elsewhere"
    assert absolute.cache == tmp_path / "designs"


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path))
    assert config.method.name == "readout"
    assert (config.seed, config.device, config.dtype, config.threads) == (0, "cpu", None, None)
    assert config.base is not None and config.base.trusted is False
    assert config.fidelity_table()["pbe"].level_of_theory == "PBE"
    assert config.fidelity_table()["r2scan"].energy_shared_stderr == 0.0


@pytest.mark.parametrize("method", [{"name": "readout"}, {"name": "offset"}])
def test_a_resolved_config_reads_back_equal(tmp_path: Path, method: dict[str, object]) -> None:
    config = load_config(_write(tmp_path, method=method))
    write_config(config, tmp_path / "run" / "config.yaml")
    assert load_config(tmp_path / "run" / "config.yaml") == config


def test_a_study_config_reads_back_equal(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        labels=[12, 25],
        seeds=[0, 1],
        compare={"e0": {"name": "offset"}},
        noise={"exact": "exact.json", "energy_stderr": [0.02, 0.06]},
        bands={"hop": "neb.extxyz"},
    )
    config = load_study_config(path)
    assert config.noise is not None and config.noise.exact == tmp_path / "exact.json"
    assert config.bands == {"hop": tmp_path / "neb.extxyz"}
    assert list(config.methods()) == ["readout", "e0"]
    write_config(config, tmp_path / "again.yaml")
    assert load_study_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"traget": "r2scan", "target": None}, ["'traget'", "target"]),
        ({"target": "r2skan"}, ["'target'", "r2skan", "Did you mean 'r2scan'"]),
        ({"target": None}, ["'target'", "missing"]),
        ({"base": {"file": "base.model", "fidelity": "bpe"}}, ["base.fidelity", "Did you mean 'pbe'"]),
        ({"base": {"file": "base.model", "fidelity": "pbe", "trust": True}}, ["Did you mean 'trusted'"]),
        ({"base": None}, ["'readout' needs a base"]),
        ({"method": {"name": "readuot"}}, ["readuot", "Did you mean 'readout'", "offset"]),
        ({"method": {}}, ["method", "'name'", "missing"]),
        ({"method": {"name": "readout", "averge": 3}}, ["averge", "Did you mean 'average'"]),
        ({"method": {"name": "offset", "average": 3}}, ["average", "there is: name."]),
        ({"data": {"trian": "train.extxyz"}}, ["trian", "Did you mean 'train'"]),
        ({"data": {"train": []}}, ["data.train"]),
        ({"data": {"train": "a.extxyz", "evaluate": {"train": "b.extxyz"}}}, ["'train'", "evaluate"]),
        ({"data": {"train": "a.extxyz", "evaluate": {"../x": "b.extxyz"}}}, ["'../x'"]),
        ({"fidelities": {}}, ["fidelities is empty"]),
        ({"fidelities": {"p b e": {}, "r2scan": {}}}, ["'p b e'"]),
        ({"fidelities": {"pbe": {"level": "x"}, "r2scan": {}}}, ["level_of_theory"]),
        ({"seed": -1}, ["'seed'", "-1"]),
        ({"dtype": "float16"}, ["'dtype'", "float16"]),
        ({"threads": 0}, ["'threads'"]),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, changes: dict[str, object], words: list[str]) -> None:
    path = _write(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"small": {"name": "delta", "learnz": "base"}}, ["compare.small.learnz", "learner, learns, name. Did"]),
        ({"small": {"name": "delta", "training": {}}}, ["there is: learner, learner.training, learns, name."]),
        ({"offset": {"average": 3}}, ["compare.offset.average", "there is: name."]),
        ({"transfer": {"training": {"epoch": 3}}}, ["compare.transfer.training.epoch", "Did you mean 'epochs'"]),
    ],
)
def test_what_is_wrong_in_a_row_of_a_study_is_held_against_its_method(
    tmp_path: Path, rows: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study_config(_write(tmp_path, labels=[12], seeds=[0], compare=rows))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "holds no settings"), ("- a\n- b\n", "holds no settings"), ("run: [a", "is not YAML"), ("\x00", "not YAML")],
)
def test_files_that_are_no_config(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(path)


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no config file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(RungError):
        load_config(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": [], "seeds": [0]}, "'labels'"),
        ({"labels": [0], "seeds": [0]}, "labels.0"),
        ({"labels": [5], "seeds": [0], "compare": {"readout": {"name": "offset"}}}, "compare.readout"),
        ({"labels": [5], "seeds": [0], "compare": {"x": {"name": "ofset"}}}, "Did you mean 'offset'"),
        (
            {"labels": [5], "seeds": [0], "noise": {"exact": "e.json", "energy_stderr": [0.06, 0.02]}},
            "the smaller first",
        ),
        (
            {"labels": [5], "seeds": [0], "noise": {"exact": "e.json", "energy_stderr": [0.0, 0.02]}},
            "two numbers of eV above 0",  # a draw needs an error, so every fit would fail
        ),
    ],
)
def test_what_is_wrong_in_a_study(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_study_config(_write(tmp_path, **changes))


@pytest.mark.parametrize("config", [RunConfig, StudyConfig])
def test_every_field_has_a_sentence(config: type[Settings]) -> None:
    for name, field in config.model_fields.items():
        assert field.description, name
        assert field.description.rstrip().endswith("."), name


EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_config_of_files_that_exist(path: Path, tmp_path: Path) -> None:
    load = load_study_config if "labels" in yaml.safe_load(path.read_text()) else load_config
    config = load(path)
    assert all(file.is_file() for file in config.files().values())
    write_config(config, tmp_path / "again.yaml")
    assert load(tmp_path / "again.yaml") == config


def test_there_are_examples() -> None:
    assert {"readout.yaml", "study.yaml", "base.yaml"} <= {path.name for path in EXAMPLES}


def test_a_home_folder_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell does it in a command, and nobody in a file: a folder of the name ~ was made."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = load_config(_write(tmp_path, run="~/runs/x", data={"train": "~/a.extxyz", "valid": "b.extxyz"}))
    assert config.run == tmp_path / "home" / "runs" / "x"
    assert config.data.train == (tmp_path / "home" / "a.extxyz",) and config.data.valid == (tmp_path / "b.extxyz",)
