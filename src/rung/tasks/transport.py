"""Transport from files: trajectories in, a folder of results out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rung.data.trajectory import read_trajectory, same_time
from rung.errors import ConfigError, DataError, counted
from rung.evaluate.dynamics.md import MARKER
from rung.evaluate.transport.analysis import Transport, as_rows, transport
from rung.evaluate.transport.arrhenius import activations
from rung.evaluate.transport.regime import DiffusionSettings, MeasuredRun, Run, TransportSettings
from rung.progress import SILENT, Progress
from rung.report.tasks.transport import PAGE, write_transport_report
from rung.results.domain import FramesDomain
from rung.results.transport import (
    DISPLACEMENTS_FILE,
    TRANSPORT_FILE,
    ActivationNumbers,
    AtTemperature,
    FittedLine,
    FittedLines,
    RunNumbers,
    TransportResult,
    TransportSettingsEntry,
    write_displacements,
)
from rung.settings import Option, Settings
from rung.tasks.folder import TaskFolder

RUNS = "runs"
FOLDER = TaskFolder(
    "transport",
    (TRANSPORT_FILE, DISPLACEMENTS_FILE, PAGE),
    begun=(TRANSPORT_FILE, f"{RUNS}/*/{MARKER}"),
    inside=(RUNS,),
)
UNITS = {
    "temperature": "K",
    "diffusivity": "cm²/s",
    "conductivity": "S/cm",
    "activation_energy": "eV",
    "msd": "Å²",
    "time": "ps",
}


Domains = Mapping[float, FramesDomain]
"""What frames are outside the domain of the fit, by temperature."""


class RunsSettings(Settings):
    """Which runs a potential makes; of files none of it counts."""

    runs: int = Field(default=3, ge=1, le=10000)
    """Runs at each temperature, and of each draw; they differ in their first momenta and in the thermostat's noise."""
    draws: int = Field(default=0, ge=0, le=10000)
    """Draws from the posterior that are run in place of the potential itself; 0 runs the potential itself."""
    steps: int = Field(default=20000, ge=1)
    """Steps of each run; more may be asked for later."""
    timestep: float = Field(default=1.0, gt=0)
    """Time step, fs."""
    frame_every: int = Field(default=20, ge=1)
    """Steps from one frame to the next."""
    friction: float = Field(default=0.002, gt=0)
    """Friction of the Langevin thermostat, 1/fs: it slows diffusion, so it is weak."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random numbers."""

    @property
    def frame_fs(self) -> float:
        """Time between two frames, fs."""
        return self.timestep * self.frame_every


class TransportTask(Settings):
    """What ``rung transport`` does."""

    files: Annotated[tuple[Path, ...], Option(positional=True)] = ()
    """Trajectories, one run a file, frames at equal times apart; with a model, the start structure."""
    diffusion: DiffusionSettings
    """What moves, and how displacements become diffusivities."""
    temperatures: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Option(("temperature",))] = Field(min_length=1)
    """K: one for all files, or one each in the order of the files; with a model, those to run at, each once."""
    frame_fs: float | None = Field(default=None, gt=0)
    """Time between two frames, fs; not needed for files that say it (``time_fs``, ``time_ps``)."""
    draw: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Which draw of the potential moved each run, in the order of the files; none where it was the potential itself."""
    types: tuple[str, ...] = ()
    """The element of each type of dumps of LAMMPS that have no column element, from type 1: Li P S."""
    unwrapped: bool = False
    """Whether the positions of the files run on beyond the cell already."""
    extrapolate: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Temperatures at which the Arrhenius fit is evaluated, K."""
    runs: RunsSettings = RunsSettings()
    """The runs of a model."""


def find_transport(task: TransportTask, out: Path, *, progress: Progress = SILENT) -> TransportResult:
    """Analyse trajectories, write ``transport.json``, ``msd.csv`` and ``transport.html``, and return the first.

    Parameters
    ----------
    task
        The files with their temperatures and draws, and how displacements become diffusivities.
    out
        The folder of results.
    progress
        Where runs are reported.

    Returns
    -------
    TransportResult
        Its ``reason`` is not empty where at some temperature nothing diffuses; ``msd.csv`` is written all the same.

    Raises
    ------
    DataError
        When a trajectory cannot be used, or the times between frames differ.
    ConfigError
        When the numbers of files, temperatures and draws do not agree, or the time between frames is missing.
    """
    runs = read_runs(task.files, task.temperatures, task.draw, types=task.types, frame_fs=task.frame_fs)
    frame_fs = frame_time(runs) if task.frame_fs is None else task.frame_fs
    settings = task.diffusion.narrowed(TransportSettings, frame_fs=frame_fs, unwrapped=task.unwrapped)
    with FOLDER.open(out, reads=task):
        return analyse_runs(runs, out, settings, extrapolate=task.extrapolate, progress=progress)


def analyse_runs(
    runs: Sequence[Run],
    out: Path,
    settings: TransportSettings,
    *,
    extrapolate: Sequence[float] = (),
    domains: Domains | None = None,
    progress: Progress = SILENT,
) -> TransportResult:
    """Analyse runs, write the files of a folder of results, and return what ``transport.json`` says."""
    results = transport(runs, settings, progress=progress)
    return write_transport(out, results, settings, extrapolate=extrapolate, domains=domains)


def read_runs(
    files: Sequence[Path],
    temperatures: Sequence[float],
    draws: Sequence[int] = (),
    *,
    types: Sequence[str] = (),
    frame_fs: float | None = None,
) -> list[Run]:
    """Return one run a file, with its temperature in K and its draw.

    Parameters
    ----------
    files
        Trajectories.
    temperatures, draws
        One each, or one temperature for all; no draws where the potential itself moved the atoms.
    types
        The elements of LAMMPS's types.
    frame_fs
        Time between two frames, fs: a file that says another one is refused.

    Raises
    ------
    ConfigError
        When the numbers of files, temperatures and draws do not agree.
    DataError
        When a trajectory cannot be used.
    """
    if not files:
        raise ConfigError("Give at least one file of a trajectory.")
    places = [Path(file).resolve() for file in files]
    for file, place in zip(files, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{file} is given twice; one trajectory counts once.")
    for name, values, allowed in (
        ("temperatures", temperatures, (1, len(files))),
        ("draws", draws, (0, len(files))),
    ):
        if len(values) not in allowed:
            raise ConfigError(
                f"{name}: {len(values)} for {counted(len(files), 'file')}; give one each, in the order of the "
                "files" + (", or one for all." if name == "temperatures" else ".")
            )
    kelvin = list(temperatures) * (len(files) if len(temperatures) == 1 else 1)
    if min(kelvin) <= 0:
        raise ConfigError(f"A temperature is above 0 K, not {min(kelvin):g} K.")
    series = [read_trajectory(file, types=types) for file in files]
    for file, one in zip(files, series, strict=True):
        if frame_fs is not None:
            one.require_time(file, frame_fs)
    return [
        Run(str(file), one.frames, kelvin[index], draws[index] if draws else None, one.unwrapped, one.frame_fs)
        for index, (file, one) in enumerate(zip(files, series, strict=True))
    ]


def frame_time(runs: Sequence[Run]) -> float:
    """Return the time between two frames as all files say it, fs.

    Raises
    ------
    ConfigError
        When a file says none.
    DataError
        When two files say different ones: all runs are measured at the same times.
    """
    times = {}
    for run in runs:
        if run.frame_fs is None:
            raise ConfigError(
                f"{run.name} does not say the time between its frames in fs or ps; give it in fs: --frame-fs."
            )
        times[run.name] = run.frame_fs
    (first, time), *others = times.items()
    for name, other in others:
        if not same_time(time, other):
            raise DataError(
                f"{first} says {time:g} fs between two frames, and {name} {other:g} fs; displacements are compared at "
                "the same times, so thin one of them, or give them to two calls."
            )
    return time


def write_transport(
    out: Path,
    results: Sequence[Transport],
    settings: TransportSettings,
    *,
    extrapolate: Sequence[float] = (),
    domains: Domains | None = None,
) -> TransportResult:
    """Write the files of a folder of results, and return what ``transport.json`` says."""
    reasons = [f"At {one.temperature:g} K: {one.window.reason}" for one in results if not one.window.diffusive]
    result = TransportResult(
        units=UNITS,
        settings=TransportSettingsEntry.model_validate(settings.model_dump(mode="json")),
        temperatures=tuple(_at_temperature(one, (domains or {}).get(one.temperature)) for one in results),
        activation={
            name: ActivationNumbers.model_validate(asdict(one))
            for name, one in activations(results, extrapolate).items()
        },
        reason=" ".join(reasons),
    )
    write_displacements(out / DISPLACEMENTS_FILE, as_rows(results, settings))
    result.write(out / TRANSPORT_FILE)
    write_transport_report(out)
    return result


def _at_temperature(result: Transport, domain: FramesDomain | None) -> AtTemperature:
    runs = tuple(_run(run) for run in result.runs)
    return AtTemperature.model_validate({**asdict(result), "runs": runs, "domain": domain})


def _run(run: MeasuredRun) -> RunNumbers:
    tracer, together = (
        None if line is None else FittedLine(diffusivity=line.diffusivity, stderr=line.stderr, intercept=line.intercept)
        for line in (run.tracer_line, run.collective_line)
    )
    return RunNumbers(
        name=run.name,
        draw=run.draw,
        n_frames=run.n_frames,
        n_mobile=run.n_mobile,
        volume=run.volume,
        framework_rms=run.framework_rms,
        n_independent=run.n_independent,
        lines_in_angstrom_and_fs=FittedLines(tracer_line=tracer, collective_line=together),
    )
