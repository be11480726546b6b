"""A study of chalcogen vacancies in a monolayer: hops of rows, converged in cell size, and what vacancies cost."""

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from ase.io import write
from pydantic import Field

from rung.errors import ConfigError, DataError, StorageError, counted, one_of
from rung.evaluate.error_bars import UNKNOWN, Bar
from rung.evaluate.optimisation import Stand
from rung.evaluate.paths.band_folder import BandFolder
from rung.evaluate.paths.barrier import BandSettings, Barrier, BarrierSettings, relaxed_barrier
from rung.evaluate.paths.vacancies import (
    EnergyOfDefect,
    Hop,
    Monolayer,
    binding_energy,
    column_sites,
    concerted_hop,
    formation_energy,
    relaxed,
    row_sites,
    sequential_hops,
    without,
)
from rung.model.standing import Standing
from rung.progress import SILENT, Progress
from rung.report.tasks.vacancies import PAGE, vacancy_summary, write_vacancy_report
from rung.results.vacancies import (
    HOP_FILE,
    VACANCIES_FILE,
    DefectEnergy,
    Defects,
    HopInCell,
    MonolayerEntry,
    RowHop,
    VacanciesResult,
    Way,
)
from rung.settings import Option, Settings
from rung.storage import atomic_path, content_hash, set_aside
from rung.tasks.domain import standing_of
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened, SeveralFidelities
from rung.tasks.task import Task

FOLDER = TaskFolder(
    "vacancies",
    (VACANCIES_FILE, PAGE, f"{{fidelity}}/*/*/*/{HOP_FILE}"),
    begun=(VACANCIES_FILE, "*/*/*-vacancies", "*/defects"),
)


class VacancyTask(Settings):
    """What ``rung vacancies`` does with each fidelity."""

    monolayer: Monolayer = Monolayer()
    """The layer."""
    counts: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (1, 2, 3, 4, 5, 6)
    """Numbers of vacancies in a row whose hops are found."""
    ways: tuple[Way, ...] = ("concerted",)
    """All atoms of the row at once, or one after the other."""
    margin: int = Field(default=2, ge=2, le=50)
    """Repeats of the first cell beyond the row, both ways: n vacancies in (n + margin) × (1 + margin) cells."""
    most: Annotated[int, Option(("most-margin",))] = Field(default=4, ge=2, le=50)
    """No cell has a larger margin."""
    tolerance: float = Field(default=0.02, gt=0)
    """The barrier for each atom counts as converged where a larger cell changes it by less, eV."""
    images: int = Field(default=5, ge=3, le=1000)
    """Images of each band, both ends counted."""
    band: BandSettings = BandSettings()
    """How a band is relaxed."""
    chemical_potentials: Annotated[dict[str, float], Option(("chemical-potential",), form="fidelity=value")] = Field(
        default_factory=dict
    )
    """μ of the chalcogen for each fidelity, eV an atom, on its scale of energies; absent: no formation energy."""
    defect_margin: int = Field(default=4, ge=2, le=50)
    """Repeats of the cell in which formation and binding energies are found."""

    @property
    def hop(self) -> BarrierSettings:
        """How the band of each hop is relaxed, with its number of images."""
        return self.band.narrowed(BarrierSettings, images=self.images)


def study_vacancies(
    potentials: Mapping[str, Opened], task: VacancyTask, out: Path, *, progress: Progress = SILENT
) -> VacanciesResult:
    """Return what ``vacancies.json`` then says: hops by number of vacancies and cell, and energies of defects.

    What is finished is kept; the same call goes on where a broken one was.

    Parameters
    ----------
    potentials
        The fidelities to put side by side, by name.
    task
        The layer, the rows, and what to do with each fidelity.
    out
        The folder of bands and results.
    progress
        Where work is reported.

    Raises
    ------
    ConfigError
        When a chemical potential is of another fidelity.
    DataError
        When the folder holds other work, such as that of another potential.
    """
    for name in task.chemical_potentials:
        if name not in potentials:
            raise ConfigError(one_of(name, potentials, "fidelity of a chemical potential"))
    identity = {
        "monolayer": content_hash(task.monolayer.model_dump_json()),
        "setting": content_hash(task.hop.deciding("max_steps", "endpoint_steps")),
    }
    with FOLDER.open(out, potentials, identity, reads=task):
        result = VacanciesResult(
            monolayer=MonolayerEntry.model_validate(task.monolayer.model_dump()),
            hops=tuple(
                _converged(potential, count, way, task, out, progress)
                for potential in potentials.values()
                for way in task.ways
                for count in task.counts
            ),
            defects=tuple(_defects(potential, task, out, progress) for potential in potentials.values()),
            chemical_potentials=task.chemical_potentials,
        )
        result.write(out / VACANCIES_FILE)
        write_vacancy_report(out)
    return result


def _converged(potential: Opened, count: int, way: Way, task: VacancyTask, out: Path, progress: Progress) -> RowHop:
    """Return the barrier of a row of ``count`` vacancies in larger and larger cells until it stands still."""
    cells: list[HopInCell] = []
    converged = False
    for margin in range(task.margin, task.most + 1):
        cells.append(_in_cell(potential, count, way, margin, task, out, progress))
        if cells[-1].reason:
            break
        if len(cells) > 1 and abs(cells[-1].per_atom - cells[-2].per_atom) < task.tolerance:
            converged = True
            break
    last = cells[-1]
    single = "only one size of cell was tried" if len(cells) == 1 else ""
    moving = f"the barrier still changes by more than {task.tolerance} eV with the cell"
    return RowHop(
        fidelity=potential.fidelity,
        vacancies=count,
        way=way,
        barrier=last.barrier,
        per_atom=last.per_atom,
        stderr=last.stderr,
        stderr_total=last.stderr_total,
        size=last.size,
        converged=converged,
        reason=last.reason or ("" if converged else single or moving),
        cells=tuple(cells),
        domain=last.domain,
        outside=last.outside,
    )


def _in_cell(
    potential: Opened, count: int, way: Way, margin: int, task: VacancyTask, out: Path, progress: Progress
) -> HopInCell:
    size = (count + margin, 1 + margin)
    folder = out / potential.fidelity / way / f"{count}-vacancies" / f"{size[0]}x{size[1]}"
    # what decides the number; more steps may be allowed to a band that did not converge
    key = content_hash(task.monolayer.model_dump_json(), task.hop.deciding("max_steps"))
    before = _finished(folder / HOP_FILE)
    if before is not None and before.key == key and not before.reason and _is_of(before, folder, potential):
        return before
    hops = _hops(task.monolayer, size, count, way)
    bands: list[Barrier] = []
    with progress.task(
        f"{potential.fidelity}, {counted(count, 'vacancy', 'vacancies')}, {way}, {size[0]}x{size[1]}", len(hops)
    ) as steps:
        for index, hop in enumerate(hops):
            bands.append(_band(hop, bands, potential, task.hop, folder / f"hop-{index}", progress))
            steps.advance()
            if not bands[-1].converged:
                break
    barrier, per_atom, bar, reason = _highest(bands, count, potential)
    standing = standing_of(potential, {} if reason else _ends_of_barrier(bands))
    result = HopInCell(
        key=key,
        potential=potential.fingerprint,
        size=size,
        atoms=len(hops[0].initial),
        barrier=barrier,
        per_atom=per_atom,
        stderr=bar.weights,
        stderr_total=bar.total,
        reason=reason,
        domain=standing.domain,
        outside=standing.reasons,
    )
    result.write(folder / HOP_FILE)
    return result


def _finished(file: Path) -> HopInCell | None:
    """Return the result of a hop; None where there is none, or a damaged one, which is set aside."""
    try:
        return HopInCell.read_optional(file)
    except StorageError as error:
        set_aside(file, str(error))
        return None


def _hops(monolayer: Monolayer, size: tuple[int, int], count: int, way: Way) -> tuple[Hop, ...]:
    layer = monolayer.build(size)
    if way == "sequential":
        return sequential_hops(layer, monolayer.chalcogen, size, count)
    return (concerted_hop(layer, monolayer.chalcogen, size, count),)


def _is_of(hop: HopInCell, folder: Path, potential: Opened) -> bool:
    """Return whether a finished hop is of ``potential``.

    Of a user's function, whose fingerprint does not know its code, and of rung 0.1, which did not write any, the energy
    of a structure says so.
    """
    if hop.potential and (hop.potential != potential.fingerprint or potential.known):
        return hop.potential == potential.fingerprint
    kept = BandFolder(folder / "hop-0")
    stored = kept.shown("initial")
    if stored is None:
        return False
    now = stored[0].copy()
    now.calc = potential.calculator
    kept.check_energy(Stand.of(stored, 0, 0, {}), now, "initial")
    return True


def _band(
    hop: Hop, before: Sequence[Barrier], potential: Opened, settings: BarrierSettings, folder: Path, progress: Progress
) -> Barrier:
    # a hop begins at the relaxed end of the one before, so that all lie on one path
    initial = before[-1].images[-1].copy() if before else hop.initial
    return relaxed_barrier(
        initial,
        hop.final,
        potential.calculator,
        settings,
        folder=folder,
        progress=progress,
        error_bars=potential.error_bars,
    )


def _highest(bands: Sequence[Barrier], count: int, potential: Opened) -> tuple[float, float, Bar, str]:
    """Return the highest point of a chain of bands above its beginning, that for each atom, its bar, and no reason.

    Where a band did not converge there are no numbers, and the reason is its own.
    """
    reason = next((band.reason for band in bands if not band.converged), "")
    if reason:
        return nan, nan, UNKNOWN, reason
    start = bands[0]
    tops = [float(band.energies.max() - start.energies[0]) for band in bands]
    top = int(np.argmax(tops))
    bar = UNKNOWN
    if potential.error_bars is not None:
        bar = potential.error_bars.difference(bands[top].images[bands[top].saddle], start.images[0])
    # one after the other, the highest point is reached with one atom on its way; at once, with all of them
    shared = count if len(bands) == 1 else 1
    return tops[top], tops[top] / shared, bar, ""


def _ends_of_barrier(bands: Sequence[Barrier]) -> dict[str, Atoms]:
    """Return the two structures whose energies a barrier is the difference of, by name."""
    top = max(bands, key=lambda band: float(band.energies.max()))
    return {"highest image": top.images[top.saddle], "first image": bands[0].images[0]}


def _defects(potential: Opened, task: VacancyTask, out: Path, progress: Progress) -> Defects:
    """Return energies of formation and binding of one and two vacancies, each with its error bar."""
    energies: list[EnergyOfDefect] = []
    refused, standing = "", Standing(())
    chemical = task.chemical_potentials.get(potential.fidelity)
    try:
        layers = _relaxed_layers(potential, task, out, progress)
        standing = standing_of(potential, layers)
        energies += _binding(layers, potential)
        if chemical is not None:
            energies += _formation(layers, potential, chemical)
    except DataError as error:  # the hops, which took much longer, and binding energies stand without it
        refused = str(error)
    return Defects(
        fidelity=potential.fidelity,
        size=(task.defect_margin, task.defect_margin),
        chemical_potential=chemical,
        energies=tuple(
            DefectEnergy(name=energy.name, value=energy.value, stderr=energy.bar.weights, stderr_total=energy.bar.total)
            for energy in energies
        ),
        refused=refused,
        domain=standing.domain,
        outside=standing.reasons,
    )


def _relaxed_layers(potential: Opened, task: VacancyTask, out: Path, progress: Progress) -> dict[str, Atoms]:
    """Return the perfect layer, and the layer with one vacancy and with two, relaxed."""
    size = (task.defect_margin, task.defect_margin)
    layer, chalcogen = task.monolayer.build(size), task.monolayer.chalcogen
    layers = {
        "perfect": layer,
        "single": without(layer, row_sites(layer, chalcogen, size, 1)),
        "neighbours": without(layer, row_sites(layer, chalcogen, size, 2)),
        "column": without(layer, column_sites(layer, chalcogen)),
    }
    folder = out / potential.fidelity / "defects"
    with progress.task(f"{potential.fidelity}, defects", len(layers)) as steps:
        for name, atoms in layers.items():
            layers[name] = _relaxed_layer(atoms, potential.calculator, task, folder, name)
            steps.advance()
    return layers


def _relaxed_layer(atoms: Atoms, calculator: Any, task: VacancyTask, folder: Path, name: str) -> Atoms:
    """Return ``atoms`` relaxed; ``folder`` keeps where the relaxation stands, and the layer for people."""
    state: Path | None = folder / f"{name}.npz"
    before = None if (folder / f"{name}.npz").exists() else BandFolder(folder).shown(name)
    if before is not None and len(before[0]) == len(atoms) and np.allclose(before[0].cell.array, atoms.cell.array):
        atoms, state = before[0], None  # rung 0.1 left no more, and its layer stays
    layer = relaxed(atoms, calculator, fmax=task.band.endpoint_fmax, steps=task.band.max_steps, state=state)
    with atomic_path(folder / f"{name}.traj") as temporary:
        write(temporary, layer, format="traj")
    return layer


def _binding(layers: Mapping[str, Atoms], potential: Opened) -> list[EnergyOfDefect]:
    return [
        binding_energy(
            layers["perfect"],
            layers["single"],
            layers[name],
            potential.calculator,
            name=f"binding of two vacancies, {name}",
            error_bars=potential.error_bars,
        )
        for name in ("neighbours", "column")
    ]


def _formation(layers: Mapping[str, Atoms], potential: Opened, chemical: float) -> list[EnergyOfDefect]:
    return [
        formation_energy(
            layers["perfect"],
            layers[name],
            potential.calculator,
            chemical,
            name=f"formation, {name}",
            error_bars=potential.error_bars,
        )
        for name in ("single", "neighbours", "column")
    ]


TASK = Task(
    name="vacancies",
    note="Barriers are converged in cell size. What was finished is kept; the same command goes on where a broken one "
    "was. Exit code 1: some number is missing or not converged in cell size.",
    kept="What was finished is kept in",
    example="rung vacancies runs/mos2/model.rung --fidelity pbe r2scan --metal Mo --chalcogen S --counts 1 2 3",
    potential=SeveralFidelities,
    settings=VacancyTask,
    work=study_vacancies,
    summary=vacancy_summary,
    json=VacanciesResult.as_json,
)
