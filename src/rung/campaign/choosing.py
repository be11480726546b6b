"""What to label next: a start set where there is no fit, then what makes the answers surest for its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.calculator import RungCalculator
from rung.campaign.answering import Answered
from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.progress import SILENT, Progress
from rung.results.campaign import Answer, QuestionOutlook, RoundChoice, Wanted
from rung.select.gaussian import Label
from rung.select.greedy import Offer, farthest_first, greedy
from rung.select.questions import asked, energies_asked
from rung.tasks.selection import ENERGIES, MOST_CANDIDATES, UNIDENTIFIED

START = 6
"""Labels of a start set, where the reference energies need no more."""

BESIDE_REFERENCES = 2
"""Labels of a start set beyond those that settle reference energies: a fit of nothing else has no error bar."""


@dataclass(frozen=True)
class Choice:
    """Structures to label, each with the error that its label should have.

    Parameters
    ----------
    structures
        In the order of their choice.
    record
        The same for people, with the reasons.
    """

    structures: tuple[Structure, ...]
    record: RoundChoice


def start_count(structures: Sequence[Structure], count: int | None) -> int:
    """Return how many labels there must be before a fit: those asked for, or enough for the reference energies."""
    if count is not None:
        return count
    rank = np.linalg.matrix_rank(composition_matrix(structures, elements_in(structures)))
    return max(START, int(rank) + BESIDE_REFERENCES)


def settled(labelled: Sequence[Structure], candidates: Sequence[Structure]) -> bool:
    """Return whether labels settle every combination of reference energies that labels of candidates would."""
    elements = elements_in([*labelled, *candidates])
    known = composition_matrix(labelled, elements)
    both = np.vstack([known, composition_matrix(candidates, elements)])
    return bool(np.linalg.matrix_rank(known) == np.linalg.matrix_rank(both)) if len(labelled) else not candidates


def start_set(
    candidates: Sequence[Structure], labelled: Sequence[Structure], count: int, order: Sequence[int]
) -> list[int]:
    """Return positions of ``count`` candidates in this order, those first that settle a reference energy.

    Parameters
    ----------
    candidates
        Structures that may be labelled.
    labelled
        Those that are.
    count
        How many are wanted; more are taken where the reference energies need them.
    order
        Positions of all candidates, the best first.
    """
    elements = elements_in([*labelled, *candidates])
    known = [*composition_matrix(labelled, elements)]
    rows = composition_matrix(candidates, elements)
    rank, first = int(np.linalg.matrix_rank(np.array(known))) if known else 0, []
    for position in order:
        if np.linalg.matrix_rank(np.array([*known, rows[position]])) > rank:
            known.append(rows[position])
            rank += 1
            first.append(position)
    return [*first, *(position for position in order if position not in first)][: max(count, len(first))]


def order_of(candidates: Sequence[Structure], points: Array | None, seed: int) -> list[int]:
    """Return positions of the candidates: far from each other by their ``points``, or at random without any."""
    if points is None:
        return np.random.default_rng([seed, 0]).permutation(len(candidates)).tolist()
    return farthest_first(points, len(candidates))


def begun(candidates: Sequence[Structure], chosen: Sequence[int], offer: Offer, fidelity: str, why: str) -> Choice:
    """Return a start set as a choice, each label with the largest error offered."""
    labels = [offer.label(position, max(offer.stderrs)) for position in chosen]
    wanted = tuple(_wanted(candidates[one.candidate], one, f"start: {why}") for one in labels)
    record = RoundChoice(candidates=len(candidates), labels=wanted)
    return Choice(tuple(_asked_for(candidates[one.candidate], one, fidelity) for one in labels), record)


def chosen(
    calculator: RungCalculator,
    candidates: Sequence[Structure],
    answers: Sequence[Answered],
    tolerances: Sequence[float],
    offer: Offer,
    *,
    budget: float,
    energies: float,
    progress: Progress = SILENT,
) -> Choice:
    """Choose labels that make the answers surest for their cost.

    What counts is Σ (bar / tolerance)² over the questions, and energies of the candidates a little beside them.

    Parameters
    ----------
    calculator
        With the error bars of the fit.
    candidates
        Structures that may be labelled.
    answers
        What the fit says now.
    tolerances
        The bars to reach, one an answer.
    offer
        Which labels can be had.
    budget
        What they may cost together.
    energies
        What the energies of the candidates count beside the question that is farthest from its tolerance.
    progress
        Where work is reported.
    """
    shares = [_share(one.answer, tolerance) for one, tolerance in zip(answers, tolerances, strict=True)]
    questions = [
        replace(one.quantities, weight=share / max(shares)) for one, share in zip(answers, shares, strict=True)
    ]
    beside = energies_asked([candidates[k] for k in evenly_spread(range(len(candidates)), ENERGIES)], energies)
    wanted = asked(calculator.errors, candidates, [*questions, beside])
    *_, labels = [[], *greedy(wanted.knowledge, offer, budget, progress=progress)]
    after = [wanted.bars(wanted.knowledge.variance_after(labels[:count])) for count in range(len(labels) + 1)]
    names = [one.answer.name for one in answers]
    weights = {one.name: one.weight for one in (*questions, beside)}
    units = {one.name: one.unit for one in (*questions, beside)}
    everything = [offer.label(k, min(offer.stderrs)) for k in range(len(candidates))]
    least = wanted.bars(wanted.knowledge.variance_after(everything))
    record = RoundChoice(
        candidates=len(candidates),
        labels=tuple(
            _wanted(candidates[label.candidate], label, _reason(after, k, weights, units))
            for k, label in enumerate(labels)
        ),
        outlook=tuple(
            QuestionOutlook(name=name, now=_known(after[0][name]), then=_known(after[-1][name]), least=least[name])
            for name in names
        ),
        own_error=calculator.errors.posterior.model_error * float(np.sqrt(offer.sizes.mean())),
    )
    fidelity = calculator.fidelity
    return Choice(tuple(_asked_for(candidates[one.candidate], one, fidelity) for one in labels), record)


def weighable(candidates: Sequence[Structure]) -> list[Structure]:
    """Return the candidates whose covariance is held: an even spread where there are more."""
    return [candidates[k] for k in evenly_spread(range(len(candidates)), MOST_CANDIDATES)]


def _share(answer: Answer, tolerance: float) -> float:
    bar = answer.bar / tolerance if np.isfinite(answer.bar) else 10.0
    return float(np.clip(bar, 1e-3, 1e3) ** 2)


def _reason(
    bars: Sequence[Mapping[str, float]], place: int, weights: Mapping[str, float], units: Mapping[str, str]
) -> str:
    """Return what a label makes surer, of all that is asked that which counts most: its bar before and after."""
    now, before, after = bars[0], bars[place], bars[place + 1]
    gains = {name: weights[name] * (before[name] ** 2 - after[name] ** 2) / max(now[name] ** 2, 1e-300) for name in now}
    name = max(gains, key=lambda one: gains[one])
    if before[name] >= UNIDENTIFIED:
        return f"{name}: settles a reference energy"
    return f"{name}: {before[name]:.4f} to {after[name]:.4f} {units[name]}"


def _known(bar: float) -> float:
    return bar if bar < UNIDENTIFIED else float("nan")


def _wanted(structure: Structure, label: Label, reason: str) -> Wanted:
    return Wanted(
        structure_id=structure.structure_id,
        n_atoms=len(structure),
        stderr=label.stderr,
        cost=label.cost,
        reason=reason,
    )


def _asked_for(structure: Structure, label: Label, fidelity: str) -> Structure:
    """Return a structure that says which error its label should have."""
    return replace(structure, info={**structure.info, f"{fidelity}_stderr_wanted": label.stderr})
