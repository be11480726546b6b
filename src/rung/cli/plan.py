"""What ``rung fit --dry-run`` shows: what would be read, fitted and computed, and what it costs."""

import math

from rung.cli.console import ERR, OUT
from rung.cli.summary import print_summary
from rung.errors import counted
from rung.progress import duration, memory_size
from rung.report.summary import Summary, Table
from rung.results.findings import CensusRow
from rung.results.plan import FitPlan, PlannedDesigns

STATES = {
    "new": "does not exist yet",
    "begun": "was begun: the run would go on there",
    "finished": "holds a finished run: nothing would be done",
}


def print_plan(plan: FitPlan) -> None:
    """Print the plan, its warnings last."""
    print_summary(plan_summary(plan))
    for sentence in plan.warnings:
        ERR.print(f"warning: {sentence}", style="yellow")
    OUT.print("Nothing was written.")


def plan_summary(plan: FitPlan) -> Summary:
    """Return the tables and sentences of a plan."""
    read = Table(
        "Labels that would be read",
        ("split", "fidelity", "structures", "energies", "with σ", "forces", "compositions"),
        [_labels(one) for one in plan.census],
        n_names=2,
    )
    designs = Table(
        "Designs of the frozen backbone",
        ("what", "structures", "entries", "to compute", "time", "MB"),
        [_row(one) for one in plan.designs],
    )
    start = f"from {plan.base}" if plan.base is not None else "from nothing"
    weights = "" if plan.n_fitted is None else f", {plan.n_fitted:,} weights move"
    frozen = "" if plan.n_frozen is None else f", {plan.n_frozen:,} stay frozen"
    cost = [
        f"about {duration(plan.seconds)} on this machine" if math.isfinite(plan.seconds) else "",
        f"{memory_size(plan.memory)} of memory" if math.isfinite(plan.memory) else "",
    ]
    said = ", ".join(part for part in cost if part)
    sentences = (
        f"{plan.run} {STATES[plan.state]}.",
        f"{plan.method} goes {start} to {plan.target} with {counted(plan.n_energies, 'label')}{weights}{frozen}.",
        *([f"Designs and fit take {said}."] if said else []),
        plan.reference_energies,
        *plan.sentences,
    )
    return Summary((read, designs) if plan.designs else (read,), sentences)


def _row(one: PlannedDesigns) -> tuple[str, ...]:
    counts = map(str, (one.n_structures, one.n_entries, one.n_missing))
    return (one.what, *counts, duration(one.seconds), f"{one.stored / 1e6:.0f}")


def _labels(one: CensusRow) -> tuple[str, ...]:
    counts = (one.n_structures, one.n_energies, one.n_stderr, one.n_forces, one.n_formulas)
    return (one.split, one.fidelity, *map(str, counts))
