"""Designs against derivatives by hand and against autograd through the whole potential."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import DataError, ModelError
from rung.features.cache import DesignCache
from rung.features.passes import build_designs, features_of
from rung.model.readout import Readout, ReadoutBlock
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_batches_order_and_duplicates_do_not_matter(kind, batch_size):
    backbone = PairBackbone()
    readout = pair_readout(backbone)
    structures = pair_structures(backbone)
    shuffled = [structures[k] for k in (3, 0, 5, 3, 1, 0)]
    alone = {
        structure.structure_id: build_designs([structure], backbone, readout, forces=True, fidelity="low", kind=kind)[0]
        for structure in structures
    }
    made = build_designs(shuffled, backbone, readout, forces=True, fidelity="low", kind=kind, batch_size=batch_size)
    for structure, design in zip(shuffled, made, strict=True):
        assert_allclose(design.forces, alone[structure.structure_id].forces, atol=1e-12)
        assert_allclose(design.energy, alone[structure.structure_id].energy, rtol=1e-13)


class Counting(PairBackbone):
    """A backbone that counts the rows for which it is asked."""

    rows = 0

    def feature_layers(self, batch):
        type(self).rows += batch.n_rows
        return super().feature_layers(batch)


def test_one_geometry_is_computed_once_whatever_it_is_called(tmp_path):
    backbone = Counting()
    Counting.rows = 0
    structure = pair_structures(backbone)[0]
    twice = [structure, Structure(structure.atoms, "another-name", {})]
    build_designs(twice, backbone, pair_readout(backbone), forces=True, fidelity="low", cache=DesignCache(tmp_path))
    assert Counting.rows == 1
    build_designs(twice, backbone, pair_readout(backbone), forces=True, fidelity="low", cache=DesignCache(tmp_path))
    assert Counting.rows == 1


def test_a_jacobian_in_the_cache_serves_every_readout_and_the_features(tmp_path):
    backbone, cache = Counting(), DesignCache(tmp_path)
    structures = pair_structures(backbone)
    first, second = pair_readout(backbone), pair_readout(backbone, seed=7, n_hidden=3)
    fresh = build_designs(structures, backbone, second, forces=True, fidelity="low", kind="summed")
    build_designs(structures, backbone, first, forces=True, fidelity="low", cache=cache, kind="jacobian")
    Counting.rows = 0
    for readout in (first, second):
        build_designs(structures, backbone, readout, forces=False, fidelity="low", cache=cache)
    found = build_designs(structures, backbone, second, forces=True, fidelity="low", cache=cache)
    features = features_of(structures, backbone, fidelity="low", cache=cache)
    assert Counting.rows == 0
    for left, right in zip(found, fresh, strict=True):
        assert_allclose(left.forces, right.forces, atol=1e-11)
    for structure, values in zip(structures, features, strict=True):
        assert_allclose(values, analytic(structure.atoms, backbone).features, atol=1e-12)


def test_a_summed_entry_serves_its_own_basis_alone(tmp_path):
    backbone, cache = Counting(), DesignCache(tmp_path)
    structures = pair_structures(backbone)
    readout = pair_readout(backbone)
    build_designs(structures, backbone, readout, forces=True, fidelity="low", cache=cache, kind="summed")
    Counting.rows = 0
    moved = readout.moved(np.ones_like(readout.weights))  # other weights, the same basis
    build_designs(structures, backbone, moved, forces=True, fidelity="low", cache=cache)
    assert Counting.rows == 0
    other = pair_readout(backbone, seed=9)
    found = build_designs(structures, backbone, other, forces=True, fidelity="low", cache=cache, kind="summed")
    assert Counting.rows == len(structures)
    fresh = build_designs(structures, backbone, other, forces=True, fidelity="low")
    for left, right in zip(found, fresh, strict=True):
        assert_allclose(left.forces, right.forces, atol=1e-11)


def test_what_the_cache_gives_back_is_bit_for_bit_what_was_made(tmp_path):
    for kind in ("jacobian", "summed"):
        backbone, cache = PairBackbone(dtype=torch.float32), DesignCache(tmp_path / kind)
        arguments = (pair_structures(backbone), backbone, pair_readout(backbone))
        made, read = (build_designs(*arguments, forces=True, fidelity="low", cache=cache, kind=kind) for _ in range(2))
        for left, right in zip(made, read, strict=True):
            for name in ("energy", "forces", "composition", "fixed_energy", "fixed_forces"):
                assert np.asarray(getattr(left, name)).tobytes() == np.asarray(getattr(right, name)).tobytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"dtype": torch.float32}, {"cutoff": 3.1}])
def test_another_backbone_finds_nothing(tmp_path, change):
    cache = DesignCache(tmp_path)
    structures = pair_structures(PairBackbone())[:1]
    features_of(structures, PairBackbone(), fidelity="low", cache=cache)
    backbone = Counting(**change)
    Counting.rows = 0
    features_of(structures, backbone, fidelity="low", cache=cache)
    assert Counting.rows == 1


def test_the_fidelity_counts_only_where_the_backbone_is_conditioned_on_it(tmp_path):
    cache = DesignCache(tmp_path)
    structures = pair_structures(PairBackbone())
    plain, conditioned = Counting(), Counting(conditioning={"low": 1.0, "high": 1.4})
    for backbone, computed in ((plain, 1), (conditioned, 2)):
        Counting.rows = 0
        for fidelity in ("low", "high", "low"):
            found = features_of(structures, backbone, fidelity=fidelity, cache=cache)
            truth = [analytic(structure.atoms, backbone, fidelity).features for structure in structures]
            assert_allclose(np.concatenate(found), np.concatenate(truth), atol=1e-12)
        assert Counting.rows == computed * len(structures)


def test_progress_counts_geometries():
    class Watching:
        total, done = 0, 0

        @contextmanager
        def task(self, description, total):
            assert description
            self.total = total
            yield self

        def advance(self, steps=1):
            self.done += steps

    backbone, watching = PairBackbone(), Watching()
    structures = pair_structures(backbone)
    build_designs(structures * 2, backbone, pair_readout(backbone), forces=True, fidelity="low", progress=watching)
    assert (watching.done, watching.total) == (len(structures), len(structures))


def test_nothing_in_gives_nothing_out():
    backbone = PairBackbone()
    assert build_designs([], backbone, pair_readout(backbone), forces=True, fidelity="low") == []


def test_an_element_that_the_base_lacks_is_named():
    structures = pair_structures(PairBackbone(species=(6, 9)))
    with pytest.raises(ModelError, match=r"\[9\].*'pair-0'"):
        features_of(structures, PairBackbone(), fidelity="low")


@pytest.mark.parametrize("forces", [True, False])
def test_a_readout_of_more_features_than_there_are_is_refused(forces):
    backbone = PairBackbone()
    readout = Readout((ReadoutBlock("far", (backbone.n_features,), (), np.ones(1)),))
    with pytest.raises(ModelError, match="feature 16"):
        build_designs(pair_structures(backbone), backbone, readout, forces=forces, fidelity="low")


def test_features_that_are_not_finite_are_not_kept(tmp_path):
    class Broken(PairBackbone):
        def feature_layers(self, batch):
            return tuple(layer / 0.0 for layer in super().feature_layers(batch))

    with pytest.raises(DataError, match="'pair-5' are not finite"):
        features_of(pair_structures(PairBackbone())[-1:], Broken(), fidelity="low", cache=DesignCache(tmp_path))
    assert list(DesignCache(tmp_path).entries()) == []
