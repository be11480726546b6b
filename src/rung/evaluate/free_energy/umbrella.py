"""Umbrella sampling: dynamics held near places along a collective variable by harmonic springs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from pydantic import Field, field_validator, model_validator

from rung.data.labels import Array
from rung.errors import ConfigError, DataError, counted
from rung.evaluate.dynamics.integrator import (
    Integrator,
    Motion,
    Surface,
    check_drift,
    integrator_of,
    read_motion,
    surface_of,
    write_motion,
)
from rung.evaluate.dynamics.settings import DynamicsSettings
from rung.evaluate.dynamics.stability import Limits
from rung.evaluate.free_energy.collective import CollectiveVariable
from rung.evaluate.identity import claim, exact_geometry
from rung.progress import SILENT, Progress, Task
from rung.results.arrays import TEXT, ArrayKind

MARKER = "windows.json"
"""Says whose windows a folder holds."""


_DRAGGED = 1e-6
"""Of the variable over Å: how far it may change when all atoms move alike."""


class SamplingSettings(DynamicsSettings):
    """How windows are sampled, wherever they are."""

    decides: ClassVar = (
        "temperature",
        "centres",
        "spring",
        "timestep",
        "friction",
        "sample_every",
        "frame_every",
        "steering_steps",
        "remove_drift",
        "seed",
        "limits",
    )

    spring: float | None = Field(default=None, gt=0)
    """Spring constant κ of ½ κ (ξ − centre)², eV over the unit squared; by default 4 kT over the spacing squared."""
    steps: int = Field(default=4000, ge=10)
    """Steps of each window; more may be asked for later."""
    sample_every: int = Field(default=5, ge=1)
    """Steps from one sample of the variable to the next."""
    frame_every: int = Field(default=20, ge=1)
    """Steps from one kept structure to the next, for reweighting; a multiple of sample_every."""
    save_every: int = Field(default=200, ge=1)
    """Steps from one restart file to the next."""
    steering_steps: int = Field(default=400, ge=1)
    """Steps in which the spring is moved from one window to the next where no band gives the windows their start."""

    @model_validator(mode="after")
    def _samples_have_frames(self) -> Self:
        if self.frame_every % self.sample_every:
            raise ValueError("frame_every must be a multiple of sample_every")
        return self


class UmbrellaSettings(SamplingSettings):
    """How the windows are sampled."""

    centres: tuple[float, ...] = Field(min_length=2)
    """Where the springs hold the collective variable, rising, in its unit."""

    @field_validator("centres")
    @classmethod
    def _rise(cls, centres: tuple[float, ...]) -> tuple[float, ...]:
        if not (np.diff(centres) > 0).all():
            raise ValueError("the centres of the windows must rise")
        return centres

    @property
    def constant(self) -> float:
        """The spring constant, given or by default."""
        if self.spring is not None:
            return self.spring
        return float(4.0 * self.thermal_energy / np.diff(self.centres).mean() ** 2)


@dataclass(frozen=True)
class Window:
    """What one window has sampled.

    Parameters
    ----------
    index
        Its place among the windows.
    centre, spring
        Of the harmonic restraint; unit of the variable, and eV over that squared.
    values
        The variable, shape ``(samples,)``.
    energies
        Potential energy without the restraint, eV, shape ``(samples,)``.
    speeds
        √(Σ_i |∇_i ξ|²/m_i), unit/(Å √u), shape ``(samples,)``: of the rate.
    frames
        Positions of the kept structures, Å, shape ``(frames, n, 3)``.
    frame_samples
        The sample that each kept structure belongs to, shape ``(frames,)``.
    steps
        Steps done.
    reason
        Why it ended before its time; empty where it did not.
    """

    index: int
    centre: float
    spring: float
    values: Array
    energies: Array
    speeds: Array
    frames: Array
    frame_samples: Array
    steps: int
    reason: str = ""


class RestrainedCalculator(Calculator):
    """Any ASE calculator with a harmonic restraint on a collective variable: for ASE's own dynamics.

    Parameters
    ----------
    calculator
        The potential.
    variable
        The collective variable; positions must not be wrapped into the cell.
    centre, spring
        Of ½ κ (ξ − centre)².
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, calculator: Any, variable: CollectiveVariable, *, centre: float, spring: float) -> None:
        super().__init__()
        self._unbiased = calculator
        self._restraint = Restraint(variable, centre, spring)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute the energy and forces of the potential and the restraint; ``xi`` is the variable."""
        super().calculate(atoms, properties, system_changes)
        inner = self.atoms.copy()
        energy, forces = self._restraint.energy_and_forces(inner.positions)
        self.results = {
            "energy": float(self._unbiased.get_potential_energy(inner)) + energy,
            "forces": np.asarray(self._unbiased.get_forces(inner)) + forces,
            "xi": self._restraint.variable.evaluate(inner.positions)[0],
        }


@dataclass(frozen=True)
class Restraint:
    """½ κ (ξ − centre)² of a collective variable."""

    variable: CollectiveVariable
    centre: float
    spring: float

    def energy_and_forces(self, positions: Array) -> tuple[float, Array]:
        """Return the energy, eV, and the forces, eV/Å, shape ``(n, 3)``."""
        value, gradient = self.variable.evaluate(positions)
        off = value - self.centre
        return 0.5 * self.spring * off**2, -self.spring * off * gradient

    def on(self, surface: Surface) -> Surface:
        """Return ``surface`` with the restraint added."""

        def restrained(positions: Array) -> tuple[float, Array]:
            energy, forces = surface(positions)
            bias, pull = self.energy_and_forces(positions)
            return energy + bias, forces + pull

        return restrained


def sample_windows(
    start: Atoms,
    calculator: Any,
    variable: CollectiveVariable,
    settings: UmbrellaSettings,
    folder: Path,
    *,
    band: Sequence[Atoms] | None = None,
    identity: str = "",
    progress: Progress = SILENT,
) -> tuple[Window, ...]:
    """Sample every window, one after another; what a folder holds already is kept, and a broken run goes on.

    Parameters
    ----------
    start
        The structure of the reactant; what constraints hold is held.
    calculator
        Any ASE calculator with energies and forces.
    variable
        The collective variable.
    settings
        Where the windows are and how long they run.
    folder
        Where each window keeps its restart file.
    band
        Images from which each window takes the one nearest to its centre; without it a spring that moves from the
        start structure to each centre in turn gives the windows their first structures.
    identity
        What else decides the result, such as a hash of the collective variable's file.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When the folder holds other windows, the forces say that the atoms are held from outside, or the variable
        changes when all atoms move alike.
    """
    integrator = integrator_of(
        start,
        timestep=settings.timestep,
        temperature=settings.temperature,
        friction=settings.friction,
        remove_drift=settings.remove_drift,
    )
    surface = surface_of(start, calculator)
    first = integrator.start(start.positions, np.zeros_like(start.positions), surface)
    check_drift(integrator, first)
    _check_dragged(integrator, variable, start)
    claim(
        folder / MARKER,
        settings.key(start, identity, *(exact_geometry(image) for image in (start, *(band or ())))),
        holds="the windows",
        other="another start, variable or setting",
        energy=first.energy,
    )
    run = _Run(start, surface, variable, settings, integrator, folder)
    with progress.task("windows", len(settings.centres) * settings.steps) as task:
        seeds = run.from_band(band) if band is not None else run.steered(task)
        return tuple(run.window(index, seeds[index], task) for index in range(len(settings.centres)))


def _check_dragged(integrator: Integrator, variable: CollectiveVariable, start: Atoms) -> None:
    """Refuse a variable that the springs change by dragging all atoms along, until no window is held by its spring."""
    if not integrator.remove_drift:
        return
    _, gradient = variable.evaluate(np.array(start.positions, dtype=float))
    if np.linalg.norm(integrator.held.shifts @ gradient.sum(axis=0)) > _DRAGGED:
        raise DataError(
            "The collective variable changes when all atoms move alike, so its springs would drag the whole structure; "
            "give the atoms that it counts from (relative_to), hold some atoms, or say remove_drift: false where a "
            "field holds them."
        )


@dataclass(frozen=True)
class _Run:
    start: Atoms
    surface: Surface
    variable: CollectiveVariable
    settings: UmbrellaSettings
    integrator: Integrator
    folder: Path

    def from_band(self, band: Sequence[Atoms]) -> list[Array | str]:
        """Return the image nearest to each centre."""
        values = np.array([self.variable.evaluate(image.positions)[0] for image in band])
        nearest = [int(np.argmin(np.abs(values - centre))) for centre in self.settings.centres]
        return [np.array(band[index].positions, dtype=float) for index in nearest]

    def steered(self, task: Task) -> list[Array | str]:
        """Return a structure near each centre, pulled there from the start; a reason where the pull broke."""
        centres = np.array(self.settings.centres)
        here = self.variable.evaluate(np.array(self.start.positions, dtype=float))[0]
        middle = int(np.argmin(np.abs(centres - here)))
        found: dict[int, Array | str] = {}
        for leg, order in enumerate((range(middle, len(centres)), range(middle - 1, -1, -1))):
            rng = np.random.default_rng([self.settings.seed, 1, leg])
            momenta = self.integrator.thermal_momenta(rng)
            motion = self.integrator.start(np.array(self.start.positions, dtype=float), momenta, self.surface)
            place = here
            for index in order:
                file = self.folder / f"seed-{index:03d}.npz"
                if (kept := read_motion(file, len(self.start))) is not None:
                    motion, rng, _ = kept
                else:
                    task.describe(f"pulling to {centres[index]:.3g}")
                    motion, broken = self._pull(motion, rng, place, float(centres[index]))
                    if broken:
                        # what lies beyond is out of reach too
                        found.update({beyond: broken for beyond in order if beyond not in found})
                        break
                    write_motion(file, motion, rng)
                found[index] = motion.positions
                place = float(centres[index])
        return [found[index] for index in range(len(centres))]

    def _pull(self, motion: Motion, rng: np.random.Generator, place: float, centre: float) -> tuple[Motion, str]:
        limits = Limits(self.start, self.settings.limits, self.integrator)
        steps = self.settings.steering_steps
        for step in range(1, steps + 1):
            at = place + (centre - place) * min(1.0, 1.25 * step / steps)  # the last fifth stands still
            pulled = Restraint(self.variable, at, self.settings.constant).on(self.surface)
            motion = self.integrator.advance(motion, rng, pulled)
            if reason := limits.broken(motion):
                return motion, f"it was not reached: on the way there {reason}"
        return motion, ""

    def window(self, index: int, seed: Array | str, task: Task) -> Window:
        """Run one window to its end, from where its file says that it stands."""
        centre, spring = self.settings.centres[index], self.settings.constant
        if isinstance(seed, str):
            empty = np.zeros(0)
            none = np.zeros((0, len(self.start), 3))
            return Window(index, centre, spring, empty, empty, empty, none, np.zeros(0, dtype=int), 0, seed)
        file = self.folder / f"window-{index:03d}.npz"
        restrained = Restraint(self.variable, centre, spring).on(self.surface)
        limits = Limits(self.start, self.settings.limits, self.integrator)
        series = _Series()
        reason = ""
        if (before := read_motion(file, len(self.start), _series_kinds(len(self.start)))) is not None:
            motion, rng, kept = before
            reason = str(kept.pop("reason"))
            series.restore(kept)
        else:
            rng = np.random.default_rng([self.settings.seed, 0, index])
            motion = self.integrator.start(seed, self.integrator.thermal_momenta(rng), restrained)
        task.describe(f"window {index + 1} of {len(self.settings.centres)}")
        task.advance(min(motion.step, self.settings.steps))
        while motion.step < self.settings.steps and not reason:
            motion = self.integrator.advance(motion, rng, restrained)
            reason = limits.broken(motion)
            if not reason and motion.step % self.settings.sample_every == 0:
                self._sample(motion, series, centre, spring)
            if reason or motion.step % self.settings.save_every == 0 or motion.step == self.settings.steps:
                write_motion(file, motion, rng, reason=reason, **series.arrays(len(self.start)))
            task.advance()
        said = f"after {counted(motion.step, 'step')} {reason}" if reason else ""
        return Window(index, centre, spring, **series.arrays(len(self.start)), steps=motion.step, reason=said)

    def _sample(self, motion: Motion, series: "_Series", centre: float, spring: float) -> None:
        value, gradient = self.variable.evaluate(motion.positions)
        masses = self.integrator.masses
        moving = self.integrator.held.project(gradient)
        series.values.append(value)
        series.energies.append(motion.energy - 0.5 * spring * (value - centre) ** 2)
        series.speeds.append(float(np.sqrt(((moving**2).sum(axis=1) / masses).sum())))
        if motion.step % self.settings.frame_every == 0:
            series.frames.append(motion.positions)
            series.frame_samples.append(len(series.values) - 1)


def _series_kinds(n_atoms: int) -> dict[str, ArrayKind]:
    """Return what the arrays of a window are, beside those of its state."""
    samples = {name: ArrayKind("f", ("samples",)) for name in ("values", "energies", "speeds")}
    frames = {"frames": ArrayKind("f", ("frames", n_atoms, 3)), "frame_samples": ArrayKind("iu", ("frames",))}
    return {"reason": TEXT, **samples, **frames}


class _Series:
    """What grows while a window runs."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.energies: list[float] = []
        self.speeds: list[float] = []
        self.frames: list[Array] = []
        self.frame_samples: list[int] = []

    def restore(self, arrays: dict[str, Any]) -> None:
        for name in ("values", "energies", "speeds", "frame_samples"):
            setattr(self, name, arrays[name].tolist())
        self.frames = list(arrays["frames"])

    def arrays(self, n_atoms: int) -> dict[str, Any]:
        return {
            "values": np.array(self.values, dtype=float),
            "energies": np.array(self.energies, dtype=float),
            "speeds": np.array(self.speeds, dtype=float),
            "frames": np.array(self.frames, dtype=float).reshape(-1, n_atoms, 3),
            "frame_samples": np.array(self.frame_samples, dtype=int),
        }


def centres_between(first: float, last: float, number: int) -> tuple[float, ...]:
    """Return ``number`` places from ``first`` to ``last``, both counted, equally far from each other.

    Raises
    ------
    ConfigError
        When there are fewer than two, or they do not rise.
    """
    if number < 2 or not first < last:
        raise ConfigError(
            f"Windows go from a lower to a higher place and are at least two, not {first} {last} {number}."
        )
    return tuple(float(place) for place in np.linspace(first, last, number))
