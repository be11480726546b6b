"""What is shown of a folder of labels: a table, what the labels cost, and a sentence for each structure without one."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rung.label.labelling import Labelling
from rung.label.plan import STRUCTURES
from rung.label.writing import ALL_FILE, LABELS_FILE, TABLE_FILE
from rung.report.summary import Summary, Table, number
from rung.results.label import LabelEntry

SHOWN = 40
"""Labels that a table shows."""

_HEADINGS = ("structure", "energy (eV)", "σ (eV)", "σ wanted (eV)", "independent", "CPU time (s)")


def summary_of(made: Labelling) -> Summary:
    """Return the labels of a folder, and what is missing."""
    entries = made.labelled.entries
    done = [entry for entry in entries if entry.state == "labelled"]
    table = Table(f"Labels of {made.labelled.fidelity}", _HEADINGS, [_row(entry) for entry in done[:SHOWN]])
    warnings = [f"{entry.structure_id}: {text}." for entry in done for text in entry.warnings]
    return Summary(
        (table,) if done else (),
        tuple(_sentences(made, done)),
        tuple(warnings),
        tuple(f"{name}: {sentence}" for name, sentence in made.failed.items()),
    )


def _row(entry: LabelEntry) -> tuple[str, ...]:
    ends = number(entry.independent, 0), number(entry.cpu_seconds, 1)
    return (
        entry.structure_id,
        number(entry.energy, 5),
        number(entry.energy_stderr, 5),
        number(entry.stderr_wanted, 5),
        *ends,
    )


def _sentences(made: Labelling, done: list[LabelEntry]) -> Iterator[str]:
    if len(done) > SHOWN:
        yield f"The first {SHOWN} of {len(done)} are shown; {made.folder / LABELS_FILE} has all."
    if done:
        cpu = float(np.nansum([entry.cpu_seconds for entry in done]))
        yield f"{len(done)} labelled, {made.n_new} of them now; {cpu:.3g} s of processor time. Wrote {made.file}."
    others = {"failed": len(made.failed), "waiting": len(made.waiting)}
    others["not computed yet"] = sum(entry.state == "missing" for entry in made.labelled.entries)
    if any(others.values()):
        yield ", ".join(f"{count} {word}" for word, count in others.items() if count) + "."
    if made.failed:
        yield "What did not converge is computed again with --retry alone; the next call tries all other failures."
    if made.waiting:
        shown = ", ".join(made.waiting[:5]) + (", …" if len(made.waiting) > 5 else "")
        yield (
            f"Inputs of {shown} are written in their folders below {made.folder / STRUCTURES}. Run them there, then "
            "give the same command again: it takes the outputs. Or look at all of them with:"
        )
        yield (
            f"rung collect {_quoted(made.folder / STRUCTURES)} --structures {_quoted(made.folder / ALL_FILE)} "
            f"--table {_quoted(made.folder / TABLE_FILE)} --fidelity {made.labelled.fidelity} --out collected.extxyz"
        )
    if done:
        yield f"Check them with: rung doctor {_quoted(made.file)}"


def _quoted(path: Path) -> str:
    return shlex.quote(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path))
