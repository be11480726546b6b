"""The function that jobs of labels call, here or in a worker: it computes one structure and records how."""

import platform
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pydantic import Field

from rung.data.attributes import CHARGES, MASSES, MOMENTS, STATE
from rung.data.readers.structures import reading_of
from rung.data.structure import Structure
from rung.errors import ConfigError, TimeLimitError, UnconvergedError
from rung.label.accounting import cpu_seconds, versions
from rung.label.engine import Made, Subject
from rung.label.engines import ENGINES, EngineSettings
from rung.results.label import LabelRecord
from rung.settings import Settings
from rung.storage import content_hash, jsonable

LABEL = "rung.label.work:label"
"""The function that the jobs call."""

SHARED = ("numpy", "scipy", "ase")
"""Packages on which every engine's results rest."""


class Geometry(Settings):
    """A structure in a job's arguments."""

    numbers: tuple[int, ...]
    """Atomic numbers."""
    positions: tuple[tuple[float, float, float], ...]
    """Å."""
    cell: tuple[tuple[float, float, float], ...]
    """Three vectors, Å."""
    pbc: tuple[bool, bool, bool]
    """Along each of them."""
    columns: dict[str, tuple[float | tuple[float, float, float], ...]] = Field(default={})
    """Initial charges and magnetic moments, and masses."""
    state: dict[str, int | float | str] = Field(default={})
    """Charge and spin, by the keys of the file."""

    @classmethod
    def of(cls, structure: Structure) -> "Geometry":
        """Return what a calculation depends on."""
        atoms, columns = structure.atoms, reading_of(structure).columns
        return cls(
            numbers=atoms.numbers.tolist(),
            positions=atoms.positions.tolist(),
            cell=atoms.cell.array.tolist(),
            pbc=atoms.pbc.tolist(),
            columns={name: columns[name].tolist() for name in (CHARGES, MOMENTS, MASSES) if name in columns},
            state={
                key: value.item() if isinstance(value, np.generic) else value
                for key, value in structure.info.items()
                if key in STATE and isinstance(value, (int, float, str, np.generic))
            },
        )

    def atoms(self) -> Atoms:
        """Return it as atoms."""
        atoms = Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        for name, values in self.columns.items():
            atoms.set_array(name, np.array(values, dtype=float))
        atoms.info.update(self.state)
        return atoms


class LabelArguments(Settings):
    """What decides one label."""

    structure_id: str
    """The structure."""
    fidelity: str
    """What the label is called."""
    geometry: Geometry
    """Of the structure."""
    engine: EngineSettings
    """What computes it."""
    files: dict[str, str] = Field(default={})
    """Hashes of files that decide it, by path."""
    stderr: float | None = None
    """The error to reach, eV; none where the engine is not statistical."""
    seed: int = 0
    """Of everything random."""
    time_limit: float | None = None
    """Seconds that it may take."""

    @property
    def deciding(self) -> dict[str, Any]:
        """Plain data of what a label is: without its precision, how long it may take, and where its files lie."""
        values = self.model_dump(exclude={"stderr", "time_limit", "engine", "files"})
        return jsonable({**values, "engine": with_names(self.engine), "files": contents(self.files)})

    @property
    def settings_hash(self) -> str:
        """Of the engine's settings and its files."""
        return settings_hash(self.engine, self.files)


def settings_hash(engine: Settings, files: dict[str, str]) -> str:
    """Return a hash of settings and of the content of the files that decide labels."""
    return content_hash(repr(sorted(_flat(jsonable(engine.model_dump(mode="json"))))), *sorted(files.values()))


def with_names(settings: Settings) -> Any:
    """Return settings as plain data, with each file by its name alone: a project may be moved."""
    return jsonable(_shortened(settings.model_dump()))


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(one) for one in value]
    return value.name if isinstance(value, Path) else value


def contents(files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the name and hash of each file, sorted."""
    return sorted((Path(path).name, found) for path, found in files.items())


def label(folder: Path, **arguments: Any) -> LabelRecord:
    """Compute one label; ``folder`` is that of the job, within the folder of the structure.

    Raises
    ------
    LabelError
        When the calculation gives none.
    """
    told = LabelArguments.read(arguments, "the job")
    engine = ENGINES[told.engine.name]
    subject = Subject(
        told.structure_id,
        told.geometry.atoms(),
        told.fidelity,
        float("nan") if told.stderr is None else told.stderr,
        told.seed,
    )
    began, cpu = time.monotonic(), cpu_seconds()
    with within(told.time_limit):
        made = engine.label(subject, told.engine, folder.parent)
    if not np.isfinite(made.energy):
        raise UnconvergedError("The energy is not finite.")
    return _record(subject, told, made, time.monotonic() - began, cpu_seconds() - cpu)


def _record(subject: Subject, told: LabelArguments, made: Made, seconds: float, cpu: float) -> LabelRecord:
    return LabelRecord(
        structure_id=subject.structure_id,
        energy=made.energy,
        energy_stderr=made.energy_stderr,
        stderr_wanted=subject.stderr,
        forces=() if made.forces is None else tuple(map(tuple, made.forces.tolist())),
        stress=() if made.stress is None else tuple(made.stress.tolist()),
        independent=made.independent,
        program=made.program,
        method=made.method,
        warnings=made.warnings,
        details=dict(made.details),
        seconds=seconds,
        cpu_seconds=made.details.get("cpu_seconds", cpu),
        host=platform.node(),
        seed=subject.seed,
        settings_hash=told.settings_hash,
        versions=versions(*SHARED, *ENGINES[told.engine.name].packages),
    )


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Raise a :class:`~rung.errors.TimeLimitError` within the block once it has lasted so long; None never does."""
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("time_limit needs a process of its own; leave it out, or run with workers.")

    def end(number: int, frame: object) -> None:
        del number, frame
        raise TimeLimitError(
            f"The time limit of {seconds:g} s is over; a higher time_limit goes on from what the engine kept."
        )

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _flat(value: Any, path: str = "") -> Iterator[str]:
    """Yield each number and word of plain data with its place."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}")
    else:
        yield f"{path}={value!r}"
