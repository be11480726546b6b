"""What a page is made of: a section turns the files of a folder into HTML, and draws its figures with a pen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Files = TypeVar("Files")


class Draw(Protocol):
    """Puts a figure into its frame; the page numbers the figures."""

    def __call__(self, figure: object, caption: str = "") -> str:
        """Return the HTML of a plotly figure in its frame, with the caption below."""


@dataclass(frozen=True)
class Section(Generic[Files]):
    """One section of a page.

    Parameters
    ----------
    name
        Its heading.
    html
        Returns its HTML; empty where the files say nothing of it.
    """

    name: str
    html: Callable[[Files, Draw], str]
