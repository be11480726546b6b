"""Neighbours where atoms are far apart or at one place; tests of the batch hold them against ASE's own list."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from numpy.testing import assert_array_equal

from rung.data.batch import neighbours
from rung.data.neighbours import neighbour_lengths
from rung.errors import DataError


def apart(distance: float, pbc: tuple[bool, bool, bool] = (False, False, False)) -> Atoms:
    """Ethanol, water and methane, ``distance`` Å apart in all open directions."""
    parts = [molecule(name) for name in ("CH3CH2OH", "H2O", "CH4")]
    atoms = Atoms(cell=[15.0, 14.0, 13.0], pbc=pbc)
    for k, part in enumerate(parts):
        part.positions += k * np.where(pbc, 4.0, distance)
        atoms += part
    return atoms


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False), (False, True, False)])
def test_emptiness_between_fragments_changes_no_edge(pbc: tuple[bool, bool, bool]) -> None:
    """A few ten Å apart no edge crosses; at 10,000 Å and more the list could not be made, or took seconds."""
    near = neighbours(apart(30.0, pbc), 4.0)
    assert near[0].shape[1] > 90
    for distance in (1e4, 3e5):
        edges, translations = neighbours(apart(distance, pbc), 4.0)
        assert_array_equal(edges, near[0])
        assert_array_equal(translations, near[1])


@pytest.mark.parametrize("pbc", [(False, False, False), (True, False, True)])
def test_a_gap_of_the_cutoff_is_not_bridged_and_a_shorter_one_is(pbc: tuple[bool, bool, bool]) -> None:
    for distance, edges in ((4.999, 2), (5.001, 0), (6.1, 0), (1e4, 0)):
        pair = Atoms("He2", [[0, 0, 0], [0, distance, 0]], cell=[20.0, 0, 20.0], pbc=pbc)
        assert neighbours(pair, 5.0)[0].shape == (2, edges)


def test_lengths_are_those_of_the_vectors() -> None:
    atoms = apart(1.0, (True, True, True))
    pairs, length = neighbour_lengths(atoms, 3.0)
    edges, translations = neighbours(atoms, 3.0)
    vectors = atoms.positions[edges[1]] - atoms.positions[edges[0]] + translations @ atoms.cell.array
    assert pairs.shape == edges.shape
    np.testing.assert_allclose(np.sort(length), np.sort(np.linalg.norm(vectors, axis=1)), atol=1e-12)


def test_a_cell_too_large_and_empty_to_be_divided_is_refused() -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], cell=[1e5] * 3, pbc=True)
    with pytest.raises(DataError, match=r"1e\+05 × 1e\+05 × 1e\+05 Å, too large and empty"):
        neighbours(atoms, 5.0)


def test_atoms_at_one_place_are_refused_and_not_given_to_a_model_that_makes_nan_of_them() -> None:
    with pytest.raises(DataError, match="H2O has atoms 0 and 2 at one place"):
        neighbours(Atoms("HOH", [[0, 0, 0], [0, 0, 1], [0, 0, 0]]), 5.0)
