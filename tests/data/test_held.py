"""What constraints hold: ASE's own behaviour is the reference, and a constraint that is not followed is named."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixedLine, FixedPlane, FixScaled, dict2constraint

from rung.data.held import Held, as_dicts, from_dicts, merged
from rung.errors import DataError

KINDS = {
    "atoms": FixAtoms([0, 2]),
    "axes": FixCartesian([1, 3], (True, False, True)),
    "line": FixedLine([0, 3], (1, 2, -0.5)),
    "plane": FixedPlane(2, (0.3, -1, 0.7)),
    "fractions": FixScaled([1, 2], (False, True, False)),
    "two fractions": FixScaled(0, (True, True, False)),
}


def crystal() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell.array @ np.array([[1.1, 0.2, 0], [0, 0.9, 0.3], [0.1, 0, 1]]), scale_atoms=True)
    return atoms


@pytest.mark.parametrize("name", [name for name in KINDS if "fractions" not in name])
def test_what_may_move_is_what_ase_lets_move(name: str) -> None:
    atoms = crystal()
    atoms.set_constraint(KINDS[name])
    step = np.random.default_rng(0).normal(size=(4, 3))
    moved = atoms.copy()
    moved.set_positions(atoms.positions + step)
    held = Held.of(atoms)
    np.testing.assert_allclose(held.project(step), moved.positions - atoms.positions, atol=1e-14)
    assert held.degrees_of_freedom == atoms.get_number_of_degrees_of_freedom()


@pytest.mark.parametrize("name", ["fractions", "two fractions"])
def test_fractions_that_are_held_stay(name: str) -> None:
    atoms = crystal()
    atoms.set_constraint(KINDS[name])
    held = Held.of(atoms)
    step = held.project(np.random.default_rng(0).normal(size=(4, 3)))
    change = atoms.cell.scaled_positions(step)
    constraint = KINDS[name]
    np.testing.assert_allclose(change[np.ix_(constraint.index, np.flatnonzero(constraint.mask))], 0, atol=1e-14)
    assert np.linalg.norm(step, axis=1).min() > 1e-3, "the rest moves"
    assert held.degrees_of_freedom == atoms.get_number_of_degrees_of_freedom()


@pytest.mark.parametrize("name", KINDS)
def test_constraints_of_ase_and_files_say_the_same_again(name: str) -> None:
    atoms = crystal()
    atoms.set_constraint(KINDS[name])
    held = Held.of(atoms)
    for again in (held.constraints(), from_dicts(as_dicts([KINDS[name]]), 4), [dict2constraint(KINDS[name].todict())]):
        atoms.set_constraint(list(again))
        np.testing.assert_allclose(Held.of(atoms).free, held.free, atol=1e-12)
    for order in (np.array([2, 0, 3, 1]),):
        other = crystal()[order]
        other.set_constraint(held.in_order(order).constraints())
        np.testing.assert_allclose(Held.of(other).free, held.free[order], atol=1e-12)


def test_two_constraints_of_one_atom_hold_what_both_hold() -> None:
    atoms = crystal()
    atoms.set_constraint([FixedPlane(0, (1, 0, 0)), FixedPlane(0, (1, 1, 0)), FixCartesian(1, (True, False, False))])
    held = Held.of(atoms)
    np.testing.assert_allclose(held.project(np.ones((4, 3)))[0], [0, 0, 1], atol=1e-12)
    assert held.dimensions.tolist() == [1, 2, 3, 3]
    other = crystal()
    other.set_constraint([FixCartesian(1, (False, True, True)), FixAtoms([3])])
    both = held.joined(Held.of(other))
    assert both.dimensions.tolist() == [1, 0, 3, 0]
    assert held.differs_from(Held.of(other)).tolist() == [0, 1, 3]
    assert both.words() == "2 atoms held and 1 held in some directions"


def test_shifts_are_along_what_nobody_holds() -> None:
    atoms = crystal()
    assert len(Held.of(atoms).shifts) == 3
    atoms.set_constraint([FixCartesian(0, (False, False, True)), FixCartesian(2, (True, False, False))])
    np.testing.assert_allclose(np.abs(Held.of(atoms).shifts), [[0, 1, 0]])
    atoms.set_constraint(FixAtoms([0]))
    assert len(Held.of(atoms).shifts) == 0


def test_a_constraint_that_is_not_followed_is_named() -> None:
    atoms = crystal()
    atoms.set_constraint(FixBondLengths([[0, 1]]))
    for constraints in (atoms.constraints, from_dicts(as_dicts(atoms.constraints), 4)):
        atoms.set_constraint(list(constraints))
        with pytest.raises(DataError, match="The constraint FixBondLengths is not one that rung follows"):
            Held.of(atoms)


def test_masks_of_single_atoms_are_joined_and_empty_ones_left_out() -> None:
    found = merged([FixCartesian(k, (k < 2, False, k < 2)) for k in range(4)] + [FixAtoms([3])])
    assert [one.todict()["kwargs"] for one in found] == [{"a": [0, 1], "mask": [True, False, True]}, {"indices": [3]}]


@pytest.mark.parametrize(
    "content",
    [
        None,
        [3],
        [{"name": 3}],
        [{"name": "FixAtoms"}],
        [{"name": "FixAtoms", "kwargs": {"indices": [7]}}],
        [{"name": "FixedLine", "kwargs": {"indices": [0], "direction": [0, 0, 0]}}],
        [{"name": "FixScaled", "kwargs": {"a": [0], "mask": [1]}}],
    ],
)
def test_damaged_constraints_are_refused(content: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_dicts(content, 4)
