"""The contract of a potential, one check a function, each raising AssertionError where it is broken."""

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from rung.data.batch import collate
from rung.data.structure import Structure
from rung.model.protocols import Handed, Potential, Prediction


def predict(
    potential: Potential, structures: Sequence[Structure], fidelity: str = "low", *, stress: bool = False
) -> Prediction:
    """Evaluate rows of one fidelity where the potential lives; what it predicts is brought to the CPU."""
    batch = collate(
        structures,
        [fidelity] * len(structures),
        potential.cutoff,
        dtype=potential.dtype,
        device=potential.device,
        names=potential.fidelities,
    )
    found = potential.predict(batch, stress=stress)
    return Prediction(**{name: None if value is None else value.cpu() for name, value in vars(found).items()})


def changed(structure: Structure, atoms: Atoms) -> Structure:
    """Return the structure with other atoms."""
    return Structure(atoms, structure.structure_id, {})


def _turned(structure: Structure, matrix: np.ndarray) -> Structure:
    atoms = structure.atoms.copy()
    atoms.set_cell(atoms.cell.array @ matrix.T)
    atoms.positions = atoms.positions @ matrix.T
    return changed(structure, atoms)


def _root_mean_square(values: torch.Tensor) -> float:
    return float(values.double().pow(2).mean().sqrt())


def close_energies(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    """Compare energies of rows to ``tolerance`` eV."""
    assert float((found - wanted).abs().max()) <= tolerance


def close_forces(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    """Compare forces, relative to their root mean square."""
    assert float((found.double() - wanted.double()).abs().max()) <= tolerance * _root_mean_square(wanted)


def _check_orthogonal(
    potential: Potential, structures: Sequence[Structure], tolerance: float, matrix: np.ndarray
) -> None:
    before = predict(potential, structures)
    after = predict(potential, [_turned(structure, matrix) for structure in structures])
    turn = torch.as_tensor(matrix).to(before.forces)
    close_energies(after.energy, before.energy, 10 * tolerance)
    close_forces(after.forces, before.forces @ turn.T, tolerance)


def check_rotation(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Energies stay, forces turn."""
    _check_orthogonal(potential, structures, tolerance, Rotation.from_euler("zyx", [0.7, -1.1, 2.3]).as_matrix())


def check_reflection(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """The same in a mirror; a potential that says it knows rotations alone tells some image from its structure."""
    mirror = np.diag([1.0, -1.0, 1.0])
    if not isinstance(potential, Handed) or potential.mirrors:
        _check_orthogonal(potential, structures, tolerance, mirror)
        return
    before, after = (predict(potential, some) for some in (structures, [_turned(one, mirror) for one in structures]))
    assert float((after.energy - before.energy).abs().max()) > 10 * tolerance


def check_translation(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Nothing depends on where the structure stands, nor do forces sum to anything."""
    before = predict(potential, structures)
    moved = []
    for structure in structures:
        atoms = structure.atoms.copy()
        atoms.positions += [1.3, -2.1, 0.4]
        moved.append(changed(structure, atoms))
    after = predict(potential, moved)
    close_energies(after.energy, before.energy, 10 * tolerance)
    close_forces(after.forces, before.forces, tolerance)
    start = 0
    for structure in structures:
        net = before.forces[start : start + len(structure)].sum(dim=0)
        assert float(net.abs().max()) <= 10 * tolerance * max(_root_mean_square(before.forces), 1.0)
        start += len(structure)


def check_images(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Each atom may stand in any image of the cell, whichever the others stand in."""
    rng = np.random.default_rng(11)
    for structure in structures:
        shifts = rng.integers(-1, 2, size=(len(structure), 3)) * structure.atoms.pbc
        atoms = structure.atoms.copy()
        atoms.positions += shifts @ atoms.cell.array
        before, after = predict(potential, [structure]), predict(potential, [changed(structure, atoms)])
        close_energies(after.energy, before.energy, 10 * tolerance)
        close_energies(after.atom_energies, before.atom_energies, 10 * tolerance)
        scale = max(_root_mean_square(before.forces), 1.0)
        # positions of more than a cell round more coarsely than those of the other checks
        assert float((after.forces - before.forces).abs().max()) <= 2 * tolerance * scale


def check_permutation(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """The order of atoms changes nothing but the order of what belongs to them."""
    rng = np.random.default_rng(5)
    for structure in structures:
        order = rng.permutation(len(structure))
        before = predict(potential, [structure])
        after = predict(potential, [changed(structure, structure.atoms[order])])
        close_energies(after.energy, before.energy, 10 * tolerance)
        close_energies(after.atom_energies, before.atom_energies[order], 10 * tolerance)
        scale = max(_root_mean_square(before.forces), 1.0)
        assert float((after.forces - before.forces[order]).abs().max()) <= tolerance * scale


def check_batch_independence(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """A row says the same alone and in company."""
    together = predict(potential, structures, stress=True)
    start = 0
    for row, structure in enumerate(structures):
        alone = predict(potential, [structure], stress=True)
        stop = start + len(structure)
        close_energies(together.energy[row : row + 1], alone.energy, 10 * tolerance)
        scale = max(_root_mean_square(alone.forces), 1.0)
        assert float((together.forces[start:stop] - alone.forces).abs().max()) <= tolerance * scale
        np.testing.assert_allclose(together.stress[row], alone.stress[0], rtol=0, atol=tolerance)
        start = stop


def _stencil(values: Sequence[float], step: float) -> float:
    """Return the derivative from values at -2, -1, 1 and 2 steps, with an error of the fourth order."""
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def check_forces(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Forces are minus the gradient of the energy: along a random direction, by finite differences."""
    rng = np.random.default_rng(7)
    step = 2e-3 if potential.dtype == torch.float64 else 2e-2
    allowed = 1e-7 if potential.dtype == torch.float64 else 2e-3
    for structure in structures:
        direction = rng.normal(size=structure.atoms.positions.shape)
        rows = []
        for count in (-2, -1, 1, 2):
            atoms = structure.atoms.copy()
            atoms.positions += count * step * direction / np.linalg.norm(direction)
            rows.append(changed(structure, atoms))
        found = predict(potential, [structure]).forces.double().numpy()
        wanted = -_stencil(predict(potential, rows).energy.tolist(), step)
        along = float(np.sum(found * direction) / np.linalg.norm(direction))
        assert abs(along - wanted) <= allowed * max(1.0, float(np.linalg.norm(found)))


def check_stress(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Stress is the derivative of the energy under strain over the volume, with ASE's sign and order."""
    step = 1e-3 if potential.dtype == torch.float64 else 5e-3
    allowed = 1e-8 if potential.dtype == torch.float64 else 2e-4
    for structure in structures:
        if not structure.atoms.pbc.all():
            continue
        found = predict(potential, [structure], stress=True).stress[0].tolist()
        for component, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            rows = []
            for count in (-2, -1, 1, 2):
                strain = np.zeros((3, 3))
                strain[row, column] += 0.5 * count * step
                strain[column, row] += 0.5 * count * step
                atoms = structure.atoms.copy()
                atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                rows.append(changed(structure, atoms))
            slope = _stencil(predict(potential, rows).energy.tolist(), step)
            assert abs(found[component] - slope / structure.atoms.get_volume()) <= allowed


def check_isolated_atoms(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Atoms beyond each other's reach feel nothing, and their energies add up."""
    numbers = sorted(potential.elements)[:3]
    far = Atoms(numbers, positions=[[100.0 * k, 0.0, 0.0] for k in range(len(numbers))])
    together = predict(potential, [Structure(far, "far", {})])
    alone = predict(potential, [Structure(Atoms([number]), str(number), {}) for number in numbers])
    close_energies(together.energy, alone.energy.sum(dim=0, keepdim=True), 10 * tolerance)
    close_energies(together.atom_energies, alone.energy, 10 * tolerance)
    assert float(together.forces.abs().max()) == 0.0
    assert float(alone.forces.abs().max()) == 0.0


def check_cutoff(potential: Potential, structures: Sequence[Structure], tolerance: float) -> None:
    """Energy and forces do not jump as a neighbour leaves the cutoff."""
    number = min(potential.elements)
    step = 1e-5 if potential.dtype == torch.float64 else 1e-4
    inside, outside = (
        predict(potential, [Structure(Atoms([number] * 2, positions=[[0, 0, 0], [0, 0, distance]]), "pair", {})])
        for distance in (potential.cutoff - step, potential.cutoff + step)
    )
    allowed = max(1e-7, 10 * tolerance)
    close_energies(inside.energy, outside.energy, allowed)
    assert float((inside.forces - outside.forces).abs().max()) <= 1e4 * allowed


CHECKS = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_rotation,
        check_reflection,
        check_translation,
        check_images,
        check_permutation,
        check_batch_independence,
        check_forces,
        check_stress,
        check_isolated_atoms,
        check_cutoff,
    )
}


def same_predictions(first: Prediction, second: Prediction) -> bool:
    """Whether two predictions agree in every bit."""
    return (
        torch.equal(first.energy, second.energy)
        and torch.equal(first.atom_energies, second.atom_energies)
        and torch.equal(first.forces, second.forces)
    )
