"""Command lines that lack something, in rung's words; cyclopts says that an option which nobody typed lacks a value."""

import difflib
from collections.abc import Sequence

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError
from cyclopts.argument import ArgumentCollection

from rung.errors import counted


def sentence_of(error: CycloptsError) -> str:
    """Return what is wrong with a command line, and what to do."""
    command = " ".join(("rung", *(error.command_chain or ())))
    if isinstance(error, UnusedCliTokensError):
        return f"{command} takes no {' '.join(error.unused_tokens or ())} there. See {command} --help."
    if not isinstance(error, MissingArgumentError) or error.argument is None or error.app is None:
        return str(error)
    if error.keyword is not None:
        values, _ = error.argument.token_count()
        return f"{error.keyword} needs {'a value' if values < 2 else counted(values, 'value')}. See {command} --help."
    known = error.app.assemble_argument_collection()
    missing = _missing(known, error.argument.name, error.root_input_tokens or ())
    listed = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    return f"{command} needs {listed}.{_meant(known, missing, error.unused_tokens or ())} See {command} --help."


def _missing(known: ArgumentCollection, first: str, typed: Sequence[str]) -> list[str]:
    """Return the names of all that must be given and is not: places from the first that is empty, and options."""
    needed = [one for one in known if one.required]
    empty = [one.name for one in needed].index(first)
    words = {word.partition("=")[0] for word in typed}
    return [
        one.name
        for place, one in enumerate(needed)
        if (words.isdisjoint(one.names) if one.field_info.is_keyword else place >= empty)
    ]


def _meant(known: ArgumentCollection, missing: Sequence[str], unused: Sequence[str]) -> str:
    """Return a question about the first option that the command does not know, where one that is missing is like it."""
    names = {name for one in known for name in one.names}
    for word in (word.partition("=")[0] for word in unused):
        if word.startswith("--") and word not in names:
            close = difflib.get_close_matches(word, missing, n=1, cutoff=0.5)
            return f" Did you mean {close[0]} by {word}?" if close else f" It has no {word}."
    return ""
