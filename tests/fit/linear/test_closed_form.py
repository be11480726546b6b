"""The hinge band's τ: each energy is judged by a fit that has not seen it, whatever errors the labels share."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.structure import Structure
from rung.errors import FitError
from rung.fidelity import Fidelity
from rung.fit.linear import closed_form
from rung.fit.linear.closed_form import hinge_solution
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Band, Energies, EnergyPairs, Term, WeightPrior, assemble
from rung.fit.methods.readout import ReadoutSettings, gather
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, geometries, labelled, pair_base, truth

S, ALPHA = 0.02, 0.2
BAND = Band(shape="hinge", transforms=())
TERMS: tuple[Term, ...] = (Energies(model_error=S), BAND, WeightPrior(alpha=ALPHA))


def problem_of(frames: list[Structure], shared: float = 0.0) -> Problem:
    lift = lift_of(frames, pair_base(), fidelities=["low", Fidelity("high", energy_shared_stderr=shared)])
    return gather(lift, ReadoutSettings(terms=TERMS), CONTEXT)


def noisy(count: int, frames: list[Structure] | None = None) -> list[Structure]:
    frames = geometries(count) if frames is None else frames
    return labelled(frames, pair_base(), truth(pair_base()), count, 0.01)


def losses(problem: Problem, monkeypatch: pytest.MonkeyPatch, terms: tuple[Term, ...] = TERMS) -> list[float]:
    """Return the losses at a τ that does not act, and at one that does."""
    monkeypatch.setattr(closed_form, "HINGE_GRID", (1e6, 0.1))
    return [row["loss"] for row in hinge_solution(problem, terms, BAND).table]


def by_least_squares(problem: Problem, terms: tuple[Term, ...] = TERMS) -> float:
    """Return the loss without a band: the energies left out are unknowns of one least-squares problem with the rest.

    With Q the inverse of all labels' covariance, they minimise rᵀ Q r with the weights and E0, and Q of the left out
    alone is the inverse of what is then left of their covariance.
    """
    data, scale = assemble(terms, problem).model.data, problem.column_scale
    noise = data.statistical + S**2 * data.model
    root = np.linalg.cholesky(np.linalg.inv(noise)).T
    size, n_weights = data.design.shape
    total = 0.0
    for fold in range(5):
        out = np.flatnonzero(np.arange(size) % 5 == fold)
        missing = np.zeros((size, len(out)))
        missing[out, np.arange(len(out))] = -1.0
        known = np.where(np.isin(np.arange(size), out), 0.0, data.target)
        prior = np.hstack([np.diag(scale / ALPHA), np.zeros((n_weights, data.composition.shape[1] + len(out)))])
        rows = np.vstack([root @ np.hstack([data.design, data.composition, missing]), prior])
        found = np.linalg.lstsq(rows, np.concatenate([root @ known, np.zeros(n_weights)]), rcond=None)[0]
        error = data.target[out] - found[-len(out) :]
        total += float(error @ np.linalg.inv(noise)[np.ix_(out, out)] @ error)
    return total / size


@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_a_label_is_left_out_whole(shared: float, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(noisy(14), shared)
    assert losses(problem, monkeypatch)[0] == pytest.approx(by_least_squares(problem), rel=1e-5)


def test_an_error_that_all_labels_share_does_not_choose_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shift of all labels is what the shared error is for, so no loss may feel it."""
    frames = noisy(14)
    shifted = [
        replace(one, labels={"high": replace(one.labels["high"], energy=one.labels["high"].energy + 5.0)})
        for one in frames
    ]
    before, after = (losses(problem_of(each, 1e4), monkeypatch) for each in (frames, shifted))
    assert after == pytest.approx(before, rel=1e-4)


def test_a_label_that_is_alone_in_its_composition_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reference energy takes up whatever its energy is: it tells nothing of τ."""
    frames = geometries(25)
    (*alike, alone) = noisy(13, [*frames[1::2], frames[24]])
    assert {one.formula for one in alike} != {alone.formula}
    expected = losses(problem_of([*alike, replace(alone, labels={})]), monkeypatch)
    for change in (-2.0, 2.0):
        label = replace(alone.labels["high"], energy=alone.labels["high"].energy + change)
        problem = problem_of([*alike, replace(alone, labels={"high": label})])
        assert losses(problem, monkeypatch) == pytest.approx(expected, rel=1e-4)  # as exactly as the solver stops


def test_differences_that_share_a_frame_are_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noisy(14)
    names = [one.structure_id for one in frames]
    pairs = tuple((names[k], names[k % 2]) for k in range(2, 14))
    terms = (TERMS[0], EnergyPairs(pairs=pairs), *TERMS[1:])
    problem = problem_of(frames)
    assert losses(problem, monkeypatch, terms)[0] == pytest.approx(by_least_squares(problem, terms), rel=1e-5)


def test_without_two_labels_of_a_kind_tau_must_be_given() -> None:
    frames = noisy(2)
    with pytest.raises(FitError, match="give it in eV/Å"):
        hinge_solution(problem_of(frames), TERMS, BAND)
    fixed = BAND.model_copy(update={"tau": 0.3})
    solution = hinge_solution(problem_of(frames), (TERMS[0], fixed, TERMS[2]), fixed)
    assert np.isfinite(solution.gaussian.mean).all()
