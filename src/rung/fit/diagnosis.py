"""What a user should know of a linear fit: what was chosen, how sharply, and what energies alone would have done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.fit.closed_form import Solution, quadratic_solution
from rung.fit.evidence import HyperPosterior
from rung.fit.linear import MODEL_ERROR
from rung.fit.problem import Problem
from rung.fit.terms import Band, Term, assemble

MEANING = {
    "alpha": ("eV/√atom", "energy by which the change of one weight may move a frame"),
    "random_alpha": ("eV/√atom", "the same for a random hidden unit"),
    "tau": ("eV/Å", "length by which an atom's force may leave its anchor"),
    MODEL_ERROR: ("eV/√atom", "the model's own error s"),
}

FEW_LABELS = 12


@dataclass(frozen=True)
class Explanation:
    """Numbers for the metrics, sentences for the user, tables for the report."""

    numbers: Mapping[str, float]
    warnings: tuple[str, ...]
    tables: Mapping[str, Any]


def explain(problem: Problem, solution: Solution, terms: Sequence[Term]) -> Explanation:
    """Return what a user should know of ``solution``."""
    data = solution.assembly.model.data
    numbers: dict[str, float] = {
        **dict(solution.values),
        "n_energies": float(len(problem.labelled)),
        "n_parameters": float(len(problem.readout.weights)),
    }
    tables: dict[str, Any] = {"hyperparameters": _hyper_rows(solution)}
    if solution.table:
        tables["cross_validation"] = [dict(row) for row in solution.table]
    if solution.hypers is not None:
        numbers["log_evidence"] = solution.hypers.log_evidence
        numbers["log_marginal"] = solution.hypers.log_marginal
        tables["evidence_profile"] = _profile(solution.hypers)
    if not len(data):
        return Explanation(numbers, ("There are no target energies: this is the prior, not a fit.",), tables)
    error, variance = solution.assembly.model.leave_one_out(solution.values)
    known = np.isfinite(variance)
    numbers["leave_one_out_rmse"] = _rms(error[known])
    numbers["leave_one_out_z2"] = float(np.mean(error[known] ** 2 / variance[known])) if known.any() else np.nan
    warnings = list(_warnings(problem, solution))
    if any(isinstance(term, Band) and term.anchor != "none" for term in terms):
        rest = tuple(term for term in terms if not isinstance(term, Band))
        alone = quadratic_solution(assemble(rest, problem), n_points=1)
        tables["energies_alone"] = _alone(problem, solution, alone)
        tables["alternatives"] = _alternatives(solution, alone)
        conflict = _conflict(problem, solution, alone)
        tables["largest_difference"] = conflict
        if conflict and abs(conflict["energies_alone"] - conflict["prior_mean"]) > 2 * conflict["prior_stderr"]:
            warnings.append(
                f"The band allows the energy difference between {conflict['first']} and {conflict['second']} "
                f"to change by {conflict['prior_mean']:.3f} ± {conflict['prior_stderr']:.3f} eV, "
                f"but energies alone ask for {conflict['energies_alone']:.3f} eV: widen tau or anchor to other forces."
            )
    return Explanation(numbers, tuple(warnings), tables)


def _hyper_rows(solution: Solution) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, value in solution.values.items():
        low, high = solution.hypers.interval(name) if solution.hypers is not None else (np.nan, np.nan)
        unit, meaning = MEANING.get(name, ("", ""))
        rows.append({"name": name, "value": value, "low": low, "high": high, "unit": unit, "meaning": meaning})
    return rows


def _profile(hypers: HyperPosterior) -> list[dict[str, float]]:
    return [
        {**hypers.at(point), "weight": float(weight)}
        for point, weight in zip(hypers.points, hypers.weights, strict=True)
    ]


def _alternatives(solution: Solution, alone: Solution) -> list[dict[str, Any]]:
    rows = []
    for name, found in (("as fitted", solution), ("energies alone", alone)):
        if found.hypers is not None:
            rows.append(
                {"name": name, "log_evidence": found.hypers.log_marginal, "note": "hyper-parameters integrated"}
            )
    return rows


def _alone(problem: Problem, solution: Solution, alone: Solution) -> dict[str, float]:
    error, variance = alone.assembly.model.leave_one_out(alone.values)
    known = np.isfinite(variance)
    designs = [design for design in problem.designs if design.has_forces]
    size = len(problem.readout.weights)
    found = {f"{name}": float(value) for name, value in alone.values.items()}
    found["leave_one_out_rmse_meV_per_cell"] = 1e3 * _rms(error[known])
    for name, item in (("", alone), ("_as_fitted", solution)):
        change = [design.forces @ item.gaussian.mean[:size] for design in designs]
        if change:
            found[f"force_departure_rmse_meV_per_angstrom{name}"] = 1e3 * _rms(np.concatenate(change))
    return found


def _conflict(problem: Problem, solution: Solution, alone: Solution) -> dict[str, Any]:
    """Return how the prior and the energies see the widest energy difference within one composition."""
    rows = problem.labelled
    labels = np.array([problem.structures[k].labelled(problem.target.name).energy for k in rows])
    formulas = [problem.structures[k].formula for k in rows]
    common = max(set(formulas), key=formulas.count)
    inside = [k for k, formula in enumerate(formulas) if formula == common]
    if len(inside) < 2:
        return {}
    top, bottom = max(inside, key=lambda k: labels[k]), min(inside, key=lambda k: labels[k])
    gradient = problem.energy_design[rows[top]] - problem.energy_design[rows[bottom]]
    prior = solution.assembly.model.prior(solution.values)
    size = len(gradient)
    return {
        "first": problem.structures[rows[top]].structure_id,
        "second": problem.structures[rows[bottom]].structure_id,
        "prior_mean": float(gradient @ prior.mean),
        "prior_stderr": float(np.sqrt(gradient @ prior.covariance @ gradient)),
        "energies_alone": float(gradient @ alone.gaussian.mean[:size]),
        "fitted": float(gradient @ solution.gaussian.mean[:size]),
    }


def _warnings(problem: Problem, solution: Solution) -> Sequence[str]:
    found = []
    data = solution.assembly.model.data
    if len(data) <= FEW_LABELS:
        found.append(
            f"Only {len(data)} energies: E0 and the readout are hardly told apart; "
            "trust the error bars, not the values."
        )
    if len(solution.gaussian.unidentified):
        present = problem.composition[problem.labelled]
        ratios = np.linalg.matrix_rank(present)
        used = int((present.sum(axis=0) > 0).sum())
        if ratios < used:
            found.append(
                "The labelled compositions do not identify every reference energy: energies of other compositions "
                "have no error bar, and comparisons between compositions are refused."
            )
    sigma = np.sqrt(np.diag(data.statistical))
    if (sigma == 0).any():
        found.append(
            f"{int((sigma == 0).sum())} energies carry no energy_stderr: they count as exact up to the model's error."
        )
    return found


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else np.nan
