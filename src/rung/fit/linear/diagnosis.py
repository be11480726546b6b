"""What a user should know of a linear fit: what was chosen, how sharply, and what energies alone would have done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rung.data.labels import Array
from rung.errors import counted
from rung.features.design import Design
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.energies import Energies
from rung.fit.linear.evidence import HyperPosterior
from rung.fit.linear.gaussian import MODEL_ERROR
from rung.fit.linear.outlying import outlying
from rung.fit.linear.problem import Problem
from rung.fit.linear.reach import not_reached
from rung.fit.linear.terms import Band, EnergyPairs, Term, assemble
from rung.results.fit import Alternative, EnergyDifference, FitDetails, HyperParameter

MEANING = {
    "alpha": ("eV/√atom", "energy by which the change of one weight may move a frame"),
    "random_alpha": ("eV/√atom", "the same for a random hidden unit"),
    "tau": ("eV/Å", "length by which an atom's force may leave its anchor"),
    MODEL_ERROR: ("eV/√atom", "the model's own error s"),
}

FEW_LABELS = 12

FEW_DIFFERENCES = 8
"""Below so many differences within compositions nothing is said of them."""

NO_BETTER = 0.8
"""Left-out errors above this share of the base's are no improvement worth the name."""

WORSE = 1.25
"""Left-out errors above so many times the base's are worse: few labels leave a tenth or two to chance."""


@dataclass(frozen=True)
class Explanation:
    """Numbers for the metrics, sentences for the user, tables for the report."""

    numbers: Mapping[str, float]
    warnings: tuple[str, ...]
    tables: FitDetails


def explain(problem: Problem, solution: Solution, terms: Sequence[Term]) -> Explanation:
    """Return what a user should know of ``solution``."""
    data = solution.assembly.model.data
    numbers: dict[str, float] = {
        **dict(solution.values),
        "n_energies": float(len(data) if problem.has_differences else len(problem.labelled)),
        "n_parameters": float(len(problem.readout.weights)),
    }
    if solution.label_error is not None:
        numbers["label_error"] = solution.label_error.value
    tables = FitDetails(hyperparameters=hyper_rows(solution))
    if solution.table:
        tables = tables.with_tables(FitDetails(cross_validation=solution.table))
    if solution.hypers is not None:
        numbers["log_evidence"] = solution.hypers.log_evidence
        numbers["log_marginal"] = solution.hypers.log_marginal
        tables = tables.with_tables(FitDetails(evidence_profile=_profile(solution.hypers)))
    if not len(data):
        return Explanation(numbers, ("There are no target energies: this is the prior, not a fit.",), tables)
    tables = tables.with_tables(FitDetails(notes=composition_notes(data, solution)))
    error, variance = solution.leave_one_out()
    known = np.isfinite(variance)
    numbers["leave_one_out_rmse"] = _rms(error[known])
    numbers["leave_one_out_z2"] = float(np.mean(error[known] ** 2 / variance[known])) if known.any() else np.nan
    warnings = list(_warnings(problem, solution))
    if len(data) == len(problem.labelled) and not problem.has_differences:
        warnings += outlying([problem.structures[k].structure_id for k in problem.labelled], error, variance)
        fitted, before, count = _within_compositions(problem, error)
        numbers["within_composition_rmse"], numbers["within_composition_rmse_base"] = fitted, before
        if (
            count >= FEW_DIFFERENCES
            and fitted > NO_BETTER * before
            and solution.gaussian.mean[: len(problem.readout.weights)].any()
        ):
            warnings.append(_within(fitted, before))
    if any(isinstance(term, Band) and term.anchor != "none" for term in terms):
        without, forbidden = _beside_energies_alone(problem, solution, terms)
        tables = tables.with_tables(without)
        warnings += forbidden
    return Explanation(numbers, tuple(warnings), tables)


def _within(fitted: float, before: float) -> str:
    """Return what left-out errors within compositions, eV, say of the fit beside the base."""
    numbers = f"({1e3 * fitted:.0f} against {1e3 * before:.0f} meV per cell, each energy left out in turn)"
    if fitted > WORSE * before:
        return (
            f"Within a composition the fit errs {fitted / before:.1f} times as much as the base {numbers}: its forces "
            "are probably worse than the base's, too; use the method offset, which keeps those, or label more."
        )
    return (
        f"Within a composition the fit predicts energies no better than the base {numbers}: it corrects differences "
        "between compositions alone, and nothing suggests that its forces are better than the base's."
    )


def _beside_energies_alone(problem: Problem, solution: Solution, terms: Sequence[Term]) -> tuple[FitDetails, list[str]]:
    """Return the tables of the fit without a band, and a warning for each difference that the band forbids."""
    alone = without_band(problem, terms)
    rows, warnings = [], []
    for first, second in _compared(problem, terms):
        names = problem.structures[first].structure_id, problem.structures[second].structure_id
        difference = compare_difference(problem, solution, alone, problem.designs[first], problem.designs[second])
        rows.append(EnergyDifference(first=names[0], second=names[1], **asdict(difference)))
        if difference.forbidden:
            warnings.append(
                f"The band allows the energy difference between {names[0]} and {names[1]} to change by "
                f"{difference.prior_mean:.3f} ± {difference.prior_stderr:.3f} eV, but energies alone ask for "
                f"{difference.energies_alone:.3f} eV: widen tau or anchor to other forces."
            )
    tables = FitDetails(
        energies_alone=_alone(problem, solution, alone),
        alternatives=_alternatives(solution, alone),
        differences=tuple(rows),
    )
    return tables, warnings


def _within_compositions(problem: Problem, error: Array) -> tuple[float, float, int]:
    """Return the r.m.s. of left-out errors and of the base's about each composition's mean, eV, and how many differ.

    Differences within a composition are what forces integrate to; those between compositions are not.
    """
    _, group = np.unique([problem.structures[k].formula for k in problem.labelled], return_inverse=True)
    known = np.isfinite(error)
    counts = np.bincount(group[known])
    freedom = int(np.maximum(counts - 1, 0).sum())
    if freedom == 0:
        return np.nan, np.nan, 0
    found = []
    for values in (error[known], problem.energies.target[known]):
        means = np.bincount(group[known], weights=values) / np.maximum(counts, 1)
        found.append(float(np.sqrt(np.sum((values - means[group[known]]) ** 2) / freedom)))
    return found[0], found[1], freedom


def hyper_rows(solution: Solution, meaning: Mapping[str, tuple[str, str]] = MEANING) -> tuple[HyperParameter, ...]:
    """Return one row per hyper-parameter for the report: value, 68 % interval, unit and meaning.

    Parameters
    ----------
    solution
        What was solved; without a posterior of the hyper-parameters the intervals are NaN.
    meaning
        Unit and meaning by name, where they differ from those of the readout fit.
    """
    words = {**MEANING, **meaning}
    rows = []
    for name, value in solution.values.items():
        low, high = solution.hypers.interval(name) if solution.hypers is not None else (np.nan, np.nan)
        unit, sense = words.get(name, ("", ""))
        rows.append(HyperParameter(name=name, value=value, low=low, high=high, unit=unit, meaning=sense))
    if (error := solution.label_error) is not None:
        sense = "the error of each label that has no energy_stderr"
        rows.append(
            HyperParameter(
                name="label_error", value=error.value, low=error.low, high=error.high, unit="eV", meaning=sense
            )
        )
    return tuple(rows)


def _profile(hypers: HyperPosterior) -> tuple[dict[str, float], ...]:
    return tuple(
        {**hypers.at(point), "weight": float(weight)}
        for point, weight in zip(hypers.points, hypers.weights, strict=True)
    )


def _alternatives(solution: Solution, alone: Solution) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(name=name, log_evidence=one.hypers.log_marginal, note="hyper-parameters integrated")
        for name, one in (("as fitted", solution), ("energies alone", alone))
        if one.hypers is not None
    )


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
            n_components = sum(3 * design.n_atoms for design in designs)
            departure = float(np.sqrt(np.sum(np.concatenate(change) ** 2) / n_components))
            found[f"force_departure_rmse_meV_per_angstrom{name}"] = 1e3 * departure
    return found


@dataclass(frozen=True)
class Difference:
    """A difference of two energies, such as a barrier: what the base, the prior and the energies say of it, eV.

    Parameters
    ----------
    base
        The base's own difference.
    prior_mean, prior_stderr
        How the prior (band and weights) expects it to change, and by how much it may.
    energies_alone
        The change that the energies ask for without a band.
    fitted
        The change that was fitted.
    """

    base: float
    prior_mean: float
    prior_stderr: float
    energies_alone: float
    fitted: float

    @property
    def forbidden(self) -> bool:
        """Whether the prior hardly allows what the energies ask for: more than two of its standard deviations."""
        return abs(self.energies_alone - self.prior_mean) > 2.0 * self.prior_stderr


def without_band(problem: Problem, terms: Sequence[Term]) -> Solution:
    """Return the fit with every band left out: what energies alone would have done."""
    rest = tuple(term for term in terms if not isinstance(term, Band))
    return quadratic_solution(assemble(rest, problem), n_points=1)


def compare_difference(
    problem: Problem, solution: Solution, alone: Solution, first: Design, second: Design
) -> Difference:
    """Return what prior and energies say of ``E(first) - E(second)`` at equal composition.

    Parameters
    ----------
    problem, solution
        The fit.
    alone
        The same fit :func:`without_band`.
    first, second
        Designs of the fit's readout, such as those of a saddle and of a minimum.
    """
    gradient = first.energy - second.energy
    prior = solution.assembly.model.prior(solution.values)
    size = len(gradient)
    return Difference(
        base=float(gradient @ problem.readout.weights + first.fixed_energy - second.fixed_energy),
        prior_mean=float(gradient @ prior.mean),
        prior_stderr=float(np.sqrt(gradient @ prior.covariance @ gradient)),
        energies_alone=float(gradient @ alone.gaussian.mean[:size]),
        fitted=float(gradient @ solution.gaussian.mean[:size]),
    )


def _widest(problem: Problem) -> tuple[int, int] | None:
    """Return the frames of highest and lowest target energy within the commonest labelled composition."""
    rows = [k for k in problem.labelled if problem.structures[k].labelled(problem.target.name).has_energy]
    if not rows:
        return None
    labels = np.array([problem.structures[k].labelled(problem.target.name).energy for k in rows])
    formulas = [problem.structures[k].formula for k in rows]
    counts = Counter(formulas)
    common = max(sorted(counts), key=counts.__getitem__)
    inside = [k for k, formula in enumerate(formulas) if formula == common]
    if len(inside) < 2:
        return None
    return int(rows[max(inside, key=lambda k: labels[k])]), int(rows[min(inside, key=lambda k: labels[k])])


def _compared(problem: Problem, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Return the pairs of frames whose difference is looked at: those named, else the widest one."""
    names = [structure.structure_id for structure in problem.structures]
    named = [pair for term in terms if isinstance(term, EnergyPairs) for pair in term.pairs]
    if named:
        return [(names.index(first), names.index(second)) for first, second in named]
    widest = _widest(problem)
    return [widest] if widest is not None else []


def unidentified_references(data: Energies, present: Array, solution: Solution) -> tuple[str, ...]:
    """Return a warning where the labels leave reference energies open of elements that they tell of; else nothing.

    Labels of one composition always do: that is no fault of theirs, and a note says it.

    Parameters
    ----------
    data
        The labels.
    present
        Atoms of each element of the structures that they tell of, shape ``(n, E)``.
    solution
        The fit to them.
    """
    if not len(solution.gaussian.unidentified):
        return ()
    if not data.composition.any():
        return (
            "Every label is a difference within one composition, which says nothing of reference energies: a total "
            "energy has no error bar, differences within a composition have one.",
        )
    if _rank(data) <= 1 or _rank(data) >= int(present.any(axis=0).sum()):
        return ()
    return (
        "The labelled compositions do not identify every reference energy: energies of other compositions "
        "have no error bar, and comparisons between compositions are refused.",
    )


def composition_notes(data: Energies, solution: Solution) -> tuple[str, ...]:
    """Return a sentence where all labels have one composition, which leaves reference energies open; else nothing."""
    if not len(solution.gaussian.unidentified) or _rank(data) != 1 or np.count_nonzero(data.composition[0]) < 2:
        return ()
    return (
        "All labels have one composition: energies within it have error bars. Energies of other compositions have "
        "none, and comparisons with them are refused.",
    )


def _rank(data: Energies) -> int:
    return int(np.linalg.matrix_rank(data.composition)) if len(data) else 0


def _warnings(problem: Problem, solution: Solution) -> Sequence[str]:
    found = []
    data = solution.assembly.model.data
    if len(data) <= FEW_LABELS:
        found.append(
            f"Only {counted(len(data), 'energy', 'energies')}: they can hardly separate E0 from the readout, and the "
            "size of the error bars rests partly on what is usual of other levels of theory; label more before a "
            "result rests on them."
        )
    found += unidentified_references(data, problem.composition[problem.labelled], solution)
    found += not_reached(problem.base_energy, problem.composition, problem.labelled)
    if solution.label_error is not None:
        found.append(solution.label_error.sentence)
    exact = data.label_variance == 0
    if exact.any():
        found.append(
            f"{counted(int(exact.sum()), 'energy carries', 'energies carry')} no energy_stderr, which counts as exact "
            "up to the model's error."
        )
    return found


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else np.nan
