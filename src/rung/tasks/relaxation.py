"""A relaxation from files, which says which cell was used and whether labels say anything about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from ase import Atoms

from rung.data.cells import cell_warning
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.evaluate.identity import geometry_key
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.progress import SILENT, Progress
from rung.results.summary import Summary
from rung.settings import Option, Settings
from rung.storage import content_hash, write_json
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import OneFidelity, Opened, read_start
from rung.tasks.task import Task

RESULT = "relax.json"
STRUCTURE = "relaxed.extxyz"
FOLDER = TaskFolder("a relaxation", (RESULT, STRUCTURE), begun=(RESULT,))


class RelaxationTask(Settings):
    """What ``rung relax`` does."""

    start: Annotated[Path, Option(positional=True)]
    """The structure; the first of the file."""
    relaxation: RelaxationSettings = RelaxationSettings()
    """What to reach, and whether the cell relaxes."""


def relax_file(potential: Opened, task: RelaxationTask, out: Path, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Relax a structure into ``out/relaxed.extxyz``; return what ``out/relax.json`` then says.

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
    identity = {
        "start": geometry_key(atoms),
        "setting": content_hash(settings.model_dump_json(exclude={"steps"})),
    }
    with FOLDER.open(out, {potential.fidelity: potential}, identity):
        return _relaxed(potential, atoms, out, settings, progress)


def _relaxed(
    potential: Opened, atoms: Atoms, out: Path, settings: RelaxationSettings, progress: Progress
) -> dict[str, Any]:
    found = relax(atoms, potential.calculator, settings, progress=progress)
    moves = settings.cell or settings.plane
    warned = cell_warning(potential.metadata, potential.fidelity) if moves else ""
    content = {
        "fidelity": potential.fidelity,
        "model": potential.source,
        "settings": settings.model_dump(mode="json"),
        "energy": found.energy,
        "max_force": found.max_force,
        "steps": found.steps,
        "converged": found.converged,
        "cell_before": atoms.cell.array,
        "cell": found.atoms.cell.array,
        "warnings": [warned] if warned else [],
    }
    write_structures(out / STRUCTURE, [Structure(found.atoms, "", {})])
    write_json(out / RESULT, content)
    return content


def _summary(found: Mapping[str, Any]) -> Summary:
    fmax, steps = found["settings"]["fmax"], found["steps"]
    head = f"energy {found['energy']:.6f} eV, largest force {found['max_force']:.4f} eV/Å, cell (Å):"
    vectors = ("  ".join(f"{component:12.6f}" for component in vector) for vector in found["cell"])
    missed = () if found["converged"] else (f"Not relaxed to {fmax} eV/Å in {steps} steps; give more steps.",)
    return Summary(sentences=(head, *vectors), warnings=tuple(found["warnings"]), failures=missed)


TASK = Task(
    name="relax",
    note="Exit code 1: the forces asked for were not reached.",
    example="rung relax model.rung start.xyz --fidelity dmc --cell --out relaxed",
    potential=OneFidelity,
    settings=RelaxationTask,
    work=relax_file,
    summary=_summary,
    json=dict,
)
