"""Predictions of a split: arrays, one entry a structure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.errors import StorageError
from rung.results.predictions import Predictions
from rung.storage import read_json, write_json

CONTENT: dict[str, Any] = {
    "fidelity": "dmc",
    "structure_ids": ["a", "b"],
    "formulas": ["H", "H2"],
    "n_atoms": [1, 2],
    "energy": [1.0, 2.0],
    "energy_stderr": [None, 0.1],
    "energy_label": [1.1, None],
    "energy_stderr_label": [0.01, None],
    "energy_base": None,
    "forces": [[[1, 2, 3]], None],
    "forces_stderr": None,
    "forces_label": [None, None],
    "forces_base": [[[1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]],
}


def test_what_is_read_is_written_again(tmp_path: Path) -> None:
    write_json(tmp_path / "test.json", CONTENT)
    content = Predictions.read(tmp_path / "test.json")
    assert isinstance(content.energy, np.ndarray)
    assert content.atoms.tolist() == [1.0, 2.0]
    content.write(tmp_path / "again.json")
    assert read_json(tmp_path / "again.json") == CONTENT


def test_components_are_flat_and_unknown_where_a_structure_has_none() -> None:
    content = Predictions.of(CONTENT, "test.json")
    forces, labels = content.components(content.forces), content.components(content.forces_label)
    assert forces is not None and labels is not None
    assert forces[:3].tolist() == [1, 2, 3]
    assert np.isnan(forces[3:]).all()
    assert forces.shape == labels.shape == (9,)
    assert np.isnan(labels).sum() == 9
    assert content.components(content.forces_stderr) is None
    empty = {name: value if name == "fidelity" else [] for name, value in CONTENT.items()}
    nothing = Predictions.of(empty, "test.json").components(())
    assert nothing is not None
    assert nothing.size == 0


def test_arrays_are_taken_as_they_are() -> None:
    """Forces are many: none is copied or looked at one by one."""
    blocks = (np.ones((1, 3)), np.zeros((2, 3)))
    content = Predictions.model_validate({**CONTENT, "forces": blocks})
    assert all(one is other for one, other in zip(content.forces, blocks, strict=True))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"energy": [1.0]}, r"\(energy has 1 entry for 2 structures\)"),
        ({"formulas": ["H"]}, r"\(formulas has 1 entry for 2 structures\)"),
        ({"forces": [[[1, 2, 3]]]}, r"\(forces has 1 entry for 2 structures\)"),
        ({"forces": [[[1, 2, 3]], [[1, 2, 3]]]}, r"\(forces has 1 row for a structure of 2 atoms\)"),
        ({"forces_base": [[[1, 2]], None]}, r"at 'forces_base' \(it should be three numbers an atom\)"),
        ({"forces": [1.0] * 8}, r"at 'forces' \(it should be three numbers an atom\)"),
        ({"forces": 1.0}, r"at 'forces' \(it should be a list of one block a structure\)"),
        ({"forces": "much"}, r"at 'forces' \(it should be"),
        ({"energy": ["much", 1.0]}, r"at 'energy' \(it should be a list of numbers\)"),
        ({"energy": {"x": 1.0}}, r"at 'energy' \(it should be a list of numbers\)"),
        ({"energy": None}, r"at 'energy' \(it should be a list of numbers\)"),
        ({"forces_stderr": [[[1, 2, 3]], 7]}, r"at 'forces_stderr' \(it should be three numbers an atom\)"),
        ({"n_atoms": ["two", 1]}, "at 'n_atoms.0'"),
    ],
)
def test_damage_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as caught:
        Predictions.of({**CONTENT, **change}, "test.json")
    assert str(caught.value).startswith("test.json is damaged ")
