"""Designs against derivatives by hand and against autograd through the whole potential."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from rung.data.batch import collate
from rung.data.structure import Structure
from rung.features.passes import build_designs
from tests.pair_backbone import PairBackbone, analytic, pair_potential, pair_readout, pair_structures

KINDS = ("jacobian", "summed", "auto")


def energy_and_forces(design, potential, fidelity):
    surface = potential.surface(fidelity)
    weights = surface.readout.weights
    energies = [surface.reference.energies[z] for z in sorted(potential.elements)]
    energy = design.energy @ weights + design.composition @ energies + design.n_atoms * surface.readout.constant
    return energy + design.fixed_energy, design.forces @ weights + design.fixed_forces


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("kind", KINDS)
def test_designs_equal_autograd_through_the_whole_potential(kind, dtype, tolerance):
    backbone = PairBackbone(dtype=dtype)
    potential = pair_potential(backbone)
    structures = pair_structures(backbone)
    batch = collate(structures, ["low"] * len(structures), backbone.cutoff, dtype=dtype)
    expected = potential.predict(batch)
    forces = expected.forces.double().numpy()
    scale = np.sqrt(np.mean(forces**2))
    assert scale > 0.5
    designs = build_designs(
        structures, backbone, potential.surface("low").readout, forces=True, fidelity="low", kind=kind
    )
    found = [energy_and_forces(design, potential, "low") for design in designs]
    assert_allclose([energy for energy, _ in found], expected.energy.numpy(), rtol=tolerance)
    assert_allclose(np.concatenate([force for _, force in found]), forces.ravel(), atol=tolerance * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_designs_equal_derivatives_by_hand(kind):
    backbone = PairBackbone()
    readout = pair_readout(backbone)
    structures = pair_structures(backbone)
    designs = build_designs(structures, backbone, readout, forces=True, fidelity="low", kind=kind)
    for structure, design in zip(structures, designs, strict=True):
        truth = analytic(structure.atoms, backbone)
        linear, hidden = readout.blocks
        (layer,) = hidden.layers
        entering = truth.features @ layer.weight + layer.bias
        logistic = 1 / (1 + np.exp(-entering))
        steep = layer.gain * logistic * (1 + entering * (1 - logistic))
        units = np.einsum("iu,cu,icjx->jxu", steep, layer.weight, truth.jacobian)
        plain = truth.jacobian.sum(axis=0)[list(linear.columns)].transpose(1, 2, 0)
        forces = -readout.scale * np.concatenate([plain, units], axis=2)
        energy = np.concatenate([truth.features[:, list(linear.columns)], layer.gain * entering * logistic], axis=1)
        assert_allclose(design.energy, readout.scale * energy.sum(axis=0), rtol=1e-12)
        assert_allclose(design.forces, forces.reshape(3 * len(structure), -1), atol=1e-10)
        assert_allclose(design.fixed_energy, truth.fixed_energy, rtol=1e-12)
        assert_allclose(design.fixed_forces, -truth.fixed_gradient.ravel(), atol=1e-12)
        assert_array_equal(design.composition, [np.sum(structure.atoms.numbers == z) for z in (6, 8)])


def test_the_two_kinds_agree():
    backbone = PairBackbone()
    arguments = (pair_structures(backbone), backbone, pair_readout(backbone))
    one, other = (build_designs(*arguments, forces=True, fidelity="low", kind=kind) for kind in KINDS[:2])
    for left, right in zip(one, other, strict=True):
        assert_allclose(left.forces, right.forces, atol=1e-11)
        assert_array_equal(left.energy, right.energy)
        assert_array_equal(left.fixed_forces, right.fixed_forces)


def test_forces_are_minus_the_slope_of_the_energy():
    backbone = PairBackbone()
    readout = pair_readout(backbone)
    structure = pair_structures(backbone)[0]
    (design,) = build_designs([structure], backbone, readout, forces=True, fidelity="low")
    step = 1e-5
    moved = []
    for sign in (1, -1):
        atoms = structure.atoms.copy()
        atoms.positions[2, 1] += sign * step
        moved += build_designs([Structure(atoms, str(sign), {})], backbone, readout, forces=False, fidelity="low")
    slope = (moved[0].energy - moved[1].energy) / (2 * step)
    assert_allclose(design.forces[3 * 2 + 1], -slope, atol=1e-7)


def test_without_forces_the_energies_are_the_same():
    backbone = PairBackbone()
    arguments = (pair_structures(backbone), backbone, pair_readout(backbone))
    full = build_designs(*arguments, forces=True, fidelity="low")
    lean = build_designs(*arguments, forces=False, fidelity="low")
    for left, right in zip(full, lean, strict=True):
        assert_array_equal(left.energy, right.energy)
        assert left.fixed_energy == right.fixed_energy
        assert right.forces.shape == (0, len(right.energy))
        assert right.fixed_forces.shape == (0,)
        assert not right.has_forces


def test_nothing_in_gives_nothing_out():
    backbone = PairBackbone()
    assert build_designs([], backbone, pair_readout(backbone), forces=True, fidelity="low") == []
