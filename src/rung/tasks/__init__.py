"""Tasks: what can be asked of any potential, each a function from a potential and settings to a folder of results."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Listed:
    """A task of the list.

    Parameters
    ----------
    sentence
        What it does.
    module
        Where its record ``TASK`` is; imported when the task is used.
    """

    sentence: str
    module: str


TASKS = {
    "relax": Listed("Relax a structure, and warn where its cell is a guess.", "rung.tasks.relaxation"),
}
"""All tasks by the name that a user types."""
