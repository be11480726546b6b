"""A relaxation from files, which says which cell was used and whether labels say anything about it."""

from pathlib import Path
from typing import Annotated

from ase import Atoms

from rung.data.cells import cell_warning
from rung.data.held import Held
from rung.data.readers.structures import structure_from, write_structures
from rung.evaluate.error_bars import UNKNOWN
from rung.evaluate.identity import PHYSICS, geometry_key, physics_key
from rung.evaluate.relaxation import Relaxation, RelaxationSettings, relax
from rung.progress import SILENT, Progress
from rung.report.tasks.relaxation import relaxation_summary
from rung.results.relaxation import RELAXATION_FILE, RelaxationResult, RelaxationSettingsEntry
from rung.settings import Option, Settings
from rung.storage import content_hash
from rung.tasks.domain import standing_of
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import OneFidelity, Opened, read_start
from rung.tasks.task import Task

INSIDE = "the error bar of its energy applies"
OUTSIDE = (
    "no error bar of the potential holds there, and the structure may be one that the potential alone finds stable: "
    "compare with the base, or label it and fit again"
)

STRUCTURE = "relaxed.extxyz"
STATE = "relaxation.npz"
FOLDER = TaskFolder("a relaxation", (RELAXATION_FILE, STRUCTURE), begun=(RELAXATION_FILE, STATE))


class RelaxationTask(Settings):
    """What ``rung relax`` does."""

    start: Annotated[Path, Option(positional=True)]
    """The structure; the first of the file."""
    relaxation: RelaxationSettings = RelaxationSettings()
    """What to reach, and whether the cell relaxes."""


def relax_file(potential: Opened, task: RelaxationTask, out: Path, *, progress: Progress = SILENT) -> RelaxationResult:
    """Relax a structure into ``out/relaxed.extxyz``; return what ``out/relax.json`` then says.

    A relaxation that was broken off goes on in its folder, to the same result.

    Parameters
    ----------
    potential
        On which it relaxes.
    task
        Which structure, and how.
    out
        The folder of the result.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When the folder holds other work, or the cell is to relax and the structure has none.
    ConfigError
        When the cell is to relax and the calculator gives no stress.
    """
    atoms, settings = read_start(task.start), task.relaxation
    potential.check_state(atoms)
    identity = {
        "start": geometry_key(atoms),
        PHYSICS: physics_key(atoms),
        "setting": content_hash(settings.model_dump_json(exclude={"steps"})),
    }
    with FOLDER.open(out, {potential.fidelity: potential}, identity, reads=task):
        relaxation = relax(atoms, potential.calculator, settings, state=out / STATE, progress=progress)
        result = _result(potential, settings, relaxation, atoms)
        write_structures(out / STRUCTURE, [structure_from(relaxation.atoms, "")])
        result.write(out / RELAXATION_FILE)
    return result


def _result(potential: Opened, settings: RelaxationSettings, relaxation: Relaxation, start: Atoms) -> RelaxationResult:
    warnings = []
    if settings.cell or settings.plane:
        warnings.append(cell_warning(potential.metadata, potential.fidelity))
        if held := Held.of(start).words():
            warnings.append(f"The cell relaxed, and what is held keeps its place as fractions of it: {held}.")
    bars, domain, bar = potential.error_bars, None, UNKNOWN
    if bars is not None:
        bar = bars.combination([relaxation.atoms], [1.0])
        standing = standing_of(potential, {STRUCTURE: relaxation.atoms})
        domain = standing.numbers("structures at the end", inside=INSIDE, outside=OUTSIDE)
    return RelaxationResult(
        fidelity=potential.fidelity,
        model=potential.source,
        settings=RelaxationSettingsEntry.model_validate(settings.model_dump(mode="json")),
        energy=relaxation.energy,
        energy_stderr=bar.total,
        max_force=relaxation.max_force,
        steps=relaxation.steps,
        converged=relaxation.converged,
        cell_before=start.cell.array.tolist(),
        cell=relaxation.atoms.cell.array.tolist(),
        domain=domain,
        warnings=tuple(warning for warning in warnings if warning),
    )


TASK = Task(
    name="relax",
    note="A relaxation that was stopped goes on when the same command is given again. Exit code 1: the forces asked "
    "for were not reached.",
    kept="The structure as it stands is in",
    example="rung relax model.rung start.xyz --fidelity dmc --cell --out relaxed",
    potential=OneFidelity,
    settings=RelaxationTask,
    work=relax_file,
    summary=relaxation_summary,
    json=RelaxationResult.as_json,
)
