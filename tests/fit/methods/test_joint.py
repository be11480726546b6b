"""``joint``: with one fidelity it is scratch, with no step it is the base, and each fidelity learns what is its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rung.backends import export, load_base
from rung.data.batch import collate
from rung.data.structure import Structure, composition_matrix
from rung.errors import ConfigError, DataError
from rung.fit.lift import Context, FitResult
from rung.fit.methods.joint import JointSettings, fit_joint
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.methods.scratch import ScratchSettings, fit_scratch
from rung.model.potential import ReadoutPotential
from tests.fit.levels import two_levels
from tests.fit.lifts import lift_of
from tests.fit.toy_surface import toy_structures

ELEMENTS = (1, 6, 8)
TINY = {
    "channels": 2, "max_l": 0, "max_harmonic": 1, "layers": 1, "cutoff": 3.0, "correlation": 1, "radial_units": [4],
    "readout_units": 2,
}  # fmt: skip


def run(
    train: list[Structure],
    base: ReadoutPotential | None = None,
    valid: list[Structure] | None = None,
    folder: Path | None = None,
    seed: int = 0,
    **settings: object,
) -> FitResult:
    training = {"epochs": 1, "batch_size": 8, **settings.pop("training", {})}  # type: ignore[dict-item]
    read = JointSettings.read({"architecture": TINY, "training": training, **settings})
    return fit_joint(lift_of(train, base, valid or []), read, Context(seed=seed, dtype="float64", folder=folder))


def energies(potential: ReadoutPotential, structures: list[Structure], fidelity: str) -> np.ndarray:
    batch = collate(structures, [fidelity] * len(structures), potential.cutoff)
    return potential.predict(batch, forces=False).energy.numpy()


def test_one_fidelity_from_scratch_is_scratch_to_the_bit() -> None:
    frames = toy_structures(8, fidelity="high")
    training = {"epochs": 1, "batch_size": 8, "loss": {"energy_weight": 40.0}}
    settings = ScratchSettings.read({"architecture": TINY, "training": training})
    alone = fit_scratch(lift_of(frames), settings, Context(dtype="float64"))
    found = run(frames, training=training)
    assert found.potential.fingerprint == alone.potential.fingerprint
    for key in ("closing_reference_change", "n_energies", "best_loss"):
        assert found.diagnostics[key] == alone.diagnostics[key]
    assert [{**row, "seconds": 0} for row in found.details.epochs] == [
        {**row, "seconds": 0} for row in alone.details.epochs
    ]


def test_a_base_takes_a_tenth_of_the_steps_of_a_new_model(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 5)
    training = {"schedule": {"name": "constant"}}
    rates = [
        run(frames, base, training=training, **settings).details.epochs[0]["learning_rate"]
        for base, settings in ((tiny_potential, {}), (tiny_potential, {"start": "new"}), (None, {}))
    ]
    assert rates == [0.001, 0.01, 0.01]


def test_without_a_step_the_base_s_fidelity_is_the_base_and_the_target_has_its_reference_energies(
    tiny_potential: ReadoutPotential,
) -> None:
    frames = two_levels(10, 8)
    found = run(frames, tiny_potential, training={"epochs": 0, "valid_fraction": 0.0})
    assert found.potential.fidelities == ("high", "low")
    assert max(found.diagnostics[f"step_zero_{what}"] for what in ("energy", "force")) < 1e-6
    before = energies(tiny_potential, frames, "low")
    np.testing.assert_allclose(energies(found.potential, frames, "low"), before, rtol=0.0, atol=1e-10)
    labels = np.array([item.labels["high"].energy for item in frames[:8]])
    counts = composition_matrix(frames[:8], ELEMENTS)
    size = counts.sum(axis=1)
    change = np.linalg.lstsq(counts / size[:, None], (labels - before[:8]) / size, rcond=None)[0]
    np.testing.assert_allclose(energies(found.potential, frames[:8], "high"), before[:8] + counts @ change, atol=1e-8)


def test_each_fidelity_comes_nearer_to_its_own_labels(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 5)
    settings = {"epochs": 8, "learning_rate": 0.01, "valid_fraction": 0.0}
    found = run(frames, tiny_potential, training=settings)
    log = found.details.epochs
    assert log[-1]["train_loss"] < 0.8 * log[0]["train_loss"]
    low, high = (found.potential.surface(name).readout.weights for name in ("low", "high"))
    assert not np.array_equal(low, high)
    assert found.diagnostics["n_energies"] == 5.0
    assert found.diagnostics["n_energies_low"] == 8.0
    assert found.diagnostics["n_force_components"] == 0.0
    assert found.diagnostics["n_force_components_low"] == 3.0 * sum(len(item) for item in frames)


def test_rows_of_one_fidelity_do_not_touch_the_readout_of_another(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 8)
    weights = {"fidelity_weights": {"low": 0.0}}
    settings = {"loss": weights, "weight_decay": 0.0, "valid_fraction": 0.0}
    found = run(frames, tiny_potential, training=settings)
    before = tiny_potential.surface("low").readout.weights
    np.testing.assert_array_equal(found.potential.surface("low").readout.weights, before)
    assert np.abs(found.potential.surface("high").readout.weights - before).max() > 1e-4


def test_errors_before_and_after_are_those_of_the_held_out_frames(tiny_potential: ReadoutPotential) -> None:
    valid = two_levels(5, 5, seed=6)
    found = run(two_levels(8, 4), tiny_potential, valid)
    batch = collate(valid, ["low"] * 5, tiny_potential.cutoff)
    for potential, suffix in ((tiny_potential, "_before"), (found.potential, "")):
        said = potential.predict(batch)
        forces = (said.forces - batch.forces).square().mean().sqrt().item()
        energy = ((said.energy - batch.energy) / batch.n_atoms).square().mean().sqrt().item()
        assert found.diagnostics[f"low_force_rmse{suffix}"] == pytest.approx(1000 * forces, rel=1e-9)
        assert found.diagnostics[f"low_energy_rmse{suffix}"] == pytest.approx(1000 * energy, rel=1e-9)


def test_own_labels_of_the_base_keep_it_without_its_data(tiny_potential: ReadoutPotential) -> None:
    frames = toy_structures(8, fidelity="high", forces=False)
    own = {"low": {"absent": "base"}, "high": {"labels": "energy"}}
    found = run(frames, tiny_potential, fidelities=own, training={"valid_fraction": 0.0, "epochs": 0})
    assert found.diagnostics["n_energies_low"] == 8.0
    np.testing.assert_allclose(
        energies(found.potential, frames, "low"), energies(tiny_potential, frames, "low"), atol=1e-10
    )


def test_any_number_of_fidelities() -> None:
    frames = [*two_levels(8, 6), *toy_structures(6, seed=4, fidelity="best", depth=1.5)]
    settings = JointSettings.read({"architecture": TINY, "training": {"epochs": 1, "batch_size": 6}})
    lift = lift_of(frames, target="best", fidelities=["low", "high", "best"])
    found = fit_joint(lift, settings, Context(dtype="float64"))
    assert found.potential.fidelities == ("best", "low", "high")
    for name in found.potential.fidelities:
        assert np.isfinite(energies(found.potential, frames, name)).all()


def test_every_fidelity_exports_and_a_finished_fit_is_read(tmp_path: Path, tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 6)
    found = run(frames, tiny_potential, folder=tmp_path / "fit")
    again = run(frames, tiny_potential, folder=tmp_path / "fit")
    assert again.potential.fingerprint == found.potential.fingerprint
    for name in ("low", "high"):
        export(found.potential, name, tmp_path / f"{name}.model")
        read = load_base(tmp_path / f"{name}.model", fidelity=name)
        np.testing.assert_allclose(
            energies(read, frames, name), energies(found.potential, frames, name), rtol=0.0, atol=1e-10
        )


def test_without_the_target_among_them_it_has_the_first_one_s_surface_and_its_own_reference_energies() -> None:
    frames = two_levels(8, 6)
    found = run(frames, fidelities={"low": {}})
    assert found.potential.fidelities == ("low", "high")
    low, high = (
        found.potential.predict(collate(frames, [name] * 8, found.potential.cutoff)) for name in ("low", "high")
    )
    assert torch.equal(low.forces, high.forces)
    labels = np.array([item.labels["high"].energy for item in frames[:6]])
    assert np.abs(high.energy.numpy()[:6] - labels).mean() < np.abs(low.energy.numpy()[:6] - labels).mean()
    assert found.diagnostics["n_energies"] == 6.0
    assert "gave it reference energies and nothing else" in found.warnings[0]


def test_a_changed_number_of_epochs_leaves_the_other_defaults_of_the_method() -> None:
    training = JointSettings.read({"training": {"epochs": 3}}).training
    assert training == JointSettings().training.model_copy(update={"epochs": 3})
    assert training.sampling.name == "balanced"


def test_seeds(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 6)
    one, two, other = (run(frames, tiny_potential, seed=seed).potential.fingerprint for seed in (1, 1, 2))
    assert one == two != other


def test_a_new_model_is_made_beside_a_base_where_it_is_asked_for(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 6)
    none = {"epochs": 0}
    with_base = run(frames, tiny_potential, start="new", training=none)
    assert with_base.potential.fingerprint == run(frames, training=none).potential.fingerprint


def test_float32_is_the_type_of_the_result(tiny_potential: ReadoutPotential) -> None:
    settings = JointSettings.read({"training": {"epochs": 1}})
    found = fit_joint(lift_of(two_levels(6, 6), tiny_potential), settings, Context(dtype="float32"))
    assert found.potential.dtype == torch.float32


def test_what_cannot_be_is_refused(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(8, 6)
    with pytest.raises(ConfigError, match="Unknown fidelity 'mid'"):
        run(frames, fidelities={"mid": {}, "high": {}})
    with pytest.raises(ConfigError, match="Unknown fidelity 'mid'"):
        run(frames, reference_energies={"mid": {"H": 0.0, "C": 0.0, "O": 0.0}})
    with pytest.raises(ConfigError, match="there is none"):
        run(frames, fidelities={"low": {"absent": "base"}, "high": {}})
    strange = toy_structures(1, seed=8, fidelity="high")[0]
    strange.atoms.numbers[0] = 16
    with pytest.raises(DataError, match=r"\bS\b"):
        run([*frames, strange], tiny_potential)


def test_closing_readout_is_the_readout_fit_of_the_trained_model_and_leaves_the_others(
    tiny_potential: ReadoutPotential,
) -> None:
    frames = two_levels(10, 8)
    trained = run(frames, tiny_potential)
    closed = run(frames, tiny_potential, closing_readout={})
    lift = lift_of(frames, trained.potential, source="high")
    alone = fit_readout(lift, ReadoutSettings(), Context(dtype="float64"))
    assert closed.potential.fingerprint == alone.potential.fingerprint
    low, before = closed.potential.surface("low"), trained.potential.surface("low")
    assert low.reference == before.reference
    np.testing.assert_array_equal(low.readout.weights, before.readout.weights)
    assert closed.posterior is not None and trained.posterior is None
    assert closed.diagnostics["log_evidence"] == alone.diagnostics["log_evidence"]
    assert closed.details.epochs == alone.details.with_tables(closed.details).epochs


def test_closing_readout_lifts_what_the_low_labels_alone_trained(tiny_potential: ReadoutPotential) -> None:
    """Without the target among the fidelities it is ``scratch`` on the cheap level, then ``readout``."""
    frames = two_levels(10, 8)
    chosen = {"fidelities": {"low": {}}}
    offset = run(frames, tiny_potential, **chosen)
    closed = run(frames, tiny_potential, closing_readout={}, **chosen)
    alone = fit_readout(lift_of(frames, offset.potential, source="high"), ReadoutSettings(), Context(dtype="float64"))
    assert closed.potential.fingerprint == alone.potential.fingerprint
    assert any("gave it reference energies" in sentence for sentence in closed.warnings)


def test_opening_readout_is_where_the_target_s_training_starts(tiny_potential: ReadoutPotential) -> None:
    """Without a step the target has the weights of the closed-form fit, and the base's fidelity is the base."""
    frames = two_levels(10, 8)
    still = {"epochs": 0, "valid_fraction": 0.0}
    opened = run(frames, tiny_potential, training=still, opening_readout={})
    alone = fit_readout(lift_of(frames, tiny_potential), ReadoutSettings(), Context(dtype="float64"))
    expected, weights = (one.potential.surface("high").readout.weights for one in (alone, opened))
    np.testing.assert_allclose(weights, expected, rtol=0.0, atol=1e-12)
    assert np.abs(weights - tiny_potential.surface("low").readout.weights).max() > 1e-3
    np.testing.assert_allclose(
        energies(opened.potential, frames, "low"), energies(tiny_potential, frames, "low"), rtol=0.0, atol=1e-10
    )
    labels = np.array([item.labels["high"].energy for item in frames[:8]])
    size = composition_matrix(frames[:8], ELEMENTS).sum(axis=1)
    rmse = [
        np.sqrt(np.mean(((energies(one.potential, frames[:8], "high") - labels) / size) ** 2))
        for one in (alone, opened)
    ]
    assert rmse[1] <= rmse[0] + 1e-12  # its E0 are fitted once more at the end, as those of a new fidelity are


def test_opening_readout_without_a_base_is_refused() -> None:
    with pytest.raises(ConfigError, match="opening_readout fits the features of a base"):
        run(two_levels(10, 8), opening_readout={})
