"""``study.csv`` and ``study.json``: the table of a study, a number a line, and what it says."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from rung.errors import StorageError
from rung.results.base import Entry, Number, Result, damage
from rung.storage import write_text

TABLE_FILE, PARQUET_FILE, STUDY_FILE = "study.csv", "study.parquet", "study.json"


WORSE_FORCES = "are worse than the base's"
"""What a sentence of a verdict says of methods whose forces must not be used."""


class StudyRow(Entry):
    """One number of one fit: a line of ``study.csv``."""

    method: str
    """The name of the method's rows; ``base`` is the base with reference energies fitted to the same draw."""
    n_labels: int
    """How many target energies the fit saw."""
    seed: int
    """The seed of the draw, and of everything random in the fit."""
    fold: int = 0
    """Which part of the training structures was held out; 0 where there are no folds."""
    split: str
    """The split, ``heldout``, the name of a band, ``valid``, or ``fit``."""
    metric: str
    """What the number is."""
    value: float
    """The number, in the unit of the metric."""


COLUMNS = tuple(StudyRow.model_fields)


class TrialEntry(Entry):
    """One of the settings that were tried for a method."""

    method: str
    """The name of the method's rows."""
    fold: int | None = None
    """The fold; absent where there are no folds."""
    change: str
    """What it changes in the settings."""
    score: Number
    """Mean of ``scores``; null where nothing was scored."""
    scores: tuple[Number, ...]
    """Energy error on validation structures for each seed, r.m.s., meV/atom."""
    failed: bool
    """Whether a fit of it failed."""
    chosen: bool
    """Whether it was chosen."""


class FailedFit(Entry):
    """A fit that failed."""

    fit: str
    """Its name."""
    sentence: str
    """Why it failed."""


class SharedWarning(Entry):
    """A sentence of which one fit or several warn."""

    sentence: str
    """The sentence."""
    fits: tuple[str, ...]
    """The names of the fits."""


class MethodComparison(Entry):
    """One method beside the one that errs least, at one number of labels."""

    split: str
    """The split."""
    metric: str
    """``energy_rmse``, meV/atom, or ``force_rmse``, meV/Å."""
    n_labels: int
    """How many target energies the fits saw."""
    method: str
    """The name of the method's rows."""
    mean: Number
    """Mean error over draws."""
    spread: Number
    """Standard deviation between draws; null for one draw, or where all draws are the same."""
    n_draws: int
    """Distinct draws that the method shares with the best; with several folds, the folds."""
    best: bool
    """Whether it has the least mean."""
    difference: Number
    """Mean of its error less that of the best, draw by draw; null for the best."""
    low: Number
    """Lower end of the 95 % interval of the difference; null where it is not known."""
    high: Number
    """Upper end."""
    p: Number
    """P value of no difference, corrected for all pairs of methods (Holm); null for the best."""
    worse: bool
    """Whether it may be called worse than the best: p at most 0.05 with five draws or more."""
    detectable: Number
    """The smallest difference that so many draws show in 80 % of cases; null where it is not known."""


class JudgedForces(Entry):
    """On how many structures of a split the forces were judged."""

    split: str
    """The split."""
    n_judged: int
    """Structures whose forces were predicted, evenly spaced; with folds those of all folds."""
    n_structures: int
    """Structures with force labels of the target; where it has none, all, and the departure from the base is judged."""

    @property
    def part(self) -> str:
        """``60 of 400``; empty where all were judged."""
        return f"{self.n_judged} of {self.n_structures}" if self.n_judged < self.n_structures else ""


class StudySummary(Result):
    """What a study says beside its table."""

    title: str
    """The title of the report."""
    notice: tuple[str, ...] = ()
    """Sentences for the top of the report: who made the labels, and what may be done with them."""
    verdict: tuple[str, ...] = ()
    """What the rows show, in sentences, and what is to be held against it."""
    comparisons: tuple[MethodComparison, ...] = ()
    """Methods beside the best, by split, metric and number of labels."""
    judged: tuple[JudgedForces, ...] = ()
    """On how many structures forces were judged; empty in studies of 0.1.0."""
    molecules: bool = False
    """Whether no structure that methods are judged on has a cell."""
    truths: Mapping[str, Number] = Field(default_factory=dict)
    """True values by metric, or barriers by the name of their band, eV; empty where none is known."""
    tuning: tuple[TrialEntry, ...] = ()
    """What was tried before the fits."""
    failures: tuple[FailedFit, ...] = ()
    """What failed."""
    settings: Mapping[str, str | int | None] = Field(default_factory=dict)
    """What was varied, for people, by name."""
    warnings: tuple[SharedWarning, ...] = ()
    """What the fits warn of."""


def read_rows(path: Path) -> tuple[StudyRow, ...]:
    """Read ``study.csv``.

    Raises
    ------
    StorageError
        When it is absent, is no table, lacks a column, or holds a word where a number should stand.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            present = reader.fieldnames or ()
            required = [name for name, field in StudyRow.model_fields.items() if field.is_required()]
            missing = [name for name in required if name not in present]
            if missing:
                raise StorageError(f"{path} lacks the column {missing[0]!r}.")
            return tuple(_row(line, path, reader.line_num) for line in reader)
    except FileNotFoundError as error:
        raise StorageError(f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"{path} is not a readable table.") from error


def _row(line: Mapping[str, str], path: Path, number: int) -> StudyRow:
    try:
        return StudyRow.model_validate(line)
    except ValidationError as error:
        raise damage(str(path), error, f"line {number}") from error


def write_rows(path: Path, rows: Sequence[StudyRow]) -> None:
    """Write ``study.csv``, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump() for row in rows)
    write_text(path, text.getvalue())
