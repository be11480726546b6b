"""A study of chalcogen vacancies in a monolayer: hops of rows, converged in cell size, and what vacancies cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.io import read, write
from pydantic import Field

from rung.errors import ConfigError, DataError, one_of
from rung.evaluate.error_bars import UNKNOWN
from rung.evaluate.paths.band_folder import BandFolder
from rung.evaluate.paths.barrier import Barrier, BarrierSettings, relaxed_barrier
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
from rung.progress import SILENT, Progress
from rung.report.tasks.vacancies import PAGE, write_vacancy_report
from rung.settings import Settings
from rung.storage import atomic_path, content_hash, read_json, write_json
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened

RESULT = "vacancies.json"
FOLDER = TaskFolder("vacancies", (RESULT, PAGE), begun=(RESULT, "*/*/*-vacancies", "*/defects"))

Way = Literal["concerted", "sequential"]


class VacancyTask(Settings):
    """What ``rung vacancies`` does with each fidelity."""

    monolayer: Monolayer = Monolayer()
    """The layer."""
    counts: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    """Numbers of vacancies in a row whose hops are found."""
    ways: tuple[Way, ...] = ("concerted",)
    """All atoms of the row at once, or one after the other."""
    margin: int = Field(default=2, ge=2)
    """Repeats of the first cell beyond the row, both ways: n vacancies in (n + margin) × (1 + margin) cells."""
    most: int = Field(default=4, ge=2)
    """No cell has a larger margin."""
    tolerance: float = Field(default=0.02, gt=0)
    """The barrier for each atom counts as converged where a larger cell changes it by less, eV."""
    band: BarrierSettings = BarrierSettings(images=5)
    """How a band is relaxed."""
    chemical_potentials: Mapping[str, float] = Field(default_factory=dict)
    """μ of the chalcogen for each fidelity, eV an atom, on its scale of energies; absent: no formation energy."""
    defect_margin: int = Field(default=4, ge=2)
    """Repeats of the cell in which formation and binding energies are found."""


def study_vacancies(
    potentials: Mapping[str, Opened],
    out: Path,
    task: VacancyTask,
    *,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Return what ``vacancies.json`` then says: hops by number of vacancies and cell, and energies of defects.

    What is finished is kept; the same call goes on where a broken one was.

    Parameters
    ----------
    potentials
        The fidelities to put side by side, by name.
    out
        The folder of bands and results.
    task
        What to do with each.
    progress
        Where work is reported.

    Raises
    ------
    ConfigError
        When a chemical potential is of another fidelity.
    """
    for name in task.chemical_potentials:
        if name not in potentials:
            raise ConfigError(one_of(name, potentials, "fidelity of a chemical potential"))
    identity = {
        "monolayer": content_hash(task.monolayer.model_dump_json()),
        "setting": content_hash(task.band.model_dump_json(exclude={"max_steps", "endpoint_steps"})),
    }
    with FOLDER.open(out, potentials, identity):
        hops = [
            _converged(potential, count, way, task, out, progress)
            for potential in potentials.values()
            for way in task.ways
            for count in task.counts
        ]
        defects = [_defects(potential, task, out, progress) for potential in potentials.values()]
        content = {
            "monolayer": task.monolayer.model_dump(),
            "hops": hops,
            "defects": defects,
            "chemical_potentials": task.chemical_potentials,
        }
        write_json(out / RESULT, content)
        write_vacancy_report(out)
    return content


def _converged(
    potential: Opened, count: int, way: Way, task: VacancyTask, out: Path, progress: Progress
) -> dict[str, Any]:
    """Return the barrier of a row of ``count`` vacancies in larger and larger cells until it stands still."""
    cells: list[dict[str, Any]] = []
    converged = False
    for margin in range(task.margin, task.most + 1):
        cells.append(_in_cell(potential, count, way, margin, task, out, progress))
        if cells[-1]["reason"]:
            break
        if len(cells) > 1 and abs(cells[-1]["per_atom"] - cells[-2]["per_atom"]) < task.tolerance:
            converged = True
            break
    last = cells[-1]
    unknown = "only one size of cell was tried" if len(cells) == 1 else ""
    moving = f"the barrier still changes by more than {task.tolerance} eV with the cell"
    reason = last["reason"] or ("" if converged else unknown or moving)
    return {
        "fidelity": potential.fidelity,
        "vacancies": count,
        "way": way,
        **{key: last[key] for key in ("barrier", "per_atom", "stderr", "stderr_total", "size")},
        "converged": converged,
        "reason": reason,
        "cells": cells,
    }


def _in_cell(
    potential: Opened, count: int, way: Way, margin: int, task: VacancyTask, out: Path, progress: Progress
) -> dict[str, Any]:
    size = (count + margin, 1 + margin)
    layer = task.monolayer.build(size)
    chalcogen = task.monolayer.chalcogen
    folder = out / potential.fidelity / way / f"{count}-vacancies" / f"{size[0]}x{size[1]}"
    result = folder / "hop.json"
    # what decides the number; more steps may be allowed to a band that did not converge
    key = content_hash(task.monolayer.model_dump_json(), task.band.model_dump_json(exclude={"max_steps"}))
    if result.exists():
        before = read_json(result)
        if before["key"] == key and not before["reason"] and _is_of(before, folder, potential):
            return {name: value if value is not None else float("nan") for name, value in before.items()}
    hops = (
        sequential_hops(layer, chalcogen, size, count)
        if way == "sequential"
        else (concerted_hop(layer, chalcogen, size, count),)
    )
    bands: list[Barrier] = []
    with progress.task(f"{potential.fidelity}, {count} vacancies, {way}, {size[0]}x{size[1]}", len(hops)) as steps:
        for index, hop in enumerate(hops):
            bands.append(_band(hop, bands, potential, task.band, folder / f"hop-{index}", progress))
            steps.advance()
            if not bands[-1].converged:
                break
    found = {
        "key": key,
        "potential": potential.fingerprint,
        "size": list(size),
        "atoms": len(hops[0].initial),
        **_summary(bands, count, potential),
    }
    write_json(result, found)
    return found


def _is_of(hop: Mapping[str, Any], folder: Path, potential: Opened) -> bool:
    """Return whether a finished hop is of ``potential``; of rung 0.1, which did not write it, the energy says so."""
    if hop.get("potential") is not None:
        return bool(hop["potential"] == potential.fingerprint)
    kept = BandFolder(folder / "hop-0")
    stored = kept.read("initial")
    if stored is None:
        return False
    now = stored[0].copy()
    now.calc = potential.calculator
    kept.check_energy(stored[0], now, "initial")
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


def _summary(bands: Sequence[Barrier], count: int, potential: Opened) -> dict[str, Any]:
    """Return the highest point of a chain of bands above its beginning, and what it is for each atom."""
    failed = next((band.reason for band in bands if not band.converged), "")
    if failed:
        nothing = float("nan")
        return {
            "barrier": nothing,
            "per_atom": nothing,
            "stderr": nothing,
            "stderr_total": nothing,
            "reason": failed,
        }
    start = bands[0]
    tops = [float(band.energies.max() - start.energies[0]) for band in bands]
    top = int(np.argmax(tops))
    bar = UNKNOWN
    if potential.error_bars is not None:
        bar = potential.error_bars.difference(bands[top].images[bands[top].saddle], start.images[0])
    # one after the other, the highest point is reached with one atom on its way; at once, with all of them
    shared = count if len(bands) == 1 else 1
    return {
        "barrier": tops[top],
        "per_atom": tops[top] / shared,
        "stderr": bar.weights,
        "stderr_total": bar.total,
        "reason": "",
    }


def _defects(potential: Opened, task: VacancyTask, out: Path, progress: Progress) -> dict[str, Any]:
    """Return energies of formation and binding of one and two vacancies, each with its error bar."""
    size = (task.defect_margin, task.defect_margin)
    layer, chalcogen = task.monolayer.build(size), task.monolayer.chalcogen
    sites = {
        "single": row_sites(layer, chalcogen, size, 1),
        "neighbours": row_sites(layer, chalcogen, size, 2),
        "column": column_sites(layer, chalcogen),
    }
    structures = {"perfect": layer, **{name: without(layer, taken) for name, taken in sites.items()}}
    chemical = task.chemical_potentials.get(potential.fidelity)
    common = {"fidelity": potential.fidelity, "size": list(size), "chemical_potential": chemical}
    with progress.task(f"{potential.fidelity}, defects", len(structures)) as steps:
        done = {}
        for name, atoms in structures.items():
            try:
                done[name] = _kept(
                    atoms, potential.calculator, task, out / potential.fidelity / "defects" / f"{name}.traj"
                )
            except DataError as error:  # the hops, which took much longer, stand without it
                return {**common, "energies": [], "refused": str(error)}
            steps.advance()
    energies = [
        binding_energy(
            done["perfect"],
            done["single"],
            done[name],
            potential.calculator,
            name=f"binding of two vacancies, {name}",
            error_bars=potential.error_bars,
        )
        for name in ("neighbours", "column")
    ]
    refused = ""
    if chemical is not None:
        try:
            energies += _formation(done, potential, chemical)
        except DataError as error:  # binding energies stand without it
            refused = str(error)
    return {**common, "energies": [_plain(energy) for energy in energies], "refused": refused}


def _kept(atoms: Atoms, calculator: Any, task: VacancyTask, file: Path) -> Atoms:
    """Return ``atoms`` relaxed, beginning where ``file`` left them if it is of the same structure."""
    start = atoms
    if file.exists():
        before = read(file, format="traj")
        if len(before) == len(atoms) and np.allclose(before.cell.array, atoms.cell.array):
            start = before
    done = relaxed(start, calculator, fmax=task.band.endpoint_fmax, steps=task.band.max_steps)
    with atomic_path(file) as temporary:
        write(temporary, done, format="traj")
    return done


def _formation(done: Mapping[str, Atoms], potential: Opened, chemical: float) -> list[EnergyOfDefect]:
    return [
        formation_energy(
            done["perfect"],
            done[name],
            potential.calculator,
            chemical,
            name=f"formation, {name}",
            error_bars=potential.error_bars,
        )
        for name in ("single", "neighbours", "column")
    ]


def _plain(energy: EnergyOfDefect) -> dict[str, Any]:
    return {
        "name": energy.name,
        "value": energy.value,
        "stderr": energy.bar.weights,
        "stderr_total": energy.bar.total,
    }
