"""What the pages of all tasks share: a heading, notices, and sections that a pen draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.report.page import Pen, write_page
from rung.report.read import sentences


@dataclass(frozen=True)
class Content:
    """What a page says.

    Parameters
    ----------
    title, subtitle
        Its heading.
    sections
        Name and HTML of each; one without HTML is left out.
    notices
        Sentences in a box above everything; empty ones are left out.
    molecules
        Whether it is about molecules, so that the page offers kcal/mol.
    """

    title: str
    subtitle: str
    sections: Sequence[tuple[str, str]]
    notices: Sequence[str] = ()
    molecules: bool = False


def write_task_page(path: Path, content: Callable[[Pen], Content]) -> Path:
    """Write the page of a task, and return its path.

    Parameters
    ----------
    path
        The file.
    content
        Returns what the page says; figures come from the pen that it is given.

    Raises
    ------
    MissingExtraError
        When plotly is not installed.
    """
    page = content(Pen())
    notices = sentences(*page.notices)
    return write_page(path, page.title, page.subtitle, notices, "", page.sections, molecules=page.molecules)
