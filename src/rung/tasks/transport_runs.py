"""The dynamics behind a transport: several runs at each temperature, of a potential or of draws from its posterior."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.trajectory import read_trajectory
from rung.errors import ConfigError, DataError, counted
from rung.evaluate.dynamics.md import MARKER, TRAJECTORY, MDSettings, run_key, run_md
from rung.evaluate.identity import PHYSICS, geometry_key, is_claimed, physics_key
from rung.evaluate.transport.displacement import FEWEST_FRAMES
from rung.evaluate.transport.regime import Run, TransportSettings
from rung.progress import SILENT, Progress
from rung.report.tasks.transport import transport_summary
from rung.results.transport import TransportResult
from rung.storage import content_hash
from rung.tasks.domain import Frame, domain_of_frames
from rung.tasks.opened import Opened, OptionalModel, read_start
from rung.tasks.task import Task
from rung.tasks.transport import (
    FOLDER,
    RUNS,
    Domains,
    RunsSettings,
    TransportTask,
    analyse_runs,
    find_transport,
)

_DECIDES = {"timestep", "frame_every", "friction", "seed"}
"""Settings that all runs of a folder share; there may be more runs, temperatures, draws and steps later."""


INSIDE = "the spread over draws of the potential counts the error of the model"
OUTSIDE = (
    "neither the error nor the spread over draws counts the error of the model there: label such frames and fit again"
)


@dataclass(frozen=True)
class PlannedRun:
    """One run of many.

    Parameters
    ----------
    name
        Of its folder.
    temperature
        K.
    draw
        Which draw of the potential; None for the potential itself.
    number
        Its place among the runs of one temperature and draw.
    """

    name: str
    temperature: float
    draw: int | None
    number: int

    def dynamics(self, settings: RunsSettings, seed: int) -> MDSettings:
        """Return how it is run."""
        return MDSettings(
            temperature=self.temperature,
            steps=settings.steps,
            timestep=settings.timestep,
            friction=settings.friction,
            frame_every=settings.frame_every,
            seed=seed,
        )


def find_transport_of_model(
    potential: Opened, task: TransportTask, out: Path, *, progress: Progress = SILENT
) -> TransportResult:
    """Make runs and analyse them: see :func:`make_runs` and :func:`~rung.tasks.transport.find_transport`.

    Parameters
    ----------
    potential
        Which moves the atoms.
    task
        Its one file is the start structure; the time between frames is that of the runs.
    out
        The folder of runs and results.
    progress
        Where steps are reported.

    Raises
    ------
    ConfigError
        When there is not one file, a temperature stands there twice, draws are asked for without a posterior, or the
        runs would be too short to analyse.
    DataError
        When a run ended before its time (what was run is kept), or the folder holds other work.
    """
    _require_one_file(task)
    planned = tuple(plan(task.temperatures, task.runs))
    settings = task.diffusion.narrowed(TransportSettings, frame_fs=task.runs.frame_fs, unwrapped=True)
    _require_frames(task.runs, settings)
    atoms = read_start(task.files[0])
    potential.check_state(atoms)
    deciding = task.runs.model_dump_json(include=_DECIDES)
    identity = {"start": geometry_key(atoms), PHYSICS: physics_key(atoms), "setting": content_hash(deciding)}
    with FOLDER.open(out, {potential.fidelity: potential}, identity, reads=task):
        runs = make_runs(potential, atoms, out, planned, task.runs, progress=progress)
        domains = _domains(potential, runs, settings)
        return analyse_runs(runs, out, settings, extrapolate=task.extrapolate, domains=domains, progress=progress)


def _require_frames(runs: RunsSettings, settings: TransportSettings) -> None:
    """Refuse runs that would be too short to analyse, before any is made."""
    skipped = settings.n_skipped
    frames = runs.steps // runs.frame_every + 1 - skipped
    if frames < FEWEST_FRAMES:
        beside = f" after the first {skipped} are left out" if skipped else ""
        raise ConfigError(
            f"A run of {counted(runs.steps, 'step')} with a frame every {runs.frame_every} has "
            f"{counted(max(frames, 0), 'frame')}{beside}, and an analysis needs {FEWEST_FRAMES}; ask for more steps."
        )


def _domains(potential: Opened, runs: Sequence[Run], settings: TransportSettings) -> Domains:
    """Return which frames are outside the domain of the fit, by temperature; nothing without error bars."""
    found = {}
    for temperature in dict.fromkeys(run.temperature for run in runs):
        frames = [
            Frame(f"at {time:g} ps of {run.name}", time, atoms)
            for run in runs
            if run.temperature == temperature
            for number, atoms in enumerate(run.frames)
            for time in [number * settings.frame_fs / 1000.0]
        ]
        frames.sort(key=lambda frame: frame.time)
        domain = domain_of_frames(potential, frames, inside=INSIDE, outside=OUTSIDE)
        if domain is not None:
            found[temperature] = domain
    return found


def plan(temperatures: Sequence[float], settings: RunsSettings) -> Iterator[PlannedRun]:
    """Yield the runs that are made, one temperature after another.

    Raises
    ------
    ConfigError
        When a temperature stands there twice: one trajectory would count as two.
    """
    names = [f"{kelvin:g}" for kelvin in temperatures]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"The temperature {name} K is given twice; ask for more runs of it with --runs.")
    draws: Sequence[int | None] = range(settings.draws) if settings.draws else (None,)
    for temperature, name in zip(temperatures, names, strict=True):
        for draw in draws:
            for number in range(settings.runs):
                of_draw = "" if draw is None else f"-draw{draw}"
                yield PlannedRun(f"{name}K{of_draw}-{number}", temperature, draw, number)


def make_runs(
    potential: Opened,
    start: Atoms,
    out: Path,
    planned: Sequence[PlannedRun],
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
    planned
        The runs: see :func:`plan`.
    settings
        How long they are.
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
    runs = []
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
            runs.append(Run(str(file.relative_to(out)), read_trajectory(file).frames, one.temperature, one.draw))
            task.advance()
    return runs


def run_seed(seed: int, temperature: float, draw: int | None, number: int) -> int:
    """Return the seed of one run: another for each temperature, draw and number, whatever others are asked for."""
    kelvin = int(np.float64(temperature).view(np.uint64))
    sequence = np.random.SeedSequence([seed, kelvin, 0 if draw is None else draw + 1, number])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _dynamics(one: PlannedRun, settings: RunsSettings, start: Atoms, folder: Path, identity: str) -> MDSettings:
    """Return the settings of one run; a run that rung 0.1 began keeps its seed, which all temperatures shared."""
    before = one.dynamics(settings, settings.seed + 10_000 * (one.draw or 0) + one.number)
    if is_claimed(folder / MARKER, run_key(start, before, identity)):
        return before
    return one.dynamics(settings, run_seed(settings.seed, one.temperature, one.draw, one.number))


def _calculators(potential: Opened, settings: RunsSettings) -> dict[int | None, Any]:
    if not settings.draws:
        return {None: potential.calculator}
    if potential.error_bars is None:
        raise ConfigError(f"{potential.source} has no posterior to draw from; leave out --draws.")
    return {index: potential.error_bars.draw(index, seed=settings.seed) for index in range(settings.draws)}


def find_transport_with(
    potential: Callable[[], Opened] | None, task: TransportTask, out: Path, *, progress: Progress = SILENT
) -> TransportResult:
    """Analyse the runs of what ``potential`` opens, or without it the trajectories that ``task`` names."""
    if potential is None:
        return find_transport(task, out, progress=progress)
    _require_one_file(task)
    return find_transport_of_model(potential(), task, out, progress=progress)


def _require_one_file(task: TransportTask) -> None:
    if len(task.files) != 1:
        raise ConfigError(f"With a model, give the one file of the start structure, not {len(task.files)} files.")


TASK = Task(
    name="transport",
    note="Give trajectories, three or more of each temperature; or, with --model, one structure from which the runs "
    "are made. Runs that were stopped go on when the same command is given again. Exit code 1: nothing was seen to "
    "diffuse at some temperature; the displacements are written all the same.",
    kept="The displacements are kept in",
    example="rung transport run1.extxyz run2.extxyz run3.extxyz --species Li --charge 1 --temperature 600 "
    "--frame-fs 50 --out transport-600",
    potential=OptionalModel,
    settings=TransportTask,
    work=find_transport_with,
    summary=transport_summary,
    json=TransportResult.as_json,
)
