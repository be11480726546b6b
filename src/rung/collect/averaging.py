"""From the outputs of one structure to one energy: twists averaged, runs joined, corrections added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from rung.collect.corrections import ColumnDifference
from rung.collect.finding import Candidate
from rung.collect.forces import OF_THE_TRIAL, mean_force
from rung.collect.output import Mean, Output, Series, Total
from rung.collect.readers.reader import RunName
from rung.collect.statistics import Estimate, combined, estimate
from rung.data.labels import Array
from rung.errors import DataError, counted, one_of
from rung.results.collected import CollectedLabel, CollectedRun

FARTHEST_APART = 4.0
"""Standard errors by which one of several joined runs may be off their mean."""


@dataclass(frozen=True)
class Averaging:
    """How outputs become one energy.

    Parameters
    ----------
    equilibration
        Rows to leave out of each series; None leaves out what is not in equilibrium.
    twist_weights
        In the order of the twists; empty weighs them alike.
    join
        Whether several runs of one structure are independent runs of one thing.
    columns
        Corrections that each row of a series holds.
    constants
        Corrections of the cell that is labelled, by name, eV.
    level
        Which energy of a deterministic calculation is meant; None where each holds one.
    stderr
        Of a deterministic energy, eV; NaN where nobody said.
    """

    equilibration: int | None = None
    twist_weights: tuple[float, ...] = ()
    join: bool = False
    columns: tuple[ColumnDifference, ...] = ()
    constants: Mapping[str, float] | None = None
    level: str | None = None
    stderr: float = float("nan")


@dataclass(frozen=True)
class ReadOutput:
    """An output that was read.

    Parameters
    ----------
    candidate
        The file.
    content
        What it holds.
    twist_weight
        The weight of its twist where a table gives one.
    """

    candidate: Candidate
    content: Output
    twist_weight: float | None = None


@dataclass(frozen=True)
class _Run:
    """One output with its mean, and its part in the label."""

    output: ReadOutput
    mean: Estimate
    added: Mapping[str, float]
    share: float = 1.0


def average(name: str, structure_id: str, outputs: Sequence[ReadOutput], how: Averaging, cells: int) -> CollectedLabel:
    """Return the energy of one structure.

    Parameters
    ----------
    name
        What the outputs are called together.
    structure_id
        The structure; empty where there is none.
    outputs
        At least one.
    how
        How they become one energy.
    cells
        How many times the simulation cell holds the cell that is labelled.

    Raises
    ------
    DataError
        When they are several runs that nobody said are one, twists are missing, or no error can be told.
    """
    ordered = sorted(outputs, key=lambda one: _order(one.candidate.name))
    calculations = [list(group) for _, group in groupby(ordered, key=lambda one: _calculation(one.candidate.name))]
    if len(calculations) > 1 and not how.join:
        raise DataError(
            f"{name} has {len(calculations)} runs ({_listed(calculations)}); name one by --series or its file, or add "
            "--join where they are independent runs of one thing."
        )
    if len(outputs) > 1 and any(isinstance(output.content, Total) for output in outputs):
        names = _listed(calculations)
        raise DataError(f"{name} has {len(outputs)} outputs ({names}), not all of them series; name one.")
    parts = [_twist_average(name, calculation, how) for calculation in calculations]
    shares = _shares(parts)
    runs = [
        _Run(run.output, run.mean, run.added, run.share * float(share))
        for part, share in zip(parts, shares, strict=True)
        for run in part
    ]
    mean, stderr = combined([run.mean for run in runs], [run.share for run in runs])
    warnings = [f"{run.output.candidate.path.name}: {text}" for run in runs for text in _warnings(run)]
    if len(parts) > 1:
        warnings += _apart(parts)
    forces, forces_stderr, said = _forces(runs, cells)
    warnings += said
    added = {
        column.name: sum(run.share * run.added[column.name] for run in runs) / cells for column in how.columns
    } | dict(how.constants or {})
    return CollectedLabel(
        structure_id=structure_id,
        name=name,
        energy=mean / cells + sum((how.constants or {}).values()),
        energy_stderr=stderr / cells,
        independent=min(run.mean.independent for run in runs),
        cells=cells,
        corrections=added,
        runs=tuple(_entry(run) for run in runs),
        warnings=tuple(warnings),
        forces=forces,
        forces_stderr=forces_stderr,
    )


Rows = tuple[tuple[float, ...], ...]


def _forces(runs: Sequence[_Run], cells: int) -> tuple[Rows, Rows, list[str]]:
    """Return forces and errors of one structure as rows, and what is to be said of them; none where a run has none."""
    found = []
    for run in runs:
        content = run.output.content
        if not isinstance(content, Series) or content.forces is None:
            return (), (), []
        found.append((run.share, *mean_force(content.forces, content.energies, run.mean.equilibration)))
    if cells > 1:
        return (), (), ["its forces are left out: they are of a cell that holds the structure several times"]
    force = np.sum([share * mean for share, mean, _ in found], axis=0)
    error = np.sqrt(np.sum([(share * stderr) ** 2 for share, _, stderr in found], axis=0))
    methods = {run.output.content.method for run in runs}
    return _as_rows(force), _as_rows(error), [] if methods == {"VMC"} else [OF_THE_TRIAL]


def _as_rows(values: Array) -> Rows:
    return tuple(tuple(row) for row in values.tolist())


def _shares(parts: Sequence[Sequence[_Run]]) -> Array:
    """Return the share of each of several runs: by independent samples, or by errors where one does not tell these."""
    weights = np.array([sum(run.mean.independent for run in part) for part in parts])
    if len(parts) == 1:
        return np.ones(1)
    if not np.isfinite(weights).all():
        weights = np.array(
            [combined([run.mean for run in part], [run.share for run in part])[1] ** -2 for part in parts]
        )
    return weights / weights.sum()


def _calculation(name: RunName) -> tuple[str, str, int]:
    return str(name.folder), name.prefix, -1 if name.series is None else name.series


def _order(name: RunName) -> tuple[tuple[str, str, int], int]:
    return _calculation(name), -1 if name.twist is None else name.twist


def _listed(calculations: Sequence[Sequence[ReadOutput]]) -> str:
    paths = [calculation[0].candidate.path for calculation in calculations]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):  # programs that call every output alike, such as vasprun.xml
        names = [str(path) for path in paths]
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown


def _twist_average(name: str, outputs: Sequence[ReadOutput], how: Averaging) -> list[_Run]:
    """Return the runs of one calculation, each with its share of the average over twists."""
    weights = _twist_weights(name, outputs, how.twist_weights)
    runs = []
    for output, weight in zip(outputs, weights, strict=True):
        mean, added = _mean_of(output.content, how)
        runs.append(_Run(output, mean, added, weight))
    return runs


def _mean_of(content: Output, how: Averaging) -> tuple[Estimate, dict[str, float]]:
    """Return the mean of an output with its error, and what corrections by columns added to it."""
    if not isinstance(content, Series):
        if how.columns:
            raise DataError(f"{content.source} holds no series, so {how.columns[0].name} cannot be added.")
        if isinstance(content, Mean):
            return _alone(content.energy, content.stderr, content.rows), {}
        return _alone(content.energies[level_of(content, how.level)], how.stderr, 1), {}
    begin = content.equilibration
    added = {column.name: column.rows(content)[begin:] for column in how.columns}
    energies = content.energies[begin:] + sum(added.values(), np.zeros(len(content) - begin))
    mean = estimate(content.source, energies, content.weights[begin:], equilibration=how.equilibration)
    kept = content.weights[begin + mean.equilibration :]
    means = {key: float(rows[mean.equilibration :] @ kept / kept.sum()) for key, rows in added.items()}
    whole = replace(mean, rows=len(content), equilibration=begin + mean.equilibration, detected=begin + mean.detected)
    return whole, means


def level_of(total: Total, level: str | None) -> str:
    """Return which energy of a calculation is meant; raise a :class:`DataError` where it has none such, or several."""
    if level is None and len(total.energies) == 1:
        return next(iter(total.energies))
    if level is None:
        raise DataError(f"{total.source} holds energies of several levels ({total.method}); name one by --level.")
    if level not in total.energies:
        raise DataError(f"{total.source}: {one_of(level, total.energies, 'level')}")
    return level


def _alone(energy: float, stderr: float, rows: int) -> Estimate:
    """Return an energy without a series."""
    unknown = float("nan")
    return Estimate(energy, stderr, rows, 0, 0, unknown, unknown)


def _twist_weights(name: str, outputs: Sequence[ReadOutput], weights: Sequence[float]) -> list[float]:
    """Return the share of each twist; raise a :class:`DataError` where twists or their weights are missing."""
    twists = [output.candidate.name.twist for output in outputs]
    if len(outputs) > 1 or twists[0] is not None:
        numbers = [-1 if twist is None else twist for twist in twists]
        if len(set(numbers)) < len(numbers):
            files = ", ".join(output.candidate.path.name for output in outputs)
            raise DataError(f"{name} has one run in several files ({files}); name one of them.")
        missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
        if missing:
            raise DataError(f"{name}: twist {missing[0]} is missing of {max(numbers) + 1}, so no average is made.")
    by_table = [output.twist_weight for output in outputs]
    chosen = [1.0 if weight is None else weight for weight in by_table]
    if weights and len(outputs) != len(weights):
        raise DataError(
            f"{name} has {counted(len(outputs), 'twist')}, and --twist-weights gives {counted(len(weights), 'weight')}."
        )
    if weights:
        chosen = list(weights)
    elif None in by_table and any(weight is not None for weight in by_table):
        raise DataError(f"{name}: the table weighs some of its twists and not others; give all a weight, or none.")
    if min(chosen) < 0 or sum(chosen) <= 0:
        raise DataError(f"{name}: weights of twists are zero or more, and not all zero.")
    return [weight / sum(chosen) for weight in chosen]


def _warnings(run: _Run) -> list[str]:
    return [*run.output.content.notes, *run.mean.warnings]


def _apart(parts: Sequence[Sequence[_Run]]) -> list[str]:
    """Return a warning where one of several joined runs is far off the others."""
    means = [combined([run.mean for run in part], [run.share for run in part]) for part in parts]
    values, errors = np.array(means).T
    centre = float(np.sum(values / errors**2) / np.sum(errors**-2))
    worst = int(np.argmax(np.abs(values - centre) / errors))
    apart = abs(values[worst] - centre) / errors[worst]
    if apart <= FARTHEST_APART:
        return []
    file = parts[worst][0].output.candidate.path.name
    return [
        f"the joined runs do not agree: {file} is {values[worst] - centre:+.4f} eV off their mean, {apart:.1f} "
        "times its error; do they differ in the time step, or is one not in equilibrium?"
    ]


def _entry(run: _Run) -> CollectedRun:
    candidate, content, mean = run.output.candidate, run.output.content, run.mean
    return CollectedRun(
        file=str(candidate.path),
        hash=candidate.hash,
        program=content.program,
        method=content.method,
        series=candidate.name.series,
        twist=candidate.name.twist,
        share=run.share,
        energy=mean.mean,
        energy_stderr=mean.stderr,
        rows=mean.rows,
        equilibration=mean.equilibration,
        detected=mean.detected,
        inefficiency=mean.inefficiency,
        independent=mean.independent,
    )
