"""Barriers between two structures: nudged elastic bands with a climbing image, with any ASE calculator."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.mep import NEB
from pydantic import Field
from pydantic_core import to_json

from rung.data.held import Held
from rung.errors import DataError, counted
from rung.evaluate.error_bars import ErrorBars
from rung.evaluate.identity import beyond_geometry, geometry_key
from rung.evaluate.optimisation import KeptBFGS, KeptFIRE, Stand, optimise
from rung.evaluate.paths.band import (
    OneImage,
    StaticBarrier,
    evaluated,
    measured_band,
    shifts_freely,
    static_barrier,
)
from rung.evaluate.paths.band_folder import BandFolder
from rung.evaluate.paths.endpoints import (
    aligned,
    check_endpoints,
    check_same_atoms,
    common_shift,
    hold_together,
    matched,
    same_place,
    unwrapped,
)
from rung.progress import SILENT, Progress
from rung.settings import Option, Settings
from rung.storage import content_hash

__all__ = ["Barrier", "BarrierSettings", "StaticBarrier", "relaxed_barrier", "static_barrier"]


class BandSettings(Settings):
    """How a band is relaxed, whatever its number of images."""

    fmax: float = Field(default=0.05, gt=0)
    """Largest force on an atom, perpendicular to the band, at which it counts as relaxed, eV/Å."""
    max_steps: Annotated[int, Option(("steps",))] = Field(default=500, ge=1)
    """Steps that the band may take, climbing included."""
    climb: bool = True
    """Whether the highest image climbs to the saddle point."""
    climb_below: float = Field(default=0.3, gt=0)
    """The band relaxes without climbing until its largest force is below this, eV/Å."""
    spring: float = Field(default=0.1, gt=0)
    """Spring constant between images, eV/Å²."""
    interpolation: Literal["idpp", "linear"] = "idpp"
    """First guess of the path: image-dependent pair potential, or a straight line."""
    relax_endpoints: Annotated[bool, Option(off=("keep-ends",))] = True
    """Whether the ends are relaxed first; otherwise they stay as given."""
    endpoint_fmax: float = Field(default=0.02, gt=0)
    """Largest force on an atom of a relaxed end, eV/Å."""
    endpoint_steps: int = Field(default=500, ge=1)
    """Steps that the relaxation of an end may take."""
    free_molecule: bool = False
    """Whether whole turns and shifts are taken out: for a molecule that nothing holds in place."""
    allow_exchange: bool = False
    """Whether like atoms may change places between the ends; otherwise that is taken for a wrong numbering."""
    match_atoms: bool = False
    """Whether like atoms of the final structure are renumbered first, by the shortest way from the initial one."""


class BarrierSettings(BandSettings):
    """How a band is relaxed."""

    images: int = Field(default=7, ge=3, le=1000)
    """Images of the band, both ends counted."""

    def deciding(self, *free: str) -> str:
        """Return the settings but ``free`` ones as JSON, in the order in which the keys of folders hash them."""
        content = {"images": self.images, **self.model_dump(mode="json", exclude={"images"})}
        return to_json({name: value for name, value in content.items() if name not in free}).decode()


@dataclass(frozen=True)
class Barrier(StaticBarrier):
    """A relaxed band: the fields of :class:`StaticBarrier`, and how the relaxation went.

    Parameters
    ----------
    converged
        Whether both ends and the band reached the forces asked for.
    steps
        Steps that the band took in all, those before a restart counted.
    max_force
        Largest force on an atom of the band at the end, eV/Å.
    reason
        Why it did not converge; empty where it did.
    """

    converged: bool = field(kw_only=True)
    steps: int = field(kw_only=True)
    max_force: float = field(kw_only=True)
    reason: str = field(kw_only=True)


def relaxed_barrier(
    initial: Atoms,
    final: Atoms,
    calculator: Any,
    settings: BarrierSettings,
    *,
    guess_images: Sequence[Atoms] | None = None,
    folder: Path | None = None,
    progress: Progress = SILENT,
    error_bars: ErrorBars | None = None,
) -> Barrier:
    """Relax two ends and the band between them, with a climbing image.

    The band is ASE's, with the improved tangent of Henkelman and Jónsson, J. Chem. Phys. 113, 9978 (2000), and the
    climbing image of Henkelman, Uberuaga and Jónsson, J. Chem. Phys. 113, 9901 (2000); its first guess is the
    image-dependent pair potential of Smidstrup et al., J. Chem. Phys. 140, 214106 (2014).

    Parameters
    ----------
    initial, final
        The same atoms in the same order. What constraints of either end hold is held in the whole band; where nothing
        is held and the cell is periodic, a shift of all atoms from one end to the other is taken out.
    calculator
        Any ASE calculator; one serves all images, and each image is evaluated once a step.
    settings
        Number of images, forces to reach, steps allowed.
    guess_images
        A whole band to start from, ends counted; its ends are replaced, and its length holds instead of ``images``.
    folder
        Where ends and band are kept every few steps, with what their optimisers know; a later call with the same ends
        goes on from there, to the band of a call that nobody broke off.
    progress
        Where steps are reported.
    error_bars
        Those of the potential: they give the error of each energy less the first.

    Returns
    -------
    Barrier
        ``converged`` is False, and the barrier NaN, where an end or the band did not relax in the steps allowed, or
        both ends fell into one minimum; ``reason`` says which. Where an end failed, ``images`` are the two ends.

    Raises
    ------
    DataError
        When the ends cannot be joined, or ``folder`` holds another band.
    """
    if settings.match_atoms:
        final, _ = matched(initial, final)
    check_endpoints(initial, final, allow_exchange=settings.allow_exchange)
    start, stop, holding = hold_together(initial, final)
    if settings.free_molecule and start.constraints:
        raise DataError("A molecule of which atoms are held cannot turn; leave out free_molecule, or hold nothing.")
    kept = BandFolder.open(folder, band_key(initial, final, settings, guess_images))
    first, first_done = _relaxed_end(start, "initial", calculator, settings, kept, progress)
    last, last_done = _relaxed_end(stop, "final", calculator, settings, kept, progress)
    # of the ends as they relaxed: moving one to the periodic image of the other rounds its last digit
    reaction = float(last.get_potential_energy() - first.get_potential_energy())
    if settings.free_molecule:
        minimize_rotation_and_translation(first, last)
    reason = _ends_fail(first, last, (first_done, last_done), settings)
    beside = _beside(first, last, calculator)
    end = beside(first, last)
    end.calc = last.calc
    band, steps, force = [first, end], 0, float("nan")
    if not reason:
        before = kept.read("band")
        band = _first_band(first, end, settings, guess_images, before, beside)
        steps, force, done = _relax_band(band, calculator, settings, kept, before, progress)
        reason = "" if done else _band_fails(steps, force)
    # of an image that broke down nothing more can be computed, its energy's error least of all
    bars = error_bars if np.isfinite(force) or len(band) == 2 else None
    measured = measured_band([evaluated(image, calculator) for image in band], bars)
    if reason:
        measured["barrier"] = float("nan")
    measured["notes"] = (*((holding,) if holding else ()), *measured["notes"])
    measured["reaction"] = reaction if first_done and last_done else float("nan")
    return Barrier(**measured, converged=not reason, steps=steps, max_force=force, reason=reason)


def _beside(first: Atoms, last: Atoms, calculator: Any) -> Callable[[Atoms, Atoms], Atoms]:
    """Return what moves one structure next to another: with a shift of all its atoms where that costs no energy."""
    drifts = np.linalg.norm(common_shift(first, last)) > 0
    return aligned if drifts and shifts_freely(first, calculator) else unwrapped


def _ends_fail(first: Atoms, last: Atoms, relaxed: tuple[bool, bool], settings: BarrierSettings) -> str:
    """Return why there can be no band between these ends; empty where there can."""
    for done, name in zip(relaxed, ("initial", "final"), strict=True):
        if not done:
            return f"the {name} structure did not relax to {settings.endpoint_fmax} eV/Å"
    return "both ends relax to the same minimum" if same_place(first, last) else ""


def _band_fails(steps: int, force: float) -> str:
    if not np.isfinite(force):
        return f"an image broke down after {counted(steps, 'step')}: its forces are not finite"
    return f"the band has forces of {force:.3g} eV/Å after {counted(steps, 'step')}"


def band_key(initial: Atoms, final: Atoms, settings: BarrierSettings, guess: Sequence[Atoms] | None) -> str:
    """Return a hash of all that decides the band; more steps may be allowed without starting again."""
    deciding = settings.deciding("max_steps", "endpoint_steps")
    return content_hash(deciding, geometry_key(initial, final, *(guess or ())), *beyond_geometry(initial, final))


def _relaxed_end(
    given: Atoms, name: str, calculator: Any, settings: BarrierSettings, kept: BandFolder, progress: Progress
) -> tuple[Atoms, bool]:
    end = given.copy()
    end.calc = OneImage(calculator)
    before = kept.read(name)
    if before is not None:
        end.set_positions(before.positions[0], apply_constraint=False)
        kept.check_energy(before, end, name)
    if not settings.relax_endpoints:
        return end, True
    with progress.task(f"{name} structure", settings.endpoint_steps) as task, KeptBFGS(end, logfile=None) as optimizer:
        task.advance(0 if before is None else before.steps)
        done, _ = optimise(
            optimizer,
            fmax=settings.endpoint_fmax,
            steps=settings.endpoint_steps,
            before=before,
            task=task,
            save=kept.keep(name, [end]),
        )
    return end, done


def _first_band(
    first: Atoms,
    end: Atoms,
    settings: BarrierSettings,
    guess: Sequence[Atoms] | None,
    before: Stand | None,
    beside: Callable[[Atoms, Atoms], Atoms],
) -> list[Atoms]:
    """Return the ends with images between them: from where the band stood, from the guess, or interpolated.

    What is a first guess of charges and moments, an image has from the end that it is nearer to.
    """
    if before is not None:
        band = [first, *_copies(first, end, len(before.positions) - 2)]
        for image, positions in zip(band[1:], before.positions[1:-1], strict=True):
            image.set_positions(positions, apply_constraint=False)
        return [*band, end]
    between = guess
    if between is None:
        band = [first, *_copies(first, end, settings.images - 2), end]
        _band(band, settings).interpolate(settings.interpolation, mic=True, apply_constraint=False)
        return band
    if len(between) < 3:
        raise DataError(f"A guessed band has at least three images, not {len(between)}.")
    band = [first]
    held = Held.of(first)
    copies = _copies(first, end, len(between) - 2)
    for index, (image, copy) in enumerate(zip(between[1:-1], copies, strict=True), start=1):
        check_same_atoms(first, image, ("initial", f"guessed number {index}"))
        ways = beside(band[-1], image).positions - first.positions
        copy.set_positions(first.positions + held.project(ways), apply_constraint=False)
        band.append(copy)
    return [*band, end]


def _copies(first: Atoms, end: Atoms, count: int) -> list[Atoms]:
    """Return ``count`` images between two ends, each a copy of the nearer one at the place of the first."""
    copies = []
    for number in range(1, count + 1):
        image = (first if 2 * number <= count + 1 else end).copy()
        image.set_positions(first.positions, apply_constraint=False)
        copies.append(image)
    return copies


def _band(images: list[Atoms], settings: BarrierSettings) -> NEB:
    return NEB(
        images,
        k=settings.spring,
        method="improvedtangent",
        remove_rotation_and_translation=settings.free_molecule,
    )


def _relax_band(
    images: list[Atoms],
    calculator: Any,
    settings: BarrierSettings,
    kept: BandFolder,
    before: Stand | None,
    progress: Progress,
) -> tuple[int, float, bool]:
    """Relax ``images`` in place; return the steps taken, the largest force left and whether that is small enough."""
    for image in images[1:-1]:
        image.calc = OneImage(calculator)
    band = _band(images, settings)
    stand, first = before, 0 if before is None else before.stage
    with progress.task("band", settings.max_steps) as task:
        task.advance(0 if before is None else before.steps)
        for stage, (climb, fmax) in list(enumerate(_stages(settings)))[first:]:
            band.climb = climb
            with KeptFIRE(band, logfile=None) as optimizer:
                done, steps = optimise(
                    optimizer,
                    fmax=fmax,
                    steps=settings.max_steps,
                    before=stand,
                    task=task,
                    save=kept.keep("band", images, stage),
                )
            if not done:
                break
            stand = Stand.of(images, steps, stage + 1, {})
    return steps, float(np.linalg.norm(band.get_forces(), axis=1).max()), done


def _stages(settings: BarrierSettings) -> Iterator[tuple[bool, float]]:
    """Yield what relaxes the band, one after the other: whether the highest image climbs, and the force to reach."""
    if settings.climb:
        yield False, max(settings.climb_below, settings.fmax)
    yield settings.climb, settings.fmax
