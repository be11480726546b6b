"""The names that a report takes from a config."""

from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.results.config import ConfigNames

WHOLE = "target: dmc\nmethod: {name: readout, seed: 1}\nbase: {fidelity: pbe}\nfidelities: {dmc: {}}\n"


def test_names_are_read_and_the_rest_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(WHOLE)
    names = ConfigNames.read(tmp_path / "config.yaml")
    assert (names.target, names.method.name, names.fidelities["dmc"].level_of_theory) == ("dmc", "readout", "")
    assert names.base is not None
    assert names.base.fidelity == "pbe"
    assert ConfigNames.read_optional(tmp_path / "absent.yaml") is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1]", "holds no settings"),
        ("", "holds no settings"),
        ("a: [", "is not readable YAML"),
        ("target: dmc", "damaged at 'method'"),
        ("target: [1]\nmethod: {name: x}", "damaged at 'target'"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(StorageError, match=sentence):
        ConfigNames.read(tmp_path / "config.yaml")


def test_an_absent_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"There is no file .*config\.yaml"):
        ConfigNames.read(tmp_path / "config.yaml")
