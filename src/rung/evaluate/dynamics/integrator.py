"""Motion of atoms on any surface: Langevin dynamics by BAOAB, which without friction is velocity Verlet.

The state is explicit and the random numbers come from a generator that is handed in, so that a run that was stopped
goes on to the same trajectory.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import fs

from rung.data.held import Held
from rung.data.labels import Array
from rung.errors import DataError
from rung.results.arrays import COUNT, TEXT, ArrayKind, DamagedArraysError, read_arrays
from rung.storage import atomic_path, set_aside
from rung.units import BOLTZMANN

Surface = Callable[[Array], tuple[float, Array]]
"""positions, Å, shape ``(n, 3)`` → energy, eV, and forces, eV/Å, shape ``(n, 3)``."""

_NET_FORCE = 1e-2
"""eV/Å: a larger sum of all forces is no rounding: something outside holds the atoms."""


@dataclass(frozen=True)
class Motion:
    """Where atoms are and how they move.

    Parameters
    ----------
    positions
        Å, shape ``(n, 3)``, never wrapped into the cell.
    momenta
        In ASE's unit, √(eV u), shape ``(n, 3)``.
    forces
        eV/Å at these positions, shape ``(n, 3)``.
    energy
        Potential energy, eV, of the surface that gives the forces.
    step
        Steps since the beginning.
    """

    positions: Array
    momenta: Array
    forces: Array
    energy: float
    step: int = 0

    @property
    def finite(self) -> bool:
        """Whether every number is one."""
        return bool(np.isfinite(self.energy) and np.isfinite(self.forces).all() and np.isfinite(self.positions).all())


@dataclass(frozen=True)
class Integrator:
    """One step of Langevin dynamics: half kick, half drift, friction and noise, half drift, half kick.

    BAOAB of Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34: positions in a harmonic well are sampled
    without any error of the time step. With ``friction`` 0 it is velocity Verlet.

    Parameters
    ----------
    masses
        u, shape ``(n,)``.
    held
        In which directions each atom moves.
    timestep
        fs.
    temperature
        K, of the noise.
    friction
        1/fs.
    remove_drift
        Whether the noise leaves the centre of mass at rest, along directions in which no atom is held.
    """

    masses: Array
    held: Held
    timestep: float
    temperature: float
    friction: float
    remove_drift: bool

    @cached_property
    def degrees_of_freedom(self) -> int:
        """Momenta that are free, less those of the centre of mass where it is at rest: three where nothing is held."""
        return self.held.degrees_of_freedom - (len(self.held.shifts) if self.remove_drift else 0)

    @cached_property
    def _column(self) -> Array:
        return self.masses[:, None]

    @cached_property
    def _thermal(self) -> Array:
        """One-sigma momentum of each atom at the temperature, shape ``(n, 1)``; zero for atoms that are held."""
        return np.sqrt(self._column * BOLTZMANN * self.temperature) * self.held.movable[:, None]

    @cached_property
    def _kept(self) -> float:
        return float(np.exp(-self.friction * self.timestep))

    def thermal_momenta(self, rng: np.random.Generator) -> Array:
        """Return momenta drawn at the temperature, shape ``(n, 3)``."""
        return self._at_rest(self.held.project(self._thermal * rng.standard_normal((len(self.masses), 3))))

    def temperature_of(self, momenta: Array) -> float:
        """Return the kinetic temperature, K."""
        return 2.0 * self.kinetic_energy(momenta) / (BOLTZMANN * max(self.degrees_of_freedom, 1))

    def kinetic_energy(self, momenta: Array) -> float:
        """Return the kinetic energy, eV."""
        return float(0.5 * (momenta**2 / self._column).sum())

    def start(self, positions: Array, momenta: Array, surface: Surface) -> Motion:
        """Return the state before the first step."""
        energy, forces = surface(positions)
        return Motion(positions, momenta, self._held(forces), energy)

    def advance(self, motion: Motion, rng: np.random.Generator, surface: Surface) -> Motion:
        """Return the state one step later."""
        half = 0.5 * self.timestep * fs
        momenta = motion.momenta + half * motion.forces
        positions = motion.positions + half * momenta / self._column
        if self.friction > 0:
            noise = np.sqrt(1.0 - self._kept**2) * self._thermal * rng.standard_normal(momenta.shape)
            momenta = self._at_rest(self._kept * momenta + self.held.project(noise))
        positions = positions + half * momenta / self._column
        energy, forces = surface(positions)
        forces = self._held(forces)
        return Motion(positions, momenta + half * forces, forces, energy, motion.step + 1)

    def _held(self, forces: Array) -> Array:
        return self.held.project(forces)

    def _at_rest(self, momenta: Array) -> Array:
        """Take the motion of the centre of mass out: the projection under which thermal momenta stay thermal."""
        if not self.remove_drift:
            return momenta
        drift = momenta.sum(axis=0) / self.masses.sum()
        if not self.held.nothing:
            drift = (drift @ self.held.shifts.T) @ self.held.shifts
        return momenta - self._column * drift


def surface_of(atoms: Atoms, calculator: Any) -> Surface:
    """Return the surface that an ASE calculator gives to the atoms, cell and boundaries of ``atoms``."""
    moving = atoms.copy()
    moving.set_constraint()

    def surface(positions: Array) -> tuple[float, Array]:
        moving.positions = positions
        forces = np.array(calculator.get_forces(moving), dtype=np.float64)
        # what one pass found is not asked for again: ASE compares all atoms at every question
        found = getattr(calculator, "results", {}).get("energy")
        return float(calculator.get_potential_energy(moving) if found is None else found), forces

    return surface


def integrator_of(
    atoms: Atoms, *, timestep: float, temperature: float, friction: float, remove_drift: bool = True
) -> Integrator:
    """Return the integrator for ``atoms``: their masses, and the directions in which constraints hold them.

    Where an atom is held in a direction, nothing drifts along it and nothing is removed.

    Raises
    ------
    DataError
        When a constraint is none of :data:`rung.data.held.FOLLOWED`, or nothing can move.
    """
    held = Held.of(atoms)
    if not held.movable.any():
        raise DataError("Every atom of the start structure is held; nothing can move.")
    return Integrator(
        masses=np.asarray(atoms.get_masses(), dtype=np.float64),
        held=held,
        timestep=timestep,
        temperature=temperature,
        friction=friction,
        remove_drift=remove_drift and len(held.shifts) > 0,
    )


def check_drift(integrator: Integrator, motion: Motion) -> None:
    """Raise a :class:`DataError` where the drift is to be removed though something outside holds the atoms."""
    if not integrator.remove_drift:
        return
    net = float(np.linalg.norm(integrator.held.shifts @ motion.forces.sum(axis=0)))
    if len(integrator.masses) == 1:
        raise DataError("One atom alone without its drift cannot move; say remove_drift: false where a field holds it.")
    if net > _NET_FORCE * np.sqrt(len(integrator.masses)):
        raise DataError(
            f"The forces on the start structure add up to {net:.3g} eV/Å, so something outside holds the atoms; "
            "say remove_drift: false."
        )


def write_motion(path: Path, motion: Motion, rng: np.random.Generator, **more: Any) -> None:
    """Write a state, the state of the generator and further arrays, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            positions=motion.positions,
            momenta=motion.momenta,
            forces=motion.forces,
            energy=motion.energy,
            step=motion.step,
            generator=json.dumps(rng.bit_generator.state),
            **more,
        )


def read_motion(
    path: Path, n_atoms: int | None = None, more: Mapping[str, ArrayKind] | None = None
) -> tuple[Motion, np.random.Generator, dict[str, Any]] | None:
    """Read what :func:`write_motion` wrote: the state, the generator and the further arrays.

    Parameters
    ----------
    path
        The file.
    n_atoms
        How many atoms it is of, where that is known.
    more
        What the further arrays are.

    Returns
    -------
    tuple or None
        None where there is no file, or a damaged one, which is set aside: whoever asks begins anew.
    """
    if not path.exists():
        return None
    try:
        each_atom = ArrayKind("f", ("n" if n_atoms is None else n_atoms, 3))
        arrays = dict.fromkeys(("positions", "momenta", "forces"), each_atom)
        single = {"energy": ArrayKind("f"), "step": COUNT, "generator": TEXT}
        content = read_arrays(path, {**arrays, **single, **(more or {})})
        rng = _generator(str(content.pop("generator")), path)
        motion = Motion(
            content.pop("positions"),
            content.pop("momenta"),
            content.pop("forces"),
            float(content.pop("energy")),
            int(content.pop("step")),
        )
    except DamagedArraysError as error:
        set_aside(path, error.reason)
        return None
    return motion, rng, content


def _generator(text: str, path: Path) -> np.random.Generator:
    rng = np.random.default_rng()
    try:
        rng.bit_generator.state = json.loads(text)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DamagedArraysError(str(path), f"'generator': it is no state of one ({error})") from error
    return rng
