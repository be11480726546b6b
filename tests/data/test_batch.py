"""Neighbours against ASE's own list, and the batch's bookkeeping."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import primitive_neighbor_list
from numpy.testing import assert_allclose

from rung.data.batch import by_atoms, by_count, collate, neighbours
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import ConfigError


def systems() -> list[Atoms]:
    random = np.random.default_rng(0)
    skewed = bulk("NaCl", "rocksalt", a=5.6)
    skewed.set_cell(skewed.cell.array + random.normal(scale=0.2, size=(3, 3)), scale_atoms=True)
    slab = bulk("Cu", "fcc", a=3.6, cubic=True)
    slab.center(vacuum=2.0, axis=2)
    slab.pbc = (True, True, False)  # images along z would be within the cutoff: they must not count
    wire = Atoms("C2", [[0, 0, 0], [0, 0, 1.4]], cell=[0, 0, 2.8], pbc=[False, False, True])
    far = molecule("CH3CH2OH")
    far.positions += 1e3
    return [skewed, slab, wire, far, Atoms("H", [[0, 0, 0]])]


@pytest.mark.parametrize("atoms", systems(), ids=["skewed", "slab", "wire", "molecule", "atom"])
def test_edges_equal_ase_s(atoms):
    edges, translations = neighbours(atoms, 4.1)
    cell = atoms.cell.complete().array
    expected = primitive_neighbor_list("ijS", atoms.pbc, cell, atoms.positions, 4.1)
    assert {(*map(int, pair), *map(int, image)) for pair, image in zip(edges.T, translations, strict=True)} == {
        (int(i), int(j), *map(int, image)) for i, j, image in zip(*expected, strict=True)
    }
    batch = collate([Structure(atoms, "one", {})], ["low"], 4.1)
    lengths = batch.edge_vectors().norm(dim=1)
    assert bool((lengths < 4.1).all())


def test_the_order_of_edges_is_fixed():
    atoms = systems()[0]
    one, other = neighbours(atoms, 4.0), neighbours(atoms.copy(), 4.0)
    assert one[0].tobytes() == other[0].tobytes()
    assert (np.diff(one[0][0]) >= 0).all()


def labelled(atoms: Atoms, energy: float) -> Structure:
    label = replace(empty_labels(len(atoms)), energy=energy, energy_stderr=0.03, forces=np.ones((len(atoms), 3)))
    return Structure(atoms, str(energy), {"high": label})


def test_rows_carry_the_labels_of_their_own_fidelity():
    frames = [labelled(molecule("H2O"), -1.0), labelled(molecule("CH4"), -2.0)]
    batch = collate([*frames, frames[0]], ["high", "high", "low"], 3.0)
    assert batch.fidelities == ("high", "low")
    assert batch.fidelity.tolist() == [0, 0, 1]
    assert batch.n_atoms.tolist() == [3, 5, 3]
    assert batch.energy[:2].tolist() == [-1.0, -2.0]
    assert bool(batch.energy[2].isnan())
    assert bool(batch.forces[-3:].isnan().all())
    assert batch.atom_row.tolist() == [0] * 3 + [1] * 5 + [2] * 3
    assert int(batch.edges[0][batch.edges[0] >= 8].min()) == 8


def test_an_unknown_fidelity_is_refused():
    with pytest.raises(ConfigError, match="there is: high"):
        collate([labelled(molecule("H2O"), -1.0)], ["hihg"], 3.0, names=["high"])


def test_large_energies_keep_their_digits_in_float32():
    batch = collate([labelled(molecule("H2O"), -123456.789012)], ["high"], 3.0, dtype=torch.float32)
    assert batch.positions.dtype == torch.float32
    assert float(batch.energy[0]) == -123456.789012
    assert float(batch.to(dtype=torch.float32).energy[0]) == -123456.789012


def test_strain_moves_edges_as_it_moves_space():
    batch = collate([labelled(systems()[0], -1.0)], ["high"], 4.0)
    strain = torch.tensor(np.random.default_rng(1).normal(scale=0.02, size=(1, 3, 3)))
    symmetric = 0.5 * (strain + strain.transpose(1, 2))
    expected = batch.edge_vectors() @ (torch.eye(3, dtype=torch.float64) + symmetric[0])
    assert_allclose(batch.strained(strain).edge_vectors(), expected, atol=1e-12)


def test_parts_hold_every_member_once_in_order_and_no_more_than_they_may() -> None:
    assert [list(part) for part in by_count(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(by_count([], 3)) == []
    structures = [labelled(molecule(name), -1.0) for name in ("H2O", "CH4", "H2O", "C6H6", "H2O", "H2O")]
    parts = list(by_atoms(structures, 8))
    assert [[len(one) for one in part] for part in parts] == [[3, 5], [3], [12], [3, 3]]
    assert [one for part in parts for one in part] == structures
    assert list(by_atoms([], 8)) == []
