"""Rows packed once, neighbours included, and batches cut out of them: an epoch builds no neighbour list.

Edges take 14 bytes each (whole numbers as small as they come), so memory is flat in the number of epochs and small in
the number of structures; a batch costs a few copies. Rows that :mod:`rung.data.packing` wrote to files stay there, and
a batch reads only the rows it holds: then memory is flat in the number of structures too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from rung.data.batch import Batch, neighbours
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.data.wrapping import near_origin
from rung.errors import StorageError
from rung.fidelity import require_fidelity
from rung.progress import SILENT, Progress
from rung.results.rows import ROWS_FILE, PackedLayout
from rung.storage import content_hash

ARRAYS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "atom_start": ("<i8", ()),
    "edge_start": ("<i8", ()),
    "fidelity": ("<i8", ()),
    "energy": ("<f8", ()),
    "energy_stderr": ("<f8", ()),
    "cell": ("<f8", (3, 3)),
    "pbc": ("|b1", (3,)),
    "stress": ("<f8", (6,)),
    "numbers": ("<i8", ()),
    "positions": ("<f8", (3,)),
    "forces": ("<f8", (3,)),
    "forces_stderr": ("<f8", (3,)),
    "edges": ("<i4", (2,)),
    "edge_cells": ("<i2", (3,)),
}
"""Type and shape of one entry of each array."""

HASHED = ("energy", "energy_stderr", "cell", "pbc", "stress", "numbers", "positions", "forces", "forces_stderr")
"""Arrays that identify a set of rows; edges follow from them."""

Indices = NDArray[np.int64]
"""Whole numbers: indices of rows, counts of them, or where their spans begin."""

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class PackedRows:
    """``S`` rows (geometry and fidelity) of ``N`` atoms and ``M`` edges in all, one after the other.

    Parameters
    ----------
    fidelities
        The names that ``fidelity`` indexes.
    cutoff
        Å, within which atoms are neighbours.
    atom_start, edge_start
        Where each row's atoms and edges begin, shape ``(S + 1,)``.
    fidelity, energy, energy_stderr, cell, pbc, stress
        By row, as in :class:`~rung.data.batch.Batch`.
    numbers, positions, forces, forces_stderr
        By atom.
    edges, edge_cells
        By edge, shapes ``(M, 2)`` and ``(M, 3)``; edges count atoms from the row's first.
    folder
        Where the arrays lie in files; None where they are in memory. Another process that is handed the rows opens the
        files again.
    """

    fidelities: tuple[str, ...]
    cutoff: float
    atom_start: Indices
    edge_start: Indices
    fidelity: NDArray[np.int64]
    energy: NDArray[np.float64]
    energy_stderr: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    stress: NDArray[np.float64]
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    forces: NDArray[np.float64]
    forces_stderr: NDArray[np.float64]
    edges: NDArray[np.int32]
    edge_cells: NDArray[np.int16]
    folder: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the folder alone where the arrays lie in files."""
        return dict(self.__dict__) if self.folder is None else {"folder": self.folder}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Open the files again where only a folder was handed over."""
        self.__dict__.update(open_rows(state["folder"]).__dict__ if len(state) == 1 else state)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.energy)

    @property
    def n_atoms(self) -> Indices:
        """Number of atoms of each row, shape ``(S,)``."""
        return np.diff(self.atom_start)

    @property
    def has_forces(self) -> bool:
        """Whether any row has a force label."""
        return bool(np.isfinite(self.forces).any())

    @property
    def has_stress(self) -> bool:
        """Whether any row has a stress label."""
        return bool(np.isfinite(self.stress).any())

    @cached_property
    def label_counts(self) -> Array:
        """How many energies, force components and stress components each fidelity has, shape ``(F, 3)``.

        Stresses of rows without volume do not count.
        """
        count = len(self.fidelities)
        found = np.zeros((count, 3))
        found[:, 0] = np.bincount(self.fidelity, weights=np.isfinite(self.energy), minlength=count)
        for start in range(0, len(self), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            fidelity = np.repeat(self.fidelity[rows], self.n_atoms[rows])
            known = np.isfinite(self.forces[self.atom_start[start] : self.atom_start[start] + len(fidelity)])
            found[:, 1] += np.bincount(fidelity, weights=known.sum(axis=1), minlength=count)
        has_volume = self.pbc.any(axis=1) & (np.abs(np.linalg.det(self.cell)) > 0)
        stresses = np.isfinite(self.stress).sum(axis=1) * has_volume
        found[:, 2] = np.bincount(self.fidelity, weights=stresses, minlength=count)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the rows and their labels."""
        if self.folder is not None:
            return PackedLayout.read(self.folder / ROWS_FILE).fingerprint
        start = (self.fidelities, float(self.cutoff), self.atom_start, self.fidelity)
        return content_hash(*start, *(getattr(self, name) for name in HASHED))

    def batch(self, rows: Indices, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Batch:
        """Return the batch of ``rows``, equal to what ``collate`` makes of the same structures.

        Energies and their errors stay in float64 whatever ``dtype`` is: a total energy of 10⁵ eV is worth
        10 meV in float32.
        """
        atoms = spans(self.atom_start, rows)
        edges = spans(self.edge_start, rows)
        sizes = self.n_atoms[rows]
        counts = np.diff(self.edge_start)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)

        def real(values: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device=device, dtype=dtype)

        def exact(values: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        return Batch(
            fidelities=self.fidelities,
            fidelity=exact(self.fidelity[rows]),
            numbers=exact(self.numbers[atoms]),
            positions=real(self.positions[atoms]),
            atom_row=exact(np.repeat(np.arange(len(rows)), sizes)),
            cell=real(self.cell[rows]),
            pbc=exact(self.pbc[rows]),
            edges=exact((self.edges[edges] + np.repeat(offsets, counts)[:, None]).T),
            edge_cells=real(self.edge_cells[edges]),
            energy=exact(self.energy[rows]),
            energy_stderr=exact(self.energy_stderr[rows]),
            forces=real(self.forces[atoms]),
            stress=real(self.stress[rows]),
            forces_stderr=real(self.forces_stderr[atoms]),
        )


def pack(
    structures: Sequence[Structure],
    fidelities: Sequence[str],
    cutoff: float,
    *,
    names: Sequence[str] | None = None,
    progress: Progress = SILENT,
) -> PackedRows:
    """Pack rows: row ``k`` is ``structures[k]`` with the labels of ``fidelities[k]``.

    Parameters
    ----------
    structures, fidelities
        The rows; one name per structure.
    cutoff
        Å, within which atoms are neighbours.
    names
        The names that ``Batch.fidelity`` indexes; by default those that occur, sorted.
    progress
        Advances by one for each neighbour list.

    Raises
    ------
    ConfigError
        When a row names a fidelity that is not among ``names``.
    """
    names = tuple(names) if names is not None else tuple(sorted(set(fidelities)))
    labels = [structure.labelled(name) for structure, name in zip(structures, fidelities, strict=True)]
    edges, cells, near = [], [], []
    # rows of one geometry at several fidelities share its object; the object is kept, for its id must stay its own
    known: dict[int, tuple[int, Atoms]] = {}
    with progress.task("neighbours", total=len(structures)) as task:
        for place, structure in enumerate(structures):
            first, _ = known.setdefault(id(structure.atoms), (place, structure.atoms))
            if first == place:
                near.append(near_origin(structure.atoms))
                pair, translation = neighbours(near[-1], cutoff)
                edges.append(pair.T.astype(np.int32))
                cells.append(translation.astype(np.int16))
            else:
                near.append(near[first])
                edges.append(edges[first])
                cells.append(cells[first])
            task.advance()
    return PackedRows(
        fidelities=names,
        cutoff=cutoff,
        atom_start=_starts([len(structure) for structure in structures]),
        edge_start=_starts([len(pair) for pair in edges]),
        fidelity=np.array([names.index(require_fidelity(name, names)) for name in fidelities], dtype=np.int64),
        energy=np.array([label.energy for label in labels], dtype=np.float64),
        energy_stderr=np.array([label.energy_stderr for label in labels], dtype=np.float64),
        cell=_stacked([structure.atoms.cell.array for structure in structures], (3, 3)),
        pbc=np.array([structure.atoms.pbc for structure in structures], dtype=bool).reshape(-1, 3),
        stress=_stacked([label.stress for label in labels], (6,)),
        numbers=np.concatenate([np.zeros(0, np.int64), *(structure.atoms.numbers for structure in structures)]),
        positions=_joined([atoms.positions for atoms in near]),
        forces=_joined([label.forces for label in labels]),
        forces_stderr=_joined([label.forces_stderr for label in labels]),
        edges=np.concatenate([np.zeros((0, 2), np.int32), *edges]),
        edge_cells=np.concatenate([np.zeros((0, 3), np.int16), *cells]),
    )


def open_rows(folder: Path) -> PackedRows:
    """Return the rows that :func:`rung.data.packing.write_rows` left in a folder; the arrays stay in their files.

    Raises
    ------
    StorageError
        When there are none, or they are not what was written.
    """
    folder = Path(folder)
    layout = PackedLayout.read(folder / ROWS_FILE)
    arrays = {name: _mapped(folder, layout, name) for name in ARRAYS}
    rows = PackedRows(layout.fidelities, layout.cutoff, folder=folder, **arrays)
    _check_spans(rows, folder)
    return rows


def _mapped(folder: Path, layout: PackedLayout, name: str) -> NDArray[Any]:
    """Return one array of a folder, which stays in its file."""
    kind, entry = ARRAYS[name]
    file = folder / f"{name}.raw"
    if name not in layout.arrays or layout.arrays[name][0] != kind or layout.arrays[name][1][1:] != entry:
        raise StorageError(f"{folder / ROWS_FILE} is damaged at {f'arrays.{name}'!r}; delete the folder and run again.")
    shape = layout.arrays[name][1]
    try:
        if math.prod(shape) * np.dtype(kind).itemsize != file.stat().st_size:
            raise StorageError(f"{file} has another size than {ROWS_FILE} says; delete the folder and run again.")
        if 0 in shape:  # nothing can be mapped
            return np.zeros(shape, dtype=kind)
        return np.asarray(np.memmap(file, dtype=kind, mode="r", shape=shape))
    except OSError as error:
        raise StorageError(f"Cannot read {file}: {error.strerror or error}.") from error


def _check_spans(rows: PackedRows, folder: Path) -> None:
    """Raise a :class:`~rung.errors.StorageError` unless the arrays are of the same rows, atoms and edges."""
    count = len(rows.energy)
    by_row = (rows.fidelity, rows.energy_stderr, rows.cell, rows.pbc, rows.stress)
    by_atom = (rows.positions, rows.forces, rows.forces_stderr)
    sizes = (
        all(len(values) == count for values in by_row)
        and all(len(values) == len(rows.numbers) for values in by_atom)
        and len(rows.edges) == len(rows.edge_cells)
    )
    spans = sizes and all(
        len(starts) == count + 1 and starts[0] == 0 and starts[-1] == total and bool((np.diff(starts) >= 0).all())
        for starts, total in ((rows.atom_start, len(rows.numbers)), (rows.edge_start, len(rows.edges)))
    )
    if not spans or (count and not 0 <= rows.fidelity.min() <= rows.fidelity.max() < len(rows.fidelities)):
        raise StorageError(f"{folder / ROWS_FILE} does not fit the files beside it; delete the folder and run again.")


def shuffled(n_rows: int, batch_size: int, seed: int, epoch: int) -> list[Indices]:
    """Return the rows of each batch of one epoch: a function of seed and epoch, so a run can resume anywhere."""
    order = np.random.default_rng([seed, epoch]).permutation(n_rows).astype(np.int64)
    return [order[start : start + batch_size] for start in range(0, n_rows, batch_size)]


def in_order(n_rows: int, batch_size: int) -> list[Indices]:
    """Return the rows of each batch, unshuffled."""
    order = np.arange(n_rows, dtype=np.int64)
    return [order[start : start + batch_size] for start in range(0, n_rows, batch_size)]


def share(rows: Indices, rank: int, world: int) -> tuple[Indices, bool]:
    """Return the rows of a batch that one of ``world`` processes takes, and whether their labels count.

    A process that would go empty-handed takes the first row without its labels (see :func:`unlabelled`), because
    every process must run the model when gradients are averaged.
    """
    mine = rows[rank::world]
    return (mine, True) if len(mine) else (rows[:1], False)


def unlabelled(batch: Batch) -> Batch:
    """Return the batch without labels: it adds nothing to any average."""

    def absent(labels: Tensor) -> Tensor:
        return torch.full_like(labels, torch.nan)

    return replace(batch, energy=absent(batch.energy), forces=absent(batch.forces), stress=absent(batch.stress))


def _starts(sizes: Sequence[int]) -> Indices:
    return np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))]).astype(np.int64)


def _stacked(values: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(len(values), *shape)


def _joined(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros((0, 3)), *values])


def spans(starts: Indices, rows: Indices) -> Indices:
    """Return the indices from ``starts[r]`` to ``starts[r + 1]`` of each row r, joined."""
    sizes = starts[rows + 1] - starts[rows]
    total = int(sizes.sum())
    first = np.repeat(starts[rows] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    return np.arange(total, dtype=np.int64) + first
