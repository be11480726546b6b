"""``rung collect``: outputs of other programs to energies with errors, one sentence for each that gives none."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rung import __version__
from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.corrections import MPC
from rung.collect.finding import Candidate, Found, find_outputs
from rung.collect.grouping import (
    Group,
    by_calculation,
    calculations_of,
    matched,
    with_forces_in_place,
    with_own_structures,
)
from rung.collect.matching import ByGeometry, ByName, Checked, Matcher, read_table
from rung.collect.merging import merged, require_ours, require_unlabelled, rows_of, write_collected
from rung.collect.output import Total
from rung.collect.settings import CollectSettings
from rung.collect.tables import TableMeaning, read_all
from rung.collect.units import ENERGY
from rung.data.energy_table import write_energy_table
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.fidelity import Fidelity
from rung.progress import SILENT, Progress
from rung.results.collected import Collected, CollectedLabel, RefusedOutput
from rung.settings import paths_in


def collect(settings: CollectSettings, *, progress: Progress = SILENT) -> Collected:
    """Read outputs, average them, and with ``out`` write them onto structures.

    Parameters
    ----------
    settings
        Which outputs, how, and where to.
    progress
        Where long work reports.

    Raises
    ------
    ConfigError
        When the settings do not go together.
    DataError
        When structures or the table cannot be used. What is wrong with one output is in the result.
    StorageError
        When the file of labels may not or cannot be written.
    """
    _require_together(settings)
    structures: Sequence[Structure] = read_structures(settings.structures) if settings.structures else ()
    before: tuple[str, ...] = ()
    if settings.out is not None and settings.fidelity is not None:
        before = require_ours(settings.out, paths_in((settings.paths, settings.structures, settings.table)))
        require_unlabelled(structures, settings.fidelity)
    if settings.columns:
        return _from_tables(settings, structures, before)
    matcher = _matcher(settings, structures)
    found = find_outputs(settings.paths, series=settings.series, progress=progress)
    outputs, unread = _read(found.outputs, progress)
    unmatched: list[RefusedOutput] = []
    if matcher is not None:
        groups, unmatched = matched(outputs, matcher, structures, settings.cells)
    elif settings.out is not None and not settings.writes_table:
        groups, structures, unmatched = with_own_structures(outputs)
    else:
        groups = by_calculation(outputs, settings.join)
    labels, unaveraged = _averaged(groups, settings)
    labels = with_forces_in_place(labels, groups, structures)
    if not settings.structures:
        labelled = {label.structure_id for label in labels}
        structures = [structure for structure in structures if structure.structure_id in labelled]
    collected = _collected(settings, structures, found, labels, [*unread, *unmatched, *unaveraged])
    return _written(settings, structures, collected, calculations_of(groups), before)


def _written(
    settings: CollectSettings,
    structures: Sequence[Structure],
    collected: Collected,
    calculations: Mapping[str, Total],
    before: tuple[str, ...],
) -> Collected:
    """Write the labels onto structures or into a table, where a file is asked for and there are any."""
    out, fidelity, labels = settings.out, settings.fidelity, collected.labels
    if out is None or fidelity is None or not labels:
        return collected
    if settings.writes_table:
        rows = rows_of(labels, fidelity)
        return write_collected(out, lambda path: write_energy_table(path, rows), collected, before)
    if differences := [label.name for label in labels if label.minus_structure_id]:
        raise ConfigError(f"{differences[0]} is a label of no structure: --out needs a name that ends in .csv.")
    frames = merged(structures, labels, fidelity, calculations, settings.level)
    return write_collected(out, lambda path: write_structures(path, frames), collected, before)


def _from_tables(settings: CollectSettings, structures: Sequence[Structure], before: tuple[str, ...]) -> Collected:
    """Take the labels of tables, where outputs need not be read."""
    if settings.unit is None:
        raise ConfigError("--columns needs --unit, the unit of the energies in the table, such as hartree.")
    given = {
        "--series": settings.series,
        "--level": settings.level,
        "--join": settings.join,
        "--mpc": settings.mpc,
        "--table": settings.table,
        "--equilibration": settings.equilibration is not None,
        "--twist-weights": settings.twist_weights,
    }
    if idle := [name for name, value in given.items() if value]:
        raise ConfigError(f"{idle[0]} is of outputs, and --columns reads finished energies of tables; leave one out.")
    if not settings.paths:
        raise DataError("No table was named.")
    stderr = float("nan") if settings.stderr is None else settings.stderr
    meaning = TableMeaning(settings.columns, ENERGY[settings.unit], settings.cells, settings.correction, stderr)
    names = frozenset(structure.structure_id for structure in structures)
    labels, refused = read_all(settings.paths, meaning, names)
    collected = _collected(settings, structures, Found((), (), 0), labels, refused)
    return _written(settings, structures, collected, {}, before)


def _require_together(settings: CollectSettings) -> None:
    if settings.fidelity is not None:
        Fidelity(settings.fidelity)
    if settings.out is not None and not settings.fidelity:
        raise ConfigError("--out writes labels onto structures: it needs --fidelity, what the labels are called.")
    differ = "minus" in settings.columns
    if differ and settings.out is not None and not settings.writes_table:
        raise ConfigError("Differences are labels of no structure: --out needs a name that ends in .csv.")
    if settings.out is not None and settings.columns and not settings.structures and not settings.writes_table:
        raise ConfigError("A table holds no geometry: --out needs --structures, the files of the structures.")
    if settings.table is not None and not settings.structures and not settings.writes_table:
        raise ConfigError("--table says which structures outputs belong to: it needs --structures, the files of these.")


def _matcher(settings: CollectSettings, structures: Sequence[Structure]) -> Matcher | None:
    names = frozenset(structure.structure_id for structure in structures)
    if settings.table is not None and not structures:
        return read_table(settings.table, ())
    if settings.table is not None:
        return Checked(read_table(settings.table, names), structures)
    return ByGeometry(structures, ByName(names)) if structures else None


def _read(candidates: Sequence[Candidate], progress: Progress) -> tuple[list[ReadOutput], list[RefusedOutput]]:
    outputs, refused = [], []
    with progress.task("Reading outputs", len(candidates)) as task:
        for candidate in candidates:
            try:
                outputs.append(ReadOutput(candidate, candidate.reader.read(candidate.path)))
            except DataError as error:
                refused.append(RefusedOutput(file=str(candidate.path), sentence=str(error)))
            task.advance()
    return outputs, refused


def _averaged(
    groups: Sequence[Group], settings: CollectSettings
) -> tuple[tuple[CollectedLabel, ...], list[RefusedOutput]]:
    how = Averaging(
        equilibration=settings.equilibration,
        twist_weights=settings.twist_weights,
        join=settings.join,
        columns=(MPC,) if settings.mpc else (),
        constants=settings.correction,
        level=settings.level,
        stderr=float("nan") if settings.stderr is None else settings.stderr,
    )
    labels, refused = [], []
    for group in groups:
        cells = group.cells if group.structure_id else settings.cells
        try:
            own = replace(how, constants={}) if group.minus else how  # what is added to both cancels
            label = average(group.name, group.structure_id, group.outputs, own, cells)
            told = {"minus_structure_id": group.minus, "correlation": group.correlation}
            labels.append(label.model_copy(update=told))
        except DataError as error:
            refused.append(RefusedOutput(file=group.name, sentence=str(error)))
    return tuple(labels), refused


def _collected(
    settings: CollectSettings,
    structures: Sequence[Structure],
    found: Found,
    labels: tuple[CollectedLabel, ...],
    refused: Sequence[RefusedOutput],
) -> Collected:
    labelled = {label.structure_id for label in labels}
    return Collected(
        fidelity=settings.fidelity or "",
        labels=labels,
        refused=(*found.refused, *refused),
        passed_over=found.passed_over,
        unlabelled=tuple(one.structure_id for one in structures if one.structure_id not in labelled),
        shared_stderr=dict(settings.shared_stderr),
        energy_shared_stderr=_in_quadrature(settings.shared_stderr),
        warnings=_of_all(labels) if structures else (),
        out="",
        out_hashes=(),
        command=shlex.join(sys.argv),
        rung=__version__,
    )


def _in_quadrature(errors: Mapping[str, float]) -> float:
    return float(np.sqrt(sum(value**2 for value in errors.values())))


def _of_all(labels: Sequence[CollectedLabel]) -> tuple[str, ...]:
    """Return what is doubtful about labels as one set: not all of them may have been made alike."""
    found = []
    methods = sorted({run.method or "unknown" for label in labels for run in label.runs})
    if len(methods) > 1:
        found.append(f"The energies come from different methods ({', '.join(methods)}); they are no one fidelity.")
    twists = sorted({sum(run.twist is not None for run in label.runs) for label in labels})
    if len(twists) > 1:
        found.append(f"The energies are averages of different numbers of twists ({', '.join(map(str, twists))}).")
    return tuple(found)
