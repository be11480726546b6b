"""What a task is to whoever offers it: what it is told, the function that does it, and what is shown of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rung.progress import SILENT, Progress
from rung.report.summary import Summary
from rung.settings import Settings
from rung.tasks.opened import PotentialOptions

P = TypeVar("P")
S = TypeVar("S", bound=Settings)
R = TypeVar("R")
P_contra = TypeVar("P_contra", contravariant=True)
S_contra = TypeVar("S_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Work(Protocol[P_contra, S_contra, R_co]):
    """A function that does a task."""

    def __call__(self, potential: P_contra, settings: S_contra, out: Path, /, *, progress: Progress = SILENT) -> R_co:
        """Evaluate ``potential`` as ``settings`` say, write results to ``out``, and return them."""


@dataclass(frozen=True)
class Task(Generic[P, S, R]):
    """A task.

    Parameters
    ----------
    name
        What a user types, and the folder of results where none is named.
    note
        Sentences for its help: how it goes on, and what its exit code says.
    kept
        Words before the folder, where something is missing: "The band is kept in".
    example
        A whole command line.
    potential
        How the potential is chosen and opened.
    settings
        Everything else that the task is told.
    work
        Does it.
    summary
        What is shown of a result.
    json
        A result as JSON, for programs that read the output.
    """

    name: str
    note: str
    kept: str
    example: str
    potential: type[PotentialOptions[P]]
    settings: type[S]
    work: Work[P, S, R]
    summary: Callable[[R], Summary]
    json: Callable[[R], Any]
