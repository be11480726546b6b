"""The runs of one page, by name, and where their numbers may be held against one another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rung.errors import ConfigError, StorageError, counted
from rung.report.read import RunFiles, read_run
from rung.results.predictions import Predictions
from rung.results.study import TABLE_FILE


@dataclass(frozen=True)
class Runs:
    """Runs side by side.

    Parameters
    ----------
    by_name
        What each folder holds, by the name that the page gives it.
    """

    by_name: Mapping[str, RunFiles]

    @property
    def targets(self) -> dict[str, list[str]]:
        """The names of the runs by the fidelity that they lift to."""
        found: dict[str, list[str]] = {}
        for name, run in self.by_name.items():
            found.setdefault(run.target, []).append(name)
        return found

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Every split that a run was evaluated on, in the order of the first that has it."""
        return tuple(dict.fromkeys(split for run in self.by_name.values() for split, _ in run.errors))

    def alike(self, split: str) -> list[list[str]]:
        """Return the names of the runs in groups that judged the same labels of the same structures of ``split``."""
        groups: list[list[str]] = []
        for name, run in self.by_name.items():
            if (split, run.target) not in run.errors:
                continue
            group = next((one for one in groups if not self._differ(split, one[0], name)), None)
            if group is None:
                groups.append([name])
            else:
                group.append(name)
        return groups

    def _differ(self, split: str, one: str, other: str) -> str:
        """Return how two runs disagree on what a split is; empty where they agree."""
        first, second = self.by_name[one], self.by_name[other]
        if first.target != second.target:
            return f"{one} is judged against labels of {first.target}, {other} against those of {second.target}"
        known, there = first.predictions.get(split), second.predictions.get(split)
        if known is None or there is None:
            counts = (run.errors[split, run.target].n_structures for run in (first, second))
            return _counted(one, other, *counts)
        return _unlike(one, other, known, there)

    def troubles(self) -> Iterator[str]:
        """Yield what keeps numbers of the runs apart, in sentences."""
        if len(self.targets) > 1:
            listed = "; ".join(f"{', '.join(names)}: {target or 'unknown'}" for target, names in self.targets.items())
            yield f"The runs have different targets ({listed}): errors of different targets are not comparable."
        for split in self.splits:
            absent = [name for name, run in self.by_name.items() if not any(split == one for one, _ in run.errors)]
            if absent:
                yield f"{', '.join(absent)} {'was' if len(absent) == 1 else 'were'} not evaluated on {split}."
            groups = self.alike(split)
            for group in groups[1:]:
                if self.by_name[group[0]].target == self.by_name[groups[0][0]].target:
                    yield f"{split} is not one split: {self._differ(split, groups[0][0], group[0])}."


def _counted(one: str, other: str, first: int, second: int) -> str:
    return "" if first == second else f"{one} has {counted(first, 'structure')} there and {other} {second}"


def _unlike(one: str, other: str, first: Predictions, second: Predictions) -> str:
    if len(first.n_atoms) != len(second.n_atoms):
        return _counted(one, other, len(first.n_atoms), len(second.n_atoms))
    unlike = sum(a != b for a, b in zip(first.structure_ids, second.structure_ids, strict=True))
    if unlike or first.n_atoms != second.n_atoms:
        return (
            f"{unlike or 'some'} of its structures {'is another' if unlike == 1 else 'are others'} in {other} than in "
            f"{one}"
        )
    moved = int((~np.isclose(first.energy_label, second.energy_label, rtol=0.0, atol=1e-6, equal_nan=True)).sum())
    return f"{moved} of its labels differ{'s' if moved == 1 else ''} between {one} and {other}" if moved else ""


def read_runs(folders: Sequence[Path]) -> Runs:
    """Read several run folders, and name each after what tells it from the others.

    Raises
    ------
    ConfigError
        When a folder is given twice.
    StorageError
        When one holds no run, or a study, or a file in it is damaged.
    """
    where = [Path(folder).resolve() for folder in folders]
    for folder in where:
        if where.count(folder) > 1:
            raise ConfigError(f"{folder} is given twice; name different runs.")
        if (folder / TABLE_FILE).exists():
            raise StorageError(f"{folder} is the folder of a study: rung report shows it alone, and runs side by side.")
    runs = {name: read_run(folder) for name, folder in zip(names_of(where), where, strict=True)}
    for folder, run in zip(where, runs.values(), strict=True):
        if run.metrics is None:
            raise StorageError(f"{folder} holds no metrics.json of a run; run rung fit first, or leave it out.")
    return Runs(runs)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that differ from one another."""
    depth = 1
    while True:
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
        depth += 1
