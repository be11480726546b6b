"""Carry out a study: every fit that is not done yet, then its table, its verdict and its report."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.config import write_config
from rung.errors import MissingExtraError, counted
from rung.evaluate.draws import Moments, Values, moments
from rung.jobs import Executor, Here, HerePool, Job, Pool, Processes, open_pool, require_parsl
from rung.progress import SILENT, Progress, Task
from rung.report import write_study_report
from rung.results.fits import StudyFit
from rung.results.study import (
    PARQUET_FILE,
    STUDY_FILE,
    TABLE_FILE,
    FailedFit,
    JudgedForces,
    MethodComparison,
    SharedWarning,
    StudyRow,
    StudySummary,
    TrialEntry,
    write_rows,
)
from rung.run.folder import RunFolder
from rung.run.opening import in_free_folder, opened
from rung.run.predictor import force_rows
from rung.storage import DamagedFileWarning
from rung.study.comparison import comparisons
from rung.study.config import StudyConfig
from rung.study.plan import DESIGNS, FIT, Fit, Step, choose, designs_job, fit_steps, names, reads_designs, trial_steps
from rung.study.references import open_references, open_sentences
from rung.study.status import Failure, StatusReader, StudyStatus
from rung.study.table import require_arrow, rows_of, values_of, write_parquet
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
        The lines of ``study.csv``.
    n_new
        Fits that were done now.
    failures
        What failed, and why; the rest went on.
    verdict
        What was found, in sentences.
    comparisons
        Each method beside the best, by split, metric and number of labels.
    judged
        On how many structures of each split forces were judged.
    """

    folder: Path
    rows: tuple[StudyRow, ...]
    n_new: int
    failures: tuple[Failure, ...] = ()
    verdict: tuple[str, ...] = ()
    comparisons: tuple[MethodComparison, ...] = ()
    judged: tuple[JudgedForces, ...] = ()

    def summary(self, split: str, metric: str) -> dict[str, dict[int, tuple[float, float]]]:
        """Return mean and standard deviation over draws of one metric, by method and number of labels.

        A draw is a seed and a fold; those that are the same count once, and one draw has no deviation: NaN.
        """
        return {
            method: {number: (one.mean, one.spread) for number, one in _moments(by_number).items()}
            for method, by_number in values_of(self.rows, split, metric).items()
        }


def compare(
    config: StudyConfig,
    *,
    executor: Executor | None = None,
    new: bool = False,
    notices: Sequence[str] = (),
    progress: Progress = SILENT,
    watch: Watch | None = None,
) -> FinishedStudy:
    """Do every fit of a study that is not done yet, then write its table and its report; a fit that fails fails alone.

    Parameters
    ----------
    config
        The study, its paths absolute (see :func:`rung.study.config.load_study_config`).
    executor
        Where fits are done in place of ``config.executor``; workers need ``rung[compare]``.
    new
        Take the next free folder beside ``config.run`` where that exists.
    notices
        Sentences for the top of the report: who made the labels, and what may be done with them.
    progress
        Where long work reports.
    watch
        Is shown the status again and again while fits are done; by default ``progress`` shows how many are.

    Raises
    ------
    MissingExtraError
        When fits are done by workers, and pyarrow or Parsl is not installed.
    ExecutorError
        When workers cannot be started.
    DataError
        When a file is missing or cannot be used, or there are fewer labels than asked for.
    FindingsError
        When the checks find an error; nothing is written then.
    StorageError
        When the folder is another study's, or another process works in it.
    """
    executor = executor or executor_of(config)
    if not isinstance(executor, Here):
        require_arrow()
        require_parsl()
    if new:
        config = in_free_folder(config)
    workshop = Workshop(config, progress)
    with opened(config, workshop.check, grows=GROWING) as folder:
        status = StatusReader(config).read()
        if not status.complete:
            workshop.require_labels()  # it may have grown
        write_config(config, folder.config)
        left_open = tuple(open_sentences(config, open_references(workshop)))
        for sentence in () if status.complete else left_open:  # before the fits, which may take hours
            progress.say(sentence)
            folder.note(sentence)
        _say_faults(config, folder)
        before = _n_done(config)
        if watch is not None:
            _fit_all(config, workshop, executor, watch)
        else:
            with progress.task("Fits", status.n_fits) as task:
                _fit_all(config, workshop, executor, _bar(task))
        study = _concluded(config, workshop, before, notices, left_open, folder)
        folder.note(f"{counted(study.n_new, 'fit')} done, {len(study.failures)} failed")
        return study


def executor_of(config: StudyConfig) -> Executor:
    """Return where a study fits; one that does not say: here where all methods read designs, else on every core."""
    if config.executor is not None:
        return config.executor
    return Here() if all(reads_designs(config, row) for row in config.methods()) else Processes()


def workers_of(executor: Executor) -> int:
    """Return how many fits are done at once."""
    if isinstance(executor, Here):
        return 1
    return executor.workers if isinstance(executor, Processes) else executor.jobs * executor.workers_per_node


def _bar(task: Task) -> Watch:
    """Return what shows on a bar how many fits are done."""
    shown = 0

    def watch(status: StudyStatus) -> None:
        nonlocal shown
        task.advance(status.n_done - shown)
        shown = status.n_done

    return watch


def _n_done(config: StudyConfig) -> int:
    return sum(step.job is not None and step.job.done for step in fit_steps(config))


def _say_faults(config: StudyConfig, folder: RunFolder) -> None:
    """Say which results of an earlier call are missing or damaged, for whoever performs their jobs may be far away."""
    for job in [
        *([designs_job(config)] if _shares_designs(config) else []),
        *_jobs((*trial_steps(config), *fit_steps(config))),
    ]:
        if fault := job.fault:
            sentence = f"{job.result}: {fault}, so the fit is done again."
            folder.note(sentence)
            warnings.warn(sentence, DamagedFileWarning, stacklevel=3)


def _fit_all(config: StudyConfig, workshop: Workshop, executor: Executor, watch: Watch) -> None:
    """Do what is not done, once each: what fails is tried again by the next call."""
    reader = StatusReader(config, workers_of(executor))
    tried: set[Path] = set()
    with ExitStack() as stack:
        pool: Pool | None = None
        for phase in (_first, _second, _third):
            jobs = [job for job in phase(config) if job.folder not in tried and not job.done]
            tried |= {job.folder for job in jobs}
            if jobs:
                pool = pool or stack.enter_context(_pool(config, workshop, executor))
                pool.run(jobs, lambda: watch(reader.read()))
        watch(reader.read())
    shutil.rmtree(config.run / WORKERS, ignore_errors=True)  # a driver that was killed left its own


def _pool(config: StudyConfig, workshop: Workshop, executor: Executor) -> AbstractContextManager[Pool]:
    if isinstance(executor, Here):
        return nullcontext(HerePool({FIT: workshop.fit, DESIGNS: workshop.designs}))
    return open_pool(executor, config.run / WORKERS, threads=config.threads or 1)


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
    config: StudyConfig,
    workshop: Workshop,
    before: int,
    notices: Sequence[str],
    left_open: Sequence[str],
    folder: RunFolder,
) -> FinishedStudy:
    steps = [step for step in fit_steps(config) if step.job is not None and step.job.done]
    low = "" if config.base is None else config.base.fidelity
    results = [(step.fit, StudyFit.read(step.job.result)) for step in steps if step.job is not None]
    rows = tuple(row for fit, result in results for row in rows_of(fit, result, config.target, low))
    failures = StatusReader(config).read().failures
    compared = comparisons(config, rows, results)
    said = (
        *left_open,
        *verdict(config, rows, compared),
        *caveats(config, rows, failures, _validated(config, results), _left_out(results)),
    )
    study = FinishedStudy(config.run, rows, len(steps) - before, failures, said, compared, _judged(workshop))
    if not rows:
        return study
    _write_table(folder, rows)
    _summary(config, study, results, workshop, notices).write(config.run / STUDY_FILE)
    write_study_report(config.run)
    return study


def _write_table(folder: RunFolder, rows: Sequence[StudyRow]) -> None:
    parquet = folder.path / PARQUET_FILE
    write_rows(folder.path / TABLE_FILE, rows)
    try:
        write_parquet(parquet, rows)
    except MissingExtraError:
        parquet.unlink(missing_ok=True)  # an older one would be another table
        folder.note("no study.parquet: pyarrow is not installed")


def _judged(workshop: Workshop) -> tuple[JudgedForces, ...]:
    """Return on how many structures of each split forces are judged, those of all folds together."""
    config = workshop.config
    counts: dict[str, tuple[int, int]] = {}
    for fold in config.folds():
        for split, structures in workshop.sides(fold).evaluate.items():
            taken = force_rows(structures, config.target, config.force_structures)
            judged, able = counts.get(split, (0, 0))
            counts[split] = judged + len(taken.rows), able + taken.n_able
    return tuple(
        JudgedForces(split=split, n_judged=judged, n_structures=able) for split, (judged, able) in counts.items()
    )


def _validated(config: StudyConfig, results: Sequence[tuple[Fit, StudyFit]]) -> int:
    """Return how many target energies the validation structures have."""
    known = [result.splits["valid"][config.target] for _, result in results if "valid" in result.splits]
    return known[0].n_energies if known else 0


def _left_out(results: Sequence[tuple[Fit, StudyFit]]) -> int:
    """Return how many training frames no fit takes."""
    return max((result.fit.n_left_out for _, result in results), default=0)


def _summary(
    config: StudyConfig,
    study: FinishedStudy,
    results: Sequence[tuple[Fit, StudyFit]],
    workshop: Workshop,
    notices: Sequence[str],
) -> StudySummary:
    warnings: dict[str, list[str]] = {}
    for fit, result in results:
        for sentence in result.warnings:
            warnings.setdefault(sentence, []).append(fit.name)
    return StudySummary(
        title=f"{config.run.name}: {config.target} with few energies",
        notice=tuple(notices),
        verdict=study.verdict,
        comparisons=study.comparisons,
        judged=study.judged,
        molecules=not any(
            one.atoms.cell.any()
            for fold in config.folds()
            for members in workshop.sides(fold).evaluate.values()
            for one in members
        ),
        truths=_truths(workshop),
        tuning=tuple(_tuning(config)),
        failures=tuple(FailedFit(fit=one.name, sentence=one.sentence) for one in study.failures),
        settings={
            "target": config.target,
            "base fidelity": None if config.base is None else config.base.fidelity,
            "methods": ", ".join(names(config)),
            "numbers of energies": ", ".join(str(number) for number in config.labels),
            "seeds": ", ".join(str(seed) for seed in config.seeds),
            **_split_settings(config),
            "fits": len(results),
        },
        warnings=tuple(SharedWarning(sentence=sentence, fits=tuple(fits)) for sentence, fits in warnings.items()),
    )


def _split_settings(config: StudyConfig) -> dict[str, str | int]:
    split = config.split
    settings: dict[str, str | int] = {} if split.folds is None else {"folds": split.folds, "grouped by": split.by}
    if split.withhold:
        pairs = [f"{key} = {value}" for key, values in split.withhold.items() for value in values]
        settings["withheld"] = ", ".join(pairs)
    return settings


def _tuning(config: StudyConfig) -> Iterator[TrialEntry]:
    """Yield every trial with its score and whether it was chosen."""
    for row in config.methods():
        for fold in config.folds():
            choice = choose(config, row, fold)
            for number, trial in enumerate(choice.trials):
                entry = TrialEntry(
                    method=row,
                    change=", ".join(f"{key} = {value}" for key, value in trial.change.items()) or "as given",
                    score=trial.score,
                    scores=tuple(trial.scores.values()),
                    failed=trial.failed,
                    chosen=number == choice.best,
                )
                yield entry if config.split.folds is None else entry.model_copy(update={"fold": fold})


def _truths(workshop: Workshop) -> dict[str, float]:
    """Return the barrier that the target's own labels give along a band, where there is one band and it is labelled."""
    if len(workshop.bands) != 1:
        return {}
    (images,) = workshop.bands.values()
    energies = np.array([image.labelled(workshop.config.target).energy for image in images])
    return {"barrier": float(energies.max() - energies[0])} if np.isfinite(energies).all() else {}


def _moments(by_number: Mapping[int, Values]) -> dict[int, Moments]:
    return {number: moments(values) for number, values in sorted(by_number.items())}
