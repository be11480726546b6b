"""The tables and pictures of the claims: what the studies that are there say, with their numbers of draws."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from claims_data import Pair
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, ScalarFormatter

from rung.pages import keep_values, write_table
from rung.results.fits import StudyFit
from rung.study.config import StudyConfig, load_study_config
from rung.study.plan import choose, fit_steps
from rung.study.table import rows_of

mpl.use("Agg")

NAMES = {
    ("closed", "base"): "LL-EF",
    ("lifts", "base"): "LL-EF",
    ("variants", "base"): "LL-EF",
    ("closed", "readout"): "LL-EF, then `readout`",
    ("closed", "tangent"): "LL-EF, then `tangent`",
    ("matrix", "HL-E"): "HL-E",
    ("matrix", "HL-EF"): "HL-EF",
    ("matrix", "joint"): "LL-EF+HL-E",
    ("geometries", "LL-EF+HL-E by total"): "LL-EF+HL-E, epoch by the sum",
    ("geometries", "joint"): "LL-EF+HL-E, paired",
    ("geometries", "LL-EF+HL-E disjoint"): "LL-EF+HL-E, disjoint",
    ("matrix", "LL-EF+HL-EF"): "LL-EF+HL-EF",
    ("three", "GFN2 beside"): "LL-EF+HL-E",
    ("three", "joint"): "LL-EF+MP2-EF+HL-E",
    ("lifts", "joint"): "`joint` from the base",
    ("variants", "joint"): "`joint` from the base",
    ("variants", "joint opened"): "the same, from `readout`",
    ("variants", "joint closed"): "the same, closed by `readout`",
    ("lifts", "onehot"): "`onehot`, all",
    ("variants", "onehot all"): "`onehot`, all",
    ("variants", "onehot"): "`onehot`, embedding",
    ("lifts", "transfer"): "`transfer`",
    ("lifts", "delta"): "`delta`",
}
"""What the rows of the studies are called, in the order of the tables."""

RATIOS = (
    ("LL-EF+HL-E", "HL-E"),
    ("LL-EF+HL-E", "HL-EF"),
    ("LL-EF+HL-E", "LL-EF, then `readout`"),
    ("LL-EF+HL-E, paired", "HL-E"),
    ("LL-EF+HL-E, disjoint", "HL-E"),
    ("LL-EF+HL-EF", "HL-EF"),
    ("LL-EF", "HL-EF"),
    ("LL-EF, then `tangent`", "HL-EF"),
    ("LL-EF, then `tangent`", "LL-EF+HL-E"),
)
"""Whose force errors are divided, draw by draw."""

SHOWN = (("test", "energy_rmse"), ("test", "force_rmse"), ("absent", "energy_rmse_rel"), ("absent", "force_rmse"))
SHOWN += (("above", "energy_rmse"), ("above", "force_rmse"), ("NH3", "barrier"), ("HONO", "barrier"))

KEPT = {"energy_rmse", "energy_rmse_rel", "force_rmse", "low_force_rmse", "barrier", "epochs", "best_epoch"}
"""Metrics of each fit that ``claims.csv`` keeps."""

COLUMNS = ("levels", "labels", "energies", "draw", "split", "metric")

TRIAL = "trial"
"""The split of the scores of trials, in place of a test: the metric is what a trial changes, the draw its number."""

Key = tuple[str, int, str, str]
"""Row, number of energies, split, metric."""

Values = Mapping[Key, Mapping[int, float]]
"""The value of each draw."""


def values_of(folder: Path, pair: Pair) -> Values:
    """Return what the finished fits of a pair of levels say; a study goes on while it is read."""
    values: dict[Key, dict[int, float]] = defaultdict(dict)
    for kind in dict.fromkeys(kind for kind, _ in NAMES):
        place = folder / f"{kind}-{pair.name}"
        if not (place / "config.yaml").exists():
            continue
        config = load_study_config(place / "config.yaml")
        values |= scores_of(config, kind)
        for step in fit_steps(config):
            name = NAMES.get((kind, step.fit.method))  # a base's row stands beside every study of lifts
            if step.job is None or not step.job.done or name is None:
                continue
            result = StudyFit.read(step.job.result)
            for row in rows_of(step.fit, result, pair.high, pair.low):
                values[name, row.n_labels, row.split, row.metric][row.seed] = row.value
            for fact in ("epochs", "best_epoch"):
                if fact in result.fit.hyperparameters:
                    values[name, step.fit.n_labels, "fit", fact][step.fit.seed] = result.fit.hyperparameters[fact]
    return values


def scores_of(config: StudyConfig, kind: str) -> Values:
    """Return the validation errors of the trials of each row, meV/atom, by what a trial changes."""
    found: dict[Key, dict[int, float]] = {}
    for row in config.methods():
        name = NAMES.get((kind, row))
        for number, trial in enumerate(choose(config, row).trials):
            if name is not None and np.isfinite(trial.score):
                found[name, config.tune.labels, TRIAL, change_of(trial.change)] = {number: trial.score}
    return found


def change_of(change: Mapping[str, object]) -> str:
    """Return the words for what a trial changes."""
    ((key, value),) = change.items()
    return f"learning rate {value:g}" if key.endswith("learning_rate") else "weight of the target 10"


def trials(values: Values) -> Iterator[str]:
    """Yield the table of trials: what each scored on validation, the least of each row in bold."""
    yield "| labels, method | validation, meV/atom, as given | second trial | third trial | gain of the best |"
    yield "|---|---|---|---|---|"
    for name in dict.fromkeys(NAMES.values()):
        scores = {
            number: (score, change)
            for (row, _, split, change), found in values.items()
            if (row, split) == (name, TRIAL)
            for number, score in found.items()
        }
        if not scores:
            continue
        best = min(scores, key=scores.__getitem__)
        cells = [
            f"{'**' * (number == best)}{score:.1f}{'**' * (number == best)} ({change})"
            for number, (score, change) in sorted(scores.items())
        ]
        yield f"| {name} | {' | '.join(cells)} | {1 - scores[best][0] / scores[0][0]:.0%} |"


def spread(numbers: Sequence[float], digits: int) -> str:
    """Return a mean and the standard deviation between draws."""
    if not numbers:
        return "–"
    beside = f" ± {np.std(numbers, ddof=1):.{digits}f}" if len(numbers) > 1 else ""
    return f"{np.mean(numbers):.{digits}f}{beside}"


def rows(values: Values) -> Iterator[str]:
    """Yield the table of a pair: every method at every number of labels."""
    heads = ["energies", "labels, method", "draws", "epochs", "energy", "forces", "absent: energy", "absent: forces"]
    yield "| " + " | ".join([*heads, "above: energy", "above: forces", "NH₃, eV", "HONO, eV"]) + " |"
    yield "|" + "---|" * (len(heads) + 4)
    for number in sorted({number for _, number, _, _ in values}):
        for name in dict.fromkeys(NAMES.values()):
            draws = values.get((name, number, "test", "force_rmse"), {})
            if not draws:
                continue
            cells = [
                spread(list(values.get((name, number, split, metric), {}).values()), 2 if metric == "barrier" else 0)
                for split, metric in SHOWN
            ]
            epochs = list(values.get((name, number, "fit", "epochs"), {}).values())
            yield (
                f"| {number} | {name} | {len(draws)} | {np.mean(epochs):.0f} | ".replace("nan", "–")
                + " | ".join(cells)
                + " |"
                if epochs
                else f"| {number} | {name} | {len(draws)} | – | " + " | ".join(cells) + " |"
            )


def ratio(values: Values, one: str, other: str, number: int, split: str = "test") -> list[float]:
    """Return the ratio of the force errors of two rows, draw by draw."""
    mine, theirs = (values.get((name, number, split, "force_rmse"), {}) for name in (one, other))
    return [mine[draw] / theirs[draw] for draw in sorted(mine) if draw in theirs]


def ratios(pairs: Mapping[str, Values]) -> Iterator[str]:
    """Yield the ratios of force errors, by pair and number of labels."""
    numbers = sorted({number for values in pairs.values() for _, number, _, _ in values})
    yield "| force error of | over that of | levels | " + " | ".join(f"{number} energies" for number in numbers) + " |"
    yield "|" + "---|" * (3 + len(numbers))
    for one, other in RATIOS:
        for levels, values in pairs.items():
            found = [ratio(values, one, other, number) for number in numbers]
            if any(found):
                shown = [f"{spread(some, 2)} ({len(some)})" if some else "–" for some in found]
                yield f"| {one} | {other} | {levels} | " + " | ".join(shown) + " |"


def curves(folder: Path, pair: Pair, number: int, draw: int, out: Path) -> None:
    """Draw the validation loss of the target over epochs, one line a training."""
    tables = {}
    for (kind, method), name in NAMES.items():
        place = folder / f"{kind}-{pair.name}" / "fits" / f"{method}-n{number}-s{draw}"
        table = next(place.rglob("epochs.csv"), None) if kind in ("matrix", "lifts") else None
        if table is not None and (place / "metrics.json").exists():
            tables[name] = table
    if not tables:  # the picture of another machine stays
        return
    figure, axes = plt.subplots(figsize=(6.5, 4))
    for name, table in tables.items():
        lines = list(csv.DictReader(table.read_text().splitlines()))
        axes.semilogy([float(one["epoch"]) for one in lines], [float(one["valid_loss"]) for one in lines], label=name)
    axes.set_xlabel("epoch of some 45 steps")
    axes.set_ylabel("validation loss that chooses the epoch")
    axes.legend(frameon=False, fontsize=7, ncols=2)
    figure.tight_layout()
    figure.savefig(out)
    plt.close(figure)


@dataclass(frozen=True)
class Picture:
    """Force errors over the number of energies: which rows, and in each panel a pair of levels and a split."""

    rows: Sequence[str]
    panels: Sequence[tuple[str, str]]

    def draw(self, pairs: Mapping[str, Values], out: Path) -> None:
        """Draw the panels that there are numbers for."""
        width = 3.4 * len(self.panels) + 1.9
        figure, panels = plt.subplots(1, len(self.panels), figsize=(width, 3.4), squeeze=False)
        for axes, (levels, split) in zip(panels[0], self.panels, strict=True):
            for number, name in enumerate(self.rows):
                values = pairs.get(levels, {})
                points = {n: draws for (row, n, part, what), draws in values.items()
                          if (row, part, what) == (name, split, "force_rmse")}  # fmt: skip
                if not points:
                    continue
                numbers = sorted(points)
                draws = [list(points[n].values()) for n in numbers]
                bars = [np.std(some, ddof=1) if len(some) > 1 else 0.0 for some in draws]
                means = [np.mean(some) for some in draws]
                dash = "--" if "LL-EF+" in name else "-" if name.startswith("HL") else ":"
                axes.errorbar(
                    numbers, means, bars, color=COLOURS[number], marker="o", ms=3, ls=dash, label=name.replace("`", "")
                )
            axes.set_title(f"{levels}: {SPLIT_TITLES[split]}", fontsize=8)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("energies of the high level", fontsize=8)
            axes.xaxis.set_major_locator(FixedLocator([7, 50, 200, 350, 800]))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_minor_locator(NullLocator())
            axes.tick_params(labelsize=7)
        panels[0][0].set_ylabel("force error, meV/Å", fontsize=8)
        handles: dict[str, object] = {}
        for axes in panels[0]:
            lines, names = axes.get_legend_handles_labels()
            handles |= dict(zip(names, lines, strict=True))
        figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=7, loc="center right")
        figure.tight_layout(rect=(0, 0, 1 - 1.7 / width, 1))
        figure.savefig(out)
        plt.close(figure)


COLOURS = ("#000000", "#e69f00", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#56b4e9")
"""Those of Okabe and Ito: they differ for everybody."""

SPLIT_TITLES = {"test": "like the labels", "absent": "molecules without labels", "above": "above 1.5 eV"}

FAR, NEAR, UP = "GFN2 → MP2", "MP2 → CCSD(T)", "GFN2 → CCSD(T)"

PICTURES = {
    "claims": Picture(
        ("LL-EF", "HL-E", "LL-EF, then `tangent`", "HL-EF", "LL-EF+HL-E", "LL-EF+HL-EF"),
        ((FAR, "test"), (NEAR, "test")),
    ),
    "claims-lifts": Picture(
        ("LL-EF", "LL-EF, then `readout`", "LL-EF, then `tangent`", "`onehot`, all", "`joint` from the base", "`delta`",
         "`transfer`"),
        ((FAR, "test"), (FAR, "absent"), (FAR, "above")),
    ),
    "claims-three": Picture(
        ("LL-EF", "LL-EF, then `readout`", "LL-EF, then `tangent`", "LL-EF+MP2-EF+HL-E", "LL-EF+HL-E"),
        ((UP, "test"), (UP, "absent")),
    ),
}  # fmt: skip
"""A picture of each claim, by the name of its file."""


def every_value(folder: Path, levels: Sequence[Pair], file: Path) -> dict[str, Values]:
    """Return the values of all pairs of levels: what ``file`` has kept, and what the studies say, which it then has."""
    found = {
        (pair.title, name, str(number), str(draw), split, metric): value
        for pair in levels
        for (name, number, split, metric), draws in values_of(folder, pair).items()
        if metric in KEPT or split == TRIAL
        for draw, value in draws.items()
    }
    pairs: dict[str, dict[Key, dict[int, float]]] = {pair.title: defaultdict(dict) for pair in levels}
    for (title, name, number, draw, split, metric), value in keep_values(file, COLUMNS, found).items():
        pairs[title][name, int(number), split, metric][int(draw)] = value
    for pair in levels:
        if pair.tuned:
            pairs[pair.title] |= as_given(pairs[pair.title], pairs.get(replace(pair, tuned=False).title, {}))
    return {title: values for title, values in pairs.items() if values}


def as_given(tuned: Values, given: Values) -> dict[Key, dict[int, float]]:
    """Return the draws that a tuned row lacks where its trials chose the settings as given: they are those draws."""
    trials: dict[str, dict[int, float]] = defaultdict(dict)
    for (name, _, split, _), scores in tuned.items():
        if split == TRIAL:
            trials[name] |= scores
    chosen = {name for name, scores in trials.items() if min(scores, key=scores.__getitem__) == 0}
    numbers = {number for _, number, _, _ in tuned}
    return {
        key: {**draws, **tuned.get(key, {})} for key, draws in given.items() if key[0] in chosen and key[1] in numbers
    }


def write_page(folder: Path, levels: Sequence[Pair], target: Path) -> None:
    """Write one table of the page, such as ``page.md#ratios``, or all, and the pictures beside the page.

    The numbers of all draws stay in ``claims.csv`` beside the page.
    """
    name, _, chosen = target.name.partition("#")
    pairs = every_value(folder, levels, target.with_name("claims.csv"))
    blocks = [f"**{title}**\n\n" + "\n".join(rows(values)) for title, values in pairs.items()]
    tuned = {key: draws for values in pairs.values() for key, draws in values.items() if key[2] == TRIAL}
    tables = {"ratios": "\n".join(ratios(pairs)), "trials": "\n".join(trials(tuned)), "rows": "\n\n".join(blocks)}
    for table, content in tables.items():
        if chosen in ("", table):
            write_table(target.with_name(f"{name}#{table}"), content)
    for file, picture in PICTURES.items():
        picture.draw(pairs, target.with_name(f"{file}.svg"))
    curves(folder, levels[0], 50, 0, target.with_name("claims-curves.svg"))
