"""What a study found, in words: paired differences, forces beside energies, and what is to be held against it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rung.errors import counted
from rung.evaluate.draws import FEWEST_DRAWS, Values, moments, repeated
from rung.results.study import WORSE_FORCES, MethodComparison, StudyRow
from rung.study.comparison import judged_splits
from rung.study.config import StudyConfig
from rung.study.plan import BASE, choose
from rung.study.statistics import LEVEL, holm, paired
from rung.study.status import Failure
from rung.study.table import values_of

LOW_FIDELITY_KEPT = 1.05
"""A method that raises the base's own error by no more than this factor has kept the cheaper fidelity."""

ROUNDING = 0.1
"""meV/atom and meV/Å below which a growth is rounding, as of a base that labelled the frames itself."""


def verdict(config: StudyConfig, rows: Sequence[StudyRow], comparisons: Sequence[MethodComparison]) -> tuple[str, ...]:
    """Return what the rows say: for each split at the largest number of labels, then at the smaller ones in short.

    Parameters
    ----------
    config, rows
        The study and its table.
    comparisons
        What :func:`rung.study.comparison.comparisons` makes of them.
    """
    found: list[str] = []
    for split in judged_splits(config, rows):
        energies = values_of(rows, split, "energy_rmse")
        number = max((n for by_number in energies.values() for n in by_number), default=0)
        found += _each(rows, split, number)
        for metric in ("energy_rmse", "force_rmse"):
            for n_labels in sorted(set(config.labels), reverse=True):
                table = [
                    one for one in comparisons if (one.split, one.metric, one.n_labels) == (split, metric, n_labels)
                ]
                found += _ranking(table)
        found += _worse_forces(rows, split)
    return tuple(found)


def _each(rows: Sequence[StudyRow], split: str, number: int) -> Iterator[str]:
    """Yield a sentence for each method, never energies without forces."""
    known = values_of(rows, split, "force_rmse")
    forces = known or values_of(rows, split, "force_departure_rmse")
    word = "errs by" if known else "leaves the base by"
    for method, by_number in values_of(rows, split, "energy_rmse").items():
        if number in by_number and number in forces.get(method, {}):
            yield (
                f"On {split} with {counted(number, 'energy', 'energies')}, {method}: energies err by "
                f"{_told(by_number[number], 1)} meV/atom, a force component {word} {_told(forces[method][number], 0)} "
                "meV/Å."
            )


def _ranking(table: Sequence[MethodComparison]) -> Iterator[str]:
    """Yield who errs least, who errs more, and what the draws could not have shown."""
    if len(table) < 2:
        return
    (best,) = [one for one in table if one.best]
    others = [one for one in table if not one.best]
    what, unit = ("energy", "meV/atom") if best.metric == "energy_rmse" else ("force", "meV/Å")
    n_draws = max(one.n_draws for one in others)
    where = f"on {best.split} with {counted(best.n_labels, 'energy', 'energies')}"
    if n_draws < 2:
        yield (
            f"{best.method} has the least {what} error {where} ({best.mean:.1f} {unit}), but there is one draw alone: "
            "nothing says whether the order would hold for another."
        )
        return
    worse = [one for one in others if one.worse]
    rest = [one for one in others if not one.worse]
    sentence = f"Of the {what} errors {where}, paired over {n_draws} draws, {best.method} has the least"
    if worse:
        listed = ", ".join(f"{one.method} (by {one.difference:.1f}, {_interval(one)})" for one in worse)
        sentence += f"; worse: {listed} {unit}"
    if rest:
        shown = "no difference is shown" if n_draws >= FEWEST_DRAWS else "too few draws to call one worse"
        listed = ", ".join(f"{one.method} ({_beside(one)})" for one in rest)
        sentence += f"; {shown}: {listed} {unit}"
        sizes = [one.detectable for one in rest if np.isfinite(one.detectable)]
        if sizes and n_draws >= FEWEST_DRAWS:
            sentence += f". Differences below {max(sizes):.1f} {unit} would mostly have gone unseen"
    yield sentence + "."


def _beside(one: MethodComparison) -> str:
    return f"{one.difference:+.1f}, {_interval(one)}" if np.isfinite(one.difference) else "no draw in common"


def _interval(one: MethodComparison) -> str:
    return f"95 %: {one.low:.1f} to {one.high:.1f}" if np.isfinite(one.low) else "no interval"


def _worse_forces(rows: Sequence[StudyRow], split: str) -> Iterator[str]:
    """Yield whose forces got worse than the base's, and with how many labels: energies that improve can hide it."""
    forces = values_of(rows, split, "force_rmse")
    before = forces.pop(BASE, {})
    worse: dict[str, list[int]] = {}
    for number in sorted(before):
        for method in _worse_than(before[number], {name: one[number] for name, one in forces.items() if number in one}):
            worse.setdefault(method, []).append(number)
    for numbers in sorted(set(map(tuple, worse.values()))):
        listed = ", ".join(method for method, own in worse.items() if tuple(own) == numbers)
        yield (
            f"On {split} with {_listed(numbers)} {'energy' if numbers == (1,) else 'energies'} the forces of {listed} "
            f"{WORSE_FORCES} ({_told(before[numbers[-1]], 0)} meV/Å): do not use these models for forces."
        )


def _worse_than(base: Values, methods: Mapping[str, Values]) -> list[str]:
    """Return the methods that err more than the base by more than rounding, and by chance in 5 % of tables at most."""
    differences = {method: paired(values, base) for method, values in methods.items()}
    corrected = dict(zip(differences, holm([one.p for one in differences.values()]), strict=True))
    return [
        method
        for method, one in differences.items()
        if one.mean > ROUNDING and (one.n < FEWEST_DRAWS or corrected[method] <= LEVEL)
    ]


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def caveats(
    config: StudyConfig,
    rows: Sequence[StudyRow],
    failures: Sequence[Failure],
    n_valid: int = 0,
    n_left_out: int = 0,
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
    n_left_out
        Training frames that no fit takes, for no atom of theirs has a neighbour.
    """
    found = [*_draws(config), *_same_draws(rows), *_tuned_less(config), *_flat(config), *_low_fidelity(rows)]
    if n_valid:
        found.append(
            f"The {counted(n_valid, 'target energy of data.valid is', 'target energies of data.valid are')} not "
            "counted among the labels, yet methods that stop by validation, and every choice among trials, saw them."
        )
    if n_left_out:
        found.append(
            f"{n_left_out} of the training frames, single atoms or without neighbours, "
            f"{'is' if n_left_out == 1 else 'are'} left out of all fits, and labels are drawn among the others; "
            "data.single_atoms: fit keeps them."
        )
    if failures:
        listed = ", ".join(failure.name for failure in failures)
        what = counted(len(failures), "fit failed and is", "fits failed and are")
        found.append(
            f"{what} not in the table ({listed}); means are over the others, and a method that lacks a draw comes "
            "after those that have all."
        )
    return tuple(found)


def _draws(config: StudyConfig) -> Iterator[str]:
    n_folds = len(config.folds())
    # seeds of one fold share its test structures, so folds are what scatters independently
    n_draws, what, more = (n_folds, "folds", "folds") if n_folds > 1 else (len(config.seeds), "draws", "seeds")
    if n_draws == 1:
        yield "There is one draw: differences between methods have no known spread."
    elif n_draws < FEWEST_DRAWS:
        yield (
            f"{n_draws} {what} are too few to call a method worse than another: a spread from them is itself uncertain "
            f"by about {100 / np.sqrt(2 * (n_draws - 1)):.0f} %. Give at least {FEWEST_DRAWS} {more}."
        )


def _same_draws(rows: Sequence[StudyRow]) -> Iterator[str]:
    """Yield at which numbers of labels all draws are the same."""
    splits = {row.split for row in rows if row.metric == "energy_rmse" and row.split not in ("fit", "valid")}
    same = {
        n
        for split in splits
        for by_number in values_of(rows, split, "energy_rmse").values()
        for n, values in by_number.items()
        if repeated(values)
    }
    if same:
        yield (
            f"With {_listed(sorted(same))} {'label' if same == {1} else 'labels'} the draws of a method are the same, "
            "for each takes every label: they are one draw, without a spread. What a training shows after ± there is "
            "its own start from other seeds."
        )


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
            f"Tuned less than the {counted(most, 'trial')} of {', '.join(row for row in numbers if row not in less)}: "
            f"{listed}; a low place of theirs may be for want of tuning."
        )
    else:
        yield (
            f"Every method was tuned by {counted(most, 'trial')} with "
            f"{counted(config.tune.labels, 'energy', 'energies')}, scored on validation alone."
        )


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


def _told(values: Values, places: int) -> str:
    one = moments(values)
    spread = f" ± {one.spread:.{places}f}" if np.isfinite(one.spread) else ""
    return f"{one.mean:.{places}f}{spread}"
