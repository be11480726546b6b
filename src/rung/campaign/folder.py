"""The files of a campaign: a folder a round, each stage of it a file that is whole or absent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import DataError
from rung.label.writing import LABELS_FILE as LABELLED
from rung.results.campaign import (
    ANSWERS_FILE,
    CHOICE_FILE,
    LABELS_FILE,
    MadeLabel,
    RoundAnswers,
    RoundChoice,
    RoundLabels,
)

ROUNDS = "rounds"


@dataclass(frozen=True)
class RoundFolder:
    """One round.

    Parameters
    ----------
    campaign
        The folder of the campaign.
    number
        Of the round, from 0.
    """

    campaign: Path
    number: int

    @property
    def path(self) -> Path:
        """The folder."""
        return self.campaign / ROUNDS / f"{self.number:03d}"

    @property
    def train(self) -> Path:
        """What its fit learns from: the data with all labels so far."""
        return self.path / "train.extxyz"

    @property
    def fit(self) -> Path:
        """The run of its fit."""
        return self.path / "fit"

    @property
    def selected(self) -> Path:
        """The structures that it labels, each with the error that its label should have."""
        return self.path / "selected.extxyz"

    @property
    def labels(self) -> Path:
        """The folder of its labels."""
        return self.path / "labels"

    def answer(self, question: str) -> Path:
        """Return the folder of what was computed for a question."""
        return self.path / "answers" / question

    @property
    def answers(self) -> Path:
        """What its fit says."""
        return self.path / ANSWERS_FILE

    @property
    def choice(self) -> Path:
        """What it labels, and why."""
        return self.path / CHOICE_FILE

    @property
    def done(self) -> Path:
        """What it labelled; written last."""
        return self.path / LABELS_FILE


@dataclass(frozen=True)
class FinishedRound:
    """A round, or the part of it that is done.

    Parameters
    ----------
    folder
        Where it is.
    answers
        What its fit says; None of a start set, or before.
    choice
        What it labels; None before.
    labels
        What it labelled; None before.
    """

    folder: RoundFolder
    answers: RoundAnswers | None
    choice: RoundChoice | None
    labels: RoundLabels | None

    @classmethod
    def read(cls, folder: RoundFolder) -> "FinishedRound":
        """Read what a round has left; a damaged file is one sentence."""
        return cls(
            folder,
            RoundAnswers.read_optional(folder.answers),
            RoundChoice.read_optional(folder.choice),
            RoundLabels.read_optional(folder.done),
        )

    @property
    def made(self) -> tuple[MadeLabel, ...]:
        """The labels that came."""
        return () if self.labels is None else tuple(one for one in self.labels.labels if one.made)

    @property
    def cost(self) -> float:
        """What they cost."""
        costs = {} if self.choice is None else {one.structure_id: one.cost for one in self.choice.labels}
        return sum(costs.get(one.structure_id, 0.0) for one in self.made)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all that was computed, where it is known, s."""
        times = () if self.labels is None else (one.cpu_seconds for one in self.labels.labels)
        return sum(time for time in times if time == time)  # noqa: PLR0124 - NaN differs from itself

    @cached_property
    def tried(self) -> tuple[Structure, ...]:
        """Structures that it labelled, or tried to."""
        return read_structures(self.folder.selected) if self.choice is not None and self.choice.labels else ()

    @cached_property
    def labelled(self) -> tuple[Structure, ...]:
        """Structures with the labels that came.

        Raises
        ------
        DataError
            When a label is gone that was there.
        """
        if not self.made:
            return ()
        file = self.folder.labels / LABELLED
        found = {one.structure_id: one for one in read_structures(file)}
        for one in self.made:
            if one.structure_id not in found:
                raise DataError(
                    f"{file} has no {one.structure_id} any more, which round {self.folder.number} labelled."
                )
        return tuple(found[one.structure_id] for one in self.made)


def finished_rounds(campaign: Path) -> Iterator[FinishedRound]:
    """Yield the rounds that are done, then the one that is not, if it has begun."""
    number = 0
    while (folder := RoundFolder(campaign, number)).path.is_dir():
        found = FinishedRound.read(folder)
        yield found
        if found.labels is None:
            return
        number += 1


def labels_of(rounds: Sequence[FinishedRound]) -> tuple[Structure, ...]:
    """Return all structures that rounds labelled, in order."""
    return tuple(one for each in rounds for one in each.labelled)
