"""A protocol for progress, so that long work can report without knowing who listens."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol


class Task(Protocol):
    """One running piece of work."""

    def advance(self, steps: int = 1) -> None:
        """Say that ``steps`` more are done."""

    def describe(self, text: str) -> None:
        """Replace what is shown beside the bar."""


class Progress(Protocol):
    """Where long work reports: the command line draws a bar, the library is silent by default."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Open one piece of work of ``total`` steps."""

    def say(self, sentence: str) -> None:
        """Say something that people should know before the work that follows."""


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


class Silent:
    """Progress that says nothing."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:  # noqa: ARG002 - the protocol's signature
        """Open a piece of work that nobody watches."""
        yield _SilentTask()

    def say(self, sentence: str) -> None:
        """Say nothing."""


SILENT: Progress = Silent()


LINE_EVERY = 60.0
"""Seconds between two lines of long work where no bar moves."""


@dataclass
class Pace:
    """How far a piece of work is, as a line now and then for a file that somebody reads later.

    Parameters
    ----------
    description, total
        What it is, and how many steps it has.
    say
        Takes a line.
    """

    description: str
    total: int
    say: Callable[[str], None]
    _done: int = 0
    _started: float = field(init=False)
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._started = self._said = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        """Count steps, and say a line where the last one is a minute old."""
        self._done += steps
        now = time.monotonic()
        if now - self._said >= LINE_EVERY and 0 < self._done < self.total:
            self._said = now
            self.say(self._line(now - self._started))

    def describe(self, text: str) -> None:
        """Replace the words of the next line."""
        self.description = text

    def _line(self, passed: float) -> str:
        left = passed * (self.total - self._done) / self._done
        return (
            f"{self.description}: {self._done} of {self.total}, {duration(passed)} so far, about {duration(left)} left"
        )


def duration(seconds: float) -> str:
    """Return a time as people say it; empty where it is not known, so that nobody reads of an unknown time."""
    if not isfinite(seconds):
        return ""
    if seconds < 1:
        return f"{seconds:.1g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_size(n_bytes: float) -> str:
    """Return a number of bytes as people say it: in the largest unit of which there is one."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= 0.9995 * size:
            amount = n_bytes / size
            return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


class _Both:
    def __init__(self, first: Task, second: Task) -> None:
        self._tasks = (first, second)

    def advance(self, steps: int = 1) -> None:
        for task in self._tasks:
            task.advance(steps)

    def describe(self, text: str) -> None:
        for task in self._tasks:
            task.describe(text)


@dataclass(frozen=True)
class Noted:
    """Progress that is also noted in a log, a line a minute.

    Parameters
    ----------
    inner
        Who is told of every step.
    note
        Takes a line of the log.
    """

    inner: Progress
    note: Callable[[str], None]

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Open one piece of work for both."""
        with self.inner.task(description, total) as shown:
            yield _Both(shown, Pace(description, total, self.note))

    def say(self, sentence: str) -> None:
        """Say a sentence to both."""
        self.inner.say(sentence)
        self.note(sentence)
