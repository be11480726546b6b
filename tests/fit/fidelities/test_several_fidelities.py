"""The trainer on rows of several fidelities: it resumes to the bit, and says of each what it learnt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.data.stream import PackedRows, pack
from rung.errors import ConfigError, FitError
from rung.fit.training.decay import DecayToStart
from rung.fit.training.loss import LossSettings, LossSums, loss_sums, nothing, total
from rung.fit.training.sampling import Balanced, Proportional
from rung.fit.training.schedule import Constant
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import Trained, train
from rung.model.reference import ReferenceEnergies
from tests.fit.toy_model import CUTOFF, ToyJoint
from tests.fit.toy_surface import REFERENCE, toy_structures
from tests.fit.training.test_trainer import Stop, StoppingProgress, weights

NAMES = ("high", "low")
PLAIN = {"schedule": Constant(), "checkpoint_seconds": 0.0}


def model_of() -> ToyJoint:
    return ToyJoint({name: ReferenceEnergies(REFERENCE) for name in NAMES})


def rows_of(high: int, low: int, seed: int = 0) -> PackedRows:
    few = toy_structures(high, seed + 1, forces=False, fidelity="high", depth=1.3)
    many = toy_structures(low, seed)
    return pack([*few, *many], ["high"] * high + ["low"] * low, CUTOFF, names=NAMES)


def run(model: ToyJoint, settings: TrainingSettings, **options: object) -> Trained:
    arguments = {"rows": rows_of(3, 7), "valid": rows_of(2, 3, seed=9), "target": "high", **options}
    rows, valid = arguments.pop("rows"), arguments.pop("valid")
    return train(model, rows, valid, settings, seed=5, dtype=torch.float64, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("stopped_after", [2, 5])
def test_resumed_equals_uninterrupted(tmp_path: Path, stopped_after: int) -> None:
    settings = TrainingSettings(
        epochs=3, batch_size=5, sampling=Balanced(), decay_to_start=DecayToStart(strength=3.0), checkpoint_seconds=0.0
    )
    whole, broken, resumed = model_of(), model_of(), model_of()
    done = run(whole, settings)
    with pytest.raises(Stop):
        run(broken, settings, folder=tmp_path, progress=StoppingProgress(stopped_after))
    again = run(resumed, settings, folder=tmp_path)
    assert torch.equal(weights(whole), weights(resumed))
    for one, two in zip(done.log, again.log, strict=True):
        assert {**one, "seconds": 0.0} == {**two, "seconds": 0.0}


def test_another_target_is_another_training(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=1, **PLAIN)
    run(model_of(), settings, folder=tmp_path)
    with pytest.raises(FitError, match="other data, settings"):
        run(model_of(), settings, folder=tmp_path, target="low")


@pytest.mark.parametrize("sampling", [Proportional(), Balanced()])
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("labelled", [0, 1, 6])
def test_batches_of_an_epoch_add_up_to_the_loss_of_all_rows(
    sampling: Proportional | Balanced, batch_size: int, labelled: int
) -> None:
    """A fidelity, or forces, that stand in few batches count as much as those that stand in all of them."""
    rows = rows_of(2, 9)
    known = np.repeat(np.arange(len(rows)) < labelled, rows.n_atoms)
    rows = replace(rows, forces=np.where(known[:, None], rows.forces, np.nan))
    settings, model = LossSettings(fidelity_weights={"high": 0.7}), model_of().eval()
    counts = np.bincount(rows.fidelity)
    shares = sampling.shares(counts)
    mean, drawn, seen = 0.0, 0, nothing(NAMES)
    for epoch in range(4):
        for chosen in sampling.batches(rows.fidelity, batch_size, 0, epoch):
            batch = rows.batch(chosen)
            sums = loss_sums(model(batch, forces=True), batch, settings)
            expected = torch.as_tensor(len(chosen) * shares[:, None] * rows.label_counts / counts[:, None])
            mean += len(chosen) * total(sums, settings, expected).item()
            drawn += len(chosen)
            seen = seen + LossSums(NAMES, sums.sums.detach(), sums.counts)
    assert mean / drawn == pytest.approx(total(seen, settings).item(), rel=1e-12)


def test_the_log_tells_of_each_fidelity_what_a_model_says(tmp_path: Path) -> None:
    model, valid = model_of(), rows_of(2, 3, seed=9)
    settings = TrainingSettings(epochs=1, average_decay=0.0, **PLAIN)
    done = run(model, settings, valid=valid, folder=tmp_path)
    batch = valid.batch(np.arange(5))
    found = model(batch, forces=True)
    per_atom = (found.energy - batch.energy) / batch.n_atoms
    forces = (found.forces - batch.forces)[(batch.fidelity == 1)[batch.atom_row]]
    row = done.log[0]
    energy = [per_atom[batch.fidelity == index].square().mean() for index in (0, 1)]
    assert row["high_energy_rmse"] == row["energy_rmse"] == pytest.approx(1000 * energy[0].sqrt().item(), rel=1e-12)
    assert row["low_energy_rmse"] == pytest.approx(1000 * energy[1].sqrt().item(), rel=1e-12)
    assert row["low_force_rmse"] == pytest.approx(1000 * forces.square().mean().sqrt().item(), rel=1e-12)
    assert "high_force_rmse" not in row
    assert row["valid_loss"] == row["high_valid_loss"] == pytest.approx(10.0 * energy[0].item(), rel=1e-12)
    expected = 10.0 * energy[1] + 100.0 * forces.square().mean()
    assert row["low_valid_loss"] == pytest.approx(expected.item(), rel=1e-12)
    columns = (tmp_path / "epochs.csv").read_text().splitlines()[0].split(",")
    assert columns[:2] == ["epoch", "stage"]
    assert columns[-1] == "seconds"
    assert {"high_valid_loss", "low_energy_rmse", "low_force_rmse"} <= set(columns)


def test_the_best_epoch_is_the_target_s_or_that_of_the_sum() -> None:
    weights_of = {"high": 1.0, "low": 5.0}
    for best_by in ("target", "total"):
        settings = TrainingSettings(
            epochs=12, batch_size=5, learning_rate=0.2, best_by=best_by, average_decay=0.0,
            loss=LossSettings(fidelity_weights=weights_of), **PLAIN,
        )  # fmt: skip
        done = run(model_of(), settings)
        sums = [1.0 * row["high_valid_loss"] + 5.0 * row["low_valid_loss"] for row in done.log]
        judged = sums if best_by == "total" else [row["high_valid_loss"] for row in done.log]
        assert done.best_epoch == 1 + int(np.argmin(judged))
        assert done.best_loss == pytest.approx(min(judged), rel=1e-12)


def test_without_a_row_of_the_target_to_judge_by_the_last_epoch_is_kept() -> None:
    settings = TrainingSettings(epochs=3, learning_rate=0.2, **PLAIN)
    done = run(model_of(), settings, valid=rows_of(0, 3, seed=9))
    assert done.best_epoch == 3
    assert done.log[-1]["low_force_rmse"] > 0.0


def test_what_the_settings_do_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown fidelity 'mid'"):
        run(model_of(), TrainingSettings(loss=LossSettings(fidelity_weights={"mid": 1.0})))
    with pytest.raises(ConfigError, match="Unknown fidelity 'mid'"):
        run(model_of(), TrainingSettings(), target="mid")


def test_frozen_weights_stay_to_the_bit_and_the_rest_moves() -> None:
    model = model_of()
    model.inner.requires_grad_(False)
    before = model.inner.detach().clone(), model.outer.detach().clone()
    run(model, TrainingSettings(epochs=2, weight_decay=0.1, **PLAIN))
    assert torch.equal(model.inner, before[0])
    assert not torch.equal(model.outer, before[1])
    model.outer.requires_grad_(False)
    with pytest.raises(FitError, match="all weights are frozen"):
        run(model, TrainingSettings())


def test_infinite_decay_to_the_start_moves_nothing() -> None:
    model, start = model_of(), weights(model_of())
    run(model, TrainingSettings(epochs=2, decay_to_start=DecayToStart(strength=np.inf), **PLAIN))
    assert torch.equal(weights(model), start)


def test_decay_to_the_start_is_its_formula() -> None:
    pulled = torch.tensor([3.0, -1.0], dtype=torch.float64)
    DecayToStart(strength=20.0).apply([pulled], [torch.tensor([1.0, 1.0], dtype=torch.float64)], 0.01)
    torch.testing.assert_close(pulled, torch.tensor([3.0 - 0.2 * 2.0, -1.0 + 0.2 * 2.0], dtype=torch.float64))


def test_no_decay_is_decay_of_no_strength() -> None:
    one, two = model_of(), model_of()
    run(one, TrainingSettings(epochs=2, **PLAIN))
    run(two, TrainingSettings(epochs=2, decay_to_start=DecayToStart(strength=0.0), **PLAIN))
    assert torch.equal(weights(one), weights(two))


@pytest.mark.parametrize("sampling", [Proportional(), Balanced()])
def test_weights_equal_a_loop_written_out_by_hand(sampling: Proportional | Balanced) -> None:
    """The loss per fidelity, its weights, what a batch was expected to hold, and the decay, spelt out."""
    settings = TrainingSettings(
        epochs=2, batch_size=4, average_decay=0.0, clip=None, sampling=sampling,
        loss=LossSettings(fidelity_weights={"high": 3.0}), decay_to_start=DecayToStart(strength=5.0), **PLAIN,
    )  # fmt: skip
    rows, model, other = rows_of(3, 7), model_of(), model_of()
    run(model, settings, rows=rows, valid=None)
    parameters = list(other.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=5e-7, amsgrad=True)
    expected = {"high": 0.5, "low": 0.5} if isinstance(sampling, Balanced) else {"high": 0.3, "low": 0.7}
    other.train()
    for epoch in range(2):
        for chosen in sampling.batches(rows.fidelity, 4, seed=5, epoch=epoch):
            batch = rows.batch(chosen)
            found = other(batch, forces=True)
            loss = torch.zeros((), dtype=torch.float64)
            for index, (name, weight) in enumerate({"high": 3.0, "low": 1.0}.items()):
                mine = batch.fidelity == index
                if not mine.any():
                    continue
                present = int(mine.sum()) / (len(chosen) * expected[name])
                energy = ((found.energy - batch.energy) / batch.n_atoms)[mine].square().mean()
                loss = loss + weight * present * 10.0 * energy
                if name == "low":
                    atoms = mine[batch.atom_row]
                    components = len(chosen) * expected[name] * 3 * rows.n_atoms[rows.fidelity == index].mean()
                    square = (found.forces - batch.forces)[atoms].square().sum()
                    loss = loss + weight * 100.0 * square / components
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for parameter, begun in zip(parameters, start, strict=True):
                    parameter.sub_(0.01 * 5.0 * (parameter - begun))
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-10, atol=1e-12)
