"""Which jobs labels are: a folder for each structure, and which of its arguments decide whether it is done."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rung.data.attributes import MOMENTS
from rung.data.states import unusual_state
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.jobs import Job
from rung.label.engines import ENGINES, EngineSettings
from rung.label.work import LABEL, Geometry, LabelArguments
from rung.results.jobs import REQUEST_FILE, JobError, JobRequest
from rung.results.metrics import METRICS_FILE
from rung.storage import content_hash, writing

STRUCTURES, JOB = "structures", "job"
"""The folder of all structures within that of the labels, and of the job within that of a structure."""

COARSER = "coarser"
"""The folder, within that of a structure, of a label that is less precise than what is asked for by now. It counts
until the finer one is made."""

WANTED = "_stderr_wanted"
"""How the key of a frame ends that says how precise its label has to be; ``rung select`` writes it."""

FINAL = frozenset({"UnconvergedError"})
"""Errors that would come again, whenever the calculation is done."""

NO_ACCIDENTS = FINAL | {"LabelError", "WaitingError", "TimeLimitError", "ConfigError", "DataError", "MissingExtraError"}
"""Errors that would come again at once."""

_LONGEST = 80


@dataclass(frozen=True)
class Asked:
    """What is asked for every structure of a call.

    Parameters
    ----------
    fidelity
        What the labels are called.
    engine
        What computes them.
    out
        The folder of the labels.
    files
        Hashes of files that decide labels, by path.
    stderr
        The error to reach where a structure does not say it, eV.
    seed
        Of everything random.
    time_limit
        Seconds for each structure.
    """

    fidelity: str
    engine: EngineSettings
    out: Path
    files: Mapping[str, str]
    stderr: float | None = None
    seed: int = 0
    time_limit: float | None = None


@dataclass(frozen=True)
class Piece:
    """One structure and its job.

    Parameters
    ----------
    structure
        The structure.
    job
        What makes its label, as precise as it is asked for.
    coarser
        The job that made a less precise one; None without any.
    """

    structure: Structure
    job: Job
    coarser: Job | None = None

    @property
    def folder(self) -> Path:
        """The folder of the structure."""
        return self.job.folder.parent

    @property
    def label(self) -> Job | None:
        """The job whose label the structure has by now; None without any."""
        return self.job if self.job.done else self.coarser


def made_in(folder: Path) -> Path:
    """Return where the label of a structure's folder lies: the finer one where there are two."""
    return folder / (JOB if (folder / JOB / METRICS_FILE).exists() else COARSER)


def keep_coarser(piece: Piece) -> Piece:
    """Move a label that a finer one is to replace out of the way, so that it is there if that one fails."""
    if piece.coarser is None or piece.coarser.folder != piece.job.folder:
        return piece
    kept = piece.folder / COARSER
    if kept.exists():
        shutil.rmtree(kept)
    with writing(kept):
        piece.job.folder.replace(kept)
    return replace(piece, coarser=replace(piece.coarser, folder=kept))


def drop_coarser(piece: Piece) -> None:
    """Delete the less precise label of a structure that has the finer one."""
    if piece.job.done and piece.coarser is not None:
        shutil.rmtree(piece.coarser.folder)


def failure(job: Job) -> JobError:
    """Return why a job gave no label; without a reason where it was not done."""
    found = JobError.read_optional(job.error) if job.asked else None
    return found or JobError(sentence="It was not computed yet.", kind="", traceback="")


def given_up(job: Job) -> bool:
    """Return whether a job failed by what would come again."""
    return failure(job).kind in FINAL


def pieces_of(structures: Sequence[Structure], asked: Asked) -> list[Piece]:
    """Return the pieces of work that ``structures`` are, each once.

    Raises
    ------
    DataError
        When one name stands for two geometries, here or in the folder, or an error that is wanted is no number.
    ConfigError
        When the engine needs to know how precise a label has to be, and nobody says it.
    """
    once: dict[str, Structure] = {}
    for structure in structures:
        other = once.setdefault(structure.structure_id, structure)
        if other is structure:
            continue
        if other.geometry_hash != structure.geometry_hash:
            raise DataError(f"structure_id {structure.structure_id!r} names two geometries; give each its own.")
        if _state(other) != _state(structure):
            raise DataError(
                f"structure_id {structure.structure_id!r} names one geometry in two states of the electrons (charge, "
                "spin or moments); give each its own."
            )
    return [_piece(structure, asked) for structure in once.values()]


def _state(structure: Structure) -> tuple[object, ...]:
    return unusual_state(structure), Geometry.of(structure).columns.get(MOMENTS)


def folder_of(structure_id: str) -> str:
    """Return the name of a structure's folder: its own, or where that is none for a folder, one that only it has."""
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", structure_id).lstrip(".-")[:_LONGEST]
    return safe if safe and safe == structure_id else f"{safe or 'structure'}-{content_hash(structure_id)[:8]}"


def seed_of(structure_id: str, fidelity: str, seed: int) -> int:
    """Return the seed of a structure's own stream of random numbers."""
    return int(content_hash(seed, fidelity, structure_id)[:8], 16)


def wanted(structure: Structure, asked: Asked) -> float | None:
    """Return the error that a label has to reach, eV; None where the engine is not statistical.

    Raises
    ------
    DataError
        When what the frame says is no positive number.
    ConfigError
        When nobody says it.
    """
    if not ENGINES[asked.engine.name].statistical(asked.engine):
        return None
    key = asked.fidelity + WANTED
    if key not in structure.info:
        if asked.stderr is None:
            raise ConfigError(
                f"Say how precise the energy of {structure.structure_id} has to be: stderr, in eV, or {key} in its "
                "comment line, as rung select writes it."
            )
        return asked.stderr
    said = structure.info[key]
    number = isinstance(said, (int, float, np.number)) and not isinstance(said, bool)
    if not (number and np.isfinite(said) and said > 0):
        raise DataError(f"{structure.structure_id}: {key} is {said!r}, and should be a positive number of eV.")
    return float(said)


def _piece(structure: Structure, asked: Asked) -> Piece:
    """Return the piece of a structure: its job is the one that is done where it is as precise as what is asked now."""
    folder = asked.out / STRUCTURES / folder_of(structure.structure_id) / JOB
    arguments = LabelArguments(
        structure_id=structure.structure_id,
        fidelity=asked.fidelity,
        geometry=Geometry.of(structure),
        engine=asked.engine,
        files=dict(asked.files),
        stderr=wanted(structure, asked),
        seed=seed_of(structure.structure_id, asked.fidelity, asked.seed if _is_random(asked) else 0),
        time_limit=asked.time_limit,
    )
    coarser = None
    for place in (folder, folder.with_name(COARSER)):
        before = _before(place)
        if before is None:
            continue
        earlier = Job(LABEL, before, place)
        _require_same(before, arguments, earlier, asked)
        if before.deciding == arguments.deciding and earlier.done:
            if (before.stderr or np.inf) <= (arguments.stderr or np.inf):
                return Piece(structure, earlier)
            coarser = coarser or earlier
    return Piece(structure, Job(LABEL, arguments, folder), coarser)


def _require_same(before: LabelArguments, now: LabelArguments, earlier: Job, asked: Asked) -> None:
    """Refuse what would lose a label of another geometry or seed, or mix outputs of two geometries."""
    elsewhere = ENGINES[asked.engine.name].elsewhere
    if before.geometry != now.geometry and (elsewhere or earlier.result.exists()):
        raise DataError(
            f"{asked.out} holds {'inputs' if elsewhere else 'a label'} of another geometry called "
            f"{now.structure_id}; give this one another structure_id, or choose another folder."
        )
    if before.seed != now.seed and earlier.result.exists():
        raise DataError(
            f"{asked.out} holds a label of {now.structure_id} made with another seed, which would be lost; give "
            "the seed that it had, or choose another folder."
        )


def _is_random(asked: Asked) -> bool:
    """Return whether a seed decides a label: of Monte Carlo and noise, and where a template may take it."""
    engine = ENGINES[asked.engine.name]
    return engine.elsewhere or engine.statistical(asked.engine)


def _before(folder: Path) -> LabelArguments | None:
    """Return what was asked in a folder; None where nothing was, or by a version whose settings are no more."""
    request = JobRequest.read_optional(folder / REQUEST_FILE)
    if request is None or request.function != LABEL:
        return None
    try:
        return LabelArguments.read(dict(request.arguments))
    except ConfigError:
        return None
