"""What a folder of labels holds for people and for a fit: each structure, and one file of all labelled ones."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.data.labels import Labels
from rung.data.readers.structures import read_structures, text_of, write_structures
from rung.data.structure import Structure
from rung.errors import DataError, counted
from rung.label.plan import Piece, failure, made_in
from rung.label.work import LabelArguments
from rung.results.label import LabelEntry, Labelled, LabelRecord, LabelState
from rung.results.metrics import METRICS_FILE
from rung.storage import write_text

LABELS_FILE, STRUCTURE_FILE = "labels.extxyz", "structure.extxyz"

ALL_FILE, TABLE_FILE = "structures.extxyz", "outputs.csv"
"""All structures, and the folder of each, for ``rung collect``."""

_NO_FAILURE: Mapping[str, LabelState] = {"": "missing", "WaitingError": "waiting"}
"""What a structure without a label is by the kind of its error, where nothing failed."""


def write_structure(piece: Piece) -> None:
    """Write the structure of a piece of work into its folder, unless it stands there."""
    path, text = piece.folder / STRUCTURE_FILE, text_of(piece.structure)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def entry_of(piece: Piece) -> LabelEntry:
    """Return what became of a piece of work."""
    label = piece.label
    if label is not None:
        return _entry_of_label(piece, LabelRecord.read(label.result))
    error = failure(piece.job)
    nan = float("nan")
    return LabelEntry(
        structure_id=piece.structure.structure_id,
        folder=_place(piece),
        state=_NO_FAILURE.get(error.kind, "failed"),
        sentence=error.sentence,
        energy=nan,
        energy_stderr=nan,
        stderr_wanted=nan,
        independent=nan,
        cpu_seconds=nan,
        warnings=(),
    )


def _entry_of_label(piece: Piece, record: LabelRecord) -> LabelEntry:
    arguments, sentence = piece.job.arguments, ""
    wanted, warnings = record.stderr_wanted, record.warnings
    if piece.label is not piece.job and isinstance(arguments, LabelArguments) and arguments.stderr is not None:
        wanted, error = arguments.stderr, failure(piece.job)
        if error.kind in _NO_FAILURE:
            warnings = (*warnings, f"{wanted:g} eV was asked for since: {error.sentence.rstrip('.')}")
        else:
            sentence = f"{error.sentence} Its label of {record.stderr_wanted:g} eV, made before, is kept."
    return LabelEntry(
        structure_id=piece.structure.structure_id,
        folder=_place(piece),
        state="labelled",
        sentence=sentence,
        energy=record.energy,
        energy_stderr=record.energy_stderr,
        stderr_wanted=wanted,
        independent=record.independent,
        cpu_seconds=record.cpu_seconds,
        warnings=warnings,
    )


def _place(piece: Piece) -> str:
    return f"{piece.folder.parent.name}/{piece.folder.name}"


def still_there(out: Path, entry: LabelEntry) -> LabelEntry:
    """Return what an earlier call said of a structure, unless somebody removed its label since."""
    if entry.state != "labelled" or (made_in(out / entry.folder) / METRICS_FILE).exists():
        return entry
    return entry.model_copy(update={"state": "missing", "sentence": "Its label was removed."})


def write_labels(out: Path, told: Labelled, structures: Mapping[str, Structure]) -> dict[str, LabelRecord]:
    """Write all labelled structures of a folder into one file, and return their labels by name.

    Parameters
    ----------
    out
        The folder.
    told
        What it holds.
    structures
        Those that are in memory; others are read from their folders.
    """
    records: dict[str, LabelRecord] = {}
    frames = []
    for entry in told.entries:
        if entry.state != "labelled":
            continue
        record = LabelRecord.read(made_in(out / entry.folder) / METRICS_FILE)
        structure = structures.get(entry.structure_id) or _read(out / entry.folder / STRUCTURE_FILE)
        records[entry.structure_id] = record
        frames.append(labelled(structure, record, told.fidelity, entry.folder))
    if frames:
        write_structures(out / LABELS_FILE, frames)
    return records


def write_for_collect(out: Path, told: Labelled) -> None:
    """Write what ``rung collect`` needs to take all outputs of a folder at once: the structures, and whose each is."""
    table = io.StringIO()
    rows = [(entry.folder, entry.structure_id) for entry in told.entries]
    csv.writer(table, lineterminator="\n").writerows([("path", "structure_id"), *rows])
    write_text(out / TABLE_FILE, table.getvalue())
    files = [out / entry.folder / STRUCTURE_FILE for entry in told.entries]
    write_structures(out / ALL_FILE, [_read(file) for file in files if file.exists()])


def labelled(structure: Structure, record: LabelRecord, fidelity: str, source: str) -> Structure:
    """Return a structure with its label and what this stands on."""
    empty = structure.labelled(fidelity)
    labels = Labels(
        energy=record.energy,
        energy_stderr=record.energy_stderr,
        forces=np.array(record.forces, dtype=float) if record.forces else empty.forces,
        forces_stderr=empty.forces_stderr,
        stress=np.array(record.stress, dtype=float) if record.stress else empty.stress,
    )
    made: dict[str, Any] = {
        f"{fidelity}_program": record.program,
        f"{fidelity}_method": record.method,
        f"{fidelity}_sources": source,
    }
    if np.isfinite(record.independent):
        made[f"{fidelity}_n_independent"] = round(record.independent, 1)
    return replace(structure, labels={**structure.labels, fidelity: labels}, info={**structure.info, **made})


def _read(path: Path) -> Structure:
    structures = read_structures(path)
    if len(structures) != 1:
        raise DataError(
            f"{path} holds {counted(len(structures), 'structure')} and should hold one; restore or remove its folder."
        )
    return structures[0]
