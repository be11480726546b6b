"""Cached designs of MACE models against autograd through the whole model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from numpy.testing import assert_allclose, assert_array_equal

from rung.backends import load_base
from rung.backends.mace import wrap
from rung.data.batch import collate
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.features.jacobian import plan_moves
from rung.features.passes import build_designs
from tests.mace_models import tiny_mace

SHAPES = {
    "one layer, scalars": {"layers": 1, "hidden": "6x0e", "max_ell": 1},
    "two layers, vectors": {},
    "three layers, l = 2": {"layers": 3, "hidden": "4x0e+4x1o+4x2e", "max_ell": 2},
    "pair repulsion": {"pair_repulsion": True},
    "two heads, biases": {"heads": ("one", "two"), "readout": "NonLinearBiasReadoutBlock"},
    "linear readouts only, no scale": {"gate": "identity", "scale_shift": False},
}


def energies_and_forces(designs, potential, fidelity):
    surface = potential.surface(fidelity)
    reference = [surface.reference.energies[z] for z in sorted(potential.elements)]
    weights, constant = surface.readout.weights, surface.readout.constant
    energies = [
        design.energy @ weights + design.composition @ reference + design.n_atoms * constant + design.fixed_energy
        for design in designs
    ]
    return np.array(energies), np.concatenate([design.forces @ weights + design.fixed_forces for design in designs])


def check(structures, potential, fidelity, tolerance, **options):
    backbone = potential.backbone
    batch = collate(structures, [fidelity] * len(structures), backbone.cutoff, dtype=backbone.dtype)
    expected = potential.predict(batch)
    forces = expected.forces.double().numpy().ravel()
    scale = float(np.sqrt(np.mean(forces**2)))
    readout = potential.surface(fidelity).readout
    designs = build_designs(structures, backbone, readout, forces=True, fidelity=fidelity, **options)
    found_energies, found_forces = energies_and_forces(designs, potential, fidelity)
    assert_allclose(found_energies, expected.energy.numpy(), rtol=tolerance)
    assert_allclose(found_forces, forces, atol=tolerance * scale)
    return scale


@pytest.mark.parametrize("shape", SHAPES)
def test_designs_equal_autograd_for_every_shape_of_model(shape, molecules, cells):
    options = SHAPES[shape]
    potential = wrap(tiny_mace(3, scale=40.0, **options), "low", head=options.get("heads", (None,))[-1])
    atom = Structure(Atoms("O", positions=[[0.1, 0.2, 0.3]]), "atom", {})
    for kind in ("jacobian", "summed"):
        scale = check([molecules[0], *cells[:2], atom], potential, "low", 1e-10, kind=kind)
    assert scale > 0.5 or not options.get("scale_shift", True)  # without a scale nothing lifts random weights


def test_atoms_of_a_long_chain_move_together(tiny_potential):
    backbone = tiny_potential.backbone
    positions = np.arange(18)[:, None] * [1.7, 0.0, 0.0]
    positions += np.random.default_rng(0).normal(scale=0.1, size=positions.shape)
    chain = Structure(Atoms("COHC" * 4 + "CO", positions=positions), "chain", {})
    assert plan_moves(chain.atoms, backbone.receptive_field).n_colours < len(chain)
    check([chain], tiny_potential, "low", 1e-10, kind="jacobian")


@pytest.mark.parametrize("shape", ["two layers, vectors", "three layers, l = 2", "two heads, biases"])
def test_layers_put_together_are_the_features(shape, molecules, cells):
    options = SHAPES[shape]
    backbone = wrap(tiny_mace(3, **options), "low", head=options.get("heads", (None,))[-1]).backbone
    structures = [*molecules, *cells]
    batch = collate(structures, ["low"] * len(structures), backbone.cutoff, dtype=backbone.dtype)
    layers = backbone.feature_layers(batch)
    assert len(layers) == options.get("layers", 2)
    assert_array_equal(torch.cat(layers, dim=1).detach().numpy(), backbone.features(batch).detach().numpy())


def test_the_first_layer_does_not_carry_the_second(molecules):
    backbone = wrap(tiny_mace(3), "low").backbone
    batch = collate(molecules[:1], ["low"], backbone.cutoff, dtype=backbone.dtype)
    batch = replace(batch, positions=batch.positions.requires_grad_())

    def nodes(tensor):
        seen, waiting = set(), [tensor.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting.extend(following for following, _ in node.next_functions)
        return len(seen)

    first, last = (nodes(layer) for layer in backbone.feature_layers(batch))
    assert first < 0.6 * last


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jacobian", "summed"])
def test_a_model_of_a_foundation_models_shape(kind, molecules, cells):
    model = tiny_mace(2, hidden="128x0e+128x1o", elements=range(1, 90), pair_repulsion=True, units=16, scale=150.0)
    scale = check([molecules[0], cells[0]], wrap(model, "low"), "low", 1e-10, kind=kind)
    assert scale > 0.5


@pytest.fixture(scope="module")
def testbed_structures(testbed_base_path):
    return read_structures(testbed_base_path.parent / "train.extxyz")[:2]


@pytest.mark.parametrize("kind", ["jacobian", "summed"])
def test_designs_of_the_trained_base_equal_autograd_in_single_precision(
    kind, testbed_base, testbed_structures, tmp_path
):
    for _ in range(2):  # the second time from the cache
        options = {"kind": kind, "cache": DesignCache(tmp_path)}
        scale = check(testbed_structures[:1], testbed_base, "pbe", 1e-5, **options)
    assert scale > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jacobian", "summed"])
def test_designs_of_the_trained_base_equal_autograd_in_double_precision(
    kind, testbed_base_path, testbed_structures, tmp_path
):
    potential = load_base(testbed_base_path, fidelity="pbe", dtype="float64")
    for _ in range(2):
        check(testbed_structures, potential, "pbe", 1e-10, kind=kind, cache=DesignCache(tmp_path))
