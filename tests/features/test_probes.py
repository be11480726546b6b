"""Forces along random directions: exact along each, unbiased over many, the same whenever and however they are made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from rung.features.cache import DesignCache
from rung.features.passes import build_designs
from rung.features.probes import Probe, joined, trace_error
from tests.pair_backbone import PairBackbone, pair_readout, pair_structures


def probed(structures, backbone, readout, *, cache=None, fidelity="low", **probe):
    return build_designs(
        structures, backbone, readout, forces=True, fidelity=fidelity, probe=Probe(**probe), cache=cache
    )


def full(structures, backbone, readout, fidelity="low"):
    return build_designs(structures, backbone, readout, forces=True, fidelity=fidelity)


def test_a_probe_is_the_full_design_seen_along_its_direction():
    backbone = PairBackbone()
    readout, structures = pair_readout(backbone), pair_structures(backbone)
    for one, whole in zip(
        probed(structures, backbone, readout, index=3), full(structures, backbone, readout), strict=True
    ):
        assert one.is_probed
        assert not whole.is_probed
        assert_array_equal(np.abs(one.sketch), np.ones_like(one.sketch))
        assert_allclose(one.forces, one.sketch @ whole.forces, atol=1e-10)
        assert_allclose(one.fixed_forces, one.sketch @ whole.fixed_forces, atol=1e-10)
        assert_array_equal(one.energy, whole.energy)


def test_a_probe_of_mace_is_the_full_design_too(tiny_potential, molecules):
    backbone, readout = tiny_potential.backbone, tiny_potential.surface("low").readout
    before = [parameter.clone() for parameter in backbone.module.parameters()]
    for one, whole in zip(probed(molecules, backbone, readout), full(molecules, backbone, readout), strict=True):
        assert_allclose(one.forces, one.sketch @ whole.forces, atol=1e-10 * max(1.0, np.abs(whole.forces).max()))
    assert all(torch.equal(old, new) for old, new in zip(before, backbone.module.parameters(), strict=True))


def seen_along(whole, structure, index):
    """The rows that a probe has, by the identity that is tested above."""
    sketch = Probe(0, index).direction(structure).reshape(1, -1)
    return replace(whole, forces=sketch @ whole.forces, fixed_forces=sketch @ whole.fixed_forces, sketch=sketch)


def test_the_mean_over_directions_is_the_full_gram_within_its_standard_error():
    backbone = PairBackbone()
    readout, structures = pair_readout(backbone), pair_structures(backbone)[:2]
    for structure, whole in zip(structures, full(structures, backbone, readout), strict=True):
        rows = np.array([seen_along(whole, structure, index).forces[0] for index in range(1000)])
        products = np.einsum("kp,kq->kpq", rows, rows)
        error = products.std(axis=0, ddof=1) / np.sqrt(len(products))
        away = (products.mean(axis=0) - whole.forces.T @ whole.forces) / np.maximum(error, 1e-12)
        assert np.sqrt(np.mean(away**2)) == pytest.approx(1.0, abs=0.5)  # 0 would mean that the errors are too wide
        assert np.abs(away).max() < 5


def test_joined_probes_keep_the_expectation_and_tell_their_error():
    backbone = PairBackbone()
    readout, structures = pair_readout(backbone), pair_structures(backbone)
    designs = full(structures, backbone, readout)
    trace = sum(np.sum(whole.forces**2) for whole in designs)
    told, off = [], []
    for start in range(0, 200, 4):
        some = [
            joined([seen_along(whole, structure, start + k) for k in range(4)])
            for structure, whole in zip(structures, designs, strict=True)
        ]
        told.append(trace_error(some))
        off.append(sum(np.sum(one.forces**2) for one in some) / trace - 1)
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(np.sqrt(np.mean(np.square(told))), rel=0.3)
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(len(off))


def test_directions_depend_on_seed_index_and_geometry_alone():
    backbone = PairBackbone()
    readout, structures = pair_readout(backbone), pair_structures(backbone)
    one = probed(structures, backbone, readout, seed=1, index=2)
    other = probed(structures[::-1], backbone, readout, seed=1, index=2)[::-1]
    for left, right in zip(one, other, strict=True):
        assert_array_equal(left.sketch, right.sketch)
        assert_allclose(left.forces, right.forces, rtol=1e-12)
    for change in ({"seed": 2, "index": 2}, {"seed": 1, "index": 3}):
        assert (probed(structures[:1], backbone, readout, **change)[0].sketch != one[0].sketch).any()


def test_a_probe_in_the_cache_serves_every_readout_and_no_other_probe(tmp_path, monkeypatch):
    backbone = PairBackbone()
    readout, structures, cache = pair_readout(backbone), pair_structures(backbone)[:2], DesignCache(tmp_path)
    first = probed(structures, backbone, readout, cache=cache)
    probed(structures, backbone, readout, cache=cache, index=1)
    assert [entry.key.kind for entry in cache.entries()] == ["probed"] * 4
    assert not [problem for _, problem in cache.verify() if problem]
    monkeypatch.setattr("rung.features.entries.moved_features", None)  # nothing is computed from here on
    again = probed(structures, backbone, readout, cache=cache)
    assert_array_equal(again[0].forces, first[0].forces)
    probed(structures, backbone, pair_readout(backbone, seed=4), cache=cache)
    with pytest.raises(TypeError):
        probed(structures, backbone, readout, cache=cache, index=2)


class Squared(torch.autograd.Function):
    """An operation of a library that gave it no forward mode."""

    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values**2

    @staticmethod
    def backward(ctx, grad):
        (values,) = ctx.saved_tensors
        return 2 * values * grad


class Odd(PairBackbone):
    """Its features go through such an operation."""

    def feature_layers(self, batch):
        return tuple(Squared.apply(layer) for layer in super().feature_layers(batch))


def test_a_backbone_without_forward_mode_is_probed_too():
    backbone = Odd()
    readout, structures = pair_readout(backbone), pair_structures(backbone)[:3]
    for one, whole in zip(probed(structures, backbone, readout), full(structures, backbone, readout), strict=True):
        assert_allclose(one.forces, one.sketch @ whole.forces, atol=1e-9)
