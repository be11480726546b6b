"""What rounds spent, and what is left of each kind of budget."""

from pathlib import Path

import pytest

from rung.campaign.budget import Left, Spent
from rung.campaign.config import BudgetSettings
from rung.campaign.folder import FinishedRound, RoundFolder
from rung.errors import ConfigError
from rung.results.campaign import MadeLabel, RoundChoice, RoundLabels, Wanted


def round_of(costs: list[float], made: list[bool], seconds: float) -> FinishedRound:
    names = [f"s{k}" for k in range(len(costs))]
    wanted = [
        Wanted(structure_id=name, n_atoms=2, stderr=0.03, cost=cost, reason="")
        for name, cost in zip(names, costs, strict=True)
    ]
    labels = [
        MadeLabel(structure_id=name, made=one, cpu_seconds=seconds) for name, one in zip(names, made, strict=True)
    ]
    choice = RoundChoice(candidates=9, labels=tuple(wanted))
    return FinishedRound(RoundFolder(Path("none"), 0), None, choice, RoundLabels(labels=tuple(labels)))


def test_what_came_counts_and_time_that_failed_counts_too() -> None:
    spent = Spent.of([round_of([1.0, 2.0], [True, False], 36.0), round_of([4.0], [True], 72.0)])
    assert spent == Spent(2, 5.0, 144.0)
    assert spent.by_kind() == {"labels": 2.0, "cost": 5.0, "cpu_hours": 0.04}


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        ({"labels": 5}, Left(3, 4.0)),
        ({"labels": 1}, Left(0, 4.0)),
        ({"cost": 7.5}, Left(None, 2.5)),
        ({"cost": 2.0}, Left(None, 0.0)),
        ({"cpu_hours": 0.06}, Left(None, 2.5)),  # 0.04 h for a cost of 5 so far
        ({"cpu_hours": 10.0, "labels": 3}, Left(1, 4.0)),
    ],
)
def test_what_is_left(budget: dict[str, float], left: Left) -> None:
    found = Spent(2, 5.0, 144.0).left(BudgetSettings.model_validate(budget), 4.0)
    assert found.labels == left.labels
    assert found.cost == pytest.approx(left.cost)
    assert found.allows(1.0) == (left.labels != 0 and left.cost >= 1.0)


def test_before_the_first_label_time_sets_no_limit() -> None:
    assert Spent(0, 0.0, 0.0).left(BudgetSettings(cpu_hours=1.0), 4.0) == Left(None, 4.0)


def test_a_budget_is_needed() -> None:
    with pytest.raises(ConfigError, match="a budget needs labels, cost or cpu_hours"):
        BudgetSettings.read({})
