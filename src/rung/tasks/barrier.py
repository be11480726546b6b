"""Barriers from files: relax the band of each fidelity, with error bars, modes and rates, and write what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from pydantic import Field, field_validator

from rung.data.readers.extxyz import frame_text
from rung.errors import ConfigError, DataError
from rung.evaluate.error_bars import Bar
from rung.evaluate.identity import PHYSICS, geometry_key, physics_key
from rung.evaluate.paths.barrier import BandSettings, Barrier, BarrierSettings, relaxed_barrier
from rung.evaluate.paths.endpoints import check_endpoints, check_same_atoms, displacements, hold_together, matched
from rung.evaluate.paths.rates import HarmonicRate, along_band, harmonic_rate, saddle_sentence
from rung.evaluate.paths.refinement import BandDraws, BarrierDraws, RefinementSettings, converged_barrier
from rung.evaluate.paths.vibrations import Vibrations, VibrationSettings
from rung.progress import SILENT, Progress
from rung.report.tasks.barrier import PAGE, barrier_summary, write_barrier_report
from rung.results.barrier import BARRIER_FILE, write_panels
from rung.results.barrier_task import BandSize, TaskBarrier, TaskPanel
from rung.settings import Option, Settings
from rung.storage import content_hash, write_text
from rung.tasks.band_draws import band_on_draws
from rung.tasks.domain import FRAMES, EnvelopeSettings, Evidence, evidence_of, judged, write_frames
from rung.tasks.fixed_paths import read_band, read_labelled_band, static_panel, target_panel
from rung.tasks.folder import TaskFolder
from rung.tasks.kept_modes import kept_modes
from rung.tasks.opened import Opened, SeveralFidelities, read_start
from rung.tasks.task import Task

BAND = "band.extxyz"
FOLDER = TaskFolder(
    "a barrier",
    (BARRIER_FILE, PAGE, f"{{fidelity}}/{BAND}", f"{{fidelity}}/{FRAMES}"),
    begun=(BARRIER_FILE, "*/band.json", "*/*-images/band.json"),
)


class BarrierTask(Settings):
    """What ``rung barrier`` does with each fidelity."""

    initial: Annotated[Path | None, Option(positional=True)] = None
    """The file of one end; the first structure counts."""
    final: Annotated[Path | None, Option(positional=True)] = None
    """The file of the other end: the same atoms in one order and one cell."""
    images: Literal["auto"] | int = 7
    """Images of the band, both ends counted; auto: more and more until the barrier stands still."""
    guess: Path | None = None
    """A file of a band to begin with, ends counted, in place of an interpolation: it has the right bonds; its length
    replaces the number of images."""
    refinement: RefinementSettings = RefinementSettings()
    """When a band has images enough, with auto."""
    band: BandSettings = BandSettings()
    """How a band is relaxed."""
    draws: BandDraws = 16
    """Posterior draws on which the band is relaxed again; 0 leaves the error bar of first order."""
    seed: int = Field(default=0, ge=0)
    """Which draws."""
    temperatures: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Option(("rate",))] = ()
    """Temperatures of rates, K; with any, the modes of the start are computed too."""
    check_saddle: Annotated[bool, Option(off=("no-modes",))] = True
    """Whether the modes of the highest image are computed."""
    vibrations: VibrationSettings = VibrationSettings()
    """How modes are found."""
    path: Path | None = None
    """A file of a band to evaluate as it is."""
    energies: Path | None = None
    """A file of a band with single energies and errors of another fidelity, to draw beside."""
    target: str | None = None
    """The fidelity of those energies."""
    envelope: EnvelopeSettings = EnvelopeSettings()
    """What tells how far a barrier outside the domain may be off."""

    @field_validator("images")
    @classmethod
    def _enough(cls, images: Literal["auto"] | int) -> Literal["auto"] | int:
        if images != "auto" and not 3 <= images <= 1000:
            raise ValueError("images should be greater than or equal to 3 and at most 1000, or auto")
        return images


@dataclass(frozen=True)
class FidelityBarrier:
    """The relaxed band of one fidelity and all that was made of it.

    Parameters
    ----------
    fidelity
        Its name.
    band
        The band.
    history
        Images and barrier of each band on the way, eV.
    draws
        Bands relaxed again on posterior draws; None without.
    start_modes, saddle_modes
        Modes of the two; None where they were not asked for or there is no barrier.
    notes
        Sentences.
    rates
        One a temperature.
    """

    fidelity: str
    band: Barrier
    history: tuple[tuple[int, float], ...]
    draws: BarrierDraws | None = None
    start_modes: Vibrations | None = None
    saddle_modes: Vibrations | None = None
    notes: tuple[str, ...] = ()
    rates: tuple[HarmonicRate, ...] = ()

    @property
    def bar(self) -> Bar:
        """The error of the barrier: its weights' part is that of the draws, or of first order without them."""
        first_order = self.band.bar
        drawn = float("nan") if self.draws is None else self.draws.stderr
        weights = drawn if np.isfinite(drawn) else first_order.weights
        model = first_order.total**2 - first_order.weights**2
        return Bar(weights, float(np.sqrt(weights**2 + max(model, 0.0))) if np.isfinite(model) else float(model))

    def entry(self) -> TaskBarrier:
        """Return this barrier as ``barrier.json`` has it; the value is absent where the band did not converge."""
        band = self.band
        return TaskBarrier(
            name=self.fidelity,
            value=band.barrier,
            reaction=band.reaction,
            stderr=self.bar.weights,
            stderr_total=self.bar.total,
            notes=(*band.notes, *self.notes),
            stderr_first_order=band.bar.weights,
            stderr_total_first_order=band.bar.total,
            reverse=band.reverse_barrier,
            converged=band.converged,
            reason=band.reason,
            steps=band.steps,
            max_force=band.max_force,
            images=tuple(BandSize(images=count, barrier=value) for count, value in self.history),
            draws=None if self.draws is None else self.draws.entry(),
            start_modes=None if self.start_modes is None else self.start_modes.entry(),
            saddle_modes=None if self.saddle_modes is None else self.saddle_modes.entry(),
            rates=tuple(rate.entry() for rate in self.rates),
        )


def find_barriers(
    potentials: Mapping[str, Opened], task: BarrierTask, out: Path, *, progress: Progress = SILENT
) -> tuple[TaskPanel, ...]:
    """Return what ``barrier.json`` then says: a panel for the relaxed bands, one for each fixed path.

    A folder that holds part of it is gone on with: ``barrier.json``, ``barrier.html``, ``<fidelity>/band.extxyz``.

    Parameters
    ----------
    potentials
        The fidelities to put side by side, by name.
    task
        The ends, or a fixed path, or both; what to do with each fidelity.
    out
        The folder of bands and results.
    progress
        Where work is reported.

    Raises
    ------
    ConfigError
        When nothing was asked for.
    DataError
        When the ends or a path cannot be used, or the folder holds other work.
    """
    if (task.initial is None) != (task.final is None) or not (task.initial or task.path or task.energies):
        raise ConfigError("Give the initial and the final structure, or a band with --path or --energies.")
    ends, identity, evidence = _ends(task), {}, evidence_of(task.envelope)
    guess = None if task.guess is None else _guess(task.guess, ends)
    path = None if task.path is None else read_band(task.path)
    energies = None if task.energies is None else read_labelled_band(task.energies, task.target)
    if ends is not None:
        for potential in potentials.values():
            potential.check_state(*ends)
        deciding = _settings(task).deciding("images", "max_steps", "endpoint_steps")
        identity = {
            "start": geometry_key(*ends, *(guess or ())),
            "setting": content_hash(deciding),
            PHYSICS: physics_key(*ends),
        }
    panels: list[TaskPanel] = []
    with FOLDER.open(out, potentials, identity, reads=task):
        if ends is not None:
            first, last, holding = hold_together(*ends)
            barriers = [
                _barrier(name, (first, last), guess, potential, task, out / name, progress)
                for name, potential in potentials.items()
            ]
            barriers = [replace(one, notes=(holding, *one.notes)) if holding else one for one in barriers]
            panels.append(_relaxed_panel(barriers, potentials, evidence, out))
        if path is not None:
            panels.append(static_panel(path, potentials, evidence))
        if energies is not None:
            panels.append(target_panel(energies, potentials, evidence))
        write_panels(out / BARRIER_FILE, panels)
        write_barrier_report(out)
    return tuple(panels)


def _settings(task: BarrierTask) -> BarrierSettings:
    """Return how a band is relaxed; with auto nobody reads its number of images, for a whole band is the guess."""
    return task.band.narrowed(BarrierSettings, **({} if task.images == "auto" else {"images": task.images}))


def _ends(task: BarrierTask) -> tuple[Atoms, Atoms] | None:
    if task.initial is None or task.final is None:
        return None
    first, last = read_start(task.initial), read_start(task.final)
    if task.band.match_atoms:
        last, _ = matched(first, last)
    check_endpoints(first, last, allow_exchange=task.band.allow_exchange)
    return first, last


def _guess(file: Path, ends: tuple[Atoms, Atoms] | None) -> tuple[Atoms, ...]:
    """Return the band of a file, whose atoms are those of the ends."""
    if ends is None:
        raise ConfigError(f"{file} is a band to begin with: give the initial and the final structure too.")
    images = tuple(structure.atoms for structure in read_band(file).structures)
    if len(images) < 3:
        raise DataError(f"{file}: a guessed band has at least three images, not {len(images)}.")
    for number, image in enumerate(images):
        check_same_atoms(ends[0], image, ("initial", f"guessed ({file}, frame {number})"))
    return images


def _barrier(
    name: str,
    ends: tuple[Atoms, Atoms],
    guess: Sequence[Atoms] | None,
    potential: Opened,
    task: BarrierTask,
    folder: Path,
    progress: Progress,
) -> FidelityBarrier:
    calculator, error_bars = potential.calculator, potential.error_bars
    if task.images == "auto":
        band, history = converged_barrier(
            *ends,
            calculator,
            task.band,
            task.refinement,
            guess_images=guess,
            folder=folder,
            progress=progress,
            error_bars=error_bars,
        )
    else:
        band = relaxed_barrier(
            *ends,
            calculator,
            _settings(task),
            guess_images=guess,
            folder=folder,
            progress=progress,
            error_bars=error_bars,
        )
        history = ((len(band.images), band.barrier),)
    write_text(folder / BAND, "".join(_image_text(image) for image in band.images))
    barrier = FidelityBarrier(name, band, history)
    if not band.converged:
        return barrier
    if error_bars is not None and task.draws:
        draws, notes = band_on_draws(
            band,
            _settings(task),
            calculator,
            error_bars,
            count=task.draws,
            seed=task.seed,
            folder=folder / f"draws-seed-{task.seed}",
            progress=progress,
        )
        barrier = replace(barrier, draws=draws, notes=(*barrier.notes, *notes))
    return _with_modes(barrier, calculator, task, folder, progress)


def _image_text(image: Atoms) -> str:
    """Return an image as extended XYZ with its energy and forces, and what is held of it."""
    forces = image.get_forces(apply_constraint=False)
    return frame_text(image, {"energy": float(image.get_potential_energy())}, {"forces": forces})


def _with_modes(
    barrier: FidelityBarrier, calculator: Any, task: BarrierTask, folder: Path, progress: Progress
) -> FidelityBarrier:
    band, notes = barrier.band, list(barrier.notes)
    if not (task.check_saddle or task.temperatures) or band.at_end:
        return barrier
    top = band.images[band.saddle]
    saddle = kept_modes(top, calculator, task.vibrations, folder / "saddle-modes.npz", progress)
    notes.append(saddle_sentence(saddle))
    if saddle.n_imaginary == 1:
        around = [band.images[band.saddle + way] for way in (-1, 1)]
        before, after = (top.positions + displacements(top, image) for image in around)
        parallel = along_band(saddle, before, after, top.get_masses())
        if parallel < 0.5:
            notes.append(f"It points across the band rather than along it (cosine {parallel:.2f}): look at the images.")
    start: Vibrations | None = None
    rates: tuple[HarmonicRate, ...] = ()
    if task.temperatures:
        start = kept_modes(band.images[0], calculator, task.vibrations, folder / "start-modes.npz", progress)
        try:
            rates = tuple(
                harmonic_rate(start, saddle, band.barrier, kelvin, barrier_stderr=barrier.bar.total)
                for kelvin in task.temperatures
            )
        except DataError as error:  # the barrier stands; only its rate does not exist
            notes.append(f"There is no rate. {error}")
    return replace(barrier, start_modes=start, saddle_modes=saddle, notes=tuple(notes), rates=rates)


def _relaxed_panel(
    barriers: Sequence[FidelityBarrier], potentials: Mapping[str, Opened], evidence: Sequence[Evidence], out: Path
) -> TaskPanel:
    entries = []
    for barrier in barriers:
        frames = out / barrier.fidelity / FRAMES
        entries.append(judged(barrier.entry(), barrier.band, potentials[barrier.fidelity], evidence, frames))
        if entries[-1].domain == "outside":
            write_frames(frames, barrier.band.images)
    return TaskPanel(
        title="Relaxed band" if len(barriers) == 1 else "Relaxed band of each fidelity",
        kind="relaxed",
        curves=tuple(barrier.band.curve(barrier.fidelity) for barrier in barriers),
        barriers=tuple(entries),
        notice="",
    )


TASK = Task(
    name="barrier",
    note="What was relaxed is kept; the same command goes on where a broken one was. Exit code 1: a band did not "
    "converge; then there is no barrier, but the band is there.",
    kept="The band is kept in",
    example="rung barrier runs/mos2/model.rung initial.xyz final.xyz --fidelity r2scan --rate 600 --out hop",
    potential=SeveralFidelities,
    settings=BarrierTask,
    work=find_barriers,
    summary=barrier_summary,
    json=lambda panels: [panel.as_json() for panel in panels],
)
