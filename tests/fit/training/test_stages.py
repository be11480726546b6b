"""Schedules and stages: functions of the log."""

import math

import pytest

from rung.errors import ConfigError
from rung.fit.training.schedule import Constant, Cosine, Plateau, UntilFlat
from rung.fit.training.stages import FinalStage, SeveralTraining, TrainingSettings, exhausted, next_stage


def rows(*losses: float, stage: int = 0) -> list[dict[str, float]]:
    return [{"valid_loss": loss, "stage": float(stage)} for loss in losses]


def test_constant_is_one() -> None:
    assert Constant().factor(3.5, 10, [1.0, 2.0]) == 1.0


def test_cosine_rises_then_falls_to_its_final_fraction() -> None:
    cosine = Cosine(warmup=2.0, final=0.1)
    assert cosine.factor(1.0, 10, []) == pytest.approx(0.5)
    assert cosine.factor(2.0, 10, []) == 1.0
    assert cosine.factor(6.0, 10, []) == pytest.approx(0.1 + 0.9 / 2)
    assert cosine.factor(10.0, 10, []) == pytest.approx(0.1)
    assert 0 < cosine.factor(0.0, 10, []) < 0.02


def test_plateau_steps_down_after_patience_and_starts_to_wait_again() -> None:
    plateau = Plateau(shrink=0.5, patience=2, least=0.1)
    losses = [5.0, 4.0, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5]
    factors = [plateau.factor(0.0, 0, losses[:count]) for count in range(len(losses) + 1)]
    assert factors == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]
    assert plateau.factor(0.0, 0, [1.0] * 100) == 0.1


def test_a_better_loss_ends_the_wait() -> None:
    assert Plateau(patience=1).factor(0.0, 0, [3.0, 4.0, 2.0, 2.5]) == 1.0


def test_exhausted_needs_patience_losses_without_a_better_one() -> None:
    assert not exhausted([3.0, 4.0], patience=2)
    assert exhausted([3.0, 4.0, 3.0], patience=2)
    assert not exhausted([3.0, 4.0, 2.9], patience=2)


def test_training_ends_by_epochs_or_patience() -> None:
    settings, longer = TrainingSettings(epochs=3, patience=2), TrainingSettings(epochs=30, patience=2)
    stage = next_stage(settings, [])
    assert stage is not None
    assert stage.finished(settings, rows(3.0, 2.0)) == ""
    assert "epochs" in stage.finished(settings, rows(3.0, 2.0, 1.0))
    assert "no better" in next_stage(longer, []).finished(longer, rows(1.0, 2.0, 3.0))
    assert next_stage(TrainingSettings(epochs=0), []) is None


def test_final_stage_follows_the_first_by_length_or_by_patience() -> None:
    settings = TrainingSettings(
        epochs=8, patience=2, final=FinalStage(fraction=0.25, learning_rate=1e-4, energy_weight=7)
    )
    first = next_stage(settings, rows(5.0, 4.0))
    assert (first.index, first.epochs, first.loss.energy_weight) == (0, 6, settings.loss.energy_weight)
    for log in (rows(6.0, 5.0, 4.0, 3.0, 2.0, 1.0), rows(1.0, 2.0, 3.0)):
        assert first.finished(settings, log) == ""
        final = next_stage(settings, log)
        assert (final.index, final.epochs, final.loss.energy_weight) == (1, 2, 7.0)
        assert final.loss.forces_weight == settings.loss.forces_weight
        assert final.learning_rate(settings, log, 0.0) == 1e-4
    done = rows(1.0, 2.0, 3.0) + rows(9.0, 8.0, stage=1)
    assert final.finished(settings, done) != ""


def test_the_schedule_starts_afresh_in_the_final_stage() -> None:
    settings = TrainingSettings(epochs=8, schedule=Cosine(warmup=0.0, final=0.0), final=FinalStage(fraction=0.5))
    log = rows(4.0, 3.0, 2.0, 1.0) + rows(5.0, 4.0, stage=1)
    final = next_stage(settings, log)
    expected = 0.5 * (1 + math.cos(math.pi * 2.5 / 4))
    assert final.learning_rate(settings, log, 0.5) == pytest.approx(1e-3 * expected)


def test_settings_say_which_schedule_there_is() -> None:
    with pytest.raises(ConfigError, match="plateau"):
        TrainingSettings.read({"schedule": {"name": "platau"}})
    assert TrainingSettings.read({"schedule": {"name": "cosine", "final": 0.2}}).schedule == Cosine(final=0.2)


def test_until_flat_steps_down_where_the_loss_is_flat_and_ends_after_the_last_step() -> None:
    schedule = UntilFlat(shrink=0.5, steps=2, patience=2, gain=0.1, warmup=0.0)
    losses = [10.0, 8.0, 7.9, 7.8, 5.0, 4.9, 4.9, 4.9]
    factors = [schedule.factor(float(number), 100, losses[:number]) for number in range(1, 9)]
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert not schedule.ended(losses)
    assert "flat after 2 smaller" in schedule.ended([*losses, 4.8])
    settings = TrainingSettings(epochs=1000, schedule=schedule)
    stage = next_stage(settings, rows(*losses))
    assert stage is not None and not stage.finished(settings, rows(*losses))
    assert "is flat" in stage.finished(settings, rows(*losses, 4.8))


def test_until_flat_counts_small_gains_together_and_knows_nothing_without_validation() -> None:
    schedule = UntilFlat(patience=3, gain=0.1, steps=0)
    assert not schedule.ended([10.0, 9.6, 9.2, 8.8, 8.4, 8.0])  # 4 % each, 10 % in three
    assert schedule.ended([10.0, 9.9, 9.8, 9.7])
    assert not schedule.ended([math.nan] * 50)


@pytest.mark.parametrize(
    ("epochs", "patience", "expected"),
    [
        (12, 3, [0] * 6 + [1] * 3 + [2] * 3),
        (8, 15, [0] * 4 + [1] * 2 + [2] * 2),  # half of the epochs at most
        (2, 15, [1, 2]),
    ],
)
def test_until_flat_ends_with_small_steps_where_the_cap_comes_first(
    epochs: int, patience: int, expected: list[int]
) -> None:
    schedule = UntilFlat(shrink=0.5, steps=2, patience=patience, warmup=0.0)
    losses = [10.0 * 0.5**number for number in range(epochs)]  # never flat
    factors = [schedule.factor(float(number), epochs, losses[:number]) for number in range(epochs)]
    assert factors == [0.5**times for times in expected]


def test_until_flat_ends_the_first_of_two_stages_alone() -> None:
    schedule = UntilFlat(patience=2, steps=0)
    settings = TrainingSettings(epochs=100, schedule=schedule, final=FinalStage(fraction=0.5))
    stage = next_stage(settings, rows(1.0, 1.0, 1.0))
    assert stage is not None and stage.index == 1 and stage.epochs == 50


def test_no_other_schedule_ends_a_training() -> None:
    for schedule in (Constant(), Plateau(), Cosine()):
        assert schedule.ended([1.0] * 500) == ""


def test_a_new_model_takes_ten_times_larger_steps_than_a_base_unless_the_user_says() -> None:
    assert TrainingSettings().starting(new=True).rate == 0.01
    assert TrainingSettings().starting(new=False).rate == 0.001
    assert SeveralTraining().starting(new=True).rate == 0.01
    for new in (True, False):
        assert TrainingSettings(learning_rate=0.3).starting(new=new).rate == 0.3
    assert TrainingSettings().rate == 0.01  # where nobody says what it starts from
