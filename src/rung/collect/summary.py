"""What is shown of collected labels: a table with the equilibration of each run, and a sentence for each trouble."""

import os
from collections.abc import Iterator
from pathlib import Path

from rung.errors import counted
from rung.report.summary import UNKNOWN, Summary, Table, number
from rung.results.collected import Collected, CollectedLabel

_HEADINGS = ("output", "structure", "rows", "left out", "per sample", "independent", "energy (eV)", "σ (eV)")


def summary_of(collected: Collected) -> Summary:
    """Return the energies, what they stand on, and what is wrong with them."""
    root = _root(collected)
    table = Table("Energies", _HEADINGS, [row for label in collected.labels for row in _rows(label, root)], n_names=2)
    sentences = []
    if collected.labels and (collected.refused or collected.passed_over):
        counts = f"{len(collected.refused)} refused, {counted(collected.passed_over, 'other file')} passed over"
        sentences.append(f"{counted(len(collected.labels), 'energy', 'energies')}; {counts}.")
    if collected.out:
        sentences.append(f"Wrote {collected.out}.")
    if collected.unlabelled:
        shown = ", ".join(collected.unlabelled[:5]) + (", …" if len(collected.unlabelled) > 5 else "")
        sentences.append(
            f"{counted(len(collected.unlabelled), 'structure has', 'structures have')} no output: {shown}."
        )
    if collected.shared_stderr:
        name = collected.fidelity or "the fidelity"
        sentences.append(
            f"What all labels share stands in no label; give it to {name} in the config: "
            f"energy_shared_stderr: {collected.energy_shared_stderr:.6g}."
        )
    warnings = [f"{label.name}: {text}." for label in collected.labels for text in label.warnings]
    return Summary(
        (table,) if collected.labels else (),
        tuple(sentences),
        (*warnings, *collected.warnings),
        tuple(refused.sentence for refused in collected.refused),
    )


def _root(collected: Collected) -> str:
    """Return what all paths begin with, and need not be shown."""
    folders = {Path(run.file).parent for label in collected.labels for run in label.runs}
    return os.path.commonpath(folders) if len({folder.is_absolute() for folder in folders}) == 1 else ""


def _rows(label: CollectedLabel, root: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for each run, and one for the label where it is more than its only run."""
    structure = label.structure_id or UNKNOWN
    if label.minus_structure_id:
        structure = f"{structure} - {label.minus_structure_id}"
    for run in label.runs:
        rows = (str(run.rows), str(run.equilibration), number(run.inefficiency, 1))
        yield (_short(run.file, root), structure, *rows, *_ends(run.independent, run.energy, run.energy_stderr))
    if len(label.runs) > 1 or label.cells > 1 or label.corrections:
        what = f"{len(label.runs)} together" if len(label.runs) > 1 else "the label"
        yield (what, structure, "", "", "", *_ends(label.independent, label.energy, label.energy_stderr))


def _ends(independent: float, energy: float, stderr: float) -> tuple[str, str, str]:
    return number(independent, 1), number(energy, 5), number(stderr, 5)


def _short(file: str, root: str) -> str:
    return os.path.relpath(file, root) if root else file
