"""A free-energy barrier from files: sample, analyse, reweight, and write what was found."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from rung.data.readers.structures import write_structures
from rung.data.splits import evenly_spread
from rung.evaluate.free_energy.analysis import AnalysisSettings, analyse
from rung.evaluate.free_energy.collective import (
    CollectiveSettings,
    CollectiveVariable,
    PathSettings,
    collective_variable,
    key_of,
    read_band,
    read_collective,
)
from rung.evaluate.free_energy.umbrella import (
    MARKER,
    SamplingSettings,
    UmbrellaSettings,
    centres_between,
    sample_windows,
)
from rung.evaluate.identity import PHYSICS, geometry_key, physics_key
from rung.progress import SILENT, Progress
from rung.report.tasks.free_energy import PAGE, free_energy_summary, write_free_energy_report
from rung.results.domain import DomainNumbers
from rung.results.free_energy import (
    FREE_ENERGY_FILE,
    BarrierNumbers,
    FreeEnergyResult,
    ProfileCurve,
    WindowNumbers,
    WindowSamples,
)
from rung.results.settings import SettingsEntry
from rung.settings import Option, Settings
from rung.storage import content_hash
from rung.tasks.domain import MOST_FRAMES, standing_of
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import OneFidelity, Opened, read_start
from rung.tasks.other_surfaces import (
    FRAMES,
    SampledBarrier,
    TargetEnergies,
    frame_name,
    model_error,
    read_target_energies,
    to_target,
)
from rung.tasks.task import Task

FOLDER = TaskFolder("a free energy", (FREE_ENERGY_FILE, PAGE, FRAMES), begun=(MARKER,))


class FreeEnergyTask(Settings):
    """What ``rung free-energy`` does."""

    start: Annotated[Path, Option(positional=True)]
    """A structure of the reactant; the first of the file."""
    variable: Annotated[Path, Option(("cv",))]
    """YAML of the collective variable: distance_difference, projected_displacement or path."""
    sampling: SamplingSettings
    """How windows are sampled."""
    windows: tuple[float, float, int] | None = None
    """Where the first and the last window are, in the unit of the variable, and how many there are."""
    centres: tuple[float, ...] = ()
    """Where the windows are, one by one, in place of a first, a last and their number."""
    band: Path | None = None
    """Images from which the windows start; without it a path variable's own band, else a moving spring."""
    analysis: AnalysisSettings = AnalysisSettings()
    """How samples become a profile and a barrier."""
    draws: int = Field(default=32, ge=0, le=10000)
    """Posterior draws for the model's error; none where the model has no posterior."""
    target_energies: Path | None = None
    """Structures of frames.extxyz that carry energies of another fidelity: the barrier is reweighted to it."""
    target: str | None = None
    """The fidelity of those energies."""

    @model_validator(mode="after")
    def _has_windows(self) -> Self:
        if (self.windows is None) == (not self.centres):
            raise ValueError("say where the windows are, either by windows or by centres")
        return self

    @property
    def umbrella(self) -> UmbrellaSettings:
        """How the windows are sampled, and where they are."""
        centres = self.centres if self.windows is None else centres_between(*self.windows)
        return self.sampling.narrowed(UmbrellaSettings, centres=centres)


def find_free_energy(
    potential: Opened, task: FreeEnergyTask, out: Path, *, progress: Progress = SILENT
) -> FreeEnergyResult:
    """Sample umbrella windows along a collective variable and return what ``free_energy.json`` then says.

    A folder that holds some windows already is gone on with; only what is missing is sampled.

    Parameters
    ----------
    potential
        Which is sampled.
    task
        The start, the variable, the windows, and how samples become a barrier.
    out
        The folder of windows and results.
    progress
        Where steps are reported.

    Returns
    -------
    FreeEnergyResult
        Its ``reason`` is not empty where there is no barrier.

    Raises
    ------
    DataError
        When a file cannot be used, or the folder holds other work.
    """
    atoms, sampling = read_start(task.start), task.umbrella
    potential.check_state(atoms)
    target = None if task.target_energies is None else read_target_energies(task.target_energies, task.target)
    settings = read_collective(task.variable)
    coordinate = collective_variable(settings, atoms)
    images = task.band or (settings.band if isinstance(settings, PathSettings) else None)
    band = None if images is None else read_band(images, atoms)
    variable_key = key_of(coordinate) + potential.fidelity + ("" if band is None else geometry_key(*band))
    identity = {
        "start": geometry_key(atoms),
        PHYSICS: physics_key(atoms),
        "setting": content_hash(sampling.deciding()),
        "collective variable": content_hash(variable_key),
    }
    with FOLDER.open(out, {potential.fidelity: potential}, identity, reads=task):
        windows = sample_windows(
            atoms,
            potential.calculator,
            coordinate,
            sampling,
            out,
            band=band,
            identity=variable_key,
            progress=progress,
        )
        free_energy = analyse(windows, sampling.temperature, task.analysis)
        sampled = SampledBarrier(atoms, windows, free_energy, sampling, task.analysis)
        write_structures(out / FRAMES, sampled.frames())
        result = _result(potential, task, settings, coordinate, sampled, target, progress)
        result.write(out / FREE_ENERGY_FILE)
        write_free_energy_report(out)
    return result


def _result(
    potential: Opened,
    task: FreeEnergyTask,
    settings: CollectiveSettings,
    coordinate: CollectiveVariable,
    sampled: SampledBarrier,
    target: TargetEnergies | None,
    progress: Progress,
) -> FreeEnergyResult:
    sampling, free_energy = sampled.sampling, sampled.free_energy
    profile, barrier = free_energy.profile, free_energy.barrier
    reweighted = None
    if barrier is not None and target is not None:
        reweighted = to_target(sampled, target)
    return FreeEnergyResult(
        fidelity=potential.fidelity,
        model=potential.source,
        temperature=sampling.temperature,
        unit=coordinate.unit,
        variable=SettingsEntry.model_validate(settings.model_dump(mode="json")),
        spring=sampling.constant,
        timestep=sampling.timestep,
        steps=tuple(window.steps for window in sampled.windows),
        samples=tuple(WindowSamples(values=window.values) for window in sampled.windows),
        analysis=SettingsEntry.model_validate(task.analysis.model_dump(mode="json")),
        profile=None
        if profile is None
        else ProfileCurve(coordinate=profile.coordinate, free_energy=profile.free_energy, stderr=profile.stderr),
        barrier=None if barrier is None else BarrierNumbers(**vars(barrier)),
        windows=tuple(WindowNumbers(**vars(one)) for one in free_energy.windows),
        warnings=free_energy.warnings,
        reason=free_energy.reason,
        model_error=None
        if barrier is None
        else model_error(potential.error_bars, sampled, task.draws, progress=progress),
        reweighted=reweighted,
        domain=_domain(potential, sampled),
    )


def _domain(potential: Opened, sampled: SampledBarrier) -> DomainNumbers | None:
    """Return which kept structures in equilibrium are outside the domain of the fit; None without error bars."""
    if potential.error_bars is None:
        return None
    kept = [(window, int(frame)) for window in sampled.windows for frame in sampled.equilibrated(window)]
    structures = {
        frame_name(window.index, frame): sampled.structures(window, [frame])[0]
        for window, frame in evenly_spread(kept, MOST_FRAMES)
    }
    return standing_of(potential, structures).numbers(
        f"structures of {FRAMES}",
        inside="quote the statistical error, with the spread over posterior draws as the model's error",
        outside="the spread over posterior draws says nothing of the model's error there: label such structures and "
        "fit again, or reweight to their target energies",
    )


def _without_samples(result: FreeEnergyResult) -> dict[str, Any]:
    """Return what ``rung free-energy --json`` prints: the file less the samples."""
    return {key: value for key, value in result.as_json().items() if key != "samples"}


TASK = Task(
    name="free-energy",
    note="Umbrella sampling and MBAR. Windows that are done are kept; the same command goes on where a broken one was. "
    "Exit code 1: there is no barrier to report.",
    kept="What was sampled is kept in",
    example="rung free-energy model.rung start.xyz --fidelity dmc --cv cv.yaml --temperature 600 "
    "--windows 0 3.2 16 --out hop",
    potential=OneFidelity,
    settings=FreeEnergyTask,
    work=find_free_energy,
    summary=free_energy_summary,
    json=_without_samples,
)
