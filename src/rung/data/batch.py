"""The one batch of rows that potentials see: geometries as tensors with their neighbours and labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from rung.data.matter import check_density
from rung.data.neighbours import sorted_neighbours
from rung.data.structure import Structure
from rung.data.wrapping import near_origin
from rung.fidelity import require_fidelity

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """``S`` rows, each one geometry at one fidelity, of ``N`` atoms and ``M`` edges in all.

    Parameters
    ----------
    fidelities
        The names that ``fidelity`` indexes.
    fidelity
        Index of each row's fidelity, shape ``(S,)``.
    numbers
        Atomic numbers, shape ``(N,)``.
    positions
        Å, shape ``(N, 3)``.
    atom_row
        The row of each atom, shape ``(N,)``, ascending.
    cell
        Lattice vectors as rows, Å, shape ``(S, 3, 3)``.
    pbc
        Periodicity, shape ``(S, 3)``.
    edges
        Sender and receiver of each directed edge, shape ``(2, M)``.
    edge_cells
        Lattice translations of each edge, whole numbers, shape ``(M, 3)``: the edge's vector is
        ``positions[receiver] - positions[sender] + edge_cells @ cell``.
    energy, energy_stderr
        Labels, eV, shape ``(S,)``, NaN where absent; float64 whatever the rest is, for an all-electron energy of
        10⁵ eV has no meV left in float32.
    forces
        Labels, eV/Å, shape ``(N, 3)``, NaN where absent.
    stress
        Labels, eV/Å³, shape ``(S, 6)``, NaN where absent.
    forces_stderr
        One-sigma errors of ``forces``, eV/Å, shape ``(N, 3)``, NaN where absent; None where no row has any.
    """

    fidelities: tuple[str, ...]
    fidelity: Tensor
    numbers: Tensor
    positions: Tensor
    atom_row: Tensor
    cell: Tensor
    pbc: Tensor
    edges: Tensor
    edge_cells: Tensor
    energy: Tensor
    energy_stderr: Tensor
    forces: Tensor
    stress: Tensor
    forces_stderr: Tensor | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.cell.shape[0])

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each row, shape ``(S,)``."""
        return torch.bincount(self.atom_row, minlength=self.n_rows)

    def edge_vectors(self) -> Tensor:
        """Return the vector of each edge, Å, shape ``(M, 3)``, differentiable in positions and cell."""
        sender, receiver = self.edges
        shift = torch.einsum("mi,mij->mj", self.edge_cells, self.cell[self.atom_row[sender]])
        return self.positions[receiver] - self.positions[sender] + shift

    def strained(self, strain: Tensor) -> "Batch":
        """Return the batch with positions and cell times ``1 + strain``, symmetrised, shape ``(S, 3, 3)``."""
        symmetric = 0.5 * (strain + strain.transpose(1, 2))
        positions = self.positions + torch.einsum("ni,nij->nj", self.positions, symmetric[self.atom_row])
        return replace(self, positions=positions, cell=self.cell + self.cell @ symmetric)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Batch":
        """Return the batch on ``device`` with real tensors of ``dtype``; energies stay in float64."""
        moved: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                cast = value.is_floating_point() and item.name not in ("energy", "energy_stderr")
                moved[item.name] = value.to(device=device, dtype=dtype if cast else None)
        return replace(self, **moved)


def neighbours(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Return edges ``(2, M)`` and their lattice translations ``(M, 3)`` within ``cutoff`` Å, in a fixed order.

    Directions that are not periodic never contribute images, whatever their cell vectors are.

    Raises
    ------
    DataError
        When atoms are denser than matter can be (see :func:`~rung.data.matter.check_density`), two are at one
        place, or the cell is too large and empty to be divided.
    """
    check_density(atoms)
    return sorted_neighbours(atoms, cutoff)


def collate(
    structures: Sequence[Structure],
    fidelities: Sequence[str],
    cutoff: float,
    *,
    names: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Batch:
    """Put rows together: row ``k`` is ``structures[k]`` with the labels of ``fidelities[k]``.

    Positions far from the origin are taken near it first (see :func:`~rung.data.wrapping.near_origin`).

    Parameters
    ----------
    structures, fidelities
        The rows; one name per structure.
    cutoff
        Å, within which atoms are neighbours.
    names
        The names that ``Batch.fidelity`` indexes; by default those that occur, sorted.
    dtype, device
        Of the real tensors; where the tensors live.

    Raises
    ------
    ConfigError
        When a row names a fidelity that is not among ``names``.
    """
    names = tuple(names) if names is not None else tuple(sorted(set(fidelities)))
    labels = [structure.labelled(name) for structure, name in zip(structures, fidelities, strict=True)]
    sizes = np.array([len(structure) for structure in structures], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    near = [near_origin(structure.atoms) for structure in structures]
    pairs = [neighbours(atoms, cutoff) for atoms in near]

    def real(values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float64)).to(device=device, dtype=dtype)

    def exact(values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float64)).to(device)

    def whole(values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.int64)).to(device)

    return Batch(
        fidelities=names,
        fidelity=whole([names.index(require_fidelity(name, names)) for name in fidelities]),
        numbers=whole(np.concatenate([structure.atoms.numbers for structure in structures])),
        positions=real(np.concatenate([atoms.positions for atoms in near])),
        atom_row=whole(np.repeat(np.arange(len(structures)), sizes)),
        cell=real(np.stack([structure.atoms.cell.array for structure in structures])),
        pbc=torch.as_tensor(np.stack([structure.atoms.pbc for structure in structures])).to(device),
        edges=whole(np.concatenate([edge + start for (edge, _), start in zip(pairs, offsets, strict=True)], axis=1)),
        edge_cells=real(np.concatenate([translation for _, translation in pairs])),
        energy=exact([label.energy for label in labels]),
        energy_stderr=exact([label.energy_stderr for label in labels]),
        forces=real(np.concatenate([label.forces for label in labels])),
        stress=real(np.stack([label.stress for label in labels])),
        forces_stderr=real(np.concatenate([label.forces_stderr for label in labels])),
    )


def by_count(members: Sequence[Item], count: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into parts of ``count`` members, the last of what is left."""
    return (members[start : start + count] for start in range(0, len(members), count))


def by_atoms(structures: Iterable[Structure], atoms: int) -> Iterator[list[Structure]]:
    """Cut structures into parts of at most ``atoms`` atoms each; a larger structure is a part of its own."""
    part: list[Structure] = []
    total = 0
    for structure in structures:
        if part and total + len(structure) > atoms:
            yield part
            part, total = [], 0
        part.append(structure)
        total += len(structure)
    if part:
        yield part
