"""Vibrations of a structure by finite differences of forces, with any ASE calculator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from pydantic import Field

from rung.data.held import Held
from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.identity import exact_geometry
from rung.evaluate.paths.kept_rows import KeptRows
from rung.progress import SILENT, Progress
from rung.results.barrier_task import Modes
from rung.settings import Option, Settings
from rung.storage import content_hash

Coordinates = tuple[NDArray[np.intp], Array]
"""The atom of each free coordinate, and its direction."""

QUANTUM = float(units._hbar * 1e10 / np.sqrt(units._e * units._amu))
"""ħ√(eV/Å²/amu) in eV, as ASE has its constants."""

WAVENUMBER = float(units.invcm)
"""One cm⁻¹ in eV."""

_RIGID = 5e-3
"""Of the stiffest mode: a whole shift or turn that is pushed back less than this is free."""

_STILL = 1e-5
"""eV/Å²/amu, 1.6 cm⁻¹: what is pushed back less is free, however soft all modes are."""

_ON_A_LINE = 0.02
"""Å from an axis: a relaxed linear molecule is bent so far at most, and its turn about the axis would be the bend."""


_SAME, _SAME_SHARE = 0.05, 1e-3
"""eV/Å², and of the largest element: what float32 leaves open of second derivatives along one direction."""


class VibrationSettings(Settings):
    """How vibrations are found."""

    step: Annotated[float, Option(("displacement",))] = Field(default=0.01, gt=0)
    """How far each coordinate is moved to both sides, Å."""
    moving: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Indices of the atoms that move; by default all. What constraints hold stays held."""
    floor: float = Field(default=15.0, ge=0)
    """A mode below this counts as neither real nor imaginary in the test of a saddle, cm⁻¹."""


@dataclass(frozen=True)
class Vibrations:
    """The harmonic modes of a structure.

    Parameters
    ----------
    quanta
        ħω of each mode in ascending order of ω², eV, an imaginary one as a negative number; whole shifts and turns
        that nothing holds are not among them.
    modes
        The displacement of all atoms in each mode, mass-weighted and of length one, shape ``(modes, n, 3)``.
    n_rigid
        How many whole shifts and turns were taken out.
    floor
        ħω below which a mode counts as neither real nor imaginary, eV.
    """

    quanta: Array
    modes: Array
    n_rigid: int
    floor: float

    @property
    def wavenumbers(self) -> Array:
        """The modes in cm⁻¹, imaginary ones negative."""
        return self.quanta / WAVENUMBER

    @property
    def n_imaginary(self) -> int:
        """How many modes are clearly imaginary."""
        return int((self.quanta < -self.floor).sum())

    @property
    def zero_point_energy(self) -> float:
        """Half a quantum of each mode that is not imaginary, eV."""
        return float(0.5 * self.quanta[self.quanta > 0].sum())

    def entry(self) -> Modes:
        """Return what ``barrier.json`` has of them."""
        return Modes(
            wavenumbers=self.wavenumbers,
            n_imaginary=self.n_imaginary,
            n_rigid=self.n_rigid,
            zero_point_energy=self.zero_point_energy,
        )


def vibrations(
    atoms: Atoms,
    calculator: Any,
    settings: VibrationSettings | None = None,
    *,
    state: Path | None = None,
    progress: Progress = SILENT,
) -> Vibrations:
    """Return the harmonic modes of ``atoms`` where they stand.

    Each coordinate that nothing holds is moved to both sides, so a cubic term of the energy cancels. Where all atoms
    move, whole shifts and turns are taken out if the Hessian does not resist them: a molecule loses six, a wire four, a
    crystal or a layer three, a slab with held atoms or a particle in an outer field none. Masses are those of
    ``atoms``: an isotope has its own modes.

    Parameters
    ----------
    atoms
        A stationary point.
    calculator
        Any ASE calculator with forces.
    settings
        The step and the atoms that move.
    state
        A file in which rows of the Hessian are kept while it is made; a later call of the same potential goes on there.
    progress
        Where displacements are reported.

    Raises
    ------
    DataError
        When nothing moves but as a whole, a constraint is not one that rung follows, or a force is not finite.
    """
    settings = settings or VibrationSettings()
    held = Held.of(atoms)
    moving = _moving(held, settings.moving)
    coordinates = held.coordinates(moving)
    key = content_hash(*exact_geometry(atoms), settings.step, *coordinates)
    kept = KeptRows.open(state, key, len(coordinates[0]))
    hessian = _hessian(atoms, calculator, coordinates, settings.step, kept, progress)
    kept.close()
    root = np.sqrt(atoms.get_masses()[coordinates[0]])
    dynamical = hessian / np.outer(root, root)
    everything = len(moving) == len(atoms)
    rigid = _rigid_motions(atoms, held, dynamical, coordinates) if everything else np.empty((0, len(root)))
    within = _complement(rigid)
    if not len(within):
        raise DataError("The structure moves as a whole and in no other way, so there are no vibrations.")
    squares, vectors = np.linalg.eigh(within @ dynamical @ within.T)
    shown = np.zeros((len(atoms), len(squares), 3))
    along = (vectors.T @ within).T[:, :, None] * coordinates[1][:, None, :]
    np.add.at(shown, coordinates[0], along)
    quanta = np.sign(squares) * QUANTUM * np.sqrt(np.abs(squares))
    return Vibrations(np.asarray(quanta), shown.transpose(1, 0, 2), len(rigid), settings.floor * WAVENUMBER)


def _moving(held: Held, chosen: Sequence[int] | None) -> NDArray[np.intp]:
    n_atoms = len(held.free)
    if chosen is not None and not set(chosen) <= set(range(n_atoms)):
        raise DataError(f"Atoms that move have indices from 0 to {n_atoms - 1}.")
    among = np.arange(n_atoms) if chosen is None else np.array(sorted(set(chosen)), dtype=np.intp)
    moving = among[held.movable[among]]
    if not len(moving):
        raise DataError("No atom may move, so there are no vibrations.")
    return np.asarray(moving)


def _hessian(
    atoms: Atoms, calculator: Any, coordinates: Coordinates, step: float, kept: KeptRows, progress: Progress
) -> Array:
    """Return the symmetrised second derivatives of the energy, eV/Å², shape ``(k, k)`` for k free coordinates."""
    image = atoms.copy()
    image.set_constraint()
    where, _ = coordinates
    if kept.done:
        stiffest = int(np.abs(np.diag(kept.rows)[: kept.done]).argmax())
        if not same_row(kept.rows[stiffest], _row(image, calculator, coordinates, step, stiffest)):
            kept.forget()
    with progress.task("vibrations", len(where)) as task:
        task.advance(kept.done)
        for number in range(kept.done, len(where)):
            kept.add(_row(image, calculator, coordinates, step, number))
            task.advance()
    hessian = kept.rows
    if not np.isfinite(hessian).all():
        raise DataError("A force is not finite near the structure, so it has no vibrations.")
    return 0.5 * (hessian + hessian.T)


def _row(image: Atoms, calculator: Any, coordinates: Coordinates, step: float, number: int) -> Array:
    """Return one row of the second derivatives, eV/Å², shape ``(k,)``."""
    where, directions = coordinates
    way = np.zeros_like(image.positions)
    way[where[number]] = directions[number]
    return _along(image, calculator, coordinates, step, way)


def _along(image: Atoms, calculator: Any, coordinates: Coordinates, step: float, way: Array) -> Array:
    """Return the second derivatives along ``way``, shape ``(n, 3)``; the image stays where it is."""
    where, directions = coordinates
    here, pushed = image.positions.copy(), []
    for signed in (step, -step):
        image.positions = here + signed * way
        forces = np.array(calculator.get_forces(image), dtype=float)
        pushed.append((forces[where] * directions).sum(axis=1))
    image.positions = here
    return np.asarray((pushed[1] - pushed[0]) / (2 * step))


def probe_of(atoms: Atoms, calculator: Any, settings: VibrationSettings) -> Array:
    """Return the second derivatives along one direction, eV/Å², by which kept modes are held against a calculator.

    All coordinates move along it, so that no stiff mode is overlooked.
    """
    held, image = Held.of(atoms), atoms.copy()
    image.set_constraint()
    coordinates = held.coordinates(_moving(held, settings.moving))
    where, directions = coordinates
    way = np.zeros_like(image.positions)
    np.add.at(way, where, np.random.default_rng(0).uniform(-1.0, 1.0, size=len(where))[:, None] * directions)
    return _along(image, calculator, coordinates, settings.step, way)


def same_row(before: Array, now: Array) -> bool:
    """Return whether second derivatives along one direction are of one potential, up to what float32 leaves open."""
    return before.shape == now.shape and bool(np.abs(before - now).max() <= _SAME + _SAME_SHARE * np.abs(now).max())


def _rigid_motions(atoms: Atoms, held: Held, dynamical: Array, coordinates: Coordinates) -> Array:
    """Return orthonormal mass-weighted shifts and turns that the Hessian does not resist, shape ``(motions, k)``."""
    where, directions = coordinates
    offsets = atoms.positions - atoms.get_center_of_mass()
    candidates = [np.tile(shift, (len(atoms), 1)) for shift in held.shifts]
    if held.nothing:
        candidates += [np.cross(axis, offsets) for axis in _axes_of_turns(atoms, offsets)]
    if not candidates:
        return np.empty((0, len(where)))
    root = np.sqrt(atoms.get_masses()[where])
    weighted = np.array([root * (candidate[where] * directions).sum(axis=1) for candidate in candidates])
    _, lengths, basis = np.linalg.svd(weighted, full_matrices=False)
    basis = basis[lengths > 1e-6 * lengths.max()]
    stiffest = np.linalg.norm(dynamical, ord=2)
    # within the candidates, those directions are free that the Hessian leaves alone
    resistance, turned = np.linalg.eigh(basis @ dynamical @ dynamical @ basis.T)
    free = np.sqrt(np.maximum(resistance, 0.0)) < max(_RIGID * stiffest, _STILL)
    return np.asarray((turned.T @ basis)[free])


def _axes_of_turns(atoms: Atoms, offsets: Array) -> Array:
    """Return axes about which a structure turns, shape ``(k, 3)``.

    A molecule has three, and a linear one two, for it has no turn about itself. A wire has the one that it repeats
    along; what repeats in two or three directions has none.
    """
    if atoms.pbc.sum() > 1:
        return np.empty((0, 3))
    own, *across = np.linalg.svd(offsets, full_matrices=True)[2]
    if atoms.pbc.any():
        along = atoms.cell.array[atoms.pbc][0]
        own, across = along / np.linalg.norm(along), []
    off = np.linalg.norm(offsets - np.outer(offsets @ own, own), axis=1).max()
    return np.array(across if off < _ON_A_LINE else (own, *across)).reshape(-1, 3)


def _complement(rigid: Array) -> Array:
    """Return orthonormal rows that span what is orthogonal to the rows of ``rigid``."""
    return np.asarray(np.linalg.svd(rigid, full_matrices=True)[2][len(rigid) :])
