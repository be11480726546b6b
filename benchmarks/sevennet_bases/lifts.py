"""Lifts of SevenNet-MF-0 over draws of labels: one file a fit, so that a stopped study goes on where it was."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from modalities import CHECKPOINT, HIGH, LOW

from rung.backends import load_base
from rung.data.labels import Array
from rung.data.splits import draw_labels, energies_only
from rung.data.structure import Structure
from rung.evaluate.errors import ErrorSums
from rung.features.cache import DesignCache
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods import METHODS
from rung.model.potential import ReadoutPotential
from rung.pages import keep_values
from rung.run.evaluation import add_errors, predict
from rung.storage import read_json, write_json

LIFTED = ("offset", "readout", "tangent")
"""In the order of their cost: all draws of the first two are made before ``tangent``, which takes minutes."""

COLUMNS = ("study", "method", "draw", "metric")
"""Of the file of numbers beside a page."""

Numbers = Mapping[str, float]
Measure = Callable[[ReadoutPotential, str], Numbers]
"""What is asked of a potential at one of its fidelities."""


@dataclass(frozen=True)
class Study:
    """One system with one target.

    Parameters
    ----------
    name
        Of system and target.
    work
        Where numbers are kept.
    cache
        Where designs are kept: they do not depend on the target.
    train
        Frames; those with an exact energy of the target may be drawn.
    labels
        Energies of a draw.
    noise
        Of each energy, eV a cell: one number, or the least and the greatest; None for exact energies.
    measure
        What is asked.
    draws
        How many.
    """

    name: str
    work: Path
    cache: Path
    train: Sequence[Structure]
    labels: int
    noise: float | tuple[float, float] | None
    measure: Measure
    draws: int

    @cached_property
    def base(self) -> ReadoutPotential:
        """The modality PBE."""
        return load_base(CHECKPOINT, fidelity=LOW, head="PBE")

    def make(self, methods: Sequence[str] = LIFTED) -> None:
        """Make the numbers of the base as it is, and of each method and draw, where they are missing."""
        self._keep("base", lambda: self.measure(self.base, LOW))
        for method in methods:
            for draw in range(self.draws):
                self._keep(f"{method}-{draw}", lambda m=method, d=draw: self.measure(self._lifted(m, d), HIGH))

    def made(self, page: Path | None = None) -> dict[str, list[Numbers]]:
        """Return the numbers that there are so far; with a page, those too that the file of numbers beside it has."""
        places = {("base", "0"): self.work / "base.json"}
        places |= {(method, str(draw)): self.work / f"{method}-{draw}.json"
                   for method in LIFTED for draw in range(self.draws)}  # fmt: skip
        found = {
            (self.name, *fit, metric): float(value)
            for fit, path in places.items()
            if path.exists()
            for metric, value in read_json(path).items()
        }
        if page is not None:
            found = keep_values(page.with_name(f"{page.stem}.csv"), COLUMNS, found)
        by_method: dict[str, dict[str, dict[str, float]]] = {name: {} for name in ("base", *LIFTED)}
        for (study, method, draw, metric), value in found.items():
            if study == self.name:
                by_method[method].setdefault(draw, {})[metric] = value
        return {name: list(draws.values()) for name, draws in by_method.items() if draws}

    def _keep(self, name: str, make: Callable[[], Numbers]) -> None:
        path = self.work / f"{name}.json"
        if not path.exists():
            write_json(path, dict(make()))
            print(self.work.name, name, read_json(path), flush=True)

    def _lifted(self, method: str, draw: int) -> ReadoutPotential:
        drawn = energies_only(draw_labels(self.train, HIGH, self.labels, draw, noise=self.noise), HIGH)
        fidelities = {name: Fidelity(name) for name in (LOW, HIGH)}
        lift = Lift(drawn, (), Base(self.base, LOW), fidelities, HIGH)
        context = Context(seed=draw, cache=DesignCache(self.cache))
        one = METHODS[method]
        return one.fit(lift, one.settings(name=method), context).potential


def errors(potential: ReadoutPotential, fidelity: str, structures: Sequence[Structure]) -> Numbers:
    """Return errors against the labels of the target: energies in meV/atom, forces in meV/Å."""
    sums = ErrorSums()
    predicted = predict(potential, structures, fidelity)
    add_errors(sums, predicted, structures, HIGH)
    found = sums.errors()
    return {"energy": found.energy_rmse, "forces": found.force_rmse}


def energies(potential: ReadoutPotential, fidelity: str, structures: Sequence[Structure]) -> Array:
    """Return the energy of each structure, eV."""
    return predict(potential, structures, fidelity, forces=False).energy


def truths(structures: Sequence[Structure]) -> Array:
    """Return the target's energy of each structure, eV."""
    return np.array([one.labels[HIGH].energy for one in structures])


def options_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return what a study is told."""
    parser.add_argument("--work", type=Path, required=True, help="where designs and numbers are kept")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--methods", nargs="*", choices=LIFTED, default=LIFTED, help="none only writes what there is")
    parser.add_argument("--write", type=Path, help="the page")
    return parser.parse_args()


def table(rows: Mapping[str, Sequence[Numbers]], columns: Mapping[str, tuple[str, int]]) -> list[str]:
    """Return mean and standard deviation over draws as lines of Markdown; a column is a title and its digits."""
    lines = [
        "| method | draws | " + " | ".join(title for title, _ in columns.values()) + " |",
        "|---|---:|" + "---:|" * len(columns),
    ]
    for method, draws in rows.items():
        cells = [_cell([one[key] for one in draws if key in one], digits) for key, (_, digits) in columns.items()]
        lines.append(f"| `{method}` | {len(draws)} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"
