"""Dynamics from files: run, judge, and write what was found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.evaluate.dynamics.md import FOR_LABELLING, MARKER, SAMPLES, STATE, TRAJECTORY, MDSettings, run_md
from rung.evaluate.dynamics.radial import radial_distribution
from rung.evaluate.dynamics.statistics import statistics
from rung.evaluate.error_bars import ErrorBars
from rung.evaluate.identity import geometry_key
from rung.progress import SILENT, Progress
from rung.report.tasks.md import PAGE, write_md_report
from rung.storage import content_hash, write_json
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened, read_start

RESULT = "md.json"
FOLDER = TaskFolder(
    "a run of dynamics", (RESULT, PAGE, TRAJECTORY, SAMPLES, STATE, FOR_LABELLING, MARKER), begun=(MARKER,)
)

MOST_FRAMES = 200
"""Frames of which g(r) is averaged; more make no difference that one sees."""


def find_md(
    potential: Opened,
    start: Path,
    out: Path,
    settings: MDSettings,
    *,
    leverage_reference: Path | None = None,
    discard: float = 0.2,
    reach: float = 6.0,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Run dynamics and return what ``md.json`` then says; a run that was stopped goes on.

    Parameters
    ----------
    potential
        On which the atoms move.
    start
        Where it begins; the first structure of the file counts.
    out
        The folder of the run.
    settings
        Ensemble, length, limits.
    leverage_reference
        Structures whose atoms are known, such as the training set; by default the start alone.
    discard
        Part of the run that is left out of averages.
    reach
        How far g(r) goes, Å.
    progress
        Where steps are reported.

    Returns
    -------
    dict
        Its ``reason`` is not empty where the run ended before its time.
    """
    atoms = read_start(start)
    reference = None
    if settings.leverage_limit is not None:
        if potential.error_bars is None:
            raise ConfigError(
                "A limit for the leverage needs a model with a posterior of this fidelity (method readout)."
            )
        structures = [Structure(atoms, "", {})] if leverage_reference is None else read_structures(leverage_reference)
        reference = _largest(potential.error_bars, [structure.atoms for structure in structures])
    identity = {"start": geometry_key(atoms), "setting": content_hash(settings.deciding())}
    with FOLDER.open(out, {potential.fidelity: potential}, identity):
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
        found = statistics(run, settings.timestep, discard=discard)
        frames = [structure.atoms for structure in read_structures(out / TRAJECTORY)]
        used = frames[int(discard * len(frames)) :]
        radial = radial_distribution(used[:: max(1, len(used) // MOST_FRAMES)], reach=reach)
        every = max(1, len(run.samples) // 1000)
        content = {
            "fidelity": potential.fidelity,
            "model": potential.source,
            "settings": settings.model_dump(mode="json"),
            "n_atoms": run.n_atoms,
            "degrees_of_freedom": run.degrees_of_freedom,
            "steps": run.steps,
            "picoseconds": run.steps * settings.timestep / 1000.0,
            "stable": not run.reason,
            "reason": run.reason,
            "for_labelling": FOR_LABELLING if run.reason else None,
            "cell": atoms.cell.array,
            "statistics": None if found is None else vars(found),
            "samples": dict(zip(("step", "potential", "kinetic", "temperature"), run.samples[::every].T, strict=True)),
            "radial": {"distance": radial.distance, "pairs": radial.pairs, "frames": radial.frames},
        }
        write_json(out / RESULT, content)
        write_md_report(out)
    return content


def _largest(error_bars: ErrorBars, structures: list[Atoms]) -> Mapping[int, float]:
    """Return the largest error of an atom's energy from the weights, by element, eV."""
    found: dict[int, float] = {}
    for atoms in structures:
        errors = error_bars.of_atoms(atoms)
        for number in np.unique(atoms.numbers):
            largest = float(errors[atoms.numbers == number].max())
            found[int(number)] = max(found.get(int(number), 0.0), largest)
    return found
