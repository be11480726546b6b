"""``select.json``: which structures to label next, how precisely, and what that would tell."""

from typing import Literal, Self

from pydantic import model_validator

from rung.results.base import Atoms, Entry, Number, Numbers, Result
from rung.results.settings import SettingsEntry

SELECTION_FILE = "select.json"

Way = Literal["chosen", "random", "farthest"]
"""The labels chosen here, random ones, or those whose environments are farthest from one another."""


class QuestionBars(Entry):
    """What is known of one question."""

    name: str
    """What is asked."""
    unit: str
    """Of its bars."""
    now: Number
    """One-sigma error with the model's own error, r.m.s. over its quantities; null where no label identifies it."""
    model_error: Number
    """What would be left with every candidate labelled as precisely as it is offered: below it labels do not help."""


class Course(Entry):
    """How the bars of all questions fall with labels."""

    way: Way
    """How the labels are chosen."""
    cost: Numbers
    """What the labels cost so far, in labels of mean size with the largest error."""
    bars: tuple[Numbers, ...]
    """Of each question, one a label; of random labels the median over draws."""


class ChosenLabel(Entry):
    """A label to compute."""

    structure_id: str
    """Of the structure."""
    n_atoms: Atoms
    """Its atoms."""
    stderr: Number
    """The one-sigma error to reach, eV."""
    cost: Number
    """In labels of mean size with the largest error."""
    now: Number
    """The error of its energy now, eV; null where no label identifies it."""


class SelectionResult(Result):
    """What ``rung select`` found."""

    fidelity: str
    """The fidelity."""
    model: str
    """What the potential was opened from."""
    settings: SettingsEntry
    """Of the choice."""
    candidates: int
    """Structures of the pool without a label of the fidelity."""
    labels: tuple[ChosenLabel, ...]
    """In the order of their choice."""
    questions: tuple[QuestionBars, ...]
    """What is asked."""
    courses: tuple[Course, ...]
    """The labels chosen, and others beside them."""
    own_error: Number
    """s√N of a structure of mean size, eV: labels much more precise than this are waste."""
    warnings: tuple[str, ...]
    """What a reader should know."""

    @model_validator(mode="after")
    def _a_bar_each(self) -> Self:
        for course in self.courses:
            if len(course.bars) != len(self.questions):
                raise ValueError(f"the course of {course.way} labels has {len(course.bars)} bars, not one a question")
        return self
