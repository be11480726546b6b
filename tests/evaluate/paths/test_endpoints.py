"""Ends of a band: a shift of all their atoms is no path, and what is held stays."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian

from rung.data.held import Held
from rung.errors import DataError
from rung.evaluate.paths.barrier import BarrierSettings, relaxed_barrier, static_barrier
from rung.evaluate.paths.endpoints import (
    aligned,
    check_endpoints,
    common_shift,
    displacements,
    matched,
    relative_displacements,
)

SHIFTS = {
    "small": (0.3, -0.2, 0.1),
    "half a cell": (0.5, 0.5, 0.5),
    "nearly half": (0.499, 0.0, 0.501),
    "far": (7.3, 0, -2),
}


def crystal() -> Atoms:
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.rattle(0.05, seed=3)
    return atoms[1:]


def hopped(atoms: Atoms) -> Atoms:
    """Return the crystal with a neighbour of the vacancy in it."""
    final = atoms.copy()
    ways = np.linalg.norm(atoms.positions, axis=1)
    final.positions[int(np.argmin(ways))] = 0.05
    return final


def shifted(atoms: Atoms, name: str) -> Atoms:
    other = atoms.copy()
    fractions = np.array(SHIFTS[name])
    other.positions += fractions @ other.cell.array if name != "small" else fractions
    other.wrap()
    return other


@pytest.mark.parametrize("name", SHIFTS)
def test_a_structure_and_its_shifted_self_are_the_same(name: str) -> None:
    atoms = crystal()
    with pytest.raises(DataError, match="are the same, but for a shift of all atoms"):
        check_endpoints(atoms, shifted(atoms, name))
    held = shifted(atoms, name)
    held.set_constraint(FixAtoms([0]))
    assert not common_shift(atoms, held).any(), "a shift of what is held means something"


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_of_all_atoms_changes_no_way(name: str) -> None:
    atoms = crystal()
    final = hopped(atoms)
    ways = displacements(atoms, final)
    found = relative_displacements(atoms, shifted(final, name))
    np.testing.assert_allclose(found, ways - ways.mean(axis=0), atol=1e-12)
    beside = aligned(atoms, shifted(final, name))
    np.testing.assert_allclose(beside.get_all_distances(mic=True), final.get_all_distances(mic=True), atol=1e-10)


def test_what_may_shift_is_along_what_nobody_holds() -> None:
    atoms = crystal()
    atoms.set_constraint(FixCartesian(2, (False, False, True)))
    other = atoms.copy()
    other.positions += [0.3, 0.2, 0.1]
    np.testing.assert_allclose(common_shift(atoms, other), [0.3, 0.2, 0.0], atol=1e-12)


def test_a_shifted_end_gives_the_barrier_and_the_length_of_the_other() -> None:
    atoms, settings = crystal(), BarrierSettings(images=3, fmax=0.1, interpolation="linear")
    one, other = (
        relaxed_barrier(atoms, end, EMT(), settings) for end in (hopped(atoms), shifted(hopped(atoms), "half a cell"))
    )
    assert one.converged and other.converged
    assert other.barrier == pytest.approx(one.barrier, abs=1e-6)
    np.testing.assert_allclose(other.coordinate, one.coordinate, atol=1e-4)
    drifting = [image.copy() for image in one.images]
    for number, image in enumerate(drifting):
        image.positions += 0.4 * number
        image.wrap()
    np.testing.assert_allclose(static_barrier(drifting, EMT()).coordinate, one.coordinate, atol=1e-6)


def test_like_atoms_of_two_isotopes_are_no_partners() -> None:
    one = Atoms("H2", positions=[[0, 0, 0], [2, 0, 0]])
    one.set_masses([1.008, 2.014])
    other = Atoms("H2", positions=[[2.1, 0, 0], [0.1, 0, 0]])
    other.set_masses([1.008, 2.014])
    assert matched(one, other)[1] == ()
    other.set_masses([2.014, 1.008])
    other.set_constraint(FixAtoms([0]))
    renumbered, changed = matched(one, other)
    assert changed == (0, 1)
    np.testing.assert_array_equal(renumbered.get_masses(), one.get_masses())
    assert Held.of(renumbered).dimensions.tolist() == [3, 0], "what is held goes with its atom"
    other.set_masses([1.008, 1.008])
    with pytest.raises(DataError, match="different isotopes"):
        matched(one, other)
