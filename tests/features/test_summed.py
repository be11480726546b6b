"""The summed design: one reverse pass a weight gives what autograd gives for each basis function."""

from dataclasses import replace

import numpy as np
import torch
from numpy.testing import assert_allclose

from rung.data.batch import Batch, collate
from rung.features.summed import position_gradient, summed_forces
from tests.pair_backbone import PairBackbone, analytic, pair_readout, pair_structures


def differentiable(count: int) -> Batch:
    backbone = PairBackbone()
    batch = collate(pair_structures(backbone)[:count], ["low"] * count, backbone.cutoff)
    return replace(batch, positions=batch.positions.detach().requires_grad_(True))


def test_forces_of_each_basis_function_are_its_slope_by_hand() -> None:
    backbone, batch = PairBackbone(), differentiable(3)
    readout = pair_readout(backbone)
    found = summed_forces(backbone.feature_layers(batch), batch, readout).numpy()
    assert found.shape == (len(batch.numbers), 3, len(readout.weights))
    start = 0
    for structure in pair_structures(backbone)[:3]:
        truth = analytic(structure.atoms, backbone)
        slopes = torch.func.jacrev(lambda h: readout.basis(h).sum(dim=0))(torch.as_tensor(truth.features)).numpy()
        expected = -np.einsum("pid,idjx->jxp", slopes, truth.jacobian)
        assert_allclose(found[start : start + len(structure)], expected, atol=1e-11)
        start += len(structure)


def test_a_layer_that_no_block_reads_is_left_out_and_changes_nothing() -> None:
    backbone, batch = PairBackbone(), differentiable(2)
    readout = pair_readout(backbone)
    early = replace(readout, blocks=readout.blocks[:1])
    full = summed_forces(backbone.feature_layers(batch), batch, readout)
    assert_allclose(
        summed_forces(backbone.feature_layers(batch), batch, early),
        full[:, :, : len(early.weights)],
        atol=1e-13,
    )


def test_what_depends_on_no_position_has_no_gradient() -> None:
    batch = differentiable(1)
    assert not position_gradient(torch.ones(1, dtype=torch.float64), batch).any()
    apart = torch.ones(1, dtype=torch.float64, requires_grad=True)
    assert not position_gradient(2.0 * apart, batch).any()
    assert_allclose(position_gradient(batch.positions.square().sum(), batch), 2.0 * batch.positions.detach())
