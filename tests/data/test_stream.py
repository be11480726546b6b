"""Packed rows give the batches that collate gives, and every row once an epoch."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from rung.data import stream
from rung.data.batch import Batch, collate, neighbours
from rung.data.labels import Array, Labels, empty_labels
from rung.data.stream import in_order, pack, share, shuffled, unlabelled
from rung.data.structure import Structure
from rung.errors import ConfigError


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    generator = np.random.default_rng(0)
    found = []
    for index, atoms in enumerate([molecule("H2O"), bulk("NaCl", "rocksalt", a=5.6), molecule("CH4"), molecule("H")]):
        n_atoms = len(atoms)
        low = Labels(
            generator.normal(), 0.1, generator.normal(size=(n_atoms, 3)), np.full((n_atoms, 3), 0.2),
            generator.normal(size=6),
        )  # fmt: skip
        high = Labels(generator.normal(), np.nan, *(getattr(empty_labels(n_atoms), name) for name in
                      ("forces", "forces_stderr", "stress")))  # fmt: skip
        found.append(Structure(atoms, f"s{index}", {"low": low, "high": high}))
    return found


def same(one: Batch, two: Batch) -> None:
    for item in fields(Batch):
        left, right = getattr(one, item.name), getattr(two, item.name)
        if isinstance(left, torch.Tensor):
            assert left.dtype == right.dtype, item.name
            assert left.shape == right.shape, item.name
            torch.testing.assert_close(left, right, rtol=0.0, atol=0.0, equal_nan=True)
        else:
            assert left == right


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [2, 0], [3], [1, 1, 3]])
def test_batch_equals_collate(structures: list[Structure], chosen: list[int]) -> None:
    names = ["low", "high", "low", "high"]
    packed = pack(structures, names, cutoff=4.0, names=("high", "low"))
    expected = collate([structures[k] for k in chosen], [names[k] for k in chosen], 4.0, names=("high", "low"))
    same(packed.batch(np.array(chosen)), expected)


def test_float32_batch_keeps_energies_in_float64(structures: list[Structure]) -> None:
    batch = pack(structures, ["low"] * 4, cutoff=4.0).batch(np.array([0, 1]), dtype=torch.float32)
    assert batch.positions.dtype == batch.forces.dtype == torch.float32
    assert batch.energy.dtype == batch.energy_stderr.dtype == torch.float64
    assert batch.energy.tolist() == [structure.labels["low"].energy for structure in structures[:2]]


def test_unknown_fidelity_is_refused(structures: list[Structure]) -> None:
    with pytest.raises(ConfigError, match="'low'"):
        pack(structures, ["lwo"] * 4, cutoff=4.0, names=("low",))


def test_a_geometry_of_two_fidelities_has_its_neighbours_found_once(
    structures: list[Structure], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    def counting(atoms: Atoms, cutoff: float) -> tuple[Array, Array]:
        counted.append(len(atoms))
        return neighbours(atoms, cutoff)

    monkeypatch.setattr(stream, "neighbours", counting)
    names = ["low"] * len(structures) + ["high"] * len(structures)
    rows = pack([*structures, *structures], names, cutoff=4.0)
    assert len(counted) == len(structures)
    half = len(rows.edges) // 2
    np.testing.assert_array_equal(rows.edges[:half], rows.edges[half:])
    np.testing.assert_array_equal(rows.edge_cells[:half], rows.edge_cells[half:])


def test_an_epoch_holds_every_row_once_and_the_next_another_order() -> None:
    one, two = (np.concatenate(shuffled(23, 4, seed=3, epoch=epoch)) for epoch in (0, 1))
    assert sorted(one) == sorted(two) == list(range(23))
    assert one.tolist() != two.tolist()
    assert np.concatenate(shuffled(23, 4, seed=3, epoch=0)).tolist() == one.tolist()
    assert np.concatenate(in_order(23, 4)).tolist() == list(range(23))


@pytest.mark.parametrize(("n_rows", "world"), [(7, 3), (2, 4), (4, 2)])
def test_processes_share_a_batch_without_loss_or_repetition(n_rows: int, world: int) -> None:
    rows = np.arange(10, 10 + n_rows)
    parts = [share(rows, rank, world) for rank in range(world)]
    assert sorted(row for mine, counts in parts if counts for row in mine) == rows.tolist()
    assert all(len(mine) for mine, _ in parts)


def test_unlabelled_rows_have_no_label(structures: list[Structure]) -> None:
    batch = unlabelled(pack(structures, ["low"] * 4, cutoff=4.0).batch(np.arange(4)))
    for labels in (batch.energy, batch.forces, batch.stress):
        assert torch.isnan(labels).all()
