"""What the pages of all tasks share: a heading, notices, and sections that a pen draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rung.report.page import Pen, write_page
from rung.report.read import sentences

R = TypeVar("R")


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


@dataclass(frozen=True)
class TaskPage(Generic[R]):
    """The page of a folder that one result file fills; called with the folder, it writes the page.

    Parameters
    ----------
    file, page
        Names of the result file and of the page beside it.
    read
        Reads the file.
    content
        Returns what the page says of a result; figures come from the pen that it is given.
    """

    file: str
    page: str
    read: Callable[[Path], R]
    content: Callable[[R, Pen], Content]

    def __call__(self, folder: Path) -> Path:
        """Write the page from the result file of ``folder``, and return its path.

        Raises
        ------
        StorageError
            When the result is missing or damaged.
        MissingExtraError
            When plotly is not installed.
        """
        result = self.read(Path(folder) / self.file)
        return write_task_page(Path(folder) / self.page, lambda pen: self.content(result, pen))
