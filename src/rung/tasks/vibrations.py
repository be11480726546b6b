"""Harmonic modes from files: relax at each fidelity, displace, say how uncertain modes and zero-point energy are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from pydantic import Field

from rung.data.held import Held
from rung.data.labels import Array
from rung.data.readers.extxyz import frame_text
from rung.data.readers.structures import structure_from, write_structures
from rung.errors import counted
from rung.evaluate.error_bars import Bar
from rung.evaluate.identity import PHYSICS, geometry_key, physics_key
from rung.evaluate.paths.mode_errors import ModeErrors, mode_errors
from rung.evaluate.paths.vibrations import WAVENUMBER, Vibrations, VibrationSettings
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.progress import SILENT, Progress
from rung.report.tasks.vibrations import PAGE, vibrations_summary, write_vibrations_report
from rung.results.vibrations import VIBRATIONS_FILE, FidelityModes, VibrationsResult, VibrationsSettingsEntry
from rung.settings import Option, Settings
from rung.storage import content_hash, write_text
from rung.tasks.domain import standing_of
from rung.tasks.folder import TaskFolder
from rung.tasks.kept_modes import kept_modes
from rung.tasks.opened import Opened, SeveralFidelities, read_start
from rung.tasks.task import Task

STRUCTURE = "structure.extxyz"
MODES = "modes"
FOLDER = TaskFolder(
    "vibrations",
    (VIBRATIONS_FILE, PAGE, f"{{fidelity}}/{STRUCTURE}", f"{{fidelity}}/{MODES}/mode-*.extxyz"),
    begun=(VIBRATIONS_FILE, "*/relaxation.npz", "*/modes.npz", "*/modes.rows.npz"),
)

FRAMES = 20
"""Frames of one oscillation."""

SHOWN = 0.3
"""Å; how far the atom that a mode moves most swings to each side in its trajectory: to be seen, not to be true."""

_BONDED = 1.3
"""Times the sum of covalent radii: atoms that are nearer are bonded, in metals too."""

STEEP = 0.01
"""eV/Å: the force above which modes of a structure that was not relaxed say little."""


class VibrationsTask(Settings):
    """What ``rung vibrations`` does with each fidelity."""

    structure: Annotated[Path, Option(positional=True)]
    """The file of the structure; the first one counts. Constraints hold, and masses are those of the file."""
    relax: Annotated[bool, Option(off=("no-relax",))] = True
    """Whether the atoms relax first, in the cell of the file: modes belong to a stationary point."""
    fmax: float = Field(default=1e-3, gt=0)
    """Largest force on an atom at which it counts as relaxed, eV/Å."""
    steps: int = Field(default=500, ge=1)
    """Steps that the relaxation may take."""
    vibrations: VibrationSettings = VibrationSettings()
    """How modes are found."""


@dataclass(frozen=True)
class Stationary:
    """Where the modes of one fidelity are found.

    Parameters
    ----------
    atoms
        The structure.
    energy, max_force
        Of it, eV and eV/Å.
    relaxed
        Whether it is a stationary point of the potential, to the forces asked for.
    """

    atoms: Atoms
    energy: float
    max_force: float
    relaxed: bool


def find_vibrations(
    potentials: Mapping[str, Opened], task: VibrationsTask, out: Path, *, progress: Progress = SILENT
) -> VibrationsResult:
    """Return what ``vibrations.json`` then says: modes and zero-point energy at each fidelity, with error bars.

    A folder that holds part of it is gone on with. Beside the result stand ``vibrations.html``,
    ``<fidelity>/structure.extxyz`` and a trajectory of each mode, ``<fidelity>/modes/mode-001.extxyz``.

    Parameters
    ----------
    potentials
        The fidelities to put side by side, by name.
    task
        The structure, and how modes are found.
    out
        The folder of the results.
    progress
        Where work is reported.

    Raises
    ------
    DataError
        When the structure cannot be used, or the folder holds other work.
    """
    atoms = read_start(task.structure)
    for potential in potentials.values():
        potential.check_state(atoms)
    identity = {
        "start": geometry_key(atoms),
        PHYSICS: physics_key(atoms),
        "setting": content_hash(task.model_dump_json(exclude={"structure", "steps"})),
    }
    with FOLDER.open(out, potentials, identity, reads=task):
        result = VibrationsResult(
            formula=atoms.get_chemical_formula(),
            n_atoms=len(atoms),
            periodic=bool(atoms.pbc.any()),
            settings=VibrationsSettingsEntry.model_validate(task.vibrations.model_dump(mode="json")),
            fidelities=tuple(
                _modes_of(name, atoms, potential, task, out / name, progress) for name, potential in potentials.items()
            ),
            warnings=_warnings(atoms),
        )
        result.write(out / VIBRATIONS_FILE)
        write_vibrations_report(out)
    return result


def _warnings(atoms: Atoms) -> tuple[str, ...]:
    if not atoms.pbc.any():
        return ()
    said = ["These are the modes at Γ of this cell: waves longer than the cell are not among them."]
    if _is_in_a_box(atoms):
        said.append(
            "No bond reaches across the cell. If this is a molecule in a box, its turns are among the modes, soft or "
            "imaginary; without a cell they are taken out."
        )
    return tuple(said)


def _is_in_a_box(atoms: Atoms) -> bool:
    """Return whether atoms are bonded, and none to an image of another or of itself."""
    bonds = neighbor_list("S", atoms, natural_cutoffs(atoms, mult=_BONDED))
    return bool(len(bonds)) and not bonds.any()


def _modes_of(
    name: str, atoms: Atoms, potential: Opened, task: VibrationsTask, folder: Path, progress: Progress
) -> FidelityModes:
    point = _point(atoms, potential, task, folder, progress)
    write_structures(folder / STRUCTURE, [structure_from(point.atoms, "")])
    entry = FidelityModes(
        fidelity=name,
        model=potential.source,
        energy=point.energy,
        max_force=point.max_force,
        relaxed=point.relaxed,
    )
    if task.relax and not point.relaxed:
        reason = f"the largest force is still {point.max_force:.4f} eV/Å after {counted(task.steps, 'step')}"
        return entry.model_copy(update={"reason": reason})
    calculator = potential.calculator
    modes = kept_modes(point.atoms, calculator, task.vibrations, folder / "modes.npz", progress)
    errors = None
    if potential.error_bars is not None:
        errors = mode_errors(
            point.atoms, modes, calculator, potential.error_bars, stationary=point.relaxed, progress=progress
        )
    _write_trajectories(folder / MODES, point.atoms, modes)
    where = standing_of(potential, {"structure": point.atoms})
    return entry.model_copy(
        update={
            **_numbers(modes, errors),
            "shares": tuple(_shares(point.atoms, mode) for mode in modes.modes),
            "n_imaginary": modes.n_imaginary,
            "n_rigid": modes.n_rigid,
            "domain": where.domain,
            "notes": tuple(_notes(point, modes, task, [why for _, place in where.outside for why in place.reasons])),
        }
    )


def _point(atoms: Atoms, potential: Opened, task: VibrationsTask, folder: Path, progress: Progress) -> Stationary:
    """Return the structure relaxed at the fidelity, or as it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    if task.relax:
        settings = RelaxationSettings(fmax=task.fmax, steps=task.steps)
        found = relax(atoms, potential.calculator, settings, state=folder / "relaxation.npz", progress=progress)
        return Stationary(found.atoms, found.energy, found.max_force, found.converged)
    image = atoms.copy()
    image.set_constraint()
    forces = Held.of(atoms).project(np.asarray(potential.calculator.get_forces(image)))
    largest = float(np.linalg.norm(forces, axis=1).max())
    energy = float(potential.calculator.get_potential_energy(image))
    return Stationary(atoms, energy, largest, relaxed=False)


def _numbers(modes: Vibrations, errors: ModeErrors | None) -> dict[str, object]:
    unknown = Bar(np.nan, np.nan)
    bars = [unknown] * len(modes.quanta) if errors is None else errors.quanta
    zero_point = unknown if errors is None else errors.zero_point_energy
    return {
        "wavenumbers": tuple(modes.wavenumbers.tolist()),
        "stderr": tuple(bar.weights / WAVENUMBER for bar in bars),
        "stderr_smooth": tuple(bar.total / WAVENUMBER for bar in bars),
        "zero_point_energy": modes.zero_point_energy,
        "zero_point_stderr": zero_point.weights,
        "zero_point_stderr_smooth": zero_point.total,
    }


def _shares(atoms: Atoms, mode: Array) -> dict[str, float]:
    """Return which share of the kinetic energy of a mass-weighted mode each element has."""
    symbols, weight = np.array(atoms.get_chemical_symbols()), np.sum(mode**2, axis=1)
    return {str(one): float(weight[symbols == one].sum() / weight.sum()) for one in sorted(set(symbols.tolist()))}


def _notes(point: Stationary, modes: Vibrations, task: VibrationsTask, reasons: Sequence[str]) -> list[str]:
    notes = []
    if not task.relax and point.max_force > STEEP:
        notes.append(
            f"The structure is no stationary point: a force of {point.max_force:.3f} eV/Å acts on an atom, so these "
            "are curvatures and no vibrations. Leave --no-relax out to relax it."
        )
    if modes.n_imaginary:
        listed = ", ".join(f"{-value:.0f}i" for value in modes.wavenumbers[: modes.n_imaginary])
        what = "a saddle" if modes.n_imaginary == 1 else "no minimum"
        notes.append(f"Imaginary modes ({listed} cm⁻¹): the structure is {what}, or needs smaller forces (--fmax).")
    if reasons:
        notes.append(f"Outside the domain of the fit ({'; '.join(reasons)}): error bars do not apply.")
    return notes


def _write_trajectories(folder: Path, atoms: Atoms, modes: Vibrations) -> None:
    """Write one oscillation of each mode, which viewers play."""
    folder.mkdir(parents=True, exist_ok=True)
    cartesian = modes.modes / np.sqrt(atoms.get_masses())[None, :, None]
    phases = np.sin(2.0 * np.pi * np.arange(FRAMES) / FRAMES)
    for number, (along, wavenumber) in enumerate(zip(cartesian, modes.wavenumbers, strict=True), start=1):
        swing = SHOWN * along / np.linalg.norm(along, axis=1).max()
        frames = []
        for phase in phases:
            image = atoms.copy()
            image.set_constraint()
            image.positions += phase * swing
            frames.append(frame_text(image, {"mode": number, "wavenumber": round(float(wavenumber), 3)}, {}))
        write_text(folder / f"mode-{number:03d}.extxyz", "".join(frames))


TASK = Task(
    name="vibrations",
    note="Frequencies, zero-point energy and a trajectory of each mode; of a periodic structure those at Γ. What was "
    "done is kept, and the same command goes on. Exit code 1: a structure did not relax.",
    kept="What was found is in",
    example="rung vibrations model.rung water.xyz --fidelity pbe ccsd --out modes",
    potential=SeveralFidelities,
    settings=VibrationsTask,
    work=find_vibrations,
    summary=vibrations_summary,
    json=VibrationsResult.as_json,
)
