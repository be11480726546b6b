"""The dynamics behind a transport: several runs at each temperature, of a potential or of draws from its posterior."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from rung.calculator import RungCalculator
from rung.errors import ConfigError, DataError
from rung.evaluate.dynamics.md import TRAJECTORY, MDSettings, run_md
from rung.evaluate.transport.regime import Run
from rung.progress import SILENT, Progress
from rung.settings import Settings
from rung.storage import FolderLock
from rung.tasks.opened import open_calculator, read_start
from rung.tasks.transport import analyse_runs, read_trajectory, transport_settings

RUNS = "runs"


class RunsSettings(Settings):
    """Which runs are made."""

    temperatures: tuple[float, ...] = Field(min_length=1)
    """K."""
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
    seed: int = 0
    """Of the random numbers."""

    @property
    def frame_fs(self) -> float:
        """Time between two frames, fs."""
        return self.timestep * self.frame_every


@dataclass(frozen=True)
class _Planned:
    name: str
    temperature: float
    draw: int | None
    seed: int


def find_transport_of_model(
    model: str | Path,
    files: Sequence[Path],
    out: Path,
    settings: RunsSettings,
    options: Mapping[str, Any],
    *,
    fidelity: str | None,
    extrapolate: Sequence[float] = (),
    trusted: bool = False,
    device: str = "cpu",
    dtype: str | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Make the runs and analyse them: see :func:`make_runs` and :func:`~rung.tasks.transport.find_transport`.

    Parameters
    ----------
    files
        The file of the start structure, alone.
    options
        Settings of the analysis, but for those that the runs decide.
    """
    if fidelity is None:
        raise ConfigError("Say which fidelity of the model to run: --fidelity.")
    if len(files) != 1:
        raise ConfigError(f"With a model, give the one file of the start structure, not {len(files)} files.")
    analysis = transport_settings(options, frame_fs=settings.frame_fs, unwrapped=True)
    with FolderLock(out):
        runs = make_runs(
            model,
            files[0],
            out,
            settings,
            fidelity=fidelity,
            trusted=trusted,
            device=device,
            dtype=dtype,
            progress=progress,
        )
        return analyse_runs(runs, out, analysis, extrapolate=extrapolate, progress=progress)


def make_runs(
    model: str | Path,
    start: Path,
    out: Path,
    settings: RunsSettings,
    *,
    fidelity: str,
    trusted: bool = False,
    device: str = "cpu",
    dtype: str | None = None,
    progress: Progress = SILENT,
) -> list[Run]:
    """Run dynamics, or go on with runs that were stopped, and return their frames.

    Parameters
    ----------
    model
        See :func:`~rung.tasks.opened.open_calculator`.
    start
        The file of the structure where every run begins; the first in it counts.
    out
        The folder of results; runs are in its folder ``runs``.
    settings
        How many, how long, how hot.
    fidelity, trusted, device, dtype
        As for :func:`~rung.tasks.opened.open_calculator`.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When a run ended before its time; what was run is kept.
    ConfigError
        When draws are asked for from a model without a posterior.
    """
    calculator = open_calculator(model, fidelity=fidelity, trusted=trusted, device=device, dtype=dtype)
    calculators = _calculators(calculator, settings, model)
    atoms = read_start(start)
    found = []
    planned = list(_planned(settings))
    with progress.task("runs", len(planned)) as task:
        for one in planned:
            task.describe(one.name)
            folder = out / RUNS / one.name
            dynamics = MDSettings(
                temperature=one.temperature,
                steps=settings.steps,
                timestep=settings.timestep,
                friction=settings.friction,
                frame_every=settings.frame_every,
                seed=one.seed,
            )
            identity = f"{fidelity} {one.draw}"
            ended = run_md(atoms, calculators[one.draw], dynamics, folder, identity=identity, progress=progress)
            if ended.reason:
                raise DataError(f"{folder} ended before its time: {ended.reason}. Everything until then is kept there.")
            file = folder / TRAJECTORY
            found.append(Run(str(file.relative_to(out)), read_trajectory(file), one.temperature, one.draw))
            task.advance()
    return found


def _calculators(calculator: Any, settings: RunsSettings, model: str | Path) -> dict[int | None, Any]:
    if not settings.draws:
        return {None: calculator}
    if not isinstance(calculator, RungCalculator) or not calculator.has_error_bars:
        raise ConfigError(f"{model} has no posterior to draw from; leave out --draws.")
    return dict(enumerate(calculator.draws(settings.draws, seed=settings.seed)))


def _planned(settings: RunsSettings) -> Iterator[_Planned]:
    draws: Sequence[int | None] = range(settings.draws) if settings.draws else (None,)
    for temperature in settings.temperatures:
        for draw in draws:
            for number in range(settings.runs):
                of_draw = "" if draw is None else f"-draw{draw}"
                # every run has momenta and noise of its own, and the same ones when more runs are asked for
                seed = settings.seed + 10_000 * (0 if draw is None else draw) + number
                yield _Planned(f"{temperature:g}K{of_draw}-{number}", temperature, draw, seed)
