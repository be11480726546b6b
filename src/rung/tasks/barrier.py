"""Barriers from files: relax the band of each fidelity, with error bars, modes and rates, and write what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write
from pydantic import Field

from rung.errors import ConfigError, DataError
from rung.evaluate.error_bars import Bar
from rung.evaluate.identity import geometry_key
from rung.evaluate.paths.barrier import Barrier, BarrierSettings, relaxed_barrier
from rung.evaluate.paths.endpoints import displacements, matched
from rung.evaluate.paths.rates import along_band, harmonic_rate, saddle_sentence
from rung.evaluate.paths.refinement import BarrierDraws, RefinementSettings, converged_barrier, relaxed_draws
from rung.evaluate.paths.vibrations import Vibrations, VibrationSettings, vibrations
from rung.progress import SILENT, Progress
from rung.report.tasks.barrier import PAGE, write_barrier_report
from rung.settings import Settings
from rung.storage import atomic_path, content_hash, write_json
from rung.tasks.error_bars import PosteriorBars
from rung.tasks.fixed_paths import static_panel, target_panel
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened, read_start

RESULT = "barrier.json"
BAND = "band.extxyz"
FOLDER = TaskFolder(
    "a barrier", (RESULT, PAGE, f"{{fidelity}}/{BAND}"), begun=(RESULT, "*/band.json", "*/*-images/band.json")
)


class BarrierTask(Settings):
    """What ``rung barrier`` does with each fidelity."""

    band: BarrierSettings = BarrierSettings()
    """How a band is relaxed; its number of images counts where ``refinement`` is absent."""
    refinement: RefinementSettings | None = None
    """How many images to try until the barrier stands still."""
    draws: int = Field(default=16, ge=0)
    """Posterior draws on which the band is relaxed again; 0 leaves the error bar of first order."""
    seed: int = 0
    """Which draws."""
    check_saddle: bool = True
    """Whether the modes of the highest image are computed."""
    temperatures: tuple[float, ...] = ()
    """Temperatures of rates, K; with any, the modes of the start are computed too."""
    vibrations: VibrationSettings = VibrationSettings()
    """How modes are found."""


@dataclass(frozen=True)
class BarrierFiles:
    """What ``rung barrier`` reads.

    Parameters
    ----------
    initial, final
        Files of the two ends; both or none.
    path
        A file of a band that stays as it is; None for none.
    energies
        A file of a band with single energies of ``target``; None for none.
    target
        The fidelity of those energies.
    """

    initial: Path | None = None
    final: Path | None = None
    path: Path | None = None
    energies: Path | None = None
    target: str | None = None


@dataclass(frozen=True)
class FoundBarrier:
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
        A mapping for each temperature.
    """

    fidelity: str
    band: Barrier
    history: tuple[tuple[int, float], ...]
    draws: BarrierDraws | None = None
    start_modes: Vibrations | None = None
    saddle_modes: Vibrations | None = None
    notes: tuple[str, ...] = ()
    rates: tuple[dict[str, Any], ...] = field(default=())

    @property
    def bar(self) -> Bar:
        """The error of the barrier: its weights' part is that of the draws, or of first order without them."""
        first_order = self.band.bar
        drawn = float("nan") if self.draws is None else self.draws.stderr
        weights = drawn if np.isfinite(drawn) else first_order.weights
        own = first_order.total**2 - first_order.weights**2
        return Bar(weights, float(np.sqrt(weights**2 + max(own, 0.0))) if np.isfinite(own) else float(own))

    def entry(self) -> dict[str, Any]:
        """Return this barrier as ``barrier.json`` has it; the value is absent where the band did not converge."""
        band = self.band
        return {
            **band.entry(self.fidelity),
            "stderr": self.bar.weights,
            "stderr_total": self.bar.total,
            "stderr_first_order": band.bar.weights,
            "stderr_total_first_order": band.bar.total,
            "reverse": band.reverse_barrier,
            "converged": band.converged,
            "reason": band.reason,
            "steps": band.steps,
            "max_force": band.max_force,
            "images": [{"images": count, "barrier": value} for count, value in self.history],
            "draws": None if self.draws is None else self.draws.as_json(),
            "start_modes": None if self.start_modes is None else self.start_modes.as_json(),
            "saddle_modes": None if self.saddle_modes is None else self.saddle_modes.as_json(),
            "rates": list(self.rates),
            "notes": [*band.notes, *self.notes],
        }


def find_barriers(
    potentials: Mapping[str, Opened],
    files: BarrierFiles,
    out: Path,
    task: BarrierTask,
    *,
    progress: Progress = SILENT,
) -> list[dict[str, Any]]:
    """Return what ``barrier.json`` then says: a panel for the relaxed bands, one for each fixed path.

    A folder that holds part of it is gone on with.

    Parameters
    ----------
    potentials
        The fidelities to put side by side, by name.
    files
        The ends, or a fixed path, or both.
    out
        The folder of bands and results: ``barrier.json``, ``barrier.html`` and ``<fidelity>/band.extxyz``.
    task
        What to do with each.
    progress
        Where work is reported.

    Raises
    ------
    ConfigError
        When nothing was asked for.
    DataError
        When the ends or a path cannot be used.
    """
    if (files.initial is None) != (files.final is None) or not (files.initial or files.path or files.energies):
        raise ConfigError("Give the initial and the final structure, or a band with --path or --energies.")
    ends, identity = None, {}
    if files.initial is not None and files.final is not None:
        ends = _read_ends(files.initial, files.final, task.band)
        deciding = task.band.model_dump_json(exclude={"images", "max_steps", "endpoint_steps"})
        identity = {"start": geometry_key(*ends), "setting": content_hash(deciding)}
    panels: list[dict[str, Any]] = []
    with FOLDER.open(out, potentials, identity):
        if ends is not None:
            found = [
                _find(name, *ends, potential, task, out / name, progress) for name, potential in potentials.items()
            ]
            panels.append(_relaxed_panel(found))
        if files.path is not None:
            panels.append(static_panel(files.path, potentials))
        if files.energies is not None:
            panels.append(target_panel(files.energies, files.target, potentials))
        write_json(out / RESULT, panels)
        write_barrier_report(out)
    return panels


def _read_ends(initial: Path, final: Path, settings: BarrierSettings) -> tuple[Atoms, Atoms]:
    first, last = read_start(initial), read_start(final)
    return (first, matched(first, last)[0]) if settings.match_atoms else (first, last)


def _find(
    name: str,
    initial: Atoms,
    final: Atoms,
    potential: Opened,
    task: BarrierTask,
    folder: Path,
    progress: Progress,
) -> FoundBarrier:
    common: dict[str, Any] = {"folder": folder, "progress": progress, "error_bars": potential.error_bars}
    if task.refinement is None:
        band = relaxed_barrier(initial, final, potential.calculator, task.band, **common)
        history: tuple[tuple[int, float], ...] = ((len(band.images), band.barrier),)
    else:
        band, history = converged_barrier(initial, final, potential.calculator, task.band, task.refinement, **common)
    with atomic_path(folder / BAND) as temporary:
        write(temporary, list(band.images), format="extxyz")
    found = FoundBarrier(name, band, history)
    if not band.converged:
        return found
    if potential.error_bars is not None:
        found = _with_draws(found, potential.error_bars, task, folder, progress)
    return _with_modes(found, potential.calculator, task, folder, progress)


def _with_draws(
    found: FoundBarrier, error_bars: PosteriorBars, task: BarrierTask, folder: Path, progress: Progress
) -> FoundBarrier:
    band, notes = found.band, list(found.notes)
    if note := error_bars.domain_note(band.images[band.saddle], band.images[0]):
        notes.append(note)
    draws = None
    if task.draws:
        draws = relaxed_draws(
            band.images,
            # made when it is its turn: as many models at once would fill the memory
            [partial(error_bars.draw, index, seed=task.seed) for index in range(task.draws)],
            task.band,
            folder=folder / f"draws-seed-{task.seed}",
            progress=progress,
        )
        if draws.n_converged < len(draws.barriers):
            notes.append(
                f"The band relaxed on {draws.n_converged} of {len(draws.barriers)} posterior draws; the others are not "
                "in the error bar" + ("." if np.isfinite(draws.stderr) else ", which is that of first order instead.")
            )
    return replace(found, draws=draws, notes=tuple(notes))


def _with_modes(
    found: FoundBarrier, calculator: Any, task: BarrierTask, folder: Path, progress: Progress
) -> FoundBarrier:
    band, notes = found.band, list(found.notes)
    if not (task.check_saddle or task.temperatures) or band.saddle in (0, len(band.images) - 1):
        return found
    top = band.images[band.saddle]
    saddle = _kept_modes(top, calculator, task.vibrations, folder / "saddle-modes.npz", progress)
    notes.append(saddle_sentence(saddle))
    if saddle.n_imaginary == 1:
        around = [band.images[band.saddle + way] for way in (-1, 1)]
        before, after = (top.positions + displacements(top, image) for image in around)
        parallel = along_band(saddle, before, after, top.get_masses())
        if parallel < 0.5:
            notes.append(f"It points across the band rather than along it (cosine {parallel:.2f}): look at the images.")
    start: Vibrations | None = None
    rates: tuple[dict[str, Any], ...] = ()
    if task.temperatures:
        start = _kept_modes(band.images[0], calculator, task.vibrations, folder / "start-modes.npz", progress)
        try:
            rates = tuple(
                harmonic_rate(start, saddle, band.barrier, kelvin, barrier_stderr=found.bar.total).as_json()
                for kelvin in task.temperatures
            )
        except DataError as error:  # the barrier stands; only its rate does not exist
            notes.append(f"There is no rate. {error}")
    return replace(found, start_modes=start, saddle_modes=saddle, notes=tuple(notes), rates=rates)


def _kept_modes(
    atoms: Atoms, calculator: Any, settings: VibrationSettings, file: Path, progress: Progress
) -> Vibrations:
    """Return the modes of ``atoms``, from ``file`` where they are its."""
    key = content_hash(settings.model_dump_json(), geometry_key(atoms))
    if file.exists():
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["key"]) == key:
                return Vibrations(stored["quanta"], stored["modes"], int(stored["n_rigid"]), float(stored["floor"]))
    made = vibrations(atoms, calculator, settings, progress=progress)
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, key=key, quanta=made.quanta, modes=made.modes, n_rigid=made.n_rigid, floor=made.floor)
    return made


def _relaxed_panel(found: Sequence[FoundBarrier]) -> dict[str, Any]:
    return {
        "title": "Relaxed band" if len(found) == 1 else "Relaxed band of each fidelity",
        "kind": "relaxed",
        "curves": [one.band.curve(one.fidelity) for one in found],
        "barriers": [one.entry() for one in found],
        "notice": "",
    }
