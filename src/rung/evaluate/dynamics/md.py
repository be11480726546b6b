"""Molecular dynamics that says how far to trust it: energy drift, temperature, and why a run ended."""

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import numpy as np
from ase import Atoms
from pydantic import Field

from rung.data.attributes import UNWRAPPED
from rung.data.labels import Array
from rung.data.readers.extxyz import frame_text
from rung.evaluate.dynamics.integrator import (
    Integrator,
    Motion,
    check_drift,
    integrator_of,
    read_motion,
    surface_of,
    write_motion,
)
from rung.evaluate.dynamics.settings import DynamicsSettings
from rung.evaluate.dynamics.stability import Limits
from rung.evaluate.error_bars import ErrorBars
from rung.evaluate.identity import claim, exact_geometry
from rung.progress import SILENT, Progress
from rung.results.arrays import COUNT, TEXT, ArrayKind
from rung.storage import DamagedFileWarning, set_aside, write_text, writing

TRAJECTORY = "trajectory.extxyz"
SAMPLES = "samples.csv"
STATE = "state.npz"
FOR_LABELLING = "for_labelling.extxyz"

COLUMNS = ("step", "potential", "kinetic", "temperature")
"""Of ``samples.csv``: steps, eV, eV, K."""

MARKER = "run.json"
"""Says whose run a folder holds."""


class MDSettings(DynamicsSettings):
    """How a run is made."""

    decides: ClassVar = (
        "ensemble",
        "temperature",
        "timestep",
        "friction",
        "sample_every",
        "frame_every",
        "remove_drift",
        "seed",
        "limits",
        "leverage_limit",
        "leverage_every",
    )

    ensemble: Literal["nve", "nvt"] = "nvt"
    """Constant energy (velocity Verlet), or constant temperature (Langevin, BAOAB)."""
    steps: int = Field(ge=1)
    """Steps in all; more may be asked for later."""
    leverage_limit: float | None = Field(default=None, gt=0)
    """How many times larger than on the reference structures an atom's error from the weights may grow."""
    leverage_every: int = Field(default=50, ge=1)
    """Steps from one look at the atoms' errors to the next."""


@dataclass(frozen=True)
class Trajectory:
    """What a run has left.

    Parameters
    ----------
    samples
        Step, potential energy (eV), kinetic energy (eV) and temperature (K), shape ``(samples, 4)``.
    steps
        Steps done.
    reason
        Why it ended before its time; empty where it did not.
    degrees_of_freedom
        Momenta that were free.
    n_atoms
        Atoms, held ones counted.
    """

    samples: Array
    steps: int
    reason: str
    degrees_of_freedom: int
    n_atoms: int


def run_md(
    start: Atoms,
    calculator: Any,
    settings: MDSettings,
    folder: Path,
    *,
    error_bars: ErrorBars | None = None,
    reference_errors: Mapping[int, float] | None = None,
    identity: str = "",
    progress: Progress = SILENT,
) -> Trajectory:
    """Run dynamics, or go on with a run that was stopped, to the same trajectory.

    The folder gets ``trajectory.extxyz`` (positions that are not wrapped, the time of each frame as ``time_fs``),
    ``samples.csv`` and ``state.npz``.

    Parameters
    ----------
    start
        Where it begins; what constraints hold is held.
    calculator
        Any ASE calculator with energies and forces.
    settings
        Ensemble, length, limits.
    folder
        Where everything is kept.
    error_bars
        Those of the potential: they give the error of each atom's energy from the fitted weights.
    reference_errors
        The largest such error of each element (by atomic number, eV) on structures that are known: beyond
        ``leverage_limit`` times that the run stops, and the frame is kept for labelling.
    identity
        What else decides the result, such as the fidelity.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When the folder holds another run, or the forces say that the atoms are held from outside.
    """
    integrator = integrator_of(
        start,
        timestep=settings.timestep,
        temperature=settings.temperature,
        friction=settings.friction if settings.ensemble == "nvt" else 0.0,
        remove_drift=settings.remove_drift,
    )
    surface = surface_of(start, calculator)
    rng = np.random.default_rng([settings.seed, 2])
    motion = integrator.start(np.array(start.positions, dtype=float), integrator.thermal_momenta(rng), surface)
    check_drift(integrator, motion)
    claim(
        folder / MARKER,
        run_key(start, settings, f"{identity}{reference_key(settings, reference_errors)}"),
        holds="the run",
        other="another start or setting",
        energy=motion.energy,
    )
    reason, written = "", _Written()
    if (before := _kept(folder, len(start))) is not None:
        motion, rng, reason, written = before
    judge = _Judge(start, settings, integrator, error_bars, reference_errors or {})
    with _Log(folder, start, integrator, written) as log, progress.task("dynamics", settings.steps) as task:
        task.advance(motion.step)
        if motion.step == 0 and not reason:
            log.frame(motion)
            log.sample(motion)
        if reason and not (folder / FOR_LABELLING).exists():
            write_text(folder / FOR_LABELLING, log.text(motion))
        while motion.step < settings.steps and not reason:
            motion = integrator.advance(motion, rng, surface)
            reason = judge.broken(motion)
            if motion.step % settings.sample_every == 0:
                log.sample(motion)
            if motion.step % settings.frame_every == 0:
                log.frame(motion)
            if reason or motion.step % settings.save_every == 0 or motion.step == settings.steps:
                if reason:
                    write_text(folder / FOR_LABELLING, log.text(motion))
                write_motion(folder / STATE, motion, rng, reason=reason, **log.flushed())
            task.advance()
    samples = np.loadtxt(folder / SAMPLES, delimiter=",", skiprows=1, ndmin=2)
    said = f"at step {motion.step} ({motion.step * settings.timestep:.0f} fs): {reason}" if reason else ""
    return Trajectory(samples, motion.step, said, integrator.degrees_of_freedom, len(start))


class _Judge:
    """Says when a run must end: its own limits, and atoms unlike those that the weights were fitted to."""

    def __init__(
        self,
        start: Atoms,
        settings: MDSettings,
        integrator: Integrator,
        error_bars: ErrorBars | None,
        reference: Mapping[int, float],
    ) -> None:
        self._limits = Limits(start, settings.limits, integrator)
        self._settings = settings
        self._atoms = start.copy()
        self._atoms.set_constraint()
        self._bars = error_bars if settings.leverage_limit is not None else None
        self._reference = np.array([reference.get(int(number), np.inf) for number in start.numbers])

    def broken(self, motion: Motion) -> str:
        if reason := self._limits.broken(motion):
            return reason
        if self._bars is None or motion.step % self._settings.leverage_every:
            return ""
        self._atoms.positions = motion.positions
        ratio = self._bars.of_atoms(self._atoms) / self._reference
        worst = int(np.argmax(ratio))
        if self._settings.leverage_limit is None or ratio[worst] <= self._settings.leverage_limit:
            return ""
        return (
            f"the error of atom {worst} ({self._atoms.symbols[worst]}) from the fitted weights is {ratio[worst]:.1f} "
            f"times that of the reference structures; the frame is in {FOR_LABELLING}"
        )


@dataclass(frozen=True)
class _Written:
    """How much of the logs counts, bytes, and whether their frames say their time: those of rung 0.1 said none."""

    trajectory: int = 0
    samples: int = 0
    timed: bool = True


class _Log:
    """Appends frames and samples; what a killed process wrote beyond its last state is cut off again."""

    def __init__(self, folder: Path, start: Atoms, integrator: Integrator, written: _Written) -> None:
        self._atoms = start.copy()
        self._integrator = integrator
        self._timed = written.timed
        self._trajectory = _opened(folder / TRAJECTORY, written.trajectory)
        self._samples = _opened(folder / SAMPLES, written.samples)
        self._places = {self._trajectory: folder / TRAJECTORY, self._samples: folder / SAMPLES}
        self._digests = {file: _digest(path, file.tell()) for file, path in self._places.items()}
        if not written.samples:
            self._append(self._samples, ",".join(COLUMNS) + "\n")

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._close(self._trajectory)
        finally:
            self._close(self._samples)

    def _close(self, file: IO[bytes]) -> None:
        with writing(self._places[file]):
            file.close()

    def _append(self, file: IO[bytes], text: str) -> None:
        with writing(self._places[file]):
            file.write(text.encode())
        self._digests[file].update(text.encode())

    def text(self, motion: Motion) -> str:
        self._atoms.positions = motion.positions
        info: dict[str, Any] = {"structure_id": f"md-step-{motion.step}", "step": motion.step}
        if self._timed:  # all frames of a file say it, or none
            info |= {"time_fs": motion.step * self._integrator.timestep, UNWRAPPED: True}
        return frame_text(self._atoms, info, {})

    def frame(self, motion: Motion) -> None:
        self._append(self._trajectory, self.text(motion))

    def sample(self, motion: Motion) -> None:
        kinetic = self._integrator.kinetic_energy(motion.momenta)
        values = (motion.energy, kinetic, self._integrator.temperature_of(motion.momenta))
        self._append(self._samples, ",".join([str(motion.step), *(repr(float(value)) for value in values)]) + "\n")

    def flushed(self) -> dict[str, int | str]:
        """Put everything on the disk, and return how long the files are and hashes of them."""
        said: dict[str, int | str] = {"timed": int(self._timed)}
        for name, file in (("trajectory", self._trajectory), ("sample", self._samples)):
            with writing(self._places[file]):
                file.flush()
                os.fsync(file.fileno())
            said |= {f"{name}_bytes": file.tell(), f"{name}_hash": self._digests[file].hexdigest()}
        return said


_KEPT = {
    "reason": TEXT,
    "timed": ArrayKind("iu", needed=False),
    **{f"{name}_bytes": COUNT for name in ("trajectory", "sample")},
    **{f"{name}_hash": ArrayKind("U", needed=False) for name in ("trajectory", "sample")},
}


def _kept(folder: Path, n_atoms: int) -> tuple[Motion, np.random.Generator, str, _Written] | None:
    """Return where a run stands, why it ended, and how much of its logs counts; None where it begins anew.

    A log that is not what was written is set aside; then the whole run is made again, to the same bits.
    """
    before = read_motion(folder / STATE, n_atoms, _KEPT)
    if before is None:
        return None
    motion, rng, kept = before
    whole = [
        _whole(folder / file, int(kept[f"{name}_bytes"]), str(kept.get(f"{name}_hash", "")))
        for name, file in (("trajectory", TRAJECTORY), ("sample", SAMPLES))
    ]
    if not all(whole):
        return None
    written = _Written(int(kept["trajectory_bytes"]), int(kept["sample_bytes"]), bool(kept.get("timed", False)))
    return motion, rng, str(kept["reason"]), written


def _whole(path: Path, length: int, key: str) -> bool:
    """Return whether a log begins with what was written; rung 0.1 kept no hash, so that its length tells."""
    if not path.exists():
        warnings.warn(f"{path} is missing; the run is made again.", DamagedFileWarning, stacklevel=4)
        return False
    whole = path.stat().st_size >= length and key in ("", _digest(path, length).hexdigest())
    if not whole:
        set_aside(path, "it is not what was written there")
    return whole


def _digest(path: Path, length: int) -> "hashlib._Hash":
    """Return the hash of the first ``length`` bytes, to which more can be added."""
    digest = hashlib.sha256()
    with writing(path), path.open("rb") as file:
        while length and (block := file.read(min(length, 1 << 20))):
            digest.update(block)
            length -= len(block)
    return digest


def _opened(path: Path, length: int) -> IO[bytes]:
    with writing(path):
        file = path.open("r+b" if path.exists() else "w+b")
        file.truncate(length)
        file.seek(length)
    return file


def reference_key(settings: MDSettings, reference_errors: Mapping[int, float] | None) -> str:
    """Return what the limit for the leverage is measured by, as part of a key; nothing without a limit."""
    if settings.leverage_limit is None or reference_errors is None:
        return ""
    return ",".join(f"{number}:{error:.3g}" for number, error in sorted(reference_errors.items()))


def run_key(start: Atoms, settings: MDSettings, identity: str) -> str:
    """Return a hash of all that decides the trajectory; more steps may be asked for without starting again."""
    return settings.key(start, identity, *exact_geometry(start))
