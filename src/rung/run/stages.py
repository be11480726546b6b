"""The stages of a run: check, features, fit, evaluate, export, report; one whose result file exists is skipped."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from rung.backends import export, load_base
from rung.checkpoint import Checkpoint
from rung.checkpoint import load as load_checkpoint
from rung.checkpoint import save as save_checkpoint
from rung.config import RunConfig
from rung.data.readers import read_structures
from rung.data.splits import check_disjoint
from rung.data.structure import Structure
from rung.doctor import Diagnosis, diagnose
from rung.errors import FindingsError, ModelError
from rung.features.cache import DesignCache
from rung.features.passes import build_designs
from rung.fit.method import Context
from rung.fit.offset import OffsetSettings, fit_offset
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.report import write_report
from rung.run.evaluation import SplitPrediction, as_json, errors_of, has_stress, predict
from rung.run.folder import RunFolder, next_free
from rung.run.methods import FROZEN_BACKBONE, method_of
from rung.run.predictor import with_bars
from rung.run.provenance import ingredients, provenance, require_files
from rung.storage import read_json, write_json


@dataclass(frozen=True)
class FinishedRun:
    """What a run left behind.

    Parameters
    ----------
    folder
        Where it is.
    metrics
        The content of ``metrics.json``.
    warnings
        What the reader of the numbers must know.
    stages
        The stages that ran now; none where the run was finished before.
    """

    folder: RunFolder
    metrics: Mapping[str, Any]
    warnings: tuple[str, ...]
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """A config with what it names, read when first needed: a finished run reads nothing."""

    config: RunConfig
    progress: Progress = SILENT

    @cached_property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        return RunFolder(self.config.run)

    @cached_property
    def splits(self) -> dict[str, tuple[Structure, ...]]:
        """The structures of every split, by name."""
        return {name: read_structures(paths) for name, paths in self.config.splits().items()}

    @cached_property
    def base(self) -> ReadoutPotential | None:
        """The base, or None without one."""
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
    def cache(self) -> DesignCache | None:
        """The cache of designs."""
        return None if self.config.cache is None else DesignCache(self.config.cache)

    @cached_property
    def fitted(self) -> Checkpoint:
        """The fitted potential, from its file, so that a run that was resumed evaluates what an unbroken one does."""
        return load_checkpoint(self.folder.model, device=self.config.device)

    @property
    def evaluated(self) -> dict[str, tuple[Structure, ...]]:
        """The splits that are evaluated on, by name."""
        return {name: self.splits[name] for name in self.config.data.evaluate}

    @cached_property
    def context(self) -> Context:
        """Where and how the fit runs."""
        return Context(
            seed=self.config.seed,
            cache=self.cache,
            folder=self.folder.checkpoints,
            device=self.config.device,
            dtype=self.config.dtype or _dtype_of(self.base),
            base_fidelity="" if self.config.base is None else self.config.base.fidelity,
            progress=self.progress,
        )


def run_fit(config: RunConfig, *, new: bool = False, progress: Progress = SILENT) -> FinishedRun:
    """Do every stage of a run that is not done yet.

    Parameters
    ----------
    config
        The run, its paths absolute (see :func:`rung.config.load_config`).
    new
        Take the next free folder beside ``config.run`` where that exists.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file is missing or cannot be used, or a geometry stands in two splits.
    FindingsError
        When the checks find an error; nothing is written then.
    StorageError
        When the folder is another run's, or another process works in it.
    """
    if new:
        config = config.model_copy(update={"run": next_free(config.run)})
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    require_files(config)
    work, found = Work(config, progress), ingredients(config)
    # a folder is only made once its data are known to be good, so that a refusal leaves nothing behind
    diagnosis = None if work.folder.path.exists() else check(work)
    with work.folder.lock():
        work.folder.require_same(found)
        if diagnosis is None and not work.folder.findings.exists():
            diagnosis = check(work)
        work.folder.stamp(config, provenance(config, found))
        if diagnosis is not None:
            write_json(work.folder.findings, diagnosis.as_json())
            work.folder.note("check: no errors")
        stages = tuple(name for name, done, stage in STAGES if not done(work) and _timed(name, stage, work))
    warnings = tuple(read_json(work.folder.fit).get("warnings", ()))
    return FinishedRun(work.folder, read_json(work.folder.metrics), warnings, stages)


def check(work: Work) -> Diagnosis:
    """Check the data and the base; raise a :class:`~rung.errors.FindingsError` if anything is an error."""
    check_disjoint(work.splits)
    diagnosis = diagnose(
        work.splits,
        target=work.config.target,
        base=work.base,
        base_fidelity=None if work.config.base is None else work.config.base.fidelity,
        progress=work.progress,
    )
    errors = [finding for finding in diagnosis.findings if finding.grade == "error"]
    if errors:
        listed = " ".join(f"[{number}] {finding.sentence}" for number, finding in enumerate(errors, start=1))
        raise FindingsError(f"The data have {len(errors)} error(s), so nothing was fitted: {listed}")
    return diagnosis


def features(work: Work) -> None:
    """Compute what evaluation reads of the frozen backbone, and keep it in the cache."""
    started = time.monotonic()
    structures = [structure for split in work.evaluated.values() for structure in split]
    if work.base is not None and work.config.base is not None and work.config.method.name in FROZEN_BACKBONE:
        build_designs(
            structures,
            work.base.backbone,
            work.base.surface(work.config.base.fidelity).readout,
            forces=False,
            fidelity=work.config.base.fidelity,
            cache=work.cache,
            progress=work.progress,
        )
    write_json(work.folder.features, {"n_structures": len(structures), "seconds": time.monotonic() - started})


def fit(work: Work) -> None:
    """Run the method, and keep the model and what the method says of it."""
    started = time.monotonic()
    result = method_of(work.config.method)(
        work.splits["train"],
        work.splits.get("valid", ()),
        work.base,
        work.config.fidelity_table(),
        work.config.target,
        work.config.method,
        work.context,
    )
    target = work.config.target
    save_checkpoint(
        work.folder.model,
        result.potential,
        posterior=result.posterior,
        metadata={"target": target, "method": work.config.method.name},
    )
    for sentence in result.warnings:
        work.folder.note(f"warning: {sentence}")
    write_json(
        work.folder.fit,
        {
            "method": work.config.method.name,
            "settings": result.settings.model_dump(mode="json"),
            "seconds": time.monotonic() - started,
            "n_energies": sum(structure.labelled(target).has_energy for structure in work.splits["train"]),
            "diagnostics": result.diagnostics,
            "warnings": result.warnings,
            "details": result.details,
        },
    )


def evaluate(work: Work) -> None:
    """Predict every split, beside the base, and write errors and predictions."""
    target = work.config.target
    shifted = _base_with_offset(work)
    splits: dict[str, Any] = {}
    base: dict[str, Any] = {}
    for name, structures in work.evaluated.items():
        prediction = _predicted(work, structures)
        before = None
        if shifted is not None:
            before = predict(shifted, structures, target, stress=has_stress(structures, target), progress=work.progress)
            base[name] = {target: errors_of(before, structures, target).as_dict()}
        splits[name] = {target: errors_of(prediction, structures, target, before).as_dict()}
        write_json(work.folder.predictions(name), as_json(structures, target, prediction, before))
    said, made = read_json(work.folder.fit), read_json(work.folder.features)
    diagnostics = dict(said["diagnostics"])
    write_json(
        work.folder.metrics,
        {
            "splits": splits,
            "base": base if shifted is not None else None,
            "fit": {
                "method": said["method"],
                "seconds": said["seconds"],
                "cache_seconds": made["seconds"] + (diagnostics.pop("cache_seconds", 0.0) or 0.0),
                "n_parameters": diagnostics.pop("n_parameters", None),
                "n_energies": said["n_energies"],
                "hyperparameters": diagnostics,
            },
        },
    )


def export_native(work: Work) -> None:
    """Write the target as one file of the base's backend, or say in ``provenance.json`` why it cannot be one."""
    target = work.config.target
    try:
        export(work.fitted.potential, target, work.folder.native(target))
        outcome: dict[str, Any] = {"file": work.folder.native(target).name}
    except ModelError as error:
        outcome = {"file": None, "reason": str(error)}
    write_json(work.folder.provenance, {**read_json(work.folder.provenance), "export": outcome})


def report(work: Work) -> None:
    """Write the report."""
    write_report(work.folder.path)


def _exported(work: Work) -> bool:
    return "export" in read_json(work.folder.provenance)


STAGES: tuple[tuple[str, Callable[[Work], bool], Callable[[Work], None]], ...] = (
    ("features", lambda work: work.folder.features.exists(), features),
    ("fit", lambda work: work.folder.fit.exists(), fit),
    ("evaluate", lambda work: work.folder.metrics.exists(), evaluate),
    ("export", _exported, export_native),
    ("report", lambda work: work.folder.report.exists(), report),
)
"""Name, whether it is done, and what does it; the check comes before, for it decides whether there is a folder."""


def _timed(name: str, stage: Callable[[Work], None], work: Work) -> bool:
    started = time.monotonic()
    work.folder.note(f"{name}: begins")
    stage(work)
    work.folder.note(f"{name}: {time.monotonic() - started:.1f} s")
    return True


def _predicted(work: Work, structures: tuple[Structure, ...]) -> SplitPrediction:
    target = work.config.target
    plain = predict(
        work.fitted.potential,
        structures,
        target,
        stress=has_stress(structures, target),
        progress=work.progress,
    )
    if work.fitted.posterior is None:
        return plain
    return with_bars(
        plain,
        work.fitted.potential,
        work.fitted.posterior,
        structures,
        target,
        cache=work.cache,
        progress=work.progress,
    )


def _base_with_offset(work: Work) -> ReadoutPotential | None:
    """Return the base with its reference energies fitted to the training labels: what a user has before any lift."""
    if work.base is None:
        return None
    result = fit_offset(
        work.splits["train"],
        work.splits.get("valid", ()),
        work.base,
        work.config.fidelity_table(),
        work.config.target,
        OffsetSettings(),
        work.context,
    )
    return result.potential


def _dtype_of(base: ReadoutPotential | None) -> str:
    return "float32" if base is None else str(base.dtype).removeprefix("torch.")
