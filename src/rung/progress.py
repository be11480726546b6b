"""A protocol for progress, so that long work can report without knowing who listens."""

from collections.abc import Iterator
from contextlib import contextmanager
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
