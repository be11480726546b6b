"""Dynamics from files: run, judge, and write what was found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field

from rung.data.readers.structures import read_structures, require_matter
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.evaluate.dynamics.md import (
    FOR_LABELLING,
    MARKER,
    TRAJECTORY,
    MDSettings,
    Trajectory,
    reference_key,
    run_md,
)
from rung.evaluate.dynamics.radial import RadialDistribution, radial_distribution
from rung.evaluate.dynamics.statistics import statistics
from rung.evaluate.error_bars import ErrorBars
from rung.evaluate.identity import PHYSICS, geometry_key, physics_key
from rung.progress import SILENT, Progress
from rung.report.tasks.md import PAGE, md_summary, write_md_report
from rung.results.domain import FramesDomain
from rung.results.md import MD_FILE, MDResult, MDSettingsEntry, Radial, RunStatistics, Samples
from rung.settings import Option, Settings
from rung.storage import content_hash
from rung.tasks.domain import Frame, domain_of_frames
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import OneFidelity, Opened, read_start
from rung.tasks.task import Task

FOLDER = TaskFolder(
    "a run of dynamics",
    # its log and its state say themselves whether they are whole
    (MD_FILE, PAGE, FOR_LABELLING),
    begun=(MARKER,),
)

MOST_FRAMES = 200
"""Frames of which g(r) is averaged; more make no difference that one sees."""

INSIDE = "the error bars of the potential apply along the run"
OUTSIDE = "no error bar of the potential holds there: label such frames and fit again"

MOST_SAMPLES = 1000
"""Samples that the result file has, at least; all are in ``samples.csv``."""


class MDTask(Settings):
    """What ``rung md`` does."""

    start: Annotated[Path, Option(positional=True)]
    """Where it begins; the first structure of the file."""
    dynamics: MDSettings
    """The ensemble, the length and the limits."""
    leverage_reference: Path | None = None
    """Structures that are known, such as the training set; by default the start alone."""
    discard: float = Field(default=0.2, ge=0, lt=1)
    """Part of the run that is left out of averages."""
    reach: float = Field(default=6.0, gt=0)
    """How far g(r) goes, Å."""


def find_md(potential: Opened, task: MDTask, out: Path, *, progress: Progress = SILENT) -> MDResult:
    """Run dynamics and return what ``md.json`` then says; a run that was stopped goes on.

    Parameters
    ----------
    potential
        On which the atoms move.
    task
        The start, and how it is run.
    out
        The folder of the run.
    progress
        Where steps are reported.

    Returns
    -------
    MDResult
        Its ``reason`` is not empty where the run ended before its time.

    Raises
    ------
    ConfigError
        When there is a limit for the leverage and no posterior.
    DataError
        When the folder holds other work, the forces say that the atoms are held from outside, or the structures for
        the leverage lack an element of the start.
    """
    atoms, settings = read_start(task.start), task.dynamics
    potential.check_state(atoms)
    reference = _reference_errors(potential, task, atoms)
    setting = content_hash(settings.deciding() + reference_key(settings, reference))
    identity = {"start": geometry_key(atoms), PHYSICS: physics_key(atoms), "setting": setting}
    with FOLDER.open(out, {potential.fidelity: potential}, identity, reads=task):
        run = run_md(
            atoms,
            potential.calculator,
            settings,
            out,
            error_bars=potential.error_bars,
            reference_errors=reference,
            identity=potential.fidelity,
            progress=progress,
        )
        structures = read_structures(out / TRAJECTORY)
        frames = [structure.atoms for structure in structures[int(task.discard * len(structures)) :]]
        radial = radial_distribution(frames[:: max(1, len(frames) // MOST_FRAMES)], reach=task.reach)
        domain = domain_of_frames(potential, _frames(structures, settings), inside=INSIDE, outside=OUTSIDE)
        result = _result(potential, task, atoms, run, radial, domain)
        result.write(out / MD_FILE)
        write_md_report(out)
    return result


def _reference_errors(potential: Opened, task: MDTask, start: Atoms) -> Mapping[int, float] | None:
    """Return the largest error of an atom of each element on the known structures, eV; None without a limit."""
    if task.dynamics.leverage_limit is None:
        return None
    if potential.error_bars is None:
        raise ConfigError(
            "A limit for the leverage needs a model with a posterior of this fidelity (readout, tangent)."
        )
    if task.leverage_reference is None:
        return _largest(potential.error_bars, [start])
    known = read_structures(task.leverage_reference)
    largest = _largest(potential.error_bars, [require_matter(structure).atoms for structure in known])
    if missing := sorted({int(number) for number in start.numbers} - largest.keys()):
        raise DataError(
            f"{task.leverage_reference} has no {' and no '.join(chemical_symbols[one] for one in missing)}, and "
            f"{task.start} has: nothing says how large an error of such an atom may be; add structures that hold it."
        )
    return largest


def _largest(error_bars: ErrorBars, structures: list[Atoms]) -> Mapping[int, float]:
    largest: dict[int, float] = {}
    for atoms in structures:
        errors = error_bars.of_atoms(atoms)
        for number in np.unique(atoms.numbers):
            error = float(errors[atoms.numbers == number].max())
            largest[int(number)] = max(largest.get(int(number), 0.0), error)
    return largest


def _frames(structures: Sequence[Structure], settings: MDSettings) -> list[Frame]:
    """Return the frames of a trajectory with their times."""
    times = [settings.timestep * settings.frame_every * number / 1000.0 for number in range(len(structures))]
    return [Frame(f"at {time:g} ps", time, structure.atoms) for time, structure in zip(times, structures, strict=True)]


def _result(
    potential: Opened,
    task: MDTask,
    atoms: Atoms,
    run: Trajectory,
    radial: RadialDistribution,
    domain: FramesDomain | None,
) -> MDResult:
    averages = statistics(run, task.dynamics.timestep, discard=task.discard)
    step, energy, kinetic, temperature = run.samples[:: max(1, len(run.samples) // MOST_SAMPLES)].T
    return MDResult(
        fidelity=potential.fidelity,
        model=potential.source,
        settings=MDSettingsEntry.model_validate(task.dynamics.model_dump(mode="json")),
        n_atoms=run.n_atoms,
        degrees_of_freedom=run.degrees_of_freedom,
        steps=run.steps,
        picoseconds=run.steps * task.dynamics.timestep / 1000.0,
        stable=not run.reason,
        reason=run.reason,
        for_labelling=FOR_LABELLING if run.reason else None,
        cell=atoms.cell.array.tolist(),
        statistics=None if averages is None else RunStatistics(**vars(averages)),
        samples=Samples(step=step, potential=energy, kinetic=kinetic, temperature=temperature),
        radial=Radial(distance=radial.distance, pairs=radial.pairs, frames=radial.frames),
        domain=domain,
    )


def _without_arrays(result: MDResult) -> dict[str, Any]:
    """Return what ``rung md --json`` prints: the file less what only a figure needs."""
    return {key: value for key, value in result.as_json().items() if key not in ("samples", "radial")}


TASK = Task(
    name="md",
    note="A run that was stopped goes on to the same trajectory when the same command is given again. Exit code 1: the "
    "run ended before its time; its last frame is in for_labelling.extxyz.",
    kept="What there is is kept in",
    example="rung md model.rung start.xyz --fidelity dmc --temperature 600 --steps 10000 --out md",
    potential=OneFidelity,
    settings=MDTask,
    work=find_md,
    summary=md_summary,
    json=_without_arrays,
)
