"""The keys of the result files as tables of docs/files.md, from the definitions of the files.

``python -m tests.results.field_tables`` writes them anew into the page; a test holds the page against them.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from rung.results.barrier import Panel
from rung.results.barrier_task import TaskPanel
from rung.results.base import Entry
from rung.results.campaign import CampaignResult, RoundAnswers, RoundChoice, RoundLabels
from rung.results.collected import Collected
from rung.results.demo import Mark
from rung.results.findings import Diagnosis
from rung.results.fit import Features, FitRecord
from rung.results.fits import StudyDesigns, StudyFit, StudyTrial
from rung.results.free_energy import FreeEnergyResult
from rung.results.geometries import Geometries
from rung.results.inspection import Inspection
from rung.results.jobs import JobError, JobRequest
from rung.results.label import Labelled, LabelRecord
from rung.results.marker import Marker
from rung.results.md import MDResult
from rung.results.metrics import Metrics
from rung.results.origin import Card
from rung.results.plan import FitPlan
from rung.results.prediction import PredictionResult
from rung.results.predictions import Predictions
from rung.results.provenance import Provenance
from rung.results.relaxation import RelaxationResult
from rung.results.rows import PackedLayout
from rung.results.selection import SelectionResult
from rung.results.study import StudyRow, StudySummary
from rung.results.task import TaskProvenance
from rung.results.transport import TransportResult
from rung.results.vacancies import HopInCell, VacanciesResult
from rung.results.vibrations import VibrationsResult
from tests.made_pages import cell_of, filled

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
BEGIN, END = "<!-- keys: from the definitions in rung.results -->", "<!-- end of the keys -->"

FILES: Mapping[str, tuple[str, type[Entry]]] = {
    "`metrics.json`": ("", Metrics),
    "`fit.json`": ("", FitRecord),
    "`features.json`": ("", Features),
    "`findings.json`": ("", Diagnosis),
    "`provenance.json`": ("", Provenance),
    "`predictions/<split>.json`": ("", Predictions),
    "`geometries/<split>.json`": ("", Geometries),
    "`barrier.json`": ("[]", Panel),
    "`study.csv`": ("", StudyRow),
    "`study.json`": ("", StudySummary),
    "`demo.json`": ("", Mark),
    "`task.json`": ("", JobRequest),
    "`error.json`": ("", JobError),
    "`fits/…/metrics.json`": ("", StudyFit),
    "`trials/…/metrics.json`": ("", StudyTrial),
    "`designs/metrics.json`": ("", StudyDesigns),
    "`provenance.json` of a task": ("", TaskProvenance),
    "`barrier.json` of `rung barrier`": ("[]", TaskPanel),
    "`vacancies.json`": ("", VacanciesResult),
    "`hop.json`": ("", HopInCell),
    "`free_energy.json`": ("", FreeEnergyResult),
    "`md.json`": ("", MDResult),
    "`relax.json`": ("", RelaxationResult),
    "`vibrations.json`": ("", VibrationsResult),
    "`transport.json`": ("", TransportResult),
    "`select.json`": ("", SelectionResult),
    "`<out>.predicted.json`": ("", PredictionResult),
    "`run.json`, `band.json`": ("", Marker),
    "`rows.json`": ("", PackedLayout),
    "`<labels>.collected.json`": ("", Collected),
    "`label.json`": ("", Labelled),
    "`structures/…/job/metrics.json`": ("", LabelRecord),
    "`campaign.json`": ("", CampaignResult),
    "`rounds/…/answers.json`": ("", RoundAnswers),
    "`rounds/…/choice.json`": ("", RoundChoice),
    "`rounds/…/labels.json`": ("", RoundLabels),
    "the card in an exported file": ("", Card),
    "`rung inspect --json`": ("", Inspection),
    "`rung fit --dry-run --json`": ("", FitPlan),
}
"""Each file with the definition of what it holds; ``[]`` before it where the file is a list."""


Told = dict[type[Entry], str]
"""Where the keys of an entry stand already, in words."""


def tables() -> str:
    """Return the tables of all files, each under its name; keys of an entry that stood above are not told again."""
    told: Told = {}
    return "\n\n".join(
        f"### Keys of {name}\n\n{_table(list(_rows(kind, place, name, told)))}" for name, (place, kind) in FILES.items()
    )


def page() -> str:
    """Return the whole page with its tables as the definitions have them."""
    return filled(PAGE, BEGIN, END, tables())


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| key | what |", "|---|---|", *(f"| `{key}` | {what} |" for key, what in rows)])


def _rows(kind: type[Entry], place: str, file: str, told: Told) -> Iterator[tuple[str, str]]:
    """Yield the keys of an entry at ``place`` of a file, each with its sentence."""
    parent = kind.__mro__[1]
    inherited = parent.model_fields if parent in told else {}
    for name, field in kind.model_fields.items():
        if name not in inherited or field.annotation != inherited[name].annotation:
            key = f"{place}.{name}" if place else name
            yield from _key(key, field.annotation, cell_of(sentence_of(kind, name)), file, told)
    told[kind] = f"`{place}` of {file}" if place else file


def _key(key: str, annotation: Any, what: str, file: str, told: Told) -> Iterator[tuple[str, str]]:
    inner, steps = inner_entry(annotation)
    if inner is None:
        yield key, what
    elif inner in told:
        yield key + steps, f"{what} Its keys are those of {told[inner]}."
    else:
        parent = inner.__mro__[1]
        yield key + steps, f"{what} Its keys are those of {told[parent]}, and:" if parent in told else what
        yield from _rows(inner, key + steps, file, told)


def sentence_of(kind: type[Entry], name: str) -> str:
    """Return the docstring below a field of ``kind`` or of what it is made from; empty where there is none."""
    return next((_sentences(one)[name] for one in kind.__mro__ if name in _sentences(one)), "")


@cache
def _sentences(kind: type) -> Mapping[str, str]:
    """Return the docstrings below the fields of one class, by name, as its source has them."""
    if not issubclass(kind, Entry):
        return {}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: below.value.value
        for field, below in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def inner_entry(annotation: Any) -> tuple[type[Entry] | None, str]:
    """Return the entry that an annotation is made of, and how it is reached: ``.*`` by name, ``[]`` in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return annotation, ""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return inner_entry(arguments[0])
    step = ".*" if isinstance(origin, type) and issubclass(origin, Mapping) else "[]" if origin is tuple else ""
    for argument in arguments:
        inner, steps = inner_entry(argument)
        if inner is not None:
            return inner, step + steps
    return None, ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
