"""A relaxation from files, which says which cell was used and whether labels say anything about it."""

from pathlib import Path
from typing import Any

from ase import Atoms

from rung.data.cells import cell_warning
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.evaluate.identity import geometry_key
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.progress import SILENT, Progress
from rung.storage import content_hash, write_json
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened, read_start

RESULT = "relax.json"
STRUCTURE = "relaxed.extxyz"
FOLDER = TaskFolder("a relaxation", (RESULT, STRUCTURE), begun=(RESULT,))


def relax_file(
    potential: Opened,
    start: Path,
    out: Path,
    settings: RelaxationSettings,
    *,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Relax the first structure of ``start`` into ``out/relaxed.extxyz``; return what ``out/relax.json`` then says.

    Parameters
    ----------
    potential
        On which it relaxes.
    start, out
        The structure, and the folder of the result.
    settings
        What to reach, and whether the cell relaxes.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When the folder holds other work, or the cell is to relax and the structure has none.
    ConfigError
        When the cell is to relax and the calculator gives no stress.
    """
    atoms = read_start(start)
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
