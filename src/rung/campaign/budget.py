"""What a campaign has spent, and what a round may still spend."""

from collections.abc import Sequence
from dataclasses import dataclass

from rung.campaign.config import BudgetSettings
from rung.campaign.folder import FinishedRound

HOUR = 3600.0


@dataclass(frozen=True)
class Spent:
    """What rounds spent.

    Parameters
    ----------
    labels
        Labels that came.
    cost
        Of them, in labels of mean size with the largest error offered.
    cpu_seconds
        Processor time of all that was computed, s.
    """

    labels: int
    cost: float
    cpu_seconds: float

    @classmethod
    def of(cls, rounds: Sequence[FinishedRound]) -> "Spent":
        """Return what rounds spent together."""
        return cls(
            sum(len(one.made) for one in rounds),
            sum(one.cost for one in rounds),
            sum(one.cpu_seconds for one in rounds),
        )

    def by_kind(self) -> dict[str, float]:
        """Return it under the names of the budget."""
        return {"labels": float(self.labels), "cost": self.cost, "cpu_hours": self.cpu_seconds / HOUR}

    def left(self, budget: BudgetSettings, batch: float) -> "Left":
        """Return what a round may spend, whose own labels may cost ``batch``."""
        number = None if budget.labels is None else max(budget.labels - self.labels, 0)
        costs = [batch]
        if budget.cost is not None:
            costs.append(budget.cost - self.cost)
        if budget.cpu_hours is not None:
            hours = budget.cpu_hours - self.cpu_seconds / HOUR
            # before the first label nobody knows what one takes
            each = self.cpu_seconds / HOUR / self.cost if self.cost else 0.0
            costs.append(hours / each if each else (batch if hours > 0 else 0.0))
        return Left(number, max(min(costs), 0.0))


@dataclass(frozen=True)
class Left:
    """What a round may spend.

    Parameters
    ----------
    labels
        How many labels; None where they are not counted.
    cost
        What they may cost.
    """

    labels: int | None
    cost: float

    def allows(self, cheapest: float) -> bool:
        """Return whether it allows one label of this cost."""
        return self.labels != 0 and self.cost * (1 + 1e-9) >= cheapest


def allowed(budget: BudgetSettings) -> dict[str, float]:
    """Return what may be spent, by what is counted."""
    return {name: float(value) for name, value in budget.model_dump().items() if value is not None}
