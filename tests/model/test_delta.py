"""A sum of two potentials against the two potentials that it is made of."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rung.backends import export, load_base
from rung.backends.mace import wrap
from rung.calculator import RungCalculator
from rung.checkpoint import load, save
from rung.data.batch import collate
from rung.errors import ModelError
from rung.features.passes import build_designs
from rung.features.predict import predict_designs
from rung.model.delta import SummedBackbone, alone, summed, within
from rung.model.potential import ReadoutPotential
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace
from tests.pair_backbone import PairBackbone, pair_potential


@cache
def base() -> ReadoutPotential:
    return wrap(tiny_mace(layers=1, hidden="6x0e", max_ell=1, pair_repulsion=True), "low")


@cache
def difference() -> ReadoutPotential:
    """Another shape, a shorter cutoff, another scale."""
    return wrap(tiny_mace(5, layers=1, hidden="4x0e", max_ell=1, cutoff=3.1, scale=0.7, units=4), "gap")


@cache
def total() -> ReadoutPotential:
    return summed(base(), "low", difference(), "gap", target="high")


def said(potential: ReadoutPotential, fidelity: str, structures=None):
    structures = structures or [*molecule_structures(), *cell_structures()]
    return potential.predict(collate(structures, [fidelity] * len(structures), potential.cutoff), stress=True)


def test_the_target_is_the_sum_and_the_base_stays():
    below, above, both = said(base(), "low"), said(difference(), "gap"), said(total(), "high")
    for name in ("energy", "atom_energies", "forces", "stress"):
        expected = getattr(below, name) + getattr(above, name)
        assert_allclose(getattr(both, name).numpy(), expected.numpy(), rtol=1e-12, atol=1e-11)
    kept = said(total(), "low")
    assert_allclose(kept.energy.numpy(), below.energy.numpy(), rtol=1e-14)
    assert_allclose(kept.forces.numpy(), below.forces.numpy(), atol=1e-12)
    assert np.abs(above.forces.numpy()).max() > 1e-3  # else nothing was added


def test_a_model_of_the_shorter_cutoff_sees_its_own_edges_alone():
    structures = cell_structures()
    wide = collate(structures, ["gap"] * len(structures), 6.0)
    narrow = collate(structures, ["gap"] * len(structures), 3.1)
    assert wide.edges.shape[1] > narrow.edges.shape[1]
    assert torch.equal(within(wide, 3.1).edges, narrow.edges)
    mixed = SummedBackbone(PairBackbone(), difference().backbone)
    assert (mixed.cutoff, mixed.receptive_field) == (3.1, 6.0)
    assert mixed.elements == {6, 8}


def test_designs_of_a_sum_give_its_energies_and_forces():
    structures = cell_structures()[:2]
    backbone, surface = total().backbone, total().surface("high")
    for kind in ("jacobian", "summed"):
        designs = build_designs(structures, backbone, surface.readout, forces=True, fidelity="high", kind=kind)
        found = predict_designs(designs, surface, sorted(total().elements))
        expected = said(total(), "high", structures)
        assert_allclose([item.energy for item in found], expected.energy.numpy(), rtol=1e-12)
        forces = np.concatenate([item.forces for item in found])
        assert_allclose(forces.reshape(-1, 3), expected.forces.numpy(), atol=1e-9)


class Strange(PairBackbone):
    """A backbone that no backend made."""


def test_a_part_of_no_backend_is_refused_and_parts_of_two_are_kept(tmp_path: Path):
    mixed = summed(pair_potential(Strange(cutoff=4.0)), "low", difference(), "gap", target="high")
    with pytest.raises(ModelError, match="Strange belongs to no backend"):
        save(tmp_path / "model.rung", mixed, metadata={})
    mixed = summed(pair_potential(PairBackbone(cutoff=4.0)), "low", difference(), "gap", target="high")
    save(tmp_path / "model.rung", mixed, metadata={})
    assert load(tmp_path / "model.rung").potential.fingerprint == mixed.fingerprint


def test_a_checkpoint_keeps_every_bit_and_a_sum_may_be_added_to(tmp_path: Path):
    save(tmp_path / "model.rung", total(), metadata={})
    loaded = load(tmp_path / "model.rung").potential
    assert loaded.fingerprint == total().fingerprint
    crystal = cell_structures()[:1]
    assert torch.equal(said(loaded, "high", crystal).forces, said(total(), "high", crystal).forces)
    tower = summed(loaded, "high", difference(), "gap", target="higher")
    atoms = crystal[0].atoms.copy()
    energies = []
    for name in ("low", "high", "higher"):
        atoms.calc = RungCalculator(tower, fidelity=name)
        energies.append(atoms.get_potential_energy())
    assert energies[2] - energies[1] == pytest.approx(energies[1] - energies[0], rel=1e-9)


def test_the_base_of_a_sum_is_written_as_its_own_file_and_the_sum_is_refused(tmp_path: Path):
    export(total(), "low", tmp_path / "low.model")
    written = load_base(tmp_path / "low.model", fidelity="low")
    assert torch.equal(said(written, "low").energy, said(base(), "low").energy)
    with pytest.raises(ModelError, match="sum of two models"):
        export(total(), "high", tmp_path / "high.model")
    assert not (tmp_path / "high.model").exists()
    assert alone(base(), "low") is base()


def test_parts_that_cannot_run_together_are_refused():
    single = replace(PairBackbone(), dtype=torch.float32)
    with pytest.raises(ModelError, match="float32"):
        SummedBackbone(PairBackbone(), single)
    with pytest.raises(ModelError, match="pair repulsion"):
        SummedBackbone(difference().backbone, base().backbone)
    conditioned = pair_potential(PairBackbone(conditioning={"low": 1.0}))
    with pytest.raises(ModelError, match="conditioned"):
        summed(conditioned, "low", pair_potential(), "low", target="high")
