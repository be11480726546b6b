"""A pair potential with known derivatives, for the doctor's tests: a base whose own labels are exact."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms

from rung.data.batch import collate
from rung.data.labels import Labels, empty_labels
from rung.data.structure import Structure
from rung.model.protocols import Prediction


@dataclass(frozen=True)
class Morse:
    """Σ over pairs of D·((1 - e^{-a(r-r0)})² - 1), switched off smoothly at the cutoff; eV, Å."""

    name: str = "cheap"
    depth: float = 0.5
    width: float = 1.6
    length: float = 2.6
    cutoff: float = 5.0
    elements: frozenset[int] = frozenset({13, 28})
    dtype: torch.dtype = torch.float64

    @property
    def device(self):
        return torch.device("cpu")

    @property
    def fidelities(self):
        return (self.name,)

    @property
    def fingerprint(self):
        return f"morse-{self.depth}-{self.width}-{self.length}-{self.cutoff}"

    def predict(self, batch, *, forces=True, stress=False):
        strain = torch.zeros_like(batch.cell, requires_grad=True)
        moved = replace(batch, positions=batch.positions.clone().requires_grad_(True))
        strained = moved.strained(strain)
        distance = strained.edge_vectors().norm(dim=1)
        decay = torch.exp(-self.width * (distance - self.length))
        switch = (1.0 - (distance / self.cutoff) ** 2).clamp(min=0.0) ** 3
        pair = 0.5 * self.depth * (decay**2 - 2.0 * decay) * switch
        atoms = torch.zeros(len(batch.numbers), dtype=pair.dtype).index_add(0, batch.edges[0], pair)
        energy = torch.zeros(batch.n_rows, dtype=pair.dtype).index_add(0, batch.atom_row, atoms)
        gradient, virial = torch.autograd.grad(energy.sum(), (moved.positions, strain))
        volume = torch.linalg.det(batch.cell).abs()
        tensor = virial / torch.where(volume > 0, volume, torch.nan)[:, None, None]
        voigt = torch.stack([tensor[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))], dim=1)
        return Prediction(energy.detach(), atoms.detach(), -gradient if forces else None, voigt if stress else None)


def labelled(atoms, name, potentials, offset=0.0):
    """Return a structure with the labels of each potential; the second one's energies carry ``offset`` eV per atom."""
    structure = Structure(atoms, name, {})
    labels = {}
    for place, potential in enumerate(potentials):
        batch = collate([structure], [potential.name], potential.cutoff)
        said = potential.predict(batch, stress=True)
        shift = place * offset * (len(atoms) + 3.0 * np.count_nonzero(atoms.numbers == 28))
        labels[potential.name] = replace(
            empty_labels(len(atoms)),
            energy=float(said.energy[0]) + shift,
            forces=said.forces.numpy(),
            stress=said.stress[0].numpy() if atoms.pbc.all() else np.full(6, np.nan),
        )
    return Structure(atoms, name, labels)


def alloy(seed, n, prefix):
    """Return ``n`` rattled and strained cells of a NiAl alloy of three compositions, labelled cheap and dear."""
    generator = np.random.default_rng(seed)
    cheap, dear = Morse(), Morse("dear", depth=0.6, width=1.7, length=2.55)
    found = []
    for k in range(n):
        cell = 2.9 * (1.0 + generator.uniform(-0.03, 0.03))
        corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
        positions = cell * np.vstack([corner, corner + 0.5])
        numbers = np.repeat([13, 28], 8)
        numbers[8 : 8 + k % 3] = 13
        atoms = Atoms(numbers=numbers, positions=positions, cell=[2 * cell] * 3, pbc=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(0, 0.01, (3, 3))), scale_atoms=True)
        atoms.positions += generator.normal(0, 0.12, atoms.positions.shape)
        found.append(labelled(atoms, f"{prefix}-{k}", (cheap, dear), offset=-300.0))
    return tuple(found)


def relabelled(structure, fidelity, **changes):
    """Return a structure with fields of its labels replaced; a function is called with the old value."""
    label: Labels = structure.labels[fidelity]
    new = {key: change(getattr(label, key)) if callable(change) else change for key, change in changes.items()}
    return replace(structure, labels={**structure.labels, fidelity: replace(label, **new)})


def moved(structure, positions=None, numbers=None, name=None):
    """Return a structure with another geometry and the labels that it had."""
    atoms = structure.atoms.copy()
    if positions is not None:
        atoms.positions = positions
    if numbers is not None:
        atoms.numbers = numbers
    return replace(structure, atoms=atoms, structure_id=name or structure.structure_id)
