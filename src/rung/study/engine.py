"""Carry out a study: every fit that is not done yet, then its table, its verdict and its report."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.config import write_config
from rung.jobs import Executor, Here, HerePool, Job, Pool, Processes, open_pool, require_parsl
from rung.progress import SILENT, Progress
from rung.report import write_study_report
from rung.run.checking import findings_json
from rung.run.folder import RunFolder, next_free
from rung.run.inputs import require_device, set_threads
from rung.run.provenance import ingredients, provenance, require_files
from rung.storage import read_json, write_json
from rung.study.config import StudyConfig
from rung.study.plan import DESIGNS, FIT, Step, choose, designs_job, fit_steps, names, reads_designs, trial_steps
from rung.study.status import Failure, StatusReader, StudyStatus
from rung.study.table import require_arrow, rows_of, values_of, write_csv, write_parquet
from rung.study.verdict import caveats, verdict
from rung.study.workshop import Workshop

GROWING = frozenset({"method", "compare", "labels", "seeds", "tune", "executor"})
"""Keys in which a study may grow: each fit knows its own settings, so those that are done stay."""

WORKERS = "workers"
"""The folder of the workers' scripts and logs."""

Watch = Callable[[StudyStatus], None]


@dataclass(frozen=True)
class FinishedStudy:
    """What a study left behind.

    Parameters
    ----------
    folder
        Where it is.
    rows
        The lines of ``study.csv``: method, n_labels, seed, fold, split, metric, value.
    n_new
        Fits that were done now.
    failures
        What failed, and why; the rest went on.
    verdict
        What was found, in sentences.
    """

    folder: Path
    rows: tuple[Mapping[str, Any], ...]
    n_new: int
    failures: tuple[Failure, ...] = ()
    verdict: tuple[str, ...] = ()

    def summary(self, split: str, metric: str) -> dict[str, dict[int, tuple[float, float]]]:
        """Return mean and standard deviation over seeds (and folds) of one metric, by method and number of labels."""
        return {
            method: {number: _moments(list(found.values())) for number, found in sorted(by_number.items())}
            for method, by_number in values_of(self.rows, split, metric).items()
        }


def run_study(
    config: StudyConfig, *, new: bool = False, notices: Sequence[str] = (), progress: Progress = SILENT
) -> FinishedStudy:
    """Do every fit of a study that is not done yet in this process, then write its table and its report.

    Parameters
    ----------
    config
        The study, its paths absolute (see :func:`rung.study.config.load_study_config`).
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
    RungError
        When a fit fails: those before it are kept.
    """
    return _carry_out(config, new, notices, progress, Here(), None)


def run_compare(
    config: StudyConfig,
    *,
    new: bool = False,
    notices: Sequence[str] = (),
    progress: Progress = SILENT,
    watch: Watch = lambda _: None,
) -> FinishedStudy:
    """Do every fit of a study that is not done yet where ``config.executor`` says; a fit that fails fails alone.

    Parameters
    ----------
    config, new, notices, progress
        As for :func:`run_study`; ``progress`` is of what comes before the fits.
    watch
        Is shown the status about once a second.

    Raises
    ------
    MissingExtraError
        When pyarrow or Parsl is not installed.
    ExecutorError
        When workers cannot be started.
    DataError, StorageError
        As :func:`run_study`.
    """
    require_arrow()
    executor = config.executor or default_executor(config)
    if not isinstance(executor, Here):
        require_parsl()
    return _carry_out(config, new, notices, progress, executor, watch)


def default_executor(config: StudyConfig) -> Executor:
    """Return where a study that does not say runs: here where all its fits are of closed form, else on every core."""
    return Here() if all(reads_designs(config, row) for row in config.methods()) else Processes()


def _carry_out(
    config: StudyConfig,
    new: bool,
    notices: Sequence[str],
    progress: Progress,
    executor: Executor,
    watch: Watch | None,
) -> FinishedStudy:
    if new:
        config = config.model_copy(update={"run": next_free(config.run)})
    set_threads(config)
    require_files(config)
    require_device(config.device)
    found = {key: value for key, value in ingredients(config).items() if key not in GROWING}
    folder = RunFolder(config.run)
    workshop = Workshop(config, progress)
    diagnosis = None if folder.path.exists() else workshop.check()
    with folder.lock():
        folder.require_same(found)
        folder.sweep()
        if diagnosis is None and not folder.findings.exists():
            diagnosis = workshop.check()
        elif diagnosis is None and not StatusReader(config).read().complete:
            workshop.require_labels()  # it may have grown
        folder.stamp(config, provenance(config, found))
        write_config(config, folder.config)
        if diagnosis is not None:
            write_json(folder.findings, findings_json(diagnosis))
        before = sum(step.job is not None and step.job.done for step in fit_steps(config))
        if watch is None:
            _in_this_process(config, workshop, folder, progress)
        else:
            _watched(config, workshop, executor, watch)
        study = _concluded(config, workshop, before, notices, parquet=watch is not None)
        folder.note(f"{study.n_new} fits done, {len(study.failures)} failed")
        return study


def _in_this_process(config: StudyConfig, workshop: Workshop, folder: RunFolder, progress: Progress) -> None:
    pool = HerePool({FIT: workshop.fit, DESIGNS: workshop.designs}, catch=False)
    trials = [step.job for step in trial_steps(config)]
    total = len(trials) + sum(1 for _ in fit_steps(config))
    if any(step.job is None or not step.job.done for step in fit_steps(config)) and _shares_designs(config):
        with progress.task("Features", 1) as task:
            pool.run([designs_job(config)], lambda: None)
            task.advance()
    with progress.task("Fits", total) as task:
        for job in trials:
            _one(job, pool, task, folder)
        for step in fit_steps(config):
            _one(step.job, pool, task, folder)


def _one(job: Job | None, pool: HerePool, task: Any, folder: RunFolder) -> None:
    if job is not None and not job.done:
        task.describe(f"Fits: {job.folder.name}")
        pool.run([job], lambda: None)
        folder.note(f"{job.folder.name}: {read_json(job.result)['fit']['seconds']:.2f} s")
    task.advance()


def _watched(config: StudyConfig, workshop: Workshop, executor: Executor, watch: Watch) -> None:
    reader = StatusReader(config, _workers(executor))
    with ExitStack() as stack:
        pool: Pool | None = None
        for phase in (_first, _second, _third):
            jobs = [job for job in phase(config) if not job.done]
            if not jobs:
                continue
            if pool is None:
                if isinstance(executor, Here):
                    pool = HerePool({FIT: workshop.fit, DESIGNS: workshop.designs})
                else:
                    logs = config.run / WORKERS
                    pool = stack.enter_context(open_pool(executor, logs, threads=config.threads or 1))
            pool.run(jobs, lambda: watch(reader.read()))
        watch(reader.read())
    shutil.rmtree(config.run / WORKERS, ignore_errors=True)  # a driver that was killed left its own


def workers_of(config: StudyConfig) -> int:
    """Return how many fits `rung compare` does at once."""
    return _workers(config.executor or default_executor(config))


def _workers(executor: Executor) -> int:
    if isinstance(executor, Here):
        return 1
    return executor.workers if isinstance(executor, Processes) else executor.jobs * executor.workers_per_node


def _first(config: StudyConfig) -> list[Job]:
    """Return what waits for nothing: the designs, and whatever does not read them."""
    steps = [step for step in (*trial_steps(config), *fit_steps(config)) if not reads_designs(config, step.fit.method)]
    return [*([designs_job(config)] if _shares_designs(config) else []), *_jobs(steps)]


def _second(config: StudyConfig) -> list[Job]:
    """Return the trials that read designs, and the fits whose settings the first trials chose."""
    quick = [step for step in trial_steps(config) if reads_designs(config, step.fit.method)]
    return [*_jobs(quick), *_jobs(fit_steps(config))]


def _third(config: StudyConfig) -> list[Job]:
    """Return what is left: fits whose settings were chosen last."""
    return _jobs(fit_steps(config))


def _jobs(steps: Sequence[Step]) -> list[Job]:
    return [step.job for step in steps if step.job is not None]


def _shares_designs(config: StudyConfig) -> bool:
    return config.base is not None and any(reads_designs(config, row) for row in config.methods())


def _concluded(
    config: StudyConfig, workshop: Workshop, before: int, notices: Sequence[str], *, parquet: bool
) -> FinishedStudy:
    steps = [step for step in fit_steps(config) if step.job is not None and step.job.done]
    low = "" if config.base is None else config.base.fidelity
    results = [(step.fit, read_json(step.job.result)) for step in steps if step.job is not None]
    rows = tuple(row for fit, result in results for row in rows_of(fit, result, config.target, low))
    failures = StatusReader(config).read().failures
    said = (*verdict(config, rows), *caveats(config, rows, failures, _validated(config, results)))
    study = FinishedStudy(config.run, rows, len(steps) - before, failures, said)
    if not rows:
        return study
    write_csv(config.run / "study.csv", rows)
    if parquet:
        write_parquet(config.run / "study.parquet", rows)
    write_json(config.run / "study.json", _about(config, study, results, workshop, notices))
    write_study_report(config.run)
    return study


def _validated(config: StudyConfig, results: Sequence[Any]) -> int:
    """Return how many target energies the validation structures have."""
    known = [result["splits"]["valid"][config.target] for _, result in results if "valid" in result["splits"]]
    return int(known[0]["n_energies"]) if known else 0


def _about(
    config: StudyConfig, study: FinishedStudy, results: Sequence[Any], workshop: Workshop, notices: Sequence[str]
) -> dict[str, Any]:
    warnings: dict[str, list[str]] = {}
    for fit, result in results:
        for sentence in result["warnings"]:
            warnings.setdefault(sentence, []).append(fit.name)
    return {
        "title": f"{config.run.name}: {config.target} with few energies",
        "notice": list(notices),
        "verdict": list(study.verdict),
        "truths": _truths(workshop),
        "tuning": _tuning(config),
        "failures": [{"fit": one.name, "sentence": one.sentence} for one in study.failures],
        "settings": {
            "target": config.target,
            "base fidelity": None if config.base is None else config.base.fidelity,
            "methods": ", ".join(names(config)),
            "numbers of energies": ", ".join(str(number) for number in config.labels),
            "seeds": ", ".join(str(seed) for seed in config.seeds),
            **_split_settings(config),
            "fits": len(results),
        },
        "warnings": [{"sentence": sentence, "fits": fits} for sentence, fits in warnings.items()],
    }


def _split_settings(config: StudyConfig) -> dict[str, Any]:
    said = config.split
    found: dict[str, Any] = {} if said.folds is None else {"folds": said.folds, "grouped by": said.by}
    if said.withhold:
        found["withheld"] = ", ".join(f"{key} = {value}" for key, values in said.withhold.items() for value in values)
    return found


def _tuning(config: StudyConfig) -> list[dict[str, Any]]:
    """Return every trial with its score and whether it was chosen."""
    found = []
    for row in config.methods():
        for fold in config.folds():
            choice = choose(config, row, fold)
            for number, trial in enumerate(choice.trials):
                found.append(
                    {
                        "method": row,
                        **({"fold": fold} if config.split.folds is not None else {}),
                        "change": ", ".join(f"{key} = {value}" for key, value in trial.change.items()) or "as given",
                        "score": trial.score,
                        "scores": list(trial.scores.values()),
                        "failed": trial.failed,
                        "chosen": number == choice.best,
                    }
                )
    return found


def _truths(workshop: Workshop) -> dict[str, float]:
    """Return the barrier that the target's own labels give along a band, where there is one band and it is labelled."""
    if len(workshop.bands) != 1:
        return {}
    (images,) = workshop.bands.values()
    energies = np.array([image.labelled(workshop.config.target).energy for image in images])
    return {"barrier": float(energies.max() - energies[0])} if np.isfinite(energies).all() else {}


def _moments(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
