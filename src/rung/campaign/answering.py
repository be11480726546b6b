"""Answer the questions of a campaign with one fit: a value, its bar, and whether the bar holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from rung.calculator import RungCalculator
from rung.campaign.questions import (
    UNITS,
    BarrierQuestion,
    MixingQuestion,
    PoolQuestion,
    Question,
    SumQuestion,
)
from rung.data.labels import Array
from rung.data.readers.structures import read_structures
from rung.data.splits import evenly_spread
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.errors import ConfigError, DataError, counted
from rung.model.standing import NOT_KEPT, Standing
from rung.progress import SILENT, Progress
from rung.results.barrier_task import TaskBarrier
from rung.results.base import DomainWord
from rung.results.campaign import Answer, AnswerPart
from rung.select.questions import Question as Quantities
from rung.select.questions import difference_asked, energies_asked, forces_asked
from rung.tasks.barrier import BAND, BarrierTask, find_barriers
from rung.tasks.domain import standing_of
from rung.tasks.opened import Opened
from rung.tasks.selection import ENERGIES, FORCES, coefficients_of

OUTSIDE_SHARE = 0.05
"""The share of a pool that may be outside the domain while the pool counts as inside: so many of the training
structures themselves are beyond the leverage of the others."""

SAME_COMPOSITION = 1e-6
"""Atoms by which a sum of ends may miss a composition."""


@dataclass(frozen=True)
class Answered:
    """An answer, and what the choice of labels needs of it.

    Parameters
    ----------
    answer
        What the fit says.
    quantities
        What labels are to make sure.
    proposals
        Structures that may be labelled beside the pool.
    """

    answer: Answer
    quantities: Quantities
    proposals: tuple[Structure, ...] = ()


def answered(
    name: str, question: Question, potential: Opened, folder: Path, *, tag: str, progress: Progress = SILENT
) -> Answered:
    """Answer one question.

    Parameters
    ----------
    name
        What the question is called.
    question
        Its settings.
    potential
        The fit, with error bars.
    folder
        Where a band is kept.
    tag
        Goes into the names of structures that are proposed.
    progress
        Where work is reported.

    Raises
    ------
    ConfigError
        When the fit left no error bars.
    DataError
        When a file of the question cannot be used.
    """
    calculator = bars_of(potential)
    if isinstance(question, BarrierQuestion):
        return _barrier(name, question, potential, folder, tag, progress)
    if isinstance(question, PoolQuestion):
        return _pool(name, question, potential, calculator)
    structures, coefficients, names = _terms(question)
    quantities = Quantities(name, UNITS[question.kind], structures, coefficients)
    return _combined(name, question, quantities, names, potential, calculator)


def bars_of(potential: Opened) -> RungCalculator:
    """Return the calculator that knows the error bars of a potential; raise where there are none."""
    if potential.error_bars is None:
        raise ConfigError(
            f"{potential.source} has no error bars at {potential.fidelity}, so nothing says when an answer is sure; "
            "fit with the method readout, tangent or auto."
        )
    return potential.error_bars.calculator


def require_questions(questions: dict[str, Question]) -> None:
    """Raise a :class:`DataError` where a file of a question cannot be used, before anything is computed."""
    for question in questions.values():
        if isinstance(question, PoolQuestion):
            read_structures(question.structures)
        elif not isinstance(question, BarrierQuestion):
            _terms(question)


def _barrier(
    name: str, question: BarrierQuestion, potential: Opened, folder: Path, tag: str, progress: Progress
) -> Answered:
    task = BarrierTask(
        initial=question.initial,
        final=question.final,
        images=question.images,
        band=question.band,
        guess=question.guess,
        draws=question.draws,
        check_saddle=False,
    )
    fidelity = potential.fidelity
    (panel,) = find_barriers({fidelity: potential}, task, folder, progress=progress)
    (entry,) = panel.barriers
    images = [
        replace(image, structure_id=f"{name}-{tag}-image-{index:02d}", labels={}, info={})
        for index, image in enumerate(read_structures(folder / fidelity / BAND))
    ]
    total, weights, note = entry.stderr_total, entry.stderr, ""
    energies = panel.curves[0].energies
    top = int(np.argmax(energies))
    if top == 0:  # a barrier of nothing has no error bar of its own: that of the band stands for it
        top = 1 + int(np.argmax(energies[1:]))
        total, weights = (
            max(bars or (float("nan"),)) for bars in (panel.curves[0].stderr_total, panel.curves[0].stderr)
        )
        note = " The first image is the highest; the largest bar along the band counts."
    return Answered(
        Answer(
            name=name,
            kind=question.kind,
            unit=UNITS[question.kind],
            value=entry.value,
            bar=total if entry.converged else float("nan"),
            model_error=_own(total, weights),
            domain=entry.domain if entry.converged else "unknown",
            verdict=_said_of(entry) + note,
        ),
        difference_asked(name, images[top], images[0]),
        tuple(images) if question.propose else (),
    )


def _said_of(entry: TaskBarrier) -> str:
    if not entry.converged:
        return f"There is no barrier: {entry.reason}."
    return entry.verdict


def _own(total: float, weights: float) -> float:
    return float(np.sqrt(max(total**2 - weights**2, 0.0))) if np.isfinite(total) else float("nan")


def _terms(question: SumQuestion | MixingQuestion) -> tuple[tuple[Structure, ...], Array, tuple[str, ...]]:
    """Return structures, the coefficients of their energies in each quantity, and what the quantities are called."""
    if isinstance(question, SumQuestion):
        terms = read_structures(question.structures)
        return terms, coefficients_of(question.structures, terms)[None], ("sum",)
    mixed, ends = read_structures(question.structures), read_structures(question.ends)
    elements = elements_in([*mixed, *ends])
    compositions = composition_matrix(ends, elements).T
    if np.linalg.matrix_rank(compositions) < len(ends):
        raise DataError(
            f"{question.ends[0]}: two ends have one composition, or one is a sum of others; give one end of each."
        )
    rows = []
    for index, (one, own) in enumerate(zip(mixed, composition_matrix(mixed, elements), strict=True)):
        shares, rest = nnls(compositions, own)
        if rest > SAME_COMPOSITION * len(one):
            raise DataError(
                f"{question.structures[0]}: {one.structure_id} ({one.formula}) is no sum of the ends "
                f"({', '.join(end.formula for end in ends)}); add the end that is missing."
            )
        row = np.concatenate([np.zeros(len(mixed)), -shares]) / len(one)
        row[index] = 1.0 / len(one)
        rows.append(row)
    return (*mixed, *ends), np.array(rows), tuple(one.structure_id for one in mixed)


def _combined(
    name: str,
    question: SumQuestion | MixingQuestion,
    quantities: Quantities,
    names: Sequence[str],
    potential: Opened,
    calculator: RungCalculator,
) -> Answered:
    structures = quantities.structures
    energies = np.array([calculator.get_potential_energy(one.atoms) for one in structures])
    values = quantities.coefficients @ energies
    joint = calculator.errors.joint(structures, ())
    variances = [joint.combination_variance(row.tolist()) for row in quantities.coefficients]
    bars = np.sqrt([one.total for one in variances])
    worst = int(np.argmax(bars))
    domain, verdict = _said(standing_of(potential, {one.structure_id: one.atoms for one in structures}))
    if not np.isfinite(bars[worst]):
        verdict = f"No label identifies {names[worst]}: label structures of other compositions. {verdict}"
    several = len(names) > 1
    return Answered(
        Answer(
            name=name,
            kind=question.kind,
            unit=quantities.unit,
            value=float("nan") if several else float(values[0]),
            bar=float(bars[worst]),
            model_error=_own(float(bars[worst]), float(np.sqrt(variances[worst].weights))),
            domain=domain,
            verdict=verdict,
            parts=tuple(
                AnswerPart(name=part, value=float(value), bar=float(bar))
                for part, value, bar in zip(names, values, bars, strict=True)
            )
            if several
            else (),
        ),
        quantities,
        tuple(replace(one, labels={}, info={}) for one in structures) if question.propose else (),
    )


def _pool(name: str, question: PoolQuestion, potential: Opened, calculator: RungCalculator) -> Answered:
    everything = read_structures(question.structures)
    energies = question.kind == "energies"
    chosen = evenly_spread(range(len(everything)), ENERGIES if energies else FORCES)
    structures = [everything[k] for k in chosen]
    totals, weights = _pool_bars(structures, calculator, energies=energies)
    bar, own = (float(np.sqrt(np.mean(one))) for one in (totals, totals - weights))
    standing = standing_of(potential, {one.structure_id: one.atoms for one in structures})
    domain, verdict = _said(standing, OUTSIDE_SHARE)
    if not np.isfinite(bar):
        verdict = f"No label identifies the energies of some compositions. {verdict}"
    quantities = energies_asked(structures) if energies else forces_asked(structures)
    return Answered(
        Answer(
            name=name,
            kind=question.kind,
            unit=UNITS[question.kind],
            value=float("nan"),
            bar=bar,
            model_error=own,
            domain=domain,
            verdict=verdict,
        ),
        replace(quantities, name=name),
    )


def _pool_bars(structures: Sequence[Structure], calculator: RungCalculator, *, energies: bool) -> tuple[Array, Array]:
    """Return variances of energies per atom, or of components of forces: total, and of the weights alone."""
    if energies:
        joint = calculator.errors.joint(structures, ())
        found = []
        for row in np.diag([1.0 / len(one) for one in structures]):
            variance = joint.combination_variance(row.tolist())
            found.append((variance.total, variance.weights))
        totals, weights = np.array(found).T
        return totals, weights
    # no energy tells of the rough part of a force's error, so the joint covariance leaves it out: the bar may not
    both = [
        np.concatenate([calculator.errors.forces_stderr(one, model_error=whole).ravel() for one in structures])
        for whole in (True, False)
    ]
    return both[0] ** 2, both[1] ** 2


def _said(standing: Standing, share: float = 0.0) -> tuple[DomainWord, str]:
    """Return whether structures are inside the domain, of which this share may be outside, and why."""
    count, away = len(standing.places), len(standing.outside)
    if not count:
        return "unknown", f"It is unknown whether the structures are inside the domain: {NOT_KEPT}"
    if away > share * count:
        reasons = "; ".join(standing.reasons[:2])
        return "outside", (
            f"Outside the domain: {away} of {counted(count, 'structure')} ({reasons}). No error bar holds there."
        )
    beside = f", {away} beyond it" if away else ""
    return "inside", f"Inside the domain: {count - away} of {counted(count, 'structure')}{beside}. Quote the bar."
