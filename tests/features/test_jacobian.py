"""Jacobians against derivatives by hand, and atoms that move together."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from ase import Atoms
from numpy.testing import assert_allclose

from rung.data.batch import collate
from rung.errors import ModelError
from rung.features.jacobian import forces_design, jacobian_blocks, plan_moves
from rung.model.readout import ACTIVATIONS, HiddenLayer, Readout, ReadoutBlock
from tests.pair_backbone import PairBackbone, analytic, pair_structures


def blocks_of(backbone, structures, receptive_field=None):
    batch = collate(structures, ["low"] * len(structures), backbone.cutoff, dtype=backbone.dtype)
    batch = replace(batch, positions=batch.positions.requires_grad_())
    field = backbone.receptive_field if receptive_field is None else receptive_field
    plans = [plan_moves(structure.atoms, field) for structure in structures]
    return plans, jacobian_blocks(backbone.features(batch), batch.positions, plans)


def dense(plan, block):
    n_atoms = len(plan.colour)
    full = np.zeros((n_atoms, block.shape[2], n_atoms, 3), dtype=block.dtype)
    for (i, j), value in zip(plan.pairs, block, strict=True):
        full[i, :, j] = value.T
    return full


def chain(n_atoms: int, spacing: float = 1.4) -> Atoms:
    rng = np.random.default_rng(n_atoms)
    positions = np.zeros((n_atoms, 3))
    positions[:, 0] = spacing * np.arange(n_atoms)
    positions += rng.normal(scale=0.05, size=positions.shape)
    cell = [spacing * n_atoms, 9.0, 9.0]
    return Atoms(rng.choice([6, 8], n_atoms), positions=positions, cell=cell, pbc=[1, 0, 0])


def test_blocks_equal_derivatives_by_hand():
    backbone = PairBackbone()
    structures = pair_structures(backbone)
    for structure, plan, block in zip(structures, *blocks_of(backbone, structures), strict=True):
        assert_allclose(dense(plan, block), analytic(structure.atoms, backbone).jacobian, atol=1e-12)


@pytest.mark.parametrize("n_atoms", [20, 40])
def test_atoms_that_no_atom_sees_both_of_move_together(n_atoms):
    backbone = PairBackbone()
    atoms = chain(n_atoms)
    structure = replace(pair_structures(backbone)[0], atoms=atoms)
    plans, (block,) = blocks_of(backbone, [structure])
    assert_allclose(dense(plans[0], block), analytic(atoms, backbone).jacobian, atol=1e-12)
    assert plans[0].n_colours < n_atoms
    assert len(plans[0].pairs) < n_atoms**2


def test_the_number_of_passes_stops_growing_with_the_cell():
    field = PairBackbone().receptive_field
    assert plan_moves(chain(240), field).n_colours <= plan_moves(chain(60), field).n_colours + 2
    assert plan_moves(chain(60), np.inf).n_colours == 60


def test_no_atom_sees_two_atoms_of_one_colour():
    plan = plan_moves(chain(50), 6.0)
    seen = plan.colour[plan.pairs[:, 1]]
    assert len({(int(i), int(c)) for i, c in zip(plan.pairs[:, 0], seen, strict=True)}) == len(plan.pairs)
    assert {(int(i), int(i)) for i in range(50)} <= {tuple(map(int, pair)) for pair in plan.pairs}


def test_a_receptive_field_that_is_too_small_is_noticed():
    backbone = PairBackbone()
    structure = replace(pair_structures(backbone)[0], atoms=chain(22))
    with pytest.raises(ModelError, match="receptive_field"):
        blocks_of(backbone, [structure], receptive_field=backbone.cutoff)


def test_features_that_no_position_changes_have_no_jacobian():
    structures = pair_structures(PairBackbone())[-1:]
    _, (block,) = blocks_of(PairBackbone(), structures)
    assert block.shape == (1, 3, PairBackbone().n_features)
    assert not block.any()
    plan = plan_moves(structures[0].atoms, np.inf)
    constant = torch.ones(1, 5)
    assert not jacobian_blocks(constant, torch.zeros(1, 3, requires_grad=True), [plan])[0].any()


@dataclass(frozen=True)
class Entry:
    features: np.ndarray
    pairs: np.ndarray
    values: np.ndarray


@pytest.fixture(scope="module")
def entry() -> Entry:
    backbone = PairBackbone()
    structure = pair_structures(backbone)[0]
    (plan,), (block,) = blocks_of(backbone, [structure])
    return Entry(analytic(structure.atoms, backbone).features, plan.pairs, block)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_chain_rule_holds_through_every_activation_and_two_hidden_layers(activation, entry):
    rng = np.random.default_rng(5)
    width = entry.features.shape[1]
    layers = (
        HiddenLayer(rng.normal(size=(width - 2, 5)), rng.normal(size=5), activation, gain=0.7),
        HiddenLayer(rng.normal(size=(5, 4)), rng.normal(size=4), "silu", gain=1.3),
    )
    columns = tuple(rng.permutation(width)[: width - 2])
    blocks = (ReadoutBlock("a", columns, layers, np.ones(4)), ReadoutBlock("b", (3, 1), (), np.ones(2)))
    readout = Readout(blocks, scale=-2.3)
    slopes = torch.func.jacrev(lambda h: readout.basis(h).sum(dim=0))(torch.as_tensor(entry.features)).numpy()
    expected = np.zeros((len(entry.features), 3, 6))
    for (i, j), value in zip(entry.pairs, entry.values, strict=True):
        expected[j] -= value @ slopes[:, i].T
    found = forces_design(readout, entry.features, entry.pairs, entry.values)
    assert_allclose(found, expected.reshape(-1, 6), atol=1e-12 * abs(expected).max())
