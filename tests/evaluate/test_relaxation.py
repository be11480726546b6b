"""Relaxation of positions and cells beside ASE's own, and cells that cannot relax."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixedPlane, FixScaled
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from rung.errors import ConfigError, DataError
from rung.evaluate.relaxation import RelaxationSettings, relax


@pytest.mark.parametrize("plane", [False, True])
def test_relaxation_is_ases(plane: bool) -> None:
    start = bulk("Cu", cubic=True)
    start.set_cell(start.cell.array @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    start.rattle(0.03, seed=0)
    found = relax(start, EMT(), RelaxationSettings(fmax=0.005, cell=not plane, plane=plane))
    atoms = start.copy()
    atoms.calc = EMT()
    mask = [1, 1, 0, 0, 0, 1] if plane else [1] * 6
    with BFGS(FrechetCellFilter(atoms, mask=mask), logfile=None) as optimizer:
        assert optimizer.run(fmax=0.005, steps=300)
    assert found.converged
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    np.testing.assert_allclose(found.atoms.cell.array, atoms.cell.array, atol=1e-3)
    if plane:
        np.testing.assert_array_equal(found.atoms.cell[2], start.cell[2])
    assert not relax(start, EMT(), RelaxationSettings(steps=1)).converged


class Killed(EMT):
    """Dies after so many calls, as a process does."""

    left = -1

    def calculate(self, *arguments, **options) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().calculate(*arguments, **options)


@pytest.mark.parametrize("cell", [False, True])
def test_a_relaxation_that_was_killed_again_and_again_ends_as_an_unbroken_one_does(tmp_path, cell: bool) -> None:
    start = bulk("Cu", cubic=True)
    start.set_cell(start.cell.array @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    start.rattle(0.1, seed=0)
    settings = RelaxationSettings(fmax=1e-6, cell=cell)
    due = relax(start, EMT(), settings)
    calculator, kills = Killed(), 0
    while True:
        calculator.left = 3 + 2 * kills
        try:
            found = relax(start, calculator, settings, state=tmp_path / "state.npz")
        except KeyboardInterrupt:
            kills += 1
            continue
        break
    assert kills >= 3
    assert (found.steps, found.converged) == (due.steps, True)
    assert found.energy == pytest.approx(due.energy, abs=1e-9), "EMT's neighbour lists remember where they were made"
    np.testing.assert_allclose(found.atoms.positions, due.atoms.positions, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.atoms.cell.array, due.atoms.cell.array, rtol=0, atol=1e-9)


def test_a_cell_that_cannot_relax_is_one_sentence() -> None:
    class NoStress(EMT):
        implemented_properties = ("energy", "forces")
        calls = 0

        def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)) -> None:
            self.calls += 1
            super().calculate(atoms, properties, system_changes)

    crystal = bulk("Cu", cubic=True)
    for settings in (RelaxationSettings(cell=True), RelaxationSettings(plane=True)):
        for molecule in (
            Atoms("Cu2", [[0, 0, 0], [2.3, 0, 0]]),
            Atoms("Cu2", [[0, 0, 0], [2.3, 0, 0]], cell=[9, 9, 9]),
        ):
            with pytest.raises(DataError, match="is not periodic, so it has no cell to relax"):
                relax(molecule, EMT(), settings)
        wire = Atoms("Cu", cell=[0, 0, 2.5], pbc=[False, False, True])
        with pytest.raises(DataError, match="Cu has 1 lattice vector, so no cell to relax"):
            relax(wire, EMT(), settings)
        calculator = NoStress()
        with pytest.raises(ConfigError, match="NoStress gives no stress, so it cannot relax a cell"):
            relax(crystal, calculator, settings)
        assert calculator.calls <= 1, "before any step"
    crystal.pbc = (True, False, True)
    with pytest.raises(DataError, match="not periodic along its first two lattice vectors"):
        relax(crystal, EMT(), RelaxationSettings(plane=True))
    crystal.pbc = True
    calculator = NoStress()
    assert relax(crystal, calculator, RelaxationSettings()).converged


def turned(atoms: Atoms) -> Atoms:
    """Return the same crystal, turned by no symmetry of it, with its vectors in another order of axes."""
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ rotation.T)
    other.positions = atoms.positions @ rotation.T
    return other


def test_the_plane_is_that_of_the_first_two_vectors_however_the_cell_is_turned() -> None:
    start = bulk("Cu", cubic=True)
    start.set_cell(start.cell.array @ np.array([[1.03, 0.02, 0], [0, 0.98, 0], [0, 0, 1.01]]), scale_atoms=True)
    start.rattle(0.03, seed=0)
    settings = RelaxationSettings(fmax=0.005, plane=True)
    one, other = relax(start, EMT(), settings), relax(turned(start), EMT(), settings)
    assert one.converged and other.converged
    assert other.energy == pytest.approx(one.energy, abs=1e-5)
    np.testing.assert_allclose(other.atoms.cell.cellpar(), one.atoms.cell.cellpar(), atol=2e-3)
    normal = np.cross(*turned(start).cell.array[:2])
    normal /= np.linalg.norm(normal)
    np.testing.assert_allclose(other.atoms.cell.array @ normal, turned(start).cell.array @ normal, atol=1e-12)
    assert np.abs(other.atoms.cell.cellpar() - start.cell.cellpar()).max() > 0.02


def test_fractions_are_held_while_the_cell_relaxes() -> None:
    start = bulk("Cu", cubic=True)
    start.set_cell(start.cell.array @ np.array([[1.03, 0.05, 0], [0, 0.98, 0.02], [0, 0, 1.01]]), scale_atoms=True)
    start.rattle(0.05, seed=0)
    start.set_constraint([FixAtoms([0]), FixScaled([1], (True, False, False))])
    found = relax(start, EMT(), RelaxationSettings(fmax=0.02, cell=True))
    assert found.converged
    moved = found.atoms.cell.scaled_positions(found.atoms.positions) - start.cell.scaled_positions(start.positions)
    np.testing.assert_allclose([*moved[0], moved[1, 0]], 0.0, atol=1e-12)
    assert np.abs(moved[1, 1:]).max() > 1e-3
    assert [type(one) for one in found.atoms.constraints] == [FixAtoms, FixScaled]
    start.set_constraint(FixedPlane(2, (0, 0, 1)))
    with pytest.raises(DataError, match="FixedPlane holds atom 2 in a direction of space, and a cell that relaxes"):
        relax(start, EMT(), RelaxationSettings(cell=True))
    plane = np.cross(*start.cell.array[:2])
    start.set_constraint(FixedPlane(2, plane))
    across = relax(start, EMT(), RelaxationSettings(fmax=0.02, plane=True)).atoms.positions[2] - start.positions[2]
    assert across @ plane / np.linalg.norm(plane) == pytest.approx(0.0, abs=1e-12)
