"""The dynamics behind a transport: several runs at each temperature, of a potential or of draws from its posterior."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pydantic import Field, field_validator

from rung.errors import ConfigError, DataError
from rung.evaluate.dynamics.md import MARKER, TRAJECTORY, MDSettings, run_key, run_md
from rung.evaluate.identity import geometry_key, is_claimed
from rung.evaluate.transport.regime import Run
from rung.progress import SILENT, Progress
from rung.settings import Settings
from rung.storage import content_hash
from rung.tasks.opened import Opened, read_start
from rung.tasks.transport import FOLDER, RUNS, analyse_runs, read_trajectory, transport_settings


class RunsSettings(Settings):
    """Which runs are made."""

    temperatures: tuple[float, ...] = Field(min_length=1)
    """K, each once."""
    runs: int = Field(default=3, ge=1)
    """Runs at each temperature, and of each draw; they differ in their first momenta and in the thermostat's noise."""
    draws: int = Field(default=0, ge=0)
    """Draws from the posterior that are run in place of the potential itself; 0 runs the potential itself."""
    steps: int = Field(default=20000, ge=1)
    """Steps of each run; more may be asked for later."""
    timestep: float = Field(default=1.0, gt=0)
    """fs."""
    frame_every: int = Field(default=20, ge=1)
    """Steps from one frame to the next."""
    friction: float = Field(default=0.002, gt=0)
    """Of the Langevin thermostat, 1/fs: it slows diffusion, so it is weak."""
    seed: int = Field(default=0, ge=0)
    """Of the random numbers."""

    @field_validator("temperatures")
    @classmethod
    def _each_once(cls, temperatures: tuple[float, ...]) -> tuple[float, ...]:
        names = [f"{kelvin:g}" for kelvin in temperatures]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the temperature {name} is given twice; ask for more runs of it with runs")
        return temperatures

    @property
    def frame_fs(self) -> float:
        """Time between two frames, fs."""
        return self.timestep * self.frame_every


_DECIDES = {"timestep", "frame_every", "friction", "seed"}
"""Settings that all runs of a folder share; there may be more runs, temperatures, draws and steps later."""


@dataclass(frozen=True)
class _Planned:
    name: str
    temperature: float
    draw: int | None
    number: int

    def settings(self, settings: RunsSettings, seed: int) -> MDSettings:
        return MDSettings(
            temperature=self.temperature,
            steps=settings.steps,
            timestep=settings.timestep,
            friction=settings.friction,
            frame_every=settings.frame_every,
            seed=seed,
        )


def find_transport_of_model(
    potential: Opened,
    start: Path,
    out: Path,
    settings: RunsSettings,
    options: Mapping[str, Any],
    *,
    extrapolate: Sequence[float] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Make the runs and analyse them: see :func:`make_runs` and :func:`~rung.tasks.transport.find_transport`.

    Parameters
    ----------
    potential
        Which moves the atoms.
    start
        The file of the structure where every run begins; the first in it counts.
    options
        Settings of the analysis, but for those that the runs decide.
    """
    analysis = transport_settings(options, frame_fs=settings.frame_fs, unwrapped=True)
    atoms = read_start(start)
    identity = {"start": geometry_key(atoms), "setting": content_hash(settings.model_dump_json(include=_DECIDES))}
    with FOLDER.open(out, {potential.fidelity: potential}, identity):
        runs = make_runs(potential, atoms, out, settings, progress=progress)
        return analyse_runs(runs, out, analysis, extrapolate=extrapolate, progress=progress)


def make_runs(
    potential: Opened,
    start: Atoms,
    out: Path,
    settings: RunsSettings,
    *,
    progress: Progress = SILENT,
) -> list[Run]:
    """Run dynamics, or go on with runs that were stopped, and return their frames.

    Parameters
    ----------
    potential
        Which moves the atoms.
    start
        Where every run begins.
    out
        The folder of results; runs are in its folder ``runs``.
    settings
        How many, how long, how hot.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When a run ended before its time; what was run is kept.
    ConfigError
        When draws are asked for from a model without a posterior.
    """
    calculators = _calculators(potential, settings)
    found = []
    planned = list(_planned(settings))
    with progress.task("runs", len(planned)) as task:
        for one in planned:
            task.describe(one.name)
            folder = out / RUNS / one.name
            identity = f"{potential.fidelity} {one.draw}"
            dynamics = _dynamics(one, settings, start, folder, identity)
            ended = run_md(start, calculators[one.draw], dynamics, folder, identity=identity, progress=progress)
            if ended.reason:
                raise DataError(f"{folder} ended before its time: {ended.reason}. Everything until then is kept there.")
            file = folder / TRAJECTORY
            found.append(Run(str(file.relative_to(out)), read_trajectory(file), one.temperature, one.draw))
            task.advance()
    return found


def _calculators(potential: Opened, settings: RunsSettings) -> dict[int | None, Any]:
    if not settings.draws:
        return {None: potential.calculator}
    if potential.error_bars is None:
        raise ConfigError(f"{potential.source} has no posterior to draw from; leave out --draws.")
    return {index: potential.error_bars.draw(index, seed=settings.seed) for index in range(settings.draws)}


def run_seed(seed: int, temperature: float, draw: int | None, number: int) -> int:
    """Return the seed of one run: another for each temperature, draw and number, whatever others are asked for."""
    kelvin = int(np.float64(temperature).view(np.uint64))
    sequence = np.random.SeedSequence([seed, kelvin, 0 if draw is None else draw + 1, number])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _dynamics(one: _Planned, settings: RunsSettings, start: Atoms, folder: Path, identity: str) -> MDSettings:
    """Return the settings of one run; a run that rung 0.1 began keeps its seed, which all temperatures shared."""
    before = one.settings(settings, settings.seed + 10_000 * (one.draw or 0) + one.number)
    if is_claimed(folder / MARKER, run_key(start, before, identity)):
        return before
    return one.settings(settings, run_seed(settings.seed, one.temperature, one.draw, one.number))


def _planned(settings: RunsSettings) -> Iterator[_Planned]:
    draws: Sequence[int | None] = range(settings.draws) if settings.draws else (None,)
    for temperature in settings.temperatures:
        for draw in draws:
            for number in range(settings.runs):
                of_draw = "" if draw is None else f"-draw{draw}"
                yield _Planned(f"{temperature:g}K{of_draw}-{number}", temperature, draw, number)
