"""Features, readouts and reference energies of MACE models of every shape add up to the model's own output."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from rung.backends.mace import wrap
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ModelError
from tests.backends.comparison import direct
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace

SHAPES: dict[str, dict[str, Any]] = {
    "1-layer": {"layers": 1, "scale": 40.0},
    "2-layers": {"layers": 2, "scale": 40.0},
    "3-layers-l2": {"layers": 3, "hidden": "4x0e+4x1o+4x2e", "correlation": 3, "units": 3, "scale": 40.0},
    "4-layers-l0": {"layers": 4, "hidden": "6x0e", "scale": 150.0},
    "5-layers": {"layers": 5, "hidden": "4x0e+4x1o", "max_ell": 1, "scale": 200.0},
    "odd-scalars": {"hidden": "4x0e+4x0o+4x1o+4x1e", "scale": 60.0},
    "keep-last-irreps": {"keep_last_layer_irreps": True, "scale": 40.0},
    "last-readout-only": {"layers": 3, "use_last_readout_only": True, "scale": 400.0},
    "tanh": {"gate": "tanh", "scale": 40.0},
    "abs": {"gate": "abs", "scale": 40.0},
    "no-gate": {"gate": "identity", "scale": 40.0},
    "bias-readout": {"readout": "NonLinearBiasReadoutBlock", "gate": "tanh", "scale": 40.0},
    "two-heads": {"heads": ("a", "b"), "scale": 40.0},
    "three-heads-bias": {"heads": ("a", "b", "c"), "readout": "NonLinearBiasReadoutBlock", "scale": 60.0},
    "pair-repulsion": {"pair_repulsion": True, "scale": 20.0},
    "pair-repulsion-heads": {"pair_repulsion": True, "heads": ("a", "b"), "scale": 20.0},
    "plain-mace": {"scale_shift": False, "strength": 60.0},
    "plain-mace-repulsion": {"scale_shift": False, "pair_repulsion": True, "strength": 60.0},
    "density-agnesi": {
        "interaction": "RealAgnosticDensityResidualInteractionBlock",
        "interaction_first": "RealAgnosticDensityInteractionBlock",
        "distance_transform": "Agnesi",
        "scale": 60.0,
    },
    "gaussian-soft": {"radial_type": "gaussian", "distance_transform": "Soft", "scale": 90.0},
    "attention": {"interaction": "RealAgnosticAttResidualInteractionBlock", "scale": 60.0},
    "non-linear": {
        "interaction": "RealAgnosticResidualNonLinearInteractionBlock",
        "interaction_first": "RealAgnosticResidualNonLinearInteractionBlock",
        "readout": "NonLinearBiasReadoutBlock",
        "use_agnostic_product": True,
        "apply_cutoff": False,
        "radial_type": "chebyshev",
        "scale": 100.0,
    },
}


def _head(options: dict[str, Any]) -> str | None:
    return options["heads"][-1] if "heads" in options else None


QUICK = (
    "1-layer",
    "2-layers",
    "3-layers-l2",
    "odd-scalars",
    "bias-readout",
    "two-heads",
    "plain-mace",
    "pair-repulsion",
)
CASES = [
    pytest.param(name, dtype, marks=[] if name in QUICK and bits == 64 else pytest.mark.slow, id=f"{name}-float{bits}")
    for name in SHAPES
    for bits, dtype in ((64, torch.float64), (32, torch.float32))
]


@pytest.mark.parametrize(("name", "dtype"), [*CASES, pytest.param("2-layers", torch.float32, id="quick-float32")])
def test_equals_the_model_itself(name: str, dtype: torch.dtype) -> None:
    """Molecules, an atom alone, crystals and a slab in one batch, against autograd through the whole model."""
    model = tiny_mace(dtype=dtype, **SHAPES[name])
    head = _head(SHAPES[name])
    potential = wrap(model, "low", head)
    allowed = 1e-10 if dtype == torch.float64 else 1e-5
    structures = molecule_structures() + cell_structures()
    batch = collate(structures, ["low"] * len(structures), potential.cutoff, dtype=dtype)
    wanted, found = direct(model, batch, head), potential.predict(batch)
    scale = float(wanted.forces.double().pow(2).mean().sqrt())
    assert scale > 0.5
    assert float((found.forces - wanted.forces).double().pow(2).mean().sqrt()) <= allowed * scale
    rounding = 1e-14 if dtype == torch.float64 else 4e-6
    np.testing.assert_allclose(found.energy, wanted.energy, rtol=0, atol=rounding * float(wanted.energy.abs().max()))
    np.testing.assert_allclose(found.energy.sum(), found.atom_energies.sum(), rtol=1e-12)


def test_single_atoms_without_edges() -> None:
    model = tiny_mace(pair_repulsion=True)
    potential = wrap(model, "low")
    structures = [Structure(Atoms([number]), str(number), {}) for number in (1, 6, 8, 8)]
    batch = collate(structures, ["low"] * 4, potential.cutoff)
    assert batch.edges.shape == (2, 0)
    found = potential.predict(batch, stress=True)
    np.testing.assert_allclose(found.energy, direct(model, batch).energy, rtol=0, atol=1e-12)
    assert not found.forces.any()


def test_large_shape() -> None:
    """128 channels and 89 elements, as foundation models have: on a cell of two atoms."""
    model = tiny_mace(
        hidden="128x0e+128x1o", elements=tuple(range(1, 90)), correlation=2, max_ell=3, units=16, cutoff=3.0, scale=3.0
    )
    potential = wrap(model, "low")
    cell = Structure(Atoms([79, 8], positions=[[0, 0, 0], [1.1, 1.3, 0.9]], cell=[2.9, 3.1, 2.7], pbc=True), "", {})
    batch = collate([cell], ["low"], potential.cutoff)
    wanted, found = direct(model, batch), potential.predict(batch)
    np.testing.assert_allclose(found.energy, wanted.energy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.forces, wanted.forces, rtol=0, atol=1e-10 * float(wanted.forces.abs().max()))
    assert len(potential.surface("low").readout.weights) == 128 + 16


def test_features_are_frozen_and_leave_the_batch_alone(tiny_potential: Any) -> None:
    batch = collate(molecule_structures(), ["low"] * 4, tiny_potential.cutoff)
    features = tiny_potential.backbone.features(batch)
    assert not features.requires_grad
    assert not batch.positions.requires_grad
    assert not any(parameter.requires_grad for parameter in tiny_potential.backbone.module.parameters())
    moving = replace(batch, positions=batch.positions.clone().requires_grad_())
    (gradient,) = torch.autograd.grad(tiny_potential.backbone.features(moving).sum(), moving.positions)
    assert gradient.abs().max() > 1e-3
    assert torch.equal(tiny_potential.backbone.features(moving).detach(), features)


def test_every_call_gives_the_same_bits() -> None:
    """Also the first ones, during which TorchScript would compile: a resumed cache equals one made in one go."""
    potential = wrap(tiny_mace(dtype=torch.float32), "low")
    batch = collate(cell_structures(), ["low"] * 3, potential.cutoff, dtype=torch.float32)
    first, *others = (potential.predict(batch, stress=True) for _ in range(4))
    for other in others:
        assert torch.equal(first.energy, other.energy)
        assert torch.equal(first.forces, other.forces)


def test_features_move_with_the_cell(tiny_potential: Any) -> None:
    batch = collate(cell_structures()[:1], ["low"], tiny_potential.cutoff)
    cell = batch.cell.clone().requires_grad_()
    features = tiny_potential.backbone.features(replace(batch, cell=cell))
    (gradient,) = torch.autograd.grad(features.sum(), cell)
    assert gradient.abs().max() > 1e-3


def test_receptive_field(tiny_potential: Any) -> None:
    """A chain: an atom just inside the receptive field is felt, one outside is not."""
    backbone = tiny_potential.backbone
    assert backbone.receptive_field == pytest.approx(2 * backbone.cutoff)
    spacing = 0.99 * backbone.cutoff
    chain = Atoms([6] * 4, positions=[[spacing * k, 0, 0] for k in range(4)])
    batch = collate([Structure(chain, "", {})], ["low"], backbone.cutoff)
    positions = batch.positions.clone().requires_grad_()
    features = backbone.features(replace(batch, positions=positions))
    (gradient,) = torch.autograd.grad(features[0].pow(2).sum(), positions)
    assert gradient[1].abs().max() > 0
    assert gradient[3].abs().max() == 0


def test_fingerprint_knows_weights_but_not_readouts() -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    first = wrap(model, "low")
    with torch.no_grad():
        model.readouts[0].linear.weight += 1.0
        model.atomic_energies_fn.atomic_energies += 1.0
    moved = wrap(model, "low")
    assert moved.backbone.fingerprint == first.backbone.fingerprint
    assert moved.fingerprint != first.fingerprint
    model.interactions[0].avg_num_neighbors = 6.1
    assert wrap(model, "low").backbone.fingerprint != first.backbone.fingerprint
    model.interactions[0].avg_num_neighbors = 5.3
    assert wrap(model.float(), "low").backbone.fingerprint != first.backbone.fingerprint
    other = tiny_mace(seed=1, layers=1, hidden="4x0e", max_ell=1)
    assert wrap(other, "low").backbone.fingerprint != first.backbone.fingerprint


def test_wrap_shares_nothing_with_a_model_in_training() -> None:
    model = tiny_mace().train()
    potential = wrap(model, "low")
    batch = collate(molecule_structures(), ["low"] * 4, potential.cutoff)
    before = potential.predict(batch).energy
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    assert torch.equal(potential.predict(batch).energy, before)


def test_heads_must_be_named() -> None:
    model = tiny_mace(heads=("dft", "mp2"))
    with pytest.raises(ModelError, match="dft, mp2"):
        wrap(model, "low")
    with pytest.raises(ModelError, match=r"'mp'; there is: dft, mp2\. Did you mean 'mp2'"):
        wrap(model, "low", "mp")
    energies = []
    for head in ("dft", "mp2"):
        potential = wrap(model, "low", head)
        batch = collate(molecule_structures(), ["low"] * 4, potential.cutoff)
        found = potential.predict(batch)
        np.testing.assert_allclose(found.energy, direct(model, batch, head).energy, rtol=0, atol=1e-10)
        energies.append(found.energy)
    assert float((energies[0] - energies[1]).abs().min()) > 0.1


def test_unknown_element_is_named(tiny_potential: Any) -> None:
    gold = Structure(Atoms("Au"), "gold", {})
    with pytest.raises(ModelError, match=r"\bAu\b"):
        tiny_potential.backbone.features(collate([gold], ["low"], tiny_potential.cutoff))
