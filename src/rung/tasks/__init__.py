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
    "barrier": Listed("Find the barrier between two structures, with its error bar.", "rung.tasks.barrier"),
    "vacancies": Listed(
        "Find hops of rows of vacancies in a monolayer, and what vacancies cost.", "rung.tasks.vacancies"
    ),
    "free-energy": Listed("Find a free-energy barrier along a collective variable.", "rung.tasks.free_energy"),
    "md": Listed("Run dynamics, and say whether they are stable.", "rung.tasks.md"),
    "relax": Listed("Relax a structure, and warn where its cell is a guess.", "rung.tasks.relaxation"),
    "select": Listed("Choose which structures to label next, and how precisely.", "rung.tasks.selection"),
    "vibrations": Listed(
        "Find harmonic frequencies and the zero-point energy, with error bars.", "rung.tasks.vibrations"
    ),
    "transport": Listed("Find diffusivities and ionic conductivities from trajectories.", "rung.tasks.transport_runs"),
}
"""All tasks by the name that a user types."""
