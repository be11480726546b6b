"""What the text of an extended XYZ frame promises, held against what was read of it: nothing is lost in silence."""

import re
from collections.abc import Collection, Iterable, Sequence

from ase import Atoms

from rung.data.elements import hint, is_element
from rung.data.labels import LOOKS_LIKE_A_LABEL
from rung.data.readers.comment_keys import candidates, keys_in, open_quote
from rung.errors import DataError

_PBC = re.compile(r"(?:^|\s)pbc\s*=\s*(?:[\"'\[{]([^\"'\]}]*)[\"'\]}]|(\S+))")
_TRUTH = {"T", "F", "true", "false", "True", "False", "TRUE", "FALSE", "1", "0"}
_PLAIN = "species:S:1:pos:R:3"


def check_comment(comment: str, where: str) -> None:
    """Raise where a quote hides what follows it, or where ``pbc`` is no truth value.

    ASE takes any word but an empty one for a periodic direction.

    Raises
    ------
    DataError
        Begins with ``where``.
    """
    rest = open_quote(comment)
    if rest is not None:
        raise DataError(f"{where}: a quote or bracket hides what follows it; close it: {rest[:40]}")
    if "pbc" not in comment:
        return
    periodic = _PBC.search(comment)
    words = re.findall(r"[^\s,]+", (periodic.group(1) or periodic.group(2) or "")) if periodic is not None else ["T"]
    if len(words) not in (1, 3) or not _TRUTH.issuperset(words):
        text = " ".join(words)[:30]
        raise DataError(f"{where}: pbc={text!r} says nothing of periodicity; write T or F for each cell vector.")


def check_kept(comment: str, columns: Sequence[str], atoms: Atoms, where: str) -> None:
    """Raise unless every key and every column that looks like a label was read.

    Parameters
    ----------
    comment
        The comment line.
    columns
        The names of the columns that it declares.
    atoms
        What was read.
    where
        What the message calls the frame.

    Raises
    ------
    DataError
        Names what was lost.
    """
    results: Collection[str] = atoms.calc.results if atoms.calc is not None else ()

    def lost_of(keys: Iterable[str]) -> list[str]:
        labels = [key for key in keys if LOOKS_LIKE_A_LABEL.search(key)]
        return [key for key in labels if not (key in atoms.info or key in atoms.arrays or key in results)]

    # what may be a key is quicker to list than what is one
    lost = lost_of((*keys_in(comment), *columns)) if lost_of((*candidates(comment), *columns)) else []
    if lost:
        raise DataError(
            f"{where}: {', '.join(lost)} stands in the text and is not read; lines that begin with VEC make a reader "
            "skip the comment, so write the cell as Lattice."
        )


def check_rows(rows: Sequence[str], properties: str, where: str, line: int) -> None:
    """Raise at the first row whose element or number cannot be one.

    Parameters
    ----------
    rows
        The lines of the atoms.
    properties
        What the comment declares of their columns; empty for an element and a position.
    where, line
        What the message calls the frame, and the number of the first row in the file.

    Raises
    ------
    DataError
        Names the line.
    """
    fields = (properties or _PLAIN).split(":")
    kinds = [
        (name, kind)
        for name, kind, count in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
        for _ in range(int(count))
    ]
    for k, row in enumerate(rows):
        here = f"{where}, line {line + k}"
        words = row.split()
        if len(words) < len(kinds):
            raise DataError(f"{here}: an atom should stand here, not {row.strip()[:30]!r}; is one missing?")
        for (name, kind), word in zip(kinds, words, strict=False):
            if name == "species" and not is_element(word.capitalize()):
                raise DataError(f"{here}: {word!r} cannot be read as an element; {hint(word)}.")
            if kind in "RI" and not _is_number(word, kind):
                raise DataError(f"{here}: {word!r} in the column {name!r} cannot be read as a number.")


def _is_number(word: str, kind: str) -> bool:
    try:
        float(word) if kind == "R" else int(word)
    except ValueError:
        return False
    return True
