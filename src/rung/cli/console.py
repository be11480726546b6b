"""What people see while work goes on: one bar in a terminal, plain lines where the output is a file or a pipe."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rung.progress import Pace, Task
from rung.storage import jsonable

PIPE_WIDTH = 120
"""Columns where the output is no terminal."""

_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
"""Names of structures and files may look like rich's markup: ``c1cc[nH]c1``, ``a[/b]``, ``:ring:``."""

OUT = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, **_PLAIN)
"""Results: tables and JSON."""

ERR = Console(stderr=True, soft_wrap=True, **_PLAIN)
"""Everything else: progress, notes and errors, so that a pipe carries results alone."""


class _BarTask:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._bar.advance(self._task, steps)

    def describe(self, text: str) -> None:
        self._bar.update(self._task, description=text)


class TerminalProgress:
    """Progress on stderr; work within work replaces the bar of what it is part of until it ends."""

    def __init__(self, console: Console = ERR) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._open: list[TaskID] = []
        self._depth = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Show one piece of work of ``total`` steps; the outermost leaves a line with its time when it ends well."""
        started = time.monotonic()
        self._depth += 1
        try:
            if self._console.is_terminal:
                with self._shown(description, total) as task:
                    yield task
            else:
                yield Pace(description, total, self.say)
        finally:
            self._depth -= 1
        if not self._depth:
            self._console.print(f"{description}: {time.monotonic() - started:.1f} s", style="dim", markup=False)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(sentence, style="dim", markup=False)

    @contextmanager
    def _shown(self, description: str, total: int) -> Iterator[_BarTask]:
        if self._open:
            self._bar.update(self._open[-1], visible=False)
        else:
            self._bar.start()
        task = self._bar.add_task(description, total=total)
        self._open.append(task)
        try:
            yield _BarTask(self._bar, task)
        finally:
            self._open.pop()
            self._bar.remove_task(task)
            if self._open:
                self._bar.update(self._open[-1], visible=True)
            else:
                self._bar.stop()


def print_json(content: Any) -> None:
    """Print JSON on stdout, numbers that are not finite as null."""
    sys.stdout.write(json.dumps(jsonable(content), indent=1, allow_nan=False) + "\n")
