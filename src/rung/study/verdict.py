"""What a study found, in words: paired differences, forces beside energies, and what is to be held against it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.results.study import StudyRow
from rung.study.config import StudyConfig
from rung.study.plan import BASE, choose
from rung.study.status import Failure
from rung.study.table import values_of

LOW_FIDELITY_KEPT = 1.05
"""A method that raises the base's own error by no more than this factor has kept the cheaper fidelity."""

ROUNDING = 0.1
"""meV/atom and meV/Å below which a growth is rounding, as of a base that labelled the frames itself."""

Values = Mapping[tuple[int, int], float]
"""One metric by seed and fold."""


@dataclass(frozen=True)
class Difference:
    """How far one method is from another, fit by fit on the same draws.

    Parameters
    ----------
    mean
        Of the differences, in the unit of the metric; positive where the first errs more.
    spread
        Standard deviation of the differences between seeds and folds; NaN for a single one.
    n
        How many draws both have.
    """

    mean: float
    spread: float
    n: int

    @property
    def inside(self) -> bool:
        """Whether the difference is no larger than its own spread, or the spread is unknown."""
        return not abs(self.mean) > self.spread


def paired(one: Values, other: Values) -> Difference:
    """Return the difference of ``one`` less ``other`` over the draws that both have; NaN where there is none."""
    common = sorted(one.keys() & other.keys())
    differences = np.array([one[key] - other[key] for key in common])
    if not common:
        return Difference(np.nan, np.nan, 0)
    spread = float(np.std(differences, ddof=1)) if len(common) > 1 else float("nan")
    return Difference(float(differences.mean()), spread, len(common))


def verdict(config: StudyConfig, rows: Sequence[StudyRow]) -> tuple[str, ...]:
    """Return what the rows say: for each split at the largest number of labels, then at the smaller ones in short."""
    found: list[str] = []
    splits = [
        split for split in dict.fromkeys(row.split for row in rows) if split not in (*config.bands, "fit", "valid")
    ]
    for split in splits:
        energies = values_of(rows, split, "energy_rmse")
        number = max((n for by_number in energies.values() for n in by_number), default=0)
        found += _each(rows, split, number)
        found += _ranking(rows, split, number, "energy_rmse", "energy", "meV/atom")
        found += _ranking(rows, split, number, "force_rmse", "force", "meV/Å")
        found += _short(config, rows, split, number)
        found += _worse_forces(rows, split, number)
    return tuple(found)


def _each(rows: Sequence[StudyRow], split: str, number: int) -> Iterator[str]:
    """Yield a sentence for each method, never energies without forces."""
    known = values_of(rows, split, "force_rmse")
    forces = known or values_of(rows, split, "force_departure_rmse")
    word = "errs by" if known else "leaves the base by"
    for method, by_number in values_of(rows, split, "energy_rmse").items():
        if number in by_number and number in forces.get(method, {}):
            yield (
                f"On {split} with {number} energies, {method}: energies err by {_told(by_number[number], 1)} meV/atom, "
                f"a force component {word} {_told(forces[method][number], 0)} meV/Å."
            )


def _ranking(rows: Sequence[StudyRow], split: str, number: int, metric: str, what: str, unit: str) -> Iterator[str]:
    """Yield who errs least, and by how much the others err more, paired draw by draw."""
    at = _at(rows, split, metric, number)
    methods = [method for method in at if method != BASE]
    if len(methods) < 2:
        return
    best = min(methods, key=lambda method: float(np.mean(list(at[method].values()))))
    differences = {method: paired(at[method], at[best]) for method in methods if method != best}
    n_draws = max(difference.n for difference in differences.values())
    if n_draws < 2:
        yield (
            f"On {split} with {number} energies {best} has the least {what} error, but there is one draw alone: "
            "nothing says whether the order would hold for another."
        )
        return
    clear = [f"{name} by {one.mean:.1f} ± {one.spread:.1f}" for name, one in differences.items() if not one.inside]
    close = [f"{name} ({one.mean:+.1f} ± {one.spread:.1f})" for name, one in differences.items() if one.inside]
    sentence = f"Of the {what} errors on {split} with {number} energies, paired over {n_draws} draws, least: {best}"
    if clear:
        sentence += f"; worse: {', '.join(clear)} {unit}"
    if close:
        sentence += f"; inside the spread, so no difference is shown: {', '.join(close)} {unit}"
    yield sentence + "."


def _short(config: StudyConfig, rows: Sequence[StudyRow], split: str, largest: int) -> Iterator[str]:
    """Yield who errs least in energy at each smaller number of labels."""
    parts = []
    for number in sorted(set(config.labels) - {largest}):
        at = {name: one for name, one in _at(rows, split, "energy_rmse", number).items() if name != BASE}
        if len(at) < 2:
            continue
        best = min(at, key=lambda method: float(np.mean(list(at[method].values()))))
        close = [name for name in at if name != best and paired(at[name], at[best]).inside]
        parts.append(f"{number}: {best}" + (f" (inside the spread: {', '.join(close)})" if close else ""))
    if parts:
        yield f"Least energy error on {split} with fewer energies — {'; '.join(parts)}."


def _worse_forces(rows: Sequence[StudyRow], split: str, number: int) -> Iterator[str]:
    """Yield which methods' forces got worse than the base's, beyond the spread: energies that improve can hide it."""
    at = _at(rows, split, "force_rmse", number)
    if BASE not in at:
        return
    worse = [method for method in at if method != BASE and _clearly_more(paired(at[method], at[BASE]))]
    if worse:
        yield (
            f"On {split} with {number} energies the forces of {', '.join(worse)} are worse than the base's "
            f"({_told(at[BASE], 0)} meV/Å): do not use these models for forces."
        )


def caveats(
    config: StudyConfig, rows: Sequence[StudyRow], failures: Sequence[Failure], n_valid: int = 0
) -> tuple[str, ...]:
    """Return what must be held against the verdict.

    Parameters
    ----------
    config, rows
        The study and its table.
    failures
        What failed.
    n_valid
        Target energies of the validation structures.
    """
    found = [*_draws(config), *_tuned_less(config), *_flat(config), *_low_fidelity(rows)]
    if n_valid:
        found.append(
            f"The {n_valid} target energies of data.valid are not counted among the labels, yet methods that stop by "
            "validation, and every choice among trials, saw them."
        )
    if failures:
        listed = ", ".join(failure.name for failure in failures)
        counted = "1 fit failed and is" if len(failures) == 1 else f"{len(failures)} fits failed and are"
        found.append(f"{counted} not in the table ({listed}); means are over the others.")
    return tuple(found)


def _draws(config: StudyConfig) -> Iterator[str]:
    n_draws = len(config.seeds) * len(config.folds())
    if n_draws == 1:
        yield "There is one draw: differences between methods have no known spread."
    elif n_draws < 5:
        yield f"A spread from {n_draws} draws is itself uncertain by about {100 / np.sqrt(2 * (n_draws - 1)):.0f} %."


def _tuned_less(config: StudyConfig) -> Iterator[str]:
    if config.tune is None:
        if len(config.methods()) > 1:
            yield "No settings were tried: every method has those that it was given."
        return
    tunable = [row for row, settings in config.methods().items() if set(type(settings).model_fields) - {"name"}]
    numbers = {row: len(config.trials(row)) for row in tunable}
    most = max(numbers.values(), default=0)
    less = {row: number for row, number in numbers.items() if number < most}
    if less:
        listed = ", ".join(f"{row} ({number or 'none'})" for row, number in less.items())
        yield (
            f"Tuned less than the {most} trials of {', '.join(row for row in numbers if row not in less)}: {listed}; "
            "a low place of theirs may be for want of tuning."
        )
    else:
        yield f"Every method was tuned by {most} trials with {config.tune.labels} energies, scored on validation alone."


def _flat(config: StudyConfig) -> Iterator[str]:
    """Yield for which methods the trials differ by no more than the seeds do."""
    unknown = []
    for row in config.methods():
        for fold in config.folds():
            choice = choose(config, row, fold)
            if choice.best is None or len(choice.trials) < 2:
                continue
            where = f" on fold {fold}" if config.split.folds is not None else ""
            if not np.isfinite(choice.noise):
                unknown.append(f"{row}{where} {choice.spread:.1f}")
            elif choice.spread <= choice.noise:
                yield (
                    f"The validation curve of {row}{where} is flat: its trials span {choice.spread:.1f} meV/atom, "
                    f"seeds differ by {choice.noise:.1f}, so the choice among them is chance."
                )
    if unknown:
        yield (
            f"Trials span, in meV/atom on validation: {', '.join(unknown)}; with one seed a trial nothing says whether "
            "that is more than chance."
        )


def _low_fidelity(rows: Sequence[StudyRow]) -> Iterator[str]:
    """Yield which methods lost the cheaper fidelity that they still offer."""
    for split in dict.fromkeys(row.split for row in rows if row.metric == "low_energy_rmse"):
        for metric, what, unit in (
            ("low_energy_rmse", "energies", "meV/atom"),
            ("low_force_rmse", "forces", "meV/Å"),
        ):
            found = values_of(rows, split, metric)
            lost = {}
            for method in found.keys() - {BASE}:
                before, after = _before_and_after(found.get(BASE, {}), found[method])
                if after > max(LOW_FIDELITY_KEPT * before, before + ROUNDING):
                    lost[method] = f"{method} from {before:.3g} to {after:.3g} {unit}"
            if lost:
                listed = ", ".join(lost[method] for method in found if method in lost)
                yield (
                    f"On {split} the error of the base's own fidelity grew in {what}: {listed}. Above "
                    f"{LOW_FIDELITY_KEPT} times the base's, a low place may be for want of low-fidelity training."
                )


def _before_and_after(before: Mapping[int, Values], after: Mapping[int, Values]) -> tuple[float, float]:
    """Return the means of two methods over the draws that both have; NaN where there are none."""
    pairs = [
        (before[number][key], value)
        for number, values in after.items()
        for key, value in values.items()
        if key in before.get(number, {})
    ]
    if not pairs:
        return float("nan"), float("nan")
    return float(np.mean([one for one, _ in pairs])), float(np.mean([other for _, other in pairs]))


def _at(rows: Sequence[StudyRow], split: str, metric: str, number: int) -> dict[str, Values]:
    return {
        method: by_number[number]
        for method, by_number in values_of(rows, split, metric).items()
        if by_number.get(number)
    }


def _clearly_more(difference: Difference) -> bool:
    return difference.mean > 0.0 and (difference.n == 1 or not difference.inside)


def _told(values: Values, places: int) -> str:
    known = list(values.values())
    spread = f" ± {np.std(known, ddof=1):.{places}f}" if len(known) > 1 else ""
    return f"{np.mean(known):.{places}f}{spread}"
