"""Commands of tasks, made from their records: an option for each field of their settings, one way to print."""

import importlib
from pathlib import Path
from typing import Any

from cyclopts import App

from rung.cli.console import TerminalProgress, print_json
from rung.cli.options import Printing, command
from rung.cli.summary import print_summary, print_troubles
from rung.settings import Settings
from rung.tasks import TASKS
from rung.tasks.task import Task


class Output(Settings):
    """Where results go."""

    out: Path | None = None
    """The folder of results; by default one with the name of the command."""


def __getattr__(name: str) -> App:
    """Return the command of the task ``name``: this is how the list of commands finds it when it is used."""
    if name not in TASKS:
        raise AttributeError(name)
    return command_of(name)


def command_of(name: str) -> App:
    """Return the command of a task."""
    task: Task[Any, Settings, Any] = importlib.import_module(TASKS[name].module).TASK

    def act(potential: Any, settings: Settings, output: Output, printing: Printing) -> int:
        folder = output.out or Path(task.name)
        result = task.work(potential.open(), settings, folder, progress=TerminalProgress())
        summary = task.summary(result)
        if printing.as_json:
            print_json(task.json(result))
        else:
            print_summary(summary)
        print_troubles(summary, f"{task.kept} {folder}.")
        return int(bool(summary.failures))

    act.__doc__ = task.note
    return command(
        task.name, act, task.potential, task.settings, Output, Printing, example=task.example, filed=task.settings
    )
