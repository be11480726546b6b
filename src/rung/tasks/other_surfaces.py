"""What other surfaces say of a free-energy barrier: draws from the posterior, and single energies of a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from rung.data.labels import Array, Labels
from rung.data.other_keys import no_such_label
from rung.data.readers.structures import read_structures, require_usable, structure_from
from rung.data.structure import Structure
from rung.errors import DataError, one_of
from rung.evaluate.free_energy.analysis import AnalysisSettings, FreeEnergy
from rung.evaluate.free_energy.reweighting import Region, Reweighted, ReweightingSettings, reweight
from rung.evaluate.free_energy.umbrella import UmbrellaSettings, Window
from rung.progress import SILENT, Progress
from rung.results.free_energy import OtherSurfaces, TargetSurface
from rung.tasks.error_bars import PosteriorBars

FRAMES = "frames.extxyz"

Indices = NDArray[np.int_]


@dataclass(frozen=True)
class SampledBarrier:
    """What windows sampled, and what became of it.

    Parameters
    ----------
    start
        Whose atoms and cell the kept structures have.
    windows
        All windows.
    free_energy
        Their profile with its barrier.
    sampling, analysis
        How they were sampled and analysed.
    """

    start: Atoms
    windows: tuple[Window, ...]
    free_energy: FreeEnergy
    sampling: UmbrellaSettings
    analysis: AnalysisSettings

    def frames(self) -> list[Structure]:
        """Return the kept structures of all windows, each with its name and its place along the variable."""
        return [
            structure_from(
                atoms,
                frame_name(window.index, number),
                {"window": window.index, "xi": float(window.values[window.frame_samples[number]])},
            )
            for window in self.windows
            for number, atoms in enumerate(self.structures(window, range(len(window.frames))))
        ]

    def structures(self, window: Window, frames: Sequence[int] | Indices) -> list[Atoms]:
        """Return kept structures of a window."""
        structures = []
        for frame in frames:
            atoms = self.start.copy()
            atoms.positions = window.frames[frame]
            structures.append(atoms)
        return structures

    def equilibrated(self, window: Window) -> Indices:
        """Return which kept structures of a window belong to its equilibrium."""
        return np.flatnonzero(window.frame_samples >= self.free_energy.windows[window.index].equilibrated)

    def reweighted(self, changes: Mapping[int, Array], chosen: Mapping[int, Indices]) -> Reweighted:
        """Return the barrier's change on other surfaces, from energy changes of chosen structures of each window.

        Raises
        ------
        DataError
            When there is no barrier, or the windows were not joined.
        """
        if self.free_energy.free_energies is None or self.free_energy.barrier is None:
            raise DataError("The windows were not joined to a barrier, so nothing can be reweighted.")
        spacing = float(np.diff(self.sampling.centres).mean())
        low = self.analysis.reactant == "low"
        return reweight(
            self.windows,
            self.free_energy.free_energies,
            changes,
            chosen,
            self.sampling.temperature,
            Region(self.free_energy.barrier.transition_state, spacing, low),
            ReweightingSettings(),
            {index: one.inefficiency for index, one in enumerate(self.free_energy.windows)},
        )


def frame_name(window: int, frame: int) -> str:
    """Return the ``structure_id`` of a kept structure."""
    return f"window-{window:03d}-frame-{frame:05d}"


def model_error(
    error_bars: PosteriorBars | None, sampled: SampledBarrier, draws: int, *, progress: Progress = SILENT
) -> OtherSurfaces | None:
    """Return what posterior draws say of the barrier; None where there is no posterior, or less than two draws.

    Parameters
    ----------
    error_bars
        Those of the potential that gave the samples.
    sampled
        What was sampled, with its barrier.
    draws
        How many.
    progress
        Where windows are reported.
    """
    if error_bars is None or draws < 2:
        return None
    chosen = {window.index: sampled.equilibrated(window) for window in sampled.windows}
    changes = {}
    with progress.task("posterior draws", len(sampled.windows)) as task:
        for window in sampled.windows:
            structures = sampled.structures(window, chosen[window.index])
            changes[window.index] = error_bars.energy_changes(structures, draws)
            task.advance()
    return sampled.reweighted(changes, chosen).entry()


@dataclass(frozen=True)
class TargetEnergies:
    """Structures with energies of a level of theory, read before anything is sampled.

    Parameters
    ----------
    file
        Where they stand.
    target
        The fidelity of the energies.
    structures
        All of the file.
    """

    file: Path
    target: str
    structures: tuple[Structure, ...]


def read_target_energies(file: Path, target: str | None) -> TargetEnergies:
    """Read the structures of ``frames.extxyz`` to which a level of theory gives energies.

    Raises
    ------
    DataError
        When the file cannot be used, has no such fidelity, or holds an energy or an error that can be none.
    """
    structures = read_structures(file)
    fidelities = sorted({name for structure in structures for name in structure.labels})
    if target is None or target not in fidelities:
        what = one_of("", fidelities, "fidelity of the target energies")
        raise DataError(f"{file}: {no_such_label(target, fidelities) if target else what}")
    require_usable(structures, [target])
    return TargetEnergies(file, target, structures)


def to_target(sampled: SampledBarrier, energies: TargetEnergies) -> TargetSurface:
    """Return the barrier of a level of theory of which kept structures carry energies.

    Parameters
    ----------
    sampled
        What was sampled, with its barrier.
    energies
        Those of the target.

    Raises
    ------
    DataError
        When a structure is not that of its name, or none of them is of these windows.
    """
    file, target, structures = energies.file, energies.target, energies.structures
    labelled = {one.structure_id: one for one in structures if one.labelled(target).has_energy}
    chosen, changes, used = {}, {}, list[Labels]()
    for window in sampled.windows:
        frames = [int(one) for one in sampled.equilibrated(window) if frame_name(window.index, int(one)) in labelled]
        ours = [labelled[frame_name(window.index, frame)] for frame in frames]
        for frame, structure in zip(frames, ours, strict=True):
            if not np.allclose(structure.atoms.positions, window.frames[frame], atol=1e-3):
                raise DataError(f"{file}: {structure.structure_id} is not the structure of that name in this folder.")
        labels = [structure.labelled(target) for structure in ours]
        here = window.energies[window.frame_samples[frames]] if frames else np.zeros(0)
        chosen[window.index] = np.array(frames, dtype=int)
        changes[window.index] = np.array([[label.energy for label in labels] - here])
        used += labels
    if not used:
        raise DataError(f"{file} has no {target} energy of a structure of {FRAMES}; label structures of that file.")
    surface = sampled.reweighted(changes, chosen).entry()
    largest = float(np.nanmax([0.0, *(label.energy_stderr for label in used)]))
    return TargetSurface(**vars(surface), fidelity=target, largest_energy_stderr=largest)
