"""A free-energy barrier from files: sample, analyse, reweight, and write what was found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import DataError, one_of
from rung.evaluate.free_energy.analysis import AnalysisSettings, FreeEnergy, analyse
from rung.evaluate.free_energy.collective import PathSettings, collective_variable, read_band, read_collective
from rung.evaluate.free_energy.reweighting import Region, Reweighted, ReweightingSettings, reweight
from rung.evaluate.free_energy.umbrella import MARKER, UmbrellaSettings, Window, sample_windows
from rung.evaluate.identity import geometry_key
from rung.progress import SILENT, Progress
from rung.report.tasks.free_energy import PAGE, write_free_energy_report
from rung.storage import content_hash, file_hash, write_json
from rung.tasks.error_bars import PosteriorBars
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened, read_start

RESULT = "free_energy.json"
FRAMES = "frames.extxyz"
FOLDER = TaskFolder("a free energy", (RESULT, PAGE, FRAMES, MARKER), begun=(MARKER,))


def find_free_energy(
    potential: Opened,
    start: Path,
    out: Path,
    *,
    variable: Path,
    sampling: UmbrellaSettings,
    analysis: AnalysisSettings,
    band: Path | None = None,
    draws: int = 32,
    target_energies: Path | None = None,
    target: str | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Sample umbrella windows along a collective variable and return what ``free_energy.json`` then says.

    A folder that holds some windows already is gone on with; only what is missing is sampled.

    Parameters
    ----------
    potential
        Which is sampled.
    start
        The file of the reactant; its first structure counts.
    out
        The folder of windows and results.
    variable
        The YAML file of the collective variable.
    sampling, analysis
        How windows are sampled, and how samples become a barrier.
    band
        A file of images from which the windows start; by default the band of a path variable, else a steered run.
    draws
        Posterior draws for the model's error; none where the model has no posterior.
    target_energies, target
        Kept structures (``frames.extxyz``) that carry energies of another fidelity, and the name of that fidelity:
        the barrier is reweighted to it.
    progress
        Where steps are reported.

    Returns
    -------
    dict
        Its ``reason`` is not empty where there is no barrier.
    """
    atoms = read_start(start)
    chosen = read_collective(variable)
    coordinate = collective_variable(chosen, atoms)
    images = band or (chosen.band if isinstance(chosen, PathSettings) else None)
    coordinate_key = chosen.model_dump_json() + potential.fidelity + ("" if images is None else file_hash(images))
    identity = {
        "start": geometry_key(atoms),
        "setting": content_hash(sampling.deciding()),
        "collective variable": content_hash(coordinate_key),
    }
    with FOLDER.open(out, {potential.fidelity: potential}, identity):
        windows = sample_windows(
            atoms,
            potential.calculator,
            coordinate,
            sampling,
            out,
            band=None if images is None else read_band(images, atoms),
            identity=coordinate_key,
            progress=progress,
        )
        found = analyse(windows, sampling.temperature, analysis)
        write_structures(out / FRAMES, _frames(atoms, windows))
        content = {
            "fidelity": potential.fidelity,
            "model": potential.source,
            "temperature": sampling.temperature,
            "unit": coordinate.unit,
            "variable": chosen.model_dump(mode="json"),
            "spring": sampling.constant,
            "timestep": sampling.timestep,
            "steps": [window.steps for window in windows],
            "samples": [{"values": window.values} for window in windows],
            "analysis": analysis.model_dump(mode="json"),
            **_as_json(found),
            "model_error": None,
            "reweighted": None,
        }
        if found.barrier is not None:
            content["model_error"] = model_error(
                potential.error_bars, atoms, windows, found, sampling, analysis, draws, progress
            )
            content["reweighted"] = _to_target(windows, found, sampling, analysis, target_energies, target)
        write_json(out / RESULT, content)
        write_free_energy_report(out)
    return content


def _as_json(found: FreeEnergy) -> dict[str, Any]:
    """Return what ``free_energy.json`` says of a profile: curves in eV, and the barrier or why there is none."""
    profile, barrier = found.profile, found.barrier
    return {
        "profile": None
        if profile is None
        else {
            "coordinate": profile.coordinate,
            "free_energy": profile.free_energy,
            "stderr": profile.stderr,
        },
        "barrier": None if barrier is None else vars(barrier),
        "windows": [vars(one) for one in found.windows],
        "warnings": list(found.warnings),
        "reason": found.reason,
    }


def _frames(start: Atoms, windows: Sequence[Window]) -> list[Structure]:
    return [
        Structure(
            atoms,
            _name(window.index, number),
            {},
            {"window": window.index, "xi": float(window.values[window.frame_samples[number]])},
        )
        for window in windows
        for number, atoms in enumerate(_structures(start, window.frames))
    ]


def _name(window: int, frame: int) -> str:
    return f"window-{window:03d}-frame-{frame:05d}"


def _structures(start: Atoms, frames: np.ndarray) -> list[Atoms]:
    found = []
    for positions in frames:
        atoms = start.copy()
        atoms.set_constraint()
        atoms.positions = positions
        found.append(atoms)
    return found


def _region(found: FreeEnergy, sampling: UmbrellaSettings, analysis: AnalysisSettings) -> Region:
    if found.barrier is None:
        raise DataError("There is no barrier to reweight.")
    spacing = float(np.diff(sampling.centres).mean())
    return Region(found.barrier.transition_state, spacing, analysis.reactant == "low")


def _equilibrated(found: FreeEnergy, window: Window) -> np.ndarray:
    """Return which kept structures of a window belong to its equilibrium."""
    return np.flatnonzero(window.frame_samples >= found.windows[window.index].equilibrated)


def model_error(
    error_bars: PosteriorBars | None,
    start: Atoms,
    windows: Sequence[Window],
    found: FreeEnergy,
    sampling: UmbrellaSettings,
    analysis: AnalysisSettings,
    draws: int,
    progress: Progress,
) -> dict[str, Any] | None:
    """Return what posterior draws say of the barrier; None where there is no posterior.

    Parameters
    ----------
    error_bars
        Those of the potential that gave the samples.
    start
        Whose atoms and cell the kept structures have.
    windows, found
        What was sampled, and its barrier.
    sampling, analysis
        As for :func:`find_free_energy`.
    draws
        How many.
    progress
        Where windows are reported.
    """
    if error_bars is None or draws < 2:
        return None
    chosen = {window.index: _equilibrated(found, window) for window in windows}
    changes = {}
    with progress.task("posterior draws", len(windows)) as task:
        for window in windows:
            structures = _structures(start, window.frames[chosen[window.index]])
            changes[window.index] = error_bars.energy_changes(structures, draws)
            task.advance()
    return _reweighted(windows, changes, chosen, found, sampling, analysis).as_json()


def _to_target(
    windows: Sequence[Window],
    found: FreeEnergy,
    sampling: UmbrellaSettings,
    analysis: AnalysisSettings,
    labelled: Path | None,
    target: str | None,
) -> dict[str, Any] | None:
    """Return the barrier of a level of which kept structures carry energies; None where none are given."""
    if labelled is None:
        return None
    structures = read_structures(labelled)
    known = sorted({name for structure in structures for name in structure.labels})
    if target is None or target not in known:
        raise DataError(f"{labelled}: {one_of(target or '', known, 'fidelity of the target energies')}")
    energies = {one.structure_id: one.labelled(target) for one in structures if one.labelled(target).has_energy}
    places = {one.structure_id: one.atoms.positions for one in structures}
    chosen, changes = {}, {}
    for window in windows:
        frames = [int(one) for one in _equilibrated(found, window) if _name(window.index, int(one)) in energies]
        names = [_name(window.index, frame) for frame in frames]
        for frame, name in zip(frames, names, strict=True):
            if not np.allclose(places[name], window.frames[frame], atol=1e-3):
                raise DataError(f"{labelled}: {name} is not the structure of that name in this folder.")
        chosen[window.index] = np.array(frames, dtype=int)
        here = window.energies[window.frame_samples[frames]] if frames else np.zeros(0)
        changes[window.index] = np.array([[energies[name].energy for name in names] - here])
    if not any(len(frames) for frames in chosen.values()):
        raise DataError(f"{labelled} has no {target} energy of a structure of {FRAMES}; label structures of that file.")
    result = _reweighted(windows, changes, chosen, found, sampling, analysis).as_json()
    noise = [energies[_name(index, int(frame))].energy_stderr for index, frames in chosen.items() for frame in frames]
    return {"fidelity": target, "largest_energy_stderr": float(np.nanmax([0.0, *noise])), **result}


def _reweighted(
    windows: Sequence[Window],
    changes: dict[int, np.ndarray],
    chosen: dict[int, np.ndarray],
    found: FreeEnergy,
    sampling: UmbrellaSettings,
    analysis: AnalysisSettings,
) -> Reweighted:
    if found.free_energies is None:
        raise DataError("The windows were not joined, so nothing can be reweighted.")
    return reweight(
        windows,
        found.free_energies,
        changes,
        chosen,
        sampling.temperature,
        _region(found, sampling, analysis),
        ReweightingSettings(),
    )
