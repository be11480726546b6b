"""Files of half precision are computed in float32 and said; exports in float32 say how coarse their energies are."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rung import checkpoint
from rung.backends import load_base
from rung.backends.mace import wrap
from rung.backends.precision import (
    REFERENCE_ENERGY,
    HalfPrecisionWarning,
    energy_step,
    say_precision,
    step_sentence,
    stored_type,
)
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.model.delta import summed
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.run.evaluation import predict
from rung.run.exporting import export_file
from rung.run.file_settings import ExportSettings
from tests.backends.comparison import energies_and_forces, mace_calculator
from tests.mace_models import tiny_mace


def small_mace(seed: int = 0) -> torch.nn.Module:
    """Return the smallest model with messages: building one takes longer than what is tested."""
    return tiny_mace(seed, layers=1, hidden="4x0e", max_ell=1, correlation=1)


HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def saved(path: Path, dtype: torch.dtype, model: torch.nn.Module | None = None) -> Path:
    torch.save(copy.deepcopy(small_mace() if model is None else model).to(dtype), path)
    return path


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("name", HALVES)
def test_a_half_file_is_computed_in_float32_and_said(
    tmp_path: Path, molecules: list[Structure], name: str, trusted: bool
) -> None:
    path = saved(tmp_path / "half.model", HALVES[name])
    with pytest.warns(HalfPrecisionWarning, match=rf"half\.model holds numbers in {name}; .* taken as float32"):
        potential = load_base(path, fidelity="low", trusted=trusted)
    assert potential.dtype == torch.float32
    assert stored_type(potential.backbone) == HALVES[name]
    rounded = wrap(small_mace().to(HALVES[name]).to(torch.float32), "low")  # the same weights, in float32 throughout
    assert stored_type(rounded.backbone) is None
    expected = predict(rounded, molecules, "low")
    prediction = predict(potential, molecules, "low")
    assert prediction.energy == pytest.approx(expected.energy, abs=5e-5)
    for one, other in zip(prediction.forces, expected.forces, strict=True):
        assert one == pytest.approx(other, abs=2e-4)


@pytest.mark.filterwarnings("ignore::rung.backends.precision.HalfPrecisionWarning")
def test_float64_may_be_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "half.model", torch.bfloat16)
    potential = load_base(path, fidelity="low", trusted=True, dtype="float64")
    assert (potential.dtype, stored_type(potential.backbone)) == (torch.float64, torch.bfloat16)


@pytest.mark.parametrize("trusted", [False, True])
def test_numbers_that_half_precision_lost_are_refused(tmp_path: Path, trusted: bool) -> None:
    model = small_mace()
    model.atomic_energies_fn.atomic_energies[:] = -1e5
    path = saved(tmp_path / "lost.model", torch.float16, model)
    with pytest.raises(ModelError, match=r"lost\.model: .*energies has infinite numbers: .* too large for float16"):
        load_base(path, fidelity="low", trusted=trusted)


def half_checkpoint(path: Path, potential: ReadoutPotential) -> Path:
    """Write a checkpoint as rung wrote it when it took files of half precision as they were."""
    checkpoint.save(path, potential, metadata={})
    content = torch.load(path, weights_only=True)
    parts = [content["potential"]["backbone"]]
    parts = [part["backbone"] for part in parts[0]] if isinstance(parts[0], list) else parts
    for part in parts[:1]:
        part["state"] = {
            name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in part["state"].items()
        }
    torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["one", pytest.param("sum", marks=pytest.mark.slow)])
def test_a_checkpoint_and_a_sum_of_half_precision_too(tmp_path: Path, molecules: list[Structure], name: str) -> None:
    potential = wrap(small_mace().float(), "low")
    if name == "sum":
        potential = summed(potential, "low", wrap(small_mace(1).float(), "more"), "more", target="high")
    path = half_checkpoint(tmp_path / f"{name}.rung", potential)
    with pytest.warns(HalfPrecisionWarning, match=rf"{name}\.rung holds numbers in float16"):
        opened = checkpoint.load(path).potential
    assert (opened.dtype, stored_type(opened.backbone)) == (torch.float32, torch.float16)
    energy = predict(opened, molecules, "low").energy
    assert energy == pytest.approx(predict(potential, molecules, "low").energy, abs=0.05)


def test_a_live_model_is_said_too_and_what_a_backend_leaves_in_half_is_refused(
    tiny_potential: ReadoutPotential,
) -> None:
    with pytest.warns(HalfPrecisionWarning, match="The model holds numbers in bfloat16"):
        assert wrap(small_mace().to(torch.bfloat16), "low").dtype == torch.float32
    backbone = replace(tiny_potential.backbone, module=small_mace().half())
    with pytest.raises(ModelError, match=r"x\.bin is loaded in float16, in which rung does not compute"):
        say_precision(ReadoutPotential(backbone, {}), "x.bin")


def all_electron(potential: ReadoutPotential) -> ReadoutPotential:
    """Return a potential in float32 with reference energies of a heavy atom's size."""
    surface = potential.surface("low")
    energies = {number: -124_454.0 + 0.001 * number for number in surface.reference.elements}
    return potential.with_surface("low", replace(surface, reference=ReferenceEnergies(energies)))


def test_steps_are_those_of_the_type() -> None:
    assert energy_step(-124_454.0, torch.float32) == pytest.approx(7.8125)
    assert energy_step(-395.2, torch.float32) == pytest.approx(0.030518, rel=1e-4)
    assert energy_step(-124_454.0, torch.float64) < 1e-7


def test_an_export_says_how_coarse_its_energies_are(tmp_path: Path, molecules: list[Structure]) -> None:
    """The steps are those that MACE's own calculator shows; in float64 there are none."""
    potential = all_electron(wrap(small_mace().float(), "low"))
    energy = 3 * -124_454.0
    sentence = step_sentence(potential, energy, "a.model")
    assert "a.model adds up energies in float32: those near -373,362 eV" in sentence and "steps of 31 meV" in sentence
    assert step_sentence(wrap(small_mace().float(), "low"), -395.0, "a.model") == ""
    checkpoint.save(tmp_path / "m.rung", potential, metadata={"target": "low", REFERENCE_ENERGY: energy})
    exact = predict(potential, molecules[:1], "low").energy[0]
    off = {}
    for dtype in ("float32", "float64"):
        out = tmp_path / f"{dtype}.model"
        said = export_file(ExportSettings(model=tmp_path / "m.rung", out=out, fidelity="low", dtype=dtype))
        assert ("steps of 31 meV" in said) == (dtype == "float32")
        off[dtype] = abs(energies_and_forces(mace_calculator(out, dtype), [molecules[0].atoms])[0][0] - exact)
    assert off["float64"] < 1e-5
    assert 1e-3 < off["float32"] < 0.1
