"""Calculations that run elsewhere: inputs from templates, one folder a structure, and outputs once they are there."""

import csv
import io
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, JsonValue, field_validator

from rung.collect.collecting import collect
from rung.collect.settings import CollectSettings
from rung.data.readers.structures import read_structures
from rung.errors import DataError, LabelError, WaitingError
from rung.label.engine import Engine, Made, Subject
from rung.label.packages import package
from rung.label.templates import name_of, rendered, values_of
from rung.results.collected import Collected
from rung.settings import Settings
from rung.storage import file_hash, read_json, write_json, write_text

STRUCTURE, TABLE, COLLECTED = "structure.extxyz", "outputs.csv", "collected.extxyz"

INPUTS = "inputs.json"
"""Hashes of the inputs as rung wrote them, by name."""

OURS = frozenset({STRUCTURE, TABLE, COLLECTED, INPUTS, "collected.collected.json", "job", "coarser"})
"""What lies in the folder of a structure besides inputs and outputs."""

MISSED = 1.25
"""Times the error asked for above which a label says that it missed it."""


class Outputs(Settings):
    """How outputs become labels, as ``rung collect`` is told."""

    equilibration: int | None = Field(default=None, ge=0)
    """Rows to leave out at the beginning of each series; by default what is not in equilibrium."""
    level: str | None = None
    """Which energy of a deterministic calculation to take, such as ccsd(t)."""
    stderr: float | None = Field(default=None, gt=0)
    """The error of each deterministic energy, eV."""
    series: tuple[int, ...] = ()
    """Which series of QMCPACK to take."""
    twist_weights: tuple[float, ...] = ()
    """Weights of the twists in the order of their numbers."""
    join: bool = False
    """Take several runs of one structure as independent runs of one thing."""
    cells: int = Field(default=1, ge=1)
    """How many times the simulation cell holds the structure's cell."""
    mpc: bool = False
    """Add the MPC correction of QMCPACK."""
    correction: dict[str, float] = Field(default={})
    """Constants to add to every energy, by name, eV."""


class FilesEngine(Settings):
    """Write inputs for a program that runs elsewhere, and take its outputs once they are there."""

    name: Literal["files"] = "files"
    templates: tuple[Path, ...] = Field(min_length=1)
    """Jinja templates; each makes an input of its name without .j2 in the folder of every structure."""
    variables: dict[str, JsonValue] = Field(default={})
    """Values for the templates, besides those of the structure."""
    outputs: Outputs = Outputs()
    """How outputs become labels."""
    statistical: bool = False
    """Whether outputs are of Monte Carlo, so that templates use the error that is asked for."""

    @field_validator("templates")
    @classmethod
    def _apart(cls, templates: tuple[Path, ...]) -> tuple[Path, ...]:
        names = [name_of(template) for template in templates]
        for name in names:
            if name in OURS or names.count(name) > 1:
                raise ValueError(f"two files would be called {name}; rename a template")
        return templates


def label(subject: Subject, settings: FilesEngine, folder: Path) -> Made:
    """Write what is missing of the inputs, and return the label of the outputs.

    Raises
    ------
    WaitingError
        When there is no output yet.
    LabelError
        When outputs are there and none gives a label.
    """
    kept = _write_inputs(subject, settings, folder)
    collected = _collected(subject, settings, folder)
    if not collected.labels:
        wrong = [one.sentence for one in collected.refused if Path(one.file) != folder]  # a folder may wait for outputs
        if wrong:
            raise LabelError(" ".join(wrong[:3]))
        names = ", ".join(name_of(template) for template in settings.templates)
        changed = f" {', '.join(kept)} differs from what the template gives and is kept." if kept else ""
        raise WaitingError(f"{names} wait in {folder}, and no output is there.{changed}")
    (found,) = collected.labels
    (structure,) = read_structures(folder / COLLECTED)
    labels = structure.labelled(subject.fidelity)
    warnings = [*found.warnings, *(refused.sentence.rstrip(".") for refused in collected.refused)]
    if np.isfinite(subject.stderr) and not found.energy_stderr <= MISSED * subject.stderr:
        warnings.append(f"its error is {found.energy_stderr:.3g} eV, and {subject.stderr:.3g} eV was asked for")
    return Made(
        labels.energy,
        " ".join(sorted({run.program for run in found.runs})),
        " ".join(sorted({run.method for run in found.runs if run.method})) or "unknown",
        labels.energy_stderr,
        labels.forces if labels.has_forces else None,
        labels.stress if labels.has_stress else None,
        found.independent,
        tuple(warnings),
        {f"correction_{name}": value for name, value in found.corrections.items()},
    )


def _write_inputs(subject: Subject, settings: FilesEngine, folder: Path) -> list[str]:
    """Write inputs that are not there, and those anew that are still what rung wrote from another template.

    Returns the names of those that a user changed and that differ: they are kept.
    """
    values = values_of(subject, settings.variables)
    texts = {name_of(template): rendered(template, values) for template in settings.templates}
    record = folder / INPUTS
    before = read_json(record) if record.exists() else {}
    written = before if isinstance(before, dict) else {}
    kept = []
    for name, text in texts.items():
        path = folder / name
        same = path.exists() and path.read_bytes() == text.encode()
        if path.exists() and not same and file_hash(path) != written.get(name):
            kept.append(name)
            continue
        if not same:
            write_text(path, text)
        written[name] = file_hash(path)
    write_json(record, written)
    return kept


def _collected(subject: Subject, settings: FilesEngine, folder: Path) -> Collected:
    """Return what ``rung collect`` makes of the folder."""
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("path", "structure_id"), (".", subject.structure_id)])
    write_text(folder / TABLE, table.getvalue())
    told = CollectSettings(
        paths=(folder,),
        structures=(folder / STRUCTURE,),
        table=folder / TABLE,
        fidelity=subject.fidelity,
        out=folder / COLLECTED,
        **settings.outputs.model_dump(),
    )
    return collect(told)


def _check(settings: FilesEngine) -> None:
    package("jinja2", "templates")
    for template in settings.templates:
        if not template.is_file():
            raise DataError(f"There is no template {template}.")


ENGINE = Engine(
    FilesEngine,
    label,
    _check,
    inputs=lambda settings: settings.templates,
    statistical=lambda settings: settings.statistical,
    elsewhere=True,
)
