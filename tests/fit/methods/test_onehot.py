"""``onehot``: a fidelity starts at zero, moves alone if told to, and comes out as a plain model of its own."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.backends import export
from rung.backends.mace import wrap
from rung.backends.mace.conditioned import ConditionedMaceBackbone
from rung.calculator import RungCalculator
from rung.checkpoint import Checkpoint
from rung.data.batch import collate
from rung.data.structure import Structure, composition_matrix
from rung.errors import ConfigError, ModelError
from rung.fit.lift import Context, FitResult
from rung.fit.methods.onehot import OneHotSettings, fit_onehot
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Prediction
from tests.backends.comparison import assert_native, energies_and_forces, mace_calculator
from tests.fit.levels import two_levels
from tests.fit.lifts import lift_of
from tests.fit.toy_surface import toy_structures
from tests.mace_models import tiny_mace
from tests.several_fidelities import several

FIDELITIES = ("low", "high", "best")
TINY = {
    "channels": 2, "max_l": 0, "max_harmonic": 1, "layers": 1, "cutoff": 3.0, "correlation": 1, "radial_units": [4],
    "readout_units": 2,
}  # fmt: skip
FORMS = ("embedding", "all")
every_form = pytest.mark.parametrize("form", FORMS)


@cache
def base() -> ReadoutPotential:
    return wrap(tiny_mace(hidden="6x0e", max_ell=1), "low")


def run(
    train: list[Structure],
    start: ReadoutPotential | None = None,
    target: str = "high",
    valid: list[Structure] | None = None,
    **settings: object,
) -> FitResult:
    training = {"epochs": 1, "batch_size": 8, "valid_fraction": 0.0, **settings.pop("training", {})}  # type: ignore[dict-item]
    read = OneHotSettings.read({"architecture": TINY, "training": training, **settings})
    lift = lift_of(train, start, valid or [], target=target, fidelities=FIDELITIES)
    return fit_onehot(lift, read, Context(dtype="float64"))


def said(potential: ReadoutPotential, structures: list[Structure], fidelity: str) -> Prediction:
    return potential.predict(collate(structures, [fidelity] * len(structures), potential.cutoff))


@every_form
def test_a_new_fidelity_starts_at_zero_and_the_base_stays(form: str) -> None:
    frames = two_levels(9, 7)
    found = run(frames, base(), form=form, training={"epochs": 0})
    backbone = found.potential.backbone
    assert isinstance(backbone, ConditionedMaceBackbone)
    assert all(not vector.any() for added in backbone.conditions.values() for vector in added.values())
    before, low, high = (
        said(*case)
        for case in ((base(), frames, "low"), (found.potential, frames, "low"), (found.potential, frames, "high"))
    )
    for one in (low, high):
        np.testing.assert_allclose(one.forces, before.forces, rtol=0.0, atol=1e-11)
    np.testing.assert_allclose(low.energy, before.energy, rtol=0.0, atol=1e-10)
    counts = composition_matrix(frames, (1, 6, 8))
    residue = (high.energy - before.energy).numpy()
    np.testing.assert_allclose(residue, counts @ np.linalg.lstsq(counts, residue, rcond=None)[0], atol=1e-9)
    assert np.abs(residue).min() > 1e-3  # its reference energies are its own


@pytest.mark.parametrize(
    ("form", "taught"),
    [
        ("embedding", False),
        ("all", True),
        pytest.param("all", False, marks=pytest.mark.slow),
        pytest.param("embedding", True, marks=pytest.mark.slow),
    ],
)
def test_when_the_target_trains_alone_no_other_fidelity_changes_a_bit(form: str, taught: bool) -> None:
    """Over a plain base, and over one of two fidelities that was conditioned before."""
    before = several(form, (("hidden", "6x0e"), ("max_ell", 1))) if taught else base()
    frames = toy_structures(8, fidelity="best", depth=1.4)
    found = run(frames, before, "best", form=form, trains="fidelity", training={"epochs": 2, "learning_rate": 0.005})
    assert set(found.potential.fidelities) == {"best", *before.fidelities}
    for name in before.fidelities:
        one, two = said(before, frames, name), said(found.potential, frames, name)
        assert torch.equal(one.energy, two.energy)
        assert torch.equal(one.forces, two.forces)
    backbone = found.potential.backbone
    assert isinstance(backbone, ConditionedMaceBackbone)
    assert all(vector.any() for vector in backbone.conditions["best"].values())
    log = found.details.epochs
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    own = sum(vector.numel() for vector in backbone.conditions["best"].values())
    hidden = 6 if form == "all" else 0  # the units of the last readout
    assert found.diagnostics["n_parameters"] == own + hidden


@pytest.mark.parametrize("form", [pytest.param("embedding", marks=pytest.mark.slow), "all"])
def test_every_fidelity_is_a_plain_file_that_mace_s_own_calculator_runs(form: str, tmp_path: Path) -> None:
    frames = two_levels(4, 3)
    potential = run(frames, base(), form=form, training={"epochs": 2, "learning_rate": 0.02}).potential
    apart = []
    for name in ("low", "high"):
        path = tmp_path / f"{name}.model"
        export(potential, name, path)
        assert_native(path)
        theirs = energies_and_forces(mace_calculator(path, "float64"), [frame.atoms for frame in frames[:2]])
        ours = said(potential, frames[:2], name)
        np.testing.assert_allclose(theirs[0], ours.energy, rtol=0.0, atol=1e-10)
        np.testing.assert_allclose(theirs[2], ours.forces, rtol=0.0, atol=1e-10)
        apart.append(theirs[2])
    assert np.abs(apart[0] - apart[1]).max() > 1e-4


def test_a_question_names_one_of_the_fidelities() -> None:
    frames = two_levels(6, 6)
    potential = run(frames, form="embedding", training={"epochs": 0}).potential
    assert potential.fidelities == ("high", "low")
    with pytest.raises(ConfigError, match=r"Unknown fidelity 'best'.*high.*low"):
        said(potential, frames, "best")
    mixed = potential.predict(collate(frames[:2], ["low", "high"], potential.cutoff))
    for place, name in enumerate(("low", "high")):
        alone = said(potential, frames[place : place + 1], name)
        assert float(mixed.energy[place]) == pytest.approx(float(alone.energy[0]), abs=1e-10)


@pytest.mark.parametrize("form", [pytest.param("embedding", marks=pytest.mark.slow), "all"])
def test_from_scratch_at_any_number_of_fidelities(form: str) -> None:
    frames = [*two_levels(8, 6), *toy_structures(6, seed=4, fidelity="best", depth=1.5)]
    found = run(frames, target="best", form=form, training={"epochs": 6, "learning_rate": 0.02})
    assert found.potential.fidelities == ("best", "low", "high")
    log = found.details.epochs
    assert log[-1]["train_loss"] < 0.9 * log[0]["train_loss"]
    forces = [said(found.potential, frames, name).forces.numpy() for name in found.potential.fidelities]
    assert min(np.abs(forces[one] - forces[two]).max() for one, two in ((0, 1), (0, 2), (1, 2))) > 1e-4


def test_one_scale_is_that_of_all_forces_and_own_scales_are_each_its_own() -> None:
    frames = two_levels(8, 8, forces=True)
    forces = {name: np.concatenate([one.labels[name].forces for one in frames]) for name in ("low", "high")}
    sizes = {name: np.sqrt(np.mean(values**2)) for name, values in forces.items()}
    both = np.sqrt(np.mean(np.concatenate(list(forces.values())) ** 2))
    for scale, expected in (("own", sizes), ("shared", dict.fromkeys(sizes, both))):
        potential = run(frames, scale=scale, training={"epochs": 0}).potential
        for name, size in expected.items():
            assert potential.surface(name).readout.scale == pytest.approx(size, rel=1e-12)


def test_without_labels_of_its_fidelity_the_base_speaks_for_itself() -> None:
    frames = toy_structures(8, fidelity="high", forces=False)
    found = run(frames, base(), training={"epochs": 3, "learning_rate": 0.01})
    assert found.diagnostics["n_energies_low"] == 8.0
    assert found.diagnostics["n_force_components_low"] == 3.0 * sum(len(frame) for frame in frames)
    low, before = said(found.potential, frames, "low"), said(base(), frames, "low")
    alone = run(frames, base(), fidelities={"high": {}}, training={"epochs": 3, "learning_rate": 0.01})
    assert alone.potential.fidelities == ("high",)
    assert "offers low too" in alone.warnings[-1]
    lost = (said(alone.potential, frames, "high").forces - before.forces).abs().max()
    assert (low.forces - before.forces).abs().max() < lost


def test_what_does_not_fit_is_refused() -> None:
    frames = two_levels(6, 6)
    with pytest.raises(ConfigError, match="adds a fidelity to a base"):
        run(frames, trains="fidelity")
    with pytest.raises(ModelError, match="readouts of their own"):
        run(frames, several("readouts"), form="embedding")
    with pytest.raises(ConfigError, match="Unknown fidelity 'worst'"):
        run(frames, target="worst")


@every_form
def test_closing_readout_is_the_readout_fit_of_the_target_and_leaves_the_others(form: str) -> None:
    frames = two_levels(10, 8)
    trained = run(frames, base(), form=form)
    closed = run(frames, base(), form=form, closing_readout={})
    folded = lift_of(frames, trained.potential.at("high"), source="high", fidelities=FIDELITIES)
    alone = fit_readout(folded, ReadoutSettings(), Context(dtype="float64"))
    assert closed.potential.fidelities == trained.potential.fidelities == ("high", "low")
    assert closed.potential.at("high").fingerprint == alone.potential.fingerprint
    assert closed.potential.at("low").fingerprint == trained.potential.at("low").fingerprint
    assert closed.posterior is not None
    bars = []
    for result in (closed, alone):
        calculator = RungCalculator(Checkpoint(result.potential, result.posterior), fidelity="high")
        bars.append(calculator.get_energy_stderr(frames[9].atoms))
    assert bars[0] == pytest.approx(bars[1], rel=1e-6)  # folded weights are rounded
    assert bars[0] > 0.0
