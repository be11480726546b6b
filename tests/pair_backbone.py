"""A second real backbone: two layers of radial invariants in torch, and the same by hand in numpy with derivatives.

``f_m(r)`` is a Gaussian times a cosine cutoff. Layer one: ``s_i = Σ_j f(r_ij)``, apart for each element of j, and
products of two mixtures of ``s_i``. Layer two: ``t_i = Σ_j f(r_ij) tanh(s_j Q_{Z_j})``, so an atom sees twice the
cutoff. ``analytic`` computes all of it by brute force over images and by formulas, and shares no line with the torch
code.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from rung.data.batch import Batch
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import HiddenLayer, Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies
from rung.storage import content_hash

REPULSION = 40.0  # eV
REPULSION_LENGTH = 0.35  # Å


@dataclass(frozen=True)
class PairBackbone:
    """Radial invariants of ``species`` within ``cutoff`` Å; ``conditioning`` maps fidelities to factors of ``t``.

    ``own`` holds tables in place of those that the seed gives, as arrays or as tensors that keep their graph;
    ``repulsion`` in eV is the height of what no readout changes.
    """

    species: tuple[int, ...] = (6, 8)
    cutoff: float = 3.0
    n_radial: int = 4
    seed: int = 0
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    conditioning: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, np.ndarray | Tensor] = field(default_factory=dict)
    repulsion: float = REPULSION

    @property
    def receptive_field(self) -> float:
        return 2.0 * self.cutoff

    @property
    def elements(self) -> frozenset[int]:
        return frozenset(self.species)

    @property
    def conditioned(self) -> bool:
        return bool(self.conditioning)

    @property
    def pass_ratio(self) -> float:
        return 1.4

    @property
    def fingerprint(self) -> str:
        return content_hash(
            "pair-backbone",
            self.species,
            self.cutoff,
            self.n_radial,
            self.seed,
            tuple(sorted((name, float(factor)) for name, factor in self.conditioning.items())),
            tuple(sorted(self.own.items())),
            float(self.repulsion),
        )

    @property
    def n_sums(self) -> int:
        return len(self.species) * self.n_radial

    @property
    def n_features(self) -> int:
        return self.n_sums + 2 * self.n_radial

    @cached_property
    def tables(self) -> dict[str, np.ndarray | Tensor]:
        rng = np.random.default_rng(self.seed)
        n_species, k, m = len(self.species), self.n_sums, self.n_radial
        return {
            "centres": np.linspace(0.8, self.cutoff - 0.3, m),
            "width": np.array(0.6 * self.cutoff / m),
            "embedding": rng.uniform(0.5, 1.5, (n_species, k)),
            "left": rng.normal(size=(k, m)) / np.sqrt(k),
            "right": rng.normal(size=(k, m)) / np.sqrt(k),
            "message": rng.normal(size=(n_species, k, m)) / np.sqrt(k),
            **self.own,
        }

    def _table(self, name: str) -> Tensor:
        return torch.as_tensor(self.tables[name]).to(dtype=self.dtype, device=self.device)

    def features(self, batch: Batch) -> Tensor:
        return torch.cat(self.feature_layers(batch), dim=1)

    def feature_layers(self, batch: Batch) -> tuple[Tensor, ...]:
        sender, receiver = batch.edges
        distance = batch.edge_vectors().norm(dim=1)
        radial = torch.exp(-0.5 * ((distance[:, None] - self._table("centres")) / self._table("width")) ** 2)
        radial = radial * (0.5 * (1.0 + torch.cos(torch.pi * distance / self.cutoff)))[:, None]
        species = torch.tensor([self.species.index(int(number)) for number in batch.numbers], device=self.device)
        n_atoms, n_species = len(species), len(self.species)
        sums = radial.new_zeros(n_atoms * n_species, self.n_radial)
        sums = sums.index_add(0, receiver * n_species + species[sender], radial).reshape(n_atoms, self.n_sums)
        products = (sums @ self._table("left")) * (sums @ self._table("right"))
        message = torch.tanh(torch.einsum("nk,nkm->nm", sums, self._table("message")[species]))
        second = radial.new_zeros(n_atoms, self.n_radial).index_add(0, receiver, radial * message[sender])
        if self.conditioning:
            factors = radial.new_tensor([self.conditioning[name] for name in batch.fidelities])
            second = second * factors[batch.fidelity][batch.atom_row][:, None]
        return torch.cat([sums * self._table("embedding")[species], products], dim=1), second

    def fixed_energy(self, batch: Batch) -> Tensor:
        energy = self._repulsion(batch)
        return energy.new_zeros(batch.n_rows).index_add(0, batch.atom_row[batch.edges[0]], energy)

    def fixed_energy_of_atoms(self, batch: Batch) -> Tensor:
        """Return the same by atom, shape ``(N,)``."""
        energy = self._repulsion(batch)
        return energy.new_zeros(len(batch.numbers)).index_add(0, batch.edges[0], energy)

    def _repulsion(self, batch: Batch) -> Tensor:
        distance = batch.edge_vectors().norm(dim=1)
        cutoff = 0.5 * (1.0 + torch.cos(torch.pi * distance / self.cutoff))
        return 0.5 * self.repulsion * torch.exp(-distance / REPULSION_LENGTH) * cutoff


@dataclass(frozen=True)
class Analytic:
    """Features ``(n, D)``, their derivative ``(n, D, n, 3)``, the fixed energy and its derivative ``(n, 3)``."""

    features: np.ndarray
    jacobian: np.ndarray
    fixed_energy: float
    fixed_gradient: np.ndarray


def _pairs(atoms: Atoms, cutoff: float) -> list[tuple[int, int, float, np.ndarray]]:
    """Return (i, j, distance, unit vector from i to j) of every pair and image within ``cutoff``, by brute force."""
    cell, positions = atoms.cell.array, atoms.positions
    reach = []
    for axis, periodic in enumerate(atoms.pbc):
        if not periodic:
            reach.append(range(1))
            continue
        complete = atoms.cell.complete().array
        normal = np.cross(complete[(axis + 1) % 3], complete[(axis + 2) % 3])
        height = abs(complete[axis] @ normal) / np.linalg.norm(normal)
        spread = np.ptp(positions @ normal / np.linalg.norm(normal))
        count = int(np.ceil((cutoff + spread) / height))
        reach.append(range(-count, count + 1))
    found = []
    for image in itertools.product(*reach):
        for i, j in itertools.product(range(len(atoms)), repeat=2):
            vector = positions[j] + np.array(image) @ cell - positions[i]
            distance = float(np.linalg.norm(vector))
            if 0.0 < distance < cutoff:
                found.append((i, j, distance, vector / distance))
    return found


def _radial(distance: float, backbone: PairBackbone) -> tuple[np.ndarray, np.ndarray]:
    centres, width = backbone.tables["centres"], float(backbone.tables["width"])
    gauss = np.exp(-0.5 * ((distance - centres) / width) ** 2)
    cut = 0.5 * (1.0 + np.cos(np.pi * distance / backbone.cutoff))
    slope = -0.5 * np.pi / backbone.cutoff * np.sin(np.pi * distance / backbone.cutoff)
    return gauss * cut, gauss * (slope - (distance - centres) / width**2 * cut)


def analytic(atoms: Atoms, backbone: PairBackbone, fidelity: str = "") -> Analytic:
    """Compute everything that ``backbone`` says of ``atoms`` by formulas in numpy float64."""
    n, m, k = len(atoms), backbone.n_radial, backbone.n_sums
    tables = backbone.tables
    species = [backbone.species.index(int(number)) for number in atoms.numbers]
    pairs = _pairs(atoms, backbone.cutoff)
    sums, d_sums = np.zeros((n, k)), np.zeros((n, k, n, 3))
    fixed, d_fixed = 0.0, np.zeros((n, 3))
    for i, j, distance, unit in pairs:
        value, slope = _radial(distance, backbone)
        columns = slice(species[j] * m, (species[j] + 1) * m)
        sums[i, columns] += value
        d_sums[i, columns, j] += slope[:, None] * unit
        d_sums[i, columns, i] -= slope[:, None] * unit
        cut = 0.5 * (1.0 + np.cos(np.pi * distance / backbone.cutoff))
        cut_slope = -0.5 * np.pi / backbone.cutoff * np.sin(np.pi * distance / backbone.cutoff)
        wall = 0.5 * backbone.repulsion * np.exp(-distance / REPULSION_LENGTH)
        fixed += wall * cut
        push = wall * (cut_slope - cut / REPULSION_LENGTH) * unit
        d_fixed[j] += push
        d_fixed[i] -= push
    mixed = np.stack([np.tanh(sums[i] @ tables["message"][species[i]]) for i in range(n)])
    d_mixed = np.stack(
        [
            (1 - mixed[i] ** 2)[:, None, None] * np.einsum("km,kjx->mjx", tables["message"][species[i]], d_sums[i])
            for i in range(n)
        ]
    )
    second, d_second = np.zeros((n, m)), np.zeros((n, m, n, 3))
    for i, j, distance, unit in pairs:
        value, slope = _radial(distance, backbone)
        second[i] += value * mixed[j]
        d_second[i, :, j] += (slope * mixed[j])[:, None] * unit
        d_second[i, :, i] -= (slope * mixed[j])[:, None] * unit
        d_second[i] += value[:, None, None] * d_mixed[j]
    factor = backbone.conditioning[fidelity] if backbone.conditioning else 1.0
    left, right = sums @ tables["left"], sums @ tables["right"]
    d_products = np.einsum("im,km,ikjx->imjx", left, tables["right"], d_sums)
    d_products += np.einsum("im,km,ikjx->imjx", right, tables["left"], d_sums)
    embedding = tables["embedding"][species]
    return Analytic(
        features=np.concatenate([sums * embedding, left * right, factor * second], axis=1),
        jacobian=np.concatenate([d_sums * embedding[:, :, None, None], d_products, factor * d_second], axis=1),
        fixed_energy=fixed,
        fixed_gradient=d_fixed,
    )


def pair_readout(backbone: PairBackbone, seed: int = 1, n_hidden: int = 6) -> Readout:
    """Return a readout with scale ≠ 1, shift ≠ 0: a linear block on layer one, a hidden layer on everything."""
    rng = np.random.default_rng(seed)
    d, k = backbone.n_features, backbone.n_sums
    hidden = HiddenLayer(
        weight=rng.normal(size=(d, n_hidden)) / np.sqrt(d), bias=rng.normal(size=n_hidden), activation="silu", gain=1.6
    )
    return Readout(
        blocks=(
            ReadoutBlock("readouts.0", tuple(range(k)), (), rng.normal(size=k), bias=0.1),
            ReadoutBlock("readouts.1", tuple(range(d)), (hidden,), rng.normal(size=n_hidden), bias=-0.3),
        ),
        scale=1.3,
        shift=0.21,
    )


def pair_potential(
    backbone: PairBackbone | None = None, fidelities: tuple[str, ...] = ("low",), seed: int = 1
) -> ReadoutPotential:
    """Return a potential with another readout and other E0 for each fidelity."""
    backbone = backbone if backbone is not None else PairBackbone()
    surfaces = {
        name: Surface(
            pair_readout(backbone, seed + number),
            ReferenceEnergies({z: -1.5 * z - number for z in backbone.species}),
        )
        for number, name in enumerate(fidelities)
    }
    return ReadoutPotential(backbone, surfaces)


def pair_structures(backbone: PairBackbone, seed: int = 0) -> list[Structure]:
    """Return a crystal smaller than the receptive field, a slab, a chain, a molecule, a dimer and a single atom."""
    rng = np.random.default_rng(seed)
    first, last = backbone.species[0], backbone.species[-1]

    def rattled(symbols: list[int], positions: object, cell: object = None, pbc: object = False) -> Atoms:
        atoms = Atoms(symbols, positions=np.array(positions, dtype=float), cell=cell, pbc=pbc)
        atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
        return atoms

    grid = [[x, y, z] for x in (0, 1.6) for y in (0, 1.7) for z in (0, 1.8)]
    frames = [
        rattled([first, last] * 4, grid, np.array([[3.3, 0, 0], [0.4, 3.5, 0], [0, 0.3, 3.7]]), True),
        rattled([first, last, first], [[0, 0, 0], [1.2, 1.1, 0.9], [2.1, 0.2, 1.5]], [2.9, 2.7, 0.0], [1, 1, 0]),
        rattled([last, first], [[0, 0, 0], [1.3, 0.2, 0.1]], [0.0, 2.6, 0.0], [0, 1, 0]),
        rattled([last, first, first, last], [[0, 0, 0], [1.2, 0, 0], [1.9, 1.1, 0.2], [5.2, 1.3, 0.4]]),
        rattled([first, last], [[0, 0, 0], [1.1, 0, 0]]),
        Atoms([last], positions=[[0.3, 0.1, 0.2]]),
    ]
    return [Structure(atoms, f"pair-{number}", {}) for number, atoms in enumerate(frames)]
