"""Label structures: every label that a folder does not hold yet, then one file of all that it holds."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rung import __version__
from rung.collect.merging import require_unlabelled
from rung.data.readers.structures import read_structures, require_matter
from rung.data.structure import Structure
from rung.errors import DataError, MissingExtraError, StorageError
from rung.fidelity import Fidelity
from rung.jobs import Executor, Here, HerePool, Job, Pool, open_pool, require_parsl
from rung.label import work
from rung.label.engines import ENGINES, EngineSettings
from rung.label.plan import (
    COARSER,
    JOB,
    NO_ACCIDENTS,
    STRUCTURES,
    Asked,
    Piece,
    drop_coarser,
    failure,
    given_up,
    keep_coarser,
    pieces_of,
)
from rung.label.settings import LabelSettings
from rung.label.work import LABEL, contents, with_names
from rung.label.writing import LABELS_FILE, entry_of, still_there, write_for_collect, write_labels, write_structure
from rung.progress import SILENT, Progress, Task
from rung.report.tasks.label import PAGE, write_label_report
from rung.results.label import LABEL_FILE, LabelEntry, Labelled, LabelRecord
from rung.results.metrics import METRICS_FILE
from rung.storage import FolderLock, file_hash, jsonable, require_own, sweep

WORKERS = "workers"
"""The folder of the workers' scripts and logs."""

PERIOD = 0.5
"""Seconds between two looks at what is done."""

THREADS = "OMP_NUM_THREADS"
"""The variable by which programs are told how many threads to use."""


@dataclass(frozen=True)
class Labelling:
    """What a folder of labels holds after a call.

    Parameters
    ----------
    folder
        The folder; ``labels.extxyz`` in it has all labelled structures.
    labelled
        What became of each structure, as ``label.json`` tells it.
    records
        The labels, by ``structure_id``.
    n_new
        Labels that were made by this call.
    """

    folder: Path
    labelled: Labelled
    records: Mapping[str, LabelRecord]
    n_new: int

    @property
    def file(self) -> Path:
        """The extended XYZ of all labelled structures; absent where there is none."""
        return self.folder / LABELS_FILE

    @property
    def failed(self) -> Mapping[str, str]:
        """Why a structure has no label, or none as precise as it was asked for, by its name."""
        ended = [*self._of("failed"), *self._of("labelled")]
        return {one.structure_id: one.sentence for one in ended if one.sentence}

    @property
    def waiting(self) -> tuple[str, ...]:
        """Structures whose inputs are written, and whose outputs are not there yet."""
        return tuple(one.structure_id for one in self._of("waiting"))

    @property
    def cpu_seconds(self) -> Mapping[str, float]:
        """Processor time of each label, s."""
        return {name: record.cpu_seconds for name, record in self.records.items()}

    def _of(self, state: str) -> list[LabelEntry]:
        return [one for one in self.labelled.entries if one.state == state]


def label_files(
    settings: LabelSettings, *, at_most: int | None = None, retry: bool = False, progress: Progress = SILENT
) -> Labelling:
    """Label the structures of files; see :func:`label_structures`.

    Parameters
    ----------
    settings
        Which structures, by which engine, and where.
    at_most
        How many structures to compute now, the first ones; None for all.
    retry
        Also compute once more what did not converge.
    progress
        Where long work reports.
    """
    return label_structures(
        read_structures(settings.structures),
        settings.fidelity,
        settings.engine,
        settings.out,
        stderr=settings.stderr,
        executor=settings.executor,
        threads=settings.threads,
        time_limit=settings.time_limit,
        attempts=settings.attempts,
        seed=settings.seed,
        at_most=at_most,
        retry=retry,
        progress=progress,
    )


def label_structures(
    structures: Sequence[Structure],
    fidelity: str,
    engine: EngineSettings,
    out: Path,
    *,
    stderr: float | None = None,
    executor: Executor | None = None,
    threads: int = 1,
    time_limit: float | None = None,
    attempts: int = 1,
    seed: int = 0,
    at_most: int | None = None,
    retry: bool = False,
    progress: Progress = SILENT,
) -> Labelling:
    """Make every label that ``out`` does not hold yet; one that fails fails alone.

    A folder may gain structures, and labels may be asked for more precisely: the one that is there counts until the
    finer one is made. What a killed call left is gone on with.

    Parameters
    ----------
    structures
        Without an energy of ``fidelity``; other labels are kept.
    fidelity
        What the labels are called.
    engine
        What computes them.
    out
        The folder, made where it is absent.
    stderr
        The one-sigma error to reach, eV, for structures without ``<fidelity>_stderr_wanted``.
    executor
        Where calculations run, by default in this process; workers need ``rung[compare]``.
    threads
        Threads of each calculation.
    time_limit
        Seconds that the calculation of one structure may take.
    attempts
        How often a structure is tried that fails by an accident.
    seed
        Of everything random.
    at_most
        How many structures to compute now, the first ones; None for all.
    retry
        Also compute once more what did not converge.
    progress
        Where long work reports.

    Returns
    -------
    Labelling
        Of all structures of the folder.

    Raises
    ------
    ConfigError
        When settings cannot work, or a statistical engine is not told how precise to be.
    DataError
        When a structure has such an energy already, or no matter can be like it, or the folder holds other labels.
    StorageError
        When the folder is not rung's, or another process works in it.
    MissingExtraError
        When the engine or Parsl is not installed.
    """
    Fidelity(fidelity)
    ENGINES[engine.name].check(engine)
    executor = executor or Here()
    if not isinstance(executor, Here):
        require_parsl()
    require_unlabelled(structures, fidelity)
    for structure in structures:
        require_matter(structure)
    asked = asked_of(fidelity, engine, out, stderr, seed, time_limit)
    out = asked.out
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out} is a file; name a folder for the labels.")
    require_own(out, (LABEL_FILE,))
    with FolderLock(out):
        sweep(out)
        told = folder_before(asked)
        pieces = pieces_of(structures, asked)
        sweep(*(piece.folder for piece in pieces))
        told.write(out / LABEL_FILE)
        for piece in pieces:
            write_structure(piece)
        left = [piece for piece in pieces if not piece.job.done and (retry or not given_up(piece.job))][:at_most]
        now = {piece.folder for piece in left}
        pieces = [keep_coarser(piece) if piece.folder in now else piece for piece in pieces]
        jobs = [piece.job for piece in left]
        if jobs:
            with _pool(out, executor, threads) as pool:
                _perform(jobs, pool, attempts, progress)
        for piece in pieces:
            drop_coarser(piece)
        return _concluded(told, asked, pieces, sum(job.done for job in jobs))


def _perform(jobs: Sequence[Job], pool: Pool, attempts: int, progress: Progress) -> None:
    left = list(jobs)
    with progress.task("Labels", len(jobs)) as task:
        for attempt in range(attempts):
            pool.run(left, _bar(task, left) if attempt == 0 else lambda: None)
            left = [job for job in left if not job.done and failure(job).kind not in NO_ACCIDENTS]
            if not left:
                return


def _bar(task: Task, jobs: Sequence[Job]) -> Callable[[], None]:
    """Return what shows on a bar how many jobs came to an end, which is looked at twice a second."""
    before = {job.folder: _ended(job) for job in jobs}
    looked = time.monotonic()

    def changed() -> None:
        nonlocal looked
        if time.monotonic() - looked < PERIOD:
            return
        ended = [job.folder for job in jobs if job.folder in before and _ended(job) not in (0, before[job.folder])]
        for folder in ended:
            del before[folder]
        task.advance(len(ended))
        looked = time.monotonic()

    return changed


def _ended(job: Job) -> int:
    """Return when a job last came to an end, ns; 0 where it never did."""
    return max((path.stat().st_mtime_ns for path in (job.result, job.error) if path.exists()), default=0)


@contextmanager
def _pool(out: Path, executor: Executor, threads: int) -> Iterator[Pool]:
    if not isinstance(executor, Here):
        with open_pool(executor, out / WORKERS, threads=threads) as pool:
            yield pool
        return
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(threads)
    try:
        yield HerePool({LABEL: work.label})
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def asked_of(
    fidelity: str,
    engine: EngineSettings,
    out: Path,
    stderr: float | None = None,
    seed: int = 0,
    time_limit: float | None = None,
) -> Asked:
    """Return what is asked for every structure.

    Raises
    ------
    DataError
        When a file that the engine reads is not there.
    """
    return Asked(fidelity, engine, Path(out).resolve(), _hashes(engine), stderr, seed, time_limit)


def _hashes(engine: EngineSettings) -> dict[str, str]:
    """Return hashes of the files that decide what the engine computes."""
    paths = ENGINES[engine.name].inputs(engine)
    for path in paths:
        if not path.is_file():
            raise DataError(f"There is no file {path}, which the engine {engine.name} reads.")
    return {str(path): file_hash(path) for path in paths}


def folder_before(asked: Asked) -> Labelled:
    """Return what the folder holds; refuse one whose labels are others.

    Raises
    ------
    DataError
        When it holds labels of another fidelity, or that another engine, other settings or other files made.
    """
    engine = jsonable(asked.engine.model_dump(mode="json"))
    new = Labelled(
        fidelity=asked.fidelity,
        engine=engine,
        files=dict(asked.files),
        entries=(),
        command=shlex.join(sys.argv),
        rung=__version__,
    )
    before = Labelled.read_optional(asked.out / LABEL_FILE)
    if before is None:
        return new
    # a first call that was interrupted has labels and no entries yet
    made = any(any(asked.out.glob(f"{STRUCTURES}/*/{place}/{METRICS_FILE}")) for place in (JOB, COARSER))
    if made or any(one.state == "labelled" for one in before.entries):
        if before.fidelity != asked.fidelity:
            raise DataError(f"{asked.out} holds labels of {before.fidelity}; choose another folder.")
        if changed := _unlike(before, asked):
            raise DataError(
                f"{asked.out} holds labels that were made with another value of the engine's {changed!r}; choose "
                "another folder."
            )
        if changed := _changed(before, asked):
            raise DataError(f"{asked.out} holds labels that were made with other content of {changed}.")
    return new.model_copy(update={"entries": before.entries})


def _unlike(before: Labelled, asked: Asked) -> str:
    """Return the first setting that differs; one that did not exist before counts with its default."""
    if before.engine.get("name") != asked.engine.name:
        return "name"
    earlier, now = (with_names(one) for one in (type(asked.engine).read(before.engine, LABEL_FILE), asked.engine))
    return next((key for key in now if earlier.get(key) != now[key]), "")


def _changed(before: Labelled, asked: Asked) -> str:
    """Return the path of a file whose content is another one than before; empty where there is none."""
    known = contents(before.files)
    return next((path for path, found in asked.files.items() if (Path(path).name, found) not in known), "")


def _concluded(told: Labelled, asked: Asked, pieces: Sequence[Piece], n_new: int) -> Labelling:
    entries = {one.structure_id: still_there(asked.out, one) for one in told.entries}
    entries |= {one.structure_id: one for one in map(entry_of, pieces)}
    told = told.model_copy(update={"entries": tuple(entries.values())})
    records = write_labels(asked.out, told, {piece.structure.structure_id: piece.structure for piece in pieces})
    told.write(asked.out / LABEL_FILE)
    if asked.engine.name == "files":
        write_for_collect(asked.out, told)
    try:
        write_label_report(asked.out)
    except MissingExtraError:  # a machine that only computes needs no plotly; an older page would be another one
        (asked.out / PAGE).unlink(missing_ok=True)
    return Labelling(asked.out, told, records, n_new)
