"""What is asked: quantities that are linear in energies and forces, with what their errors count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rung.data.labels import Array
from rung.data.structure import Structure
from rung.features.pulls import Pull
from rung.select.gaussian import Knowledge

WIDE = 100.0
"""Variance, eV², of combinations of reference energies that no label identifies: so much that the first labels go
there, and so little that rounding leaves the rest."""


_CERTAIN = 1e-10
"""Of the variance that errors without anything in common would leave: less is rounding, and the quantity is known."""


class Joint(Protocol):
    """How uncertain some energies and forces are together."""

    def finite_covariance(self, variance: float) -> Array:
        """Return their covariance, where what no label identifies has this variance, eV²."""


class Errors(Protocol):
    """Error bars of a fit, of whatever method."""

    def joint(self, structures: Sequence[Structure], pulls: Sequence[Pull]) -> Joint:
        """Return the joint uncertainty of energies and then of forces."""


@dataclass(frozen=True)
class Question:
    """Some quantities, of which the mean variance counts.

    Parameters
    ----------
    name
        What is asked, in words.
    unit
        Of its bar.
    structures
        Those whose energies enter.
    coefficients
        Of their energies in each quantity, shape ``(q, S)``.
    pulls
        Forces that are quantities themselves.
    weight
        What the question counts beside others.
    """

    name: str
    unit: str
    structures: tuple[Structure, ...]
    coefficients: Array
    pulls: tuple[Pull, ...] = ()
    weight: float = 1.0

    @property
    def count(self) -> int:
        """The number of quantities."""
        return len(self.coefficients) + len(self.pulls)


def energies_asked(structures: Sequence[Structure], weight: float = 1.0) -> Question:
    """Ask for the energy of each structure, per atom."""
    sizes = np.array([len(one) for one in structures], dtype=float)
    return Question("energies", "eV/atom", tuple(structures), np.diag(1.0 / sizes), weight=weight)


def forces_asked(
    structures: Sequence[Structure], weight: float = 1.0, *, directions: int = 3, seed: int = 0
) -> Question:
    """Ask for the forces of structures: along random directions, whose mean variance is that of a component."""
    random = np.random.default_rng(seed)
    pulls = tuple(
        Pull(one, random.normal(size=(len(one), 3)) / np.sqrt(3 * len(one)))
        for one in structures
        for _ in range(directions)
    )
    return Question("forces", "eV/Å", (), np.zeros((0, 0)), pulls, weight)


def difference_asked(name: str, image: Structure, reference: Structure, weight: float = 1.0) -> Question:
    """Ask for the energy of one structure less that of another."""
    return Question(name, "eV", (image, reference), np.array([[1.0, -1.0]]), weight=weight)


def sum_asked(name: str, structures: Sequence[Structure], coefficients: Array, weight: float = 1.0) -> Question:
    """Ask for Σ c E."""
    return Question(name, "eV", tuple(structures), np.asarray(coefficients, dtype=float)[None], weight=weight)


@dataclass(frozen=True)
class Asked:
    """Candidates and questions together.

    Parameters
    ----------
    knowledge
        Of all quantities, the questions' one after the other.
    questions
        What is asked.
    settled
        Names of questions that leave nothing open, such as a structure less itself; they count nothing.
    """

    knowledge: Knowledge
    questions: tuple[Question, ...] = field(default=())
    settled: tuple[str, ...] = ()

    def bars(self, variance: Array) -> dict[str, float]:
        """Return the r.m.s. bar of each question where the quantities have this ``variance``."""
        found, start = {}, 0
        for question in self.questions:
            part = variance[start : start + question.count]
            found[question.name] = float(np.sqrt(np.mean(part)))
            start += question.count
        return found


def asked(errors: Errors, candidates: Sequence[Structure], questions: Sequence[Question]) -> Asked:
    """Return what a fit knows of the candidates' energies and of the questions.

    The variance of each question counts relative to what it is now, apart from what no label identifies.

    Parameters
    ----------
    errors
        Of the fit.
    candidates
        Structures that may be labelled.
    questions
        At least one.
    """
    structures = [*candidates, *(one for question in questions for one in question.structures)]
    pulls = [pull for question in questions for pull in question.pulls]
    combine = _combinations(len(candidates), questions)
    rows = np.vstack([np.eye(len(candidates), combine.shape[1]), combine])
    joint = errors.joint(structures, pulls)
    wide = rows @ joint.finite_covariance(WIDE) @ rows.T
    sharp = np.diag(combine @ joint.finite_covariance(0.0) @ combine.T)
    # what would be open if the errors of the energies had nothing in common
    apart = np.square(combine) @ np.diag(joint.finite_covariance(0.0))
    n, start, weights, settled = len(candidates), 0, [], []
    for question in questions:
        part = slice(start, start + question.count)
        now = float(np.mean(sharp[part]))
        if now <= _CERTAIN * float(np.mean(apart[part])):
            settled.append(question.name)
        weight = 0.0 if question.name in settled else question.weight / now / question.count
        weights += [weight] * question.count
        start += question.count
    knowledge = Knowledge(wide[:n, :n], wide[n:, :n], np.diag(wide)[n:].copy(), np.array(weights))
    return Asked(knowledge, tuple(questions), tuple(settled))


def _combinations(n_candidates: int, questions: Sequence[Question]) -> Array:
    """Return each quantity as a combination of all energies and pulls, shape ``(q, n + S + F)``."""
    n_structures = sum(len(question.structures) for question in questions)
    n_pulls = sum(len(question.pulls) for question in questions)
    rows, structure, pull = [], n_candidates, n_candidates + n_structures
    for question in questions:
        block = np.zeros((question.count, n_candidates + n_structures + n_pulls))
        n_energies = len(question.coefficients)
        block[:n_energies, structure : structure + len(question.structures)] = question.coefficients
        block[n_energies:, pull : pull + len(question.pulls)] = np.eye(len(question.pulls))
        structure, pull = structure + len(question.structures), pull + len(question.pulls)
        rows.append(block)
    return np.vstack(rows)
