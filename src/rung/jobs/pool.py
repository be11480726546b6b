"""What performs many jobs, and the one that does it in this process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rung.jobs.job import Job, perform


class Pool(Protocol):
    """Performs jobs."""

    @property
    def workers(self) -> int:
        """How many jobs it performs at once."""

    def run(self, jobs: Sequence[Job], changed: Callable[[], None]) -> None:
        """Perform ``jobs``, each alone; call ``changed`` now and then, from the thread that called."""


@dataclass(frozen=True)
class HerePool:
    """Performs jobs one after the other in this process.

    Parameters
    ----------
    functions
        What to call for each function that a job may name: bound to what this process has read already.
    catch
        Whether a job that fails leaves the others alone, or its error is raised.
    """

    functions: Mapping[str, Callable[..., Any]]
    catch: bool = True
    workers: int = 1

    def run(self, jobs: Sequence[Job], changed: Callable[[], None]) -> None:
        """Perform ``jobs`` in order."""
        for job in jobs:
            changed()
            perform(job, self.functions[job.function], catch=self.catch)
        changed()
