"""Readouts: linear in their weights, unchanged bits where nothing changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rung.errors import ModelError
from rung.model.readout import HiddenLayer, Readout, ReadoutBlock
from tests.pair_backbone import PairBackbone, pair_readout


def features(count: int = 7) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(0).normal(size=(count, PairBackbone().n_features)))


def test_energies_are_the_basis_times_the_weights():
    readout = pair_readout(PairBackbone())
    basis = readout.basis(features())
    assert basis.shape == (7, len(readout.weights)) == (7, len(readout.parameters))
    expected = basis.numpy() @ readout.weights + readout.constant
    assert_allclose(readout.atom_energies(features()), expected, rtol=1e-13)


def test_the_basis_equals_a_network_written_out():
    readout = pair_readout(PairBackbone())
    linear, hidden = readout.blocks
    layer = hidden.layers[0]
    value = features()
    inner = value.numpy() @ layer.weight + layer.bias
    units = layer.gain * inner / (1 + np.exp(-inner))
    expected = (
        1.3 * (value.numpy()[:, : len(linear.weights)] @ linear.weights + units @ hidden.weights + 0.1 - 0.3) + 0.21
    )
    assert_allclose(readout.atom_energies(value), expected, rtol=1e-12)


def test_the_fingerprint_sees_frozen_weights_only():
    readout = pair_readout(PairBackbone())
    assert readout.moved(np.ones(len(readout.weights))).fingerprint == readout.fingerprint
    assert replace(readout, scale=2.0).fingerprint != readout.fingerprint
    layer = readout.blocks[1].layers[0]
    changed = replace(readout.blocks[1], layers=(replace(layer, gain=1.7),))
    assert replace(readout, blocks=(readout.blocks[0], changed)).fingerprint != readout.fingerprint


def test_moving_by_nothing_keeps_bits_and_by_another_shape_raises():
    readout = pair_readout(PairBackbone())
    assert readout.moved(np.zeros(len(readout.weights))).weights.tobytes() == readout.weights.tobytes()
    with pytest.raises(ModelError, match="does not fit"):
        readout.moved(np.zeros(3))


def test_an_unknown_activation_is_named():
    with pytest.raises(ModelError, match="Did you mean 'silu'"):
        HiddenLayer(np.eye(2), np.zeros(2), "sillu")
    assert Readout((ReadoutBlock("r", (0,), (), np.ones(1)),)).groups == ("r",)
