"""Exported checkpoints are SevenNet's own: its calculator and its converters for LAMMPS take them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.backends import export, load_base
from rung.backends.cards import card_in
from rung.backends.precision import step_sentence
from rung.backends.sevenn.export import native_checkpoint
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import Readout, ReadoutBlock
from tests.backends.sevenn.test_parity import compare, frames
from tests.contract.checks import predict
from tests.sevennet_models import calculator, shipped, tiny_sevennet


def lifted(potential: ReadoutPotential, fidelity: str = "low", size: float = 0.02) -> ReadoutPotential:
    """Return a potential all of whose weights and reference energies at one fidelity have changed."""
    surface, rng = potential.surface(fidelity), np.random.default_rng(1)
    elements = surface.reference.elements
    return potential.with_surface(
        fidelity,
        Surface(
            surface.readout.moved(size * rng.normal(size=len(surface.readout.weights))),
            surface.reference.moved(elements, rng.normal(size=len(elements))),
        ),
    )


@pytest.mark.parametrize("name", ["SevenNet_0__11Jul2024", pytest.param("SevenNet_l3i5", marks=pytest.mark.slow)])
def test_an_untouched_base_keeps_every_bit(name: str) -> None:
    from sevenn.checkpoint import SevenNetCheckpoint

    path = shipped(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        was = SevenNetCheckpoint(path).build_model().state_dict()  # which brings old files up to date
    now = native_checkpoint(load_base(path, fidelity="low"), "low")["model_state_dict"]
    assert list(was) == list(now)
    assert all(torch.equal(was[key], now[key]) for key in was)


@pytest.mark.parametrize("modality", ["PBE", "R2SCAN"])
def test_a_lifted_model_in_sevennets_own_calculator(modality: str, tmp_path: Path) -> None:
    """The readout is written into its first layer, E0 into the shift; the file has no modalities any more."""
    base = load_base(shipped("SevenNet_MF_0"), fidelity="low", head={"low": modality, "other": "PBE"})
    potential = lifted(base)
    export(potential, "low", tmp_path / "lifted.pth")
    before = predict(base, [Structure(atoms, "", {}) for atoms in frames()[1:3]])
    for atoms in frames():
        compare(potential, calculator(tmp_path / "lifted.pth"), atoms)
    after = predict(potential, [Structure(atoms, "", {}) for atoms in frames()[1:3]])
    assert float((after.forces - before.forces).abs().max()) > 1e-3  # the readout did change
    card = card_in(tmp_path / "lifted.pth")
    assert card is not None and card.fidelity == "low"


@pytest.mark.parametrize("options", [{}, {"use_bias_in_linear": True, "element_scales": (1.3, 0.6, 2.1)}])
def test_small_models_come_back(options: dict[str, object], structures: list[Structure], tmp_path: Path) -> None:
    """Shift and bias of a readout go into the shift of SevenNet, to what float32 keeps of an energy."""
    potential = lifted(tiny_sevennet(**options), size=0.3)
    surface = potential.surface("low")
    block = ReadoutBlock("reduce", surface.readout.blocks[0].columns, (), surface.readout.weights, bias=0.4)
    moved = Surface(Readout((block,), scale=surface.readout.scale, shift=0.7), surface.reference)
    potential = potential.with_surface("low", moved)
    export(potential, "low", tmp_path / "a.pth")
    again = load_base(tmp_path / "a.pth", fidelity="low")
    wanted, found = predict(potential, structures), predict(again, structures)
    np.testing.assert_allclose(found.energy, wanted.energy, rtol=0, atol=3e-5)
    np.testing.assert_allclose(found.forces, wanted.forces, rtol=0, atol=3e-5)
    assert again.dtype == torch.float64  # as the model was


def test_what_no_checkpoint_can_hold_is_refused(tmp_path: Path) -> None:
    potential = tiny_sevennet()
    surface = potential.surface("low")
    block = ReadoutBlock("other", surface.readout.blocks[0].columns[:2], (), surface.readout.weights[:2])
    other = potential.with_surface("low", Surface(Readout((block,)), surface.reference))
    with pytest.raises(ModelError, match="RungCalculator runs it"):
        export(other, "low", tmp_path / "a.pth")
    assert not (tmp_path / "a.pth").exists()


def test_large_reference_energies_are_said() -> None:
    """SevenNet adds up in float32 whatever the file holds, so that no other type helps."""
    potential = tiny_sevennet()
    said = step_sentence(potential, -29_000.0, "a.pth", runs_in=torch.float32)
    assert "float32" in said and "steps of 2 meV" in said and "--dtype" not in said
    assert step_sentence(potential, -29.0, "a.pth", runs_in=torch.float32) == ""
