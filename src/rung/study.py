"""A learning curve: methods over numbers of labels and seeds, each fit a folder, predictions from cached designs."""

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rung.backends import load_base
from rung.config import StudyConfig
from rung.data.readers import read_structures
from rung.data.splits import check_disjoint, draw_labels, with_energies
from rung.data.structure import Structure
from rung.errors import DataError
from rung.features.cache import DesignCache
from rung.fit.method import Context
from rung.fit.offset import OffsetSettings
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.report import write_study_report
from rung.run.evaluation import errors_of
from rung.run.folder import RunFolder, next_free
from rung.run.methods import method_of
from rung.run.predictor import Predictor
from rung.run.provenance import ingredients, provenance, require_files
from rung.storage import read_json, write_json, write_text

BASE = "base"
"""The row of the base: its forces as they are, its energies after one offset per element on the draw's labels."""

COLUMNS = ("method", "n_labels", "seed", "split", "metric", "value")


@dataclass(frozen=True)
class Fit:
    """One fit of a study.

    Parameters
    ----------
    method
        The name of its rows.
    n_labels
        How many target energies it sees.
    seed
        Of the draw, and of everything random in the fit.
    """

    method: str
    n_labels: int
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.method}-n{self.n_labels}-s{self.seed}"


@dataclass(frozen=True)
class FinishedStudy:
    """What a study left behind.

    Parameters
    ----------
    folder
        Where it is.
    rows
        The lines of ``study.csv``: method, n_labels, seed, split, metric, value.
    n_new
        Fits that were done now.
    """

    folder: Path
    rows: tuple[Mapping[str, Any], ...]
    n_new: int

    def summary(self, split: str, metric: str) -> dict[str, dict[int, tuple[float, float]]]:
        """Return mean and standard deviation over seeds of one metric, by method and number of labels."""
        values: dict[str, dict[int, list[float]]] = {}
        for row in self.rows:
            if row["split"] == split and row["metric"] == metric and row["value"] is not None:
                values.setdefault(row["method"], {}).setdefault(row["n_labels"], []).append(float(row["value"]))
        return {
            method: {n: (float(np.mean(found)), _spread(found)) for n, found in sorted(by_number.items())}
            for method, by_number in values.items()
        }


def run_study(config: StudyConfig, *, new: bool = False, progress: Progress = SILENT) -> FinishedStudy:
    """Do every fit of a study that is not done yet, then write its table and its report.

    Parameters
    ----------
    config
        The study, its paths absolute (see :func:`rung.config.load_study_config`).
    new
        Take the next free folder beside ``config.run`` where that exists.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file is missing or cannot be used, or there are fewer labels than asked for.
    StorageError
        When the folder is another study's, or another process works in it.
    """
    if new:
        config = config.model_copy(update={"run": next_free(config.run)})
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    require_files(config)
    found = ingredients(config)
    folder = RunFolder(config.run)
    workshop = Workshop(config, progress)
    if not folder.path.exists():
        workshop.check()
    with folder.lock():
        folder.stamp(config, provenance(config, found))
        fits = tuple(all_fits(config))
        waiting = [fit for fit in fits if not _result(config.run, fit).exists()]
        with progress.task("Fits", len(fits)) as task:
            task.advance(len(fits) - len(waiting))
            for fit in waiting:
                task.describe(f"Fits: {fit.name}")
                started = time.monotonic()
                write_json(_result(config.run, fit), workshop.run(fit))
                folder.note(f"{fit.name}: {time.monotonic() - started:.2f} s")
                task.advance()
        rows = tuple(row for fit in fits for row in _rows(fit, read_json(_result(config.run, fit))))
        write_text(config.run / "study.csv", _table(rows))
        write_json(config.run / "study.json", _about(config, fits))
        write_study_report(config.run)
    return FinishedStudy(config.run, rows, len(waiting))


def all_fits(config: StudyConfig) -> Iterator[Fit]:
    """Yield every fit of a study in the order in which they are done."""
    names = [*([BASE] if config.base is not None else []), *config.methods()]
    for n_labels in config.labels:
        for seed in config.seeds:
            for name in names:
                yield Fit(name, n_labels, seed)


@dataclass(frozen=True)
class Workshop:
    """What the fits of one study share: structures, base, designs; read when first needed.

    Parameters
    ----------
    config
        The study.
    progress
        Where long work reports.
    """

    config: StudyConfig
    progress: Progress = SILENT
    _known: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def splits(self) -> dict[str, tuple[Structure, ...]]:
        """The structures of every split; exact energies in the training set where they are known."""
        splits = {name: read_structures(paths) for name, paths in self.config.splits().items()}
        noise = self.config.noise
        if noise is not None:
            splits["train"] = with_energies(splits["train"], self.config.target, read_json(noise.exact))
        return splits

    @cached_property
    def bands(self) -> dict[str, tuple[Structure, ...]]:
        """The bands whose static barriers are recorded."""
        return {name: read_structures(path) for name, path in self.config.bands.items()}

    @cached_property
    def base(self) -> ReadoutPotential | None:
        """The base."""
        given = self.config.base
        if given is None:
            return None
        return load_base(
            given.file,
            fidelity=given.fidelity,
            head=given.head,
            trusted=given.trusted,
            dtype=self.config.dtype,
            device=self.config.device,
        )

    @cached_property
    def predictor(self) -> Predictor:
        """Predicts from designs, each computed once for the study."""
        return Predictor(self.base, self._cache, self.config.force_structures, self.progress)

    @property
    def _cache(self) -> DesignCache | None:
        return None if self.config.cache is None else DesignCache(self.config.cache)

    def check(self) -> None:
        """Raise before anything is written where the study cannot be done."""
        check_disjoint(self.splits)
        known = sum(structure.labelled(self.config.target).has_energy for structure in self.splits["train"])
        if known < max(self.config.labels):
            raise DataError(
                f"{max(self.config.labels)} energies of {self.config.target!r} were asked for; "
                f"only {known} training structures have one."
            )
        _ = self.base, self.bands

    def run(self, fit: Fit) -> dict[str, Any]:
        """Return what one fit found, in the shape of ``metrics.json``, with the static barriers beside."""
        config, started = self.config, time.monotonic()
        settings = OffsetSettings() if fit.method == BASE else config.methods()[fit.method]
        train = draw_labels(
            self.splits["train"],
            config.target,
            fit.n_labels,
            fit.seed,
            noise=None if config.noise is None else config.noise.energy_stderr,
        )
        result = method_of(settings)(
            train,
            self.splits.get("valid", ()),
            self.base,
            config.fidelity_table(),
            config.target,
            settings,
            Context(
                seed=fit.seed,
                cache=self._cache,
                folder=_result(config.run, fit).parent / "checkpoints",
                device=config.device,
                dtype=config.dtype or "float32",
                base_fidelity="" if config.base is None else config.base.fidelity,
                progress=self.progress,
            ),
        )
        seconds = time.monotonic() - started
        return {
            "splits": {
                name: {config.target: self._errors(result.potential, result.posterior, self.splits[name])}
                for name in config.data.evaluate
            },
            "bands": {
                name: self.predictor.static_barrier(result.potential, result.posterior, images, config.target)
                for name, images in self.bands.items()
            },
            "fit": {"method": fit.method, "seconds": seconds, "hyperparameters": dict(result.diagnostics)},
            "warnings": list(result.warnings),
        }

    def _errors(self, potential: ReadoutPotential, posterior: Any, structures: Sequence[Structure]) -> dict[str, Any]:
        target = self.config.target
        found = self.predictor.predict(potential, posterior, structures, target, target)
        base = None
        if self.base is not None and self.config.base is not None:
            base = self.predictor.predict(self.base, None, structures, self.config.base.fidelity, target)
        return errors_of(found, structures, target, base).as_dict()


def _result(folder: Path, fit: Fit) -> Path:
    return folder / "fits" / fit.name / "metrics.json"


def _rows(fit: Fit, result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    common = {"method": fit.method, "n_labels": fit.n_labels, "seed": fit.seed}
    for split, by_fidelity in result["splits"].items():
        for errors in by_fidelity.values():
            for metric, value in errors.items():
                yield {**common, "split": split, "metric": metric, "value": value}
    for band, barrier in result["bands"].items():
        for metric, value in barrier.items():
            yield {**common, "split": band, "metric": metric, "value": value}
    yield {**common, "split": "fit", "metric": "seconds", "value": result["fit"]["seconds"]}


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _about(config: StudyConfig, fits: Sequence[Fit]) -> dict[str, Any]:
    warnings: dict[str, list[str]] = {}
    for fit in fits:
        for sentence in read_json(_result(config.run, fit))["warnings"]:
            warnings.setdefault(sentence, []).append(fit.name)
    return {
        "target": config.target,
        "base_fidelity": None if config.base is None else config.base.fidelity,
        "methods": list(dict.fromkeys(fit.method for fit in fits)),
        "labels": config.labels,
        "seeds": config.seeds,
        "splits": list(config.data.evaluate),
        "bands": list(config.bands),
        "n_fits": len(fits),
        "warnings": [{"sentence": sentence, "fits": names} for sentence, names in warnings.items()],
    }


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
