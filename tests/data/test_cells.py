"""What labels say of cells, and the warning where they say nothing."""

from dataclasses import replace

import numpy as np
from ase import Atoms

from rung.data.cells import cell_warning, cells_of
from rung.data.labels import empty_labels
from rung.data.structure import Structure


def frame(length: float, *, periodic: bool = True, stress: bool = False) -> Structure:
    atoms = Atoms("Cu", cell=[length, length, 10.0], pbc=periodic)
    labels = replace(empty_labels(1), energy=-1.0, stress=np.ones(6) if stress else np.full(6, np.nan))
    return Structure(atoms, f"cell-{length}-{stress}", {"dmc": labels, "pbe": empty_labels(1)})


def said(*frames: Structure, fidelity: str = "dmc") -> str:
    return cell_warning({"target": "dmc", "target_labels": cells_of(frames, "dmc")}, fidelity)


def test_one_cell_without_stress_is_a_guess() -> None:
    assert "at one cell (3.100 × 3.100 × 10.000 Å)" in said(frame(3.1), frame(3.1))
    assert "No dmc label has a periodic cell" in said(frame(3.1, periodic=False))


def test_several_cells_or_a_stress_are_not() -> None:
    assert said(frame(3.1), frame(3.2)) == ""
    assert said(frame(3.1, stress=True)) == ""
    assert said(frame(3.1), fidelity="pbe") == ""
    assert cell_warning({}, "dmc") == ""


def test_unlabelled_frames_do_not_count() -> None:
    other = Structure(frame(3.3).atoms, "unlabelled", {})
    assert cells_of([frame(3.1), other], "dmc")["n_cells"] == 1
