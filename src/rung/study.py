"""A learning curve: methods over numbers of labels and seeds, each fit a folder, predictions from cached designs."""

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rung.config import StudyConfig
from rung.data.readers import read_structures
from rung.data.splits import draw_labels, with_energies
from rung.data.structure import Structure
from rung.doctor import Diagnosis
from rung.errors import DataError
from rung.fit.method import Context
from rung.fit.offset import OffsetSettings
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.report import write_study_report
from rung.run.checking import findings_json, sound_diagnosis
from rung.run.evaluation import errors_of, shares_of
from rung.run.folder import RunFolder, next_free
from rung.run.inputs import context_of, design_cache, open_base, read_splits, require_device, set_threads
from rung.run.methods import method_of, prepare
from rung.run.predictor import Predictor
from rung.run.provenance import ingredients, provenance, require_files
from rung.storage import read_json, write_json, write_text

BASE = "base"
"""The row of the base: its forces as they are, its energies after one offset per element on the draw's labels."""

COUNTS = ("n_structures", "n_energies", "n_forces", "n_stresses", "noise_floor")
"""What does not change from fit to fit, and so is no row of ``study.csv``."""

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


def run_study(
    config: StudyConfig, *, new: bool = False, notices: Sequence[str] = (), progress: Progress = SILENT
) -> FinishedStudy:
    """Do every fit of a study that is not done yet, then write its table and its report.

    Parameters
    ----------
    config
        The study, its paths absolute (see :func:`rung.config.load_study_config`).
    new
        Take the next free folder beside ``config.run`` where that exists.
    notices
        Sentences for the top of the report: who made the labels, and what may be done with them.
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
    set_threads(config)
    require_files(config)
    require_device(config.device)
    found = ingredients(config)
    folder = RunFolder(config.run)
    workshop = Workshop(config, progress)
    diagnosis = None if folder.path.exists() else workshop.check()
    with folder.lock():
        folder.require_same(found)
        folder.sweep()
        if diagnosis is None and not folder.findings.exists():
            diagnosis = workshop.check()
        folder.stamp(config, provenance(config, found))
        if diagnosis is not None:
            write_json(folder.findings, findings_json(diagnosis))
        fits = tuple(all_fits(config))
        waiting = [fit for fit in fits if not _result(config.run, fit).exists()]
        if waiting:
            with progress.task("Features", 1) as task:
                workshop.prepare()
                task.advance()
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
        finished = FinishedStudy(config.run, rows, len(waiting))
        write_json(config.run / "study.json", _about(finished, workshop, fits, notices))
        write_study_report(config.run)
    return finished


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

    @cached_property
    def splits(self) -> dict[str, tuple[Structure, ...]]:
        """The structures of every split; exact energies in the training set where they are known."""
        splits = read_splits(self.config)
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
        return open_base(self.config)

    @cached_property
    def predictor(self) -> Predictor:
        """Predicts from designs, each computed once for the study."""
        return Predictor(self.base, design_cache(self.config), self.config.force_structures, self.progress)

    def check(self) -> Diagnosis:
        """Return what the doctor says; raise before anything is written where the study cannot be done."""
        known = sum(structure.labelled(self.config.target).has_energy for structure in self.splits["train"])
        if known < max(self.config.labels):
            raise DataError(
                f"{max(self.config.labels)} energies of {self.config.target!r} were asked for; "
                f"only {known} training structures have one."
            )
        _ = self.bands
        return sound_diagnosis(self.config, self.splits, self.base, self.progress)

    def prepare(self) -> None:
        """Compute the designs that fits and predictions share, so that the fits that follow are quick."""
        config, base = self.config, self.base
        if base is None or config.base is None:
            return
        context = self._context(0, config.run)
        target = config.fidelity_table()[config.target]
        read = [
            prepare(self.splits["train"], base, target, settings, context) for settings in config.methods().values()
        ]
        if any(read):
            for name in config.data.evaluate:
                self.predictor.predict(base, None, self.splits[name], config.base.fidelity, config.target)

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
            self._context(fit.seed, _result(config.run, fit).parent / "checkpoints"),
        )
        seconds = time.monotonic() - started
        posterior = None if fit.method == BASE else result.posterior  # the base is there to compare with: no bars
        return {
            "splits": {
                name: {config.target: self._errors(result.potential, posterior, self.splits[name])}
                for name in config.data.evaluate
            },
            "bands": {
                name: self.predictor.static_barrier(result.potential, posterior, images, config.target)
                for name, images in self.bands.items()
            },
            "fit": {"method": fit.method, "seconds": seconds, "hyperparameters": dict(result.diagnostics)},
            "warnings": list(result.warnings),
        }

    def _context(self, seed: int, folder: Path) -> Context:
        return context_of(self.config, self.base, seed=seed, folder=folder, progress=self.progress)

    def _errors(self, potential: ReadoutPotential, posterior: Any, structures: Sequence[Structure]) -> dict[str, Any]:
        target = self.config.target
        found = self.predictor.predict(potential, posterior, structures, target, target)
        base = None
        if self.base is not None and self.config.base is not None:
            base = self.predictor.predict(self.base, None, structures, self.config.base.fidelity, target)
        return {**errors_of(found, structures, target, base).as_dict(), **shares_of(found, structures, target)}


def _result(folder: Path, fit: Fit) -> Path:
    return folder / "fits" / fit.name / "metrics.json"


def _rows(fit: Fit, result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    common = {"method": fit.method, "n_labels": fit.n_labels, "seed": fit.seed}
    groups = [(split, errors) for split, found in result["splits"].items() for errors in found.values()]
    groups += [*result["bands"].items(), ("fit", {"seconds": result["fit"]["seconds"]})]
    for split, numbers in groups:
        for metric, value in numbers.items():
            if metric not in COUNTS and value is not None:
                yield {**common, "split": split, "metric": metric, "value": value}


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _about(study: FinishedStudy, workshop: Workshop, fits: Sequence[Fit], notices: Sequence[str]) -> dict[str, Any]:
    config = workshop.config
    warnings: dict[str, list[str]] = {}
    for fit in fits:
        for sentence in read_json(_result(config.run, fit))["warnings"]:
            warnings.setdefault(sentence, []).append(fit.name)
    return {
        "title": f"{config.run.name}: {config.target} with few energies",
        "notice": list(notices),
        "verdict": [sentence for split in config.data.evaluate for sentence in _verdict(study, split)],
        "truths": _truths(workshop),
        "settings": {
            "target": config.target,
            "base fidelity": None if config.base is None else config.base.fidelity,
            "methods": ", ".join(dict.fromkeys(fit.method for fit in fits)),
            "numbers of energies": ", ".join(str(number) for number in config.labels),
            "seeds": ", ".join(str(seed) for seed in config.seeds),
            "fits": len(fits),
        },
        "warnings": [{"sentence": sentence, "fits": names} for sentence, names in warnings.items()],
    }


def _truths(workshop: Workshop) -> dict[str, float]:
    """Return the barrier that the target's own labels give along a band, where there is one band and it is labelled."""
    if len(workshop.bands) != 1:
        return {}
    (images,) = workshop.bands.values()
    energies = np.array([image.labelled(workshop.config.target).energy for image in images])
    return {"barrier": float(energies.max() - energies[0])} if np.isfinite(energies).all() else {}


def _verdict(study: FinishedStudy, split: str) -> Iterator[str]:
    """Yield a sentence for each method at the largest number of labels, never energies without forces."""
    energies = study.summary(split, "energy_rmse")
    known = study.summary(split, "force_rmse")
    forces, word = (known, "errs by") if known else (study.summary(split, "force_departure_rmse"), "leaves the base by")
    for method, by_number in energies.items():
        number = max(by_number)
        if number not in forces.get(method, {}):
            continue
        energy, spread = by_number[number]
        force, force_spread = forces[method][number]
        yield (
            f"On {split} with {number} energies, {method}: energies err by {energy:.1f} ± {spread:.1f} meV/atom, "
            f"a force component {word} {force:.0f} ± {force_spread:.0f} meV/Å."
        )


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
