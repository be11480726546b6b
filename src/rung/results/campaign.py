"""Files of a campaign: what a round answered, chose and labelled, and ``campaign.json``, where they stand together."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from rung.results.base import Atoms, DomainWord, Entry, Number, Result, equally_long

CAMPAIGN_FILE, ANSWERS_FILE, CHOICE_FILE, LABELS_FILE = "campaign.json", "answers.json", "choice.json", "labels.json"

Status = Literal["running", "waiting", "reached", "budget", "exhausted"]
"""What a campaign is at: rounds go on, outputs are waited for, every question is answered, the budget or the candidates
are spent."""


class AnswerPart(Entry):
    """One quantity of a question that asks for several."""

    name: str
    """The structure, or what else it is of."""
    value: Number
    """The quantity, in the unit of the question."""
    bar: Number
    """Its one-sigma error with the model's own error, in the unit of the question."""


class Answer(Entry):
    """What one fit says to one question."""

    name: str
    """The question."""
    kind: str
    """Its kind."""
    unit: str
    """Of all numbers here."""
    value: Number
    """The answer; null where there is none, as of a band that did not relax or of many quantities."""
    bar: Number
    """One-sigma error with the model's own error, of several quantities the one that is compared; null where no label
    identifies the answer."""
    model_error: Number
    """The part of the bar that is the model's own, whatever labels there are."""
    domain: DomainWord
    """Whether the structures of the question are like those of the fit."""
    verdict: str
    """Which bar holds and why, in sentences."""
    parts: tuple[AnswerPart, ...] = ()
    """The quantities, where there are several."""


class RoundAnswers(Result):
    """``answers.json``: what the fit of a round says."""

    n_energies: int
    """Energies of the target that the fit saw."""
    answers: tuple[Answer, ...]
    """One a question."""
    warnings: tuple[str, ...] = ()
    """What the fit warned of."""


class Wanted(Entry):
    """A label that a round asks for."""

    structure_id: str
    """Of the structure."""
    n_atoms: Atoms
    """Its atoms."""
    stderr: Number
    """The one-sigma error to reach, eV."""
    cost: Number
    """In labels of a structure of mean size with the largest error offered."""
    reason: str
    """Why it was chosen."""


class QuestionOutlook(Entry):
    """How sure an answer will be with the labels of a round."""

    name: str
    """The question."""
    now: Number
    """Its bar in the choice, before them; null where no label identifies it."""
    then: Number
    """With them."""
    least: Number
    """With every candidate labelled."""


class RoundChoice(Result):
    """``choice.json``: what a round labels, and why."""

    candidates: int
    """Structures that could be chosen."""
    labels: tuple[Wanted, ...]
    """In the order of their choice."""
    outlook: tuple[QuestionOutlook, ...] = ()
    """Of each question; none for a start set."""
    own_error: Number = float("nan")
    """s√N of a structure of mean size, eV: labels much more precise than this are waste."""


class MadeLabel(Entry):
    """What became of a label that was asked for."""

    structure_id: str
    """Of the structure."""
    made: bool
    """Whether there is a label."""
    energy: Number = float("nan")
    """The energy, eV."""
    stderr: Number = float("nan")
    """Its one-sigma error, eV; null where the engine gives none."""
    cpu_seconds: Number = float("nan")
    """Processor time that it took, s; null where nobody knows."""
    sentence: str = ""
    """Why there is no label; empty where there is."""


class RoundLabels(Result):
    """``labels.json``: what a round labelled; a round that has it is done."""

    labels: tuple[MadeLabel, ...]
    """One for each that was asked for."""


class Round(Entry):
    """One round."""

    number: int
    """From 0."""
    n_energies: int
    """Energies of the target at its start, those of the data among them."""
    n_labels: int
    """Labels that the campaign had made at its start."""
    cost: Number
    """What they cost, in labels of mean size with the largest error offered."""
    cpu_seconds: Number
    """Processor time that they took, s."""
    answers: tuple[Answer, ...]
    """What its fit says; none of a start set."""
    inside: tuple[bool, ...]
    """Whether each answer is inside its tolerance and its structures inside the domain."""
    wanted: tuple[Wanted, ...] = ()
    """What was to be labelled."""
    outlook: tuple[QuestionOutlook, ...] = ()
    """How sure the answers were to become."""
    made: tuple[MadeLabel, ...] = ()
    """What came of it."""
    warnings: tuple[str, ...] = ()
    """What its fit warned of."""

    @model_validator(mode="after")
    def _one_word_an_answer(self) -> Self:
        return equally_long(self, "answers", "inside")


class Asked(Entry):
    """A question."""

    name: str
    """What it is called."""
    kind: str
    """Its kind."""
    unit: str
    """Of its tolerance."""
    tolerance: Number
    """The one-sigma error to reach."""


class CampaignResult(Result):
    """``campaign.json``: how far a campaign is."""

    fidelity: str
    """The fidelity that is labelled."""
    method: str
    """The method of its fits."""
    engine: str
    """What makes the labels."""
    status: Status
    """What it is at."""
    sentence: str
    """The same in words, with what to do."""
    questions: tuple[Asked, ...]
    """What is asked."""
    budget: Mapping[str, Number]
    """What may be spent, by what is counted."""
    spent: Mapping[str, Number]
    """What was, likewise."""
    rounds: tuple[Round, ...]
    """All rounds, in order."""
    help: tuple[str, ...] = ()
    """What else would help, in sentences."""
    warnings: tuple[str, ...] = ()
    """What a reader should know."""
