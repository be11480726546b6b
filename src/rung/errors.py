"""Every error that rung raises on purpose: one sentence that says what is wrong and what to do.

``exit_code`` is what the command line returns: 2 for anything that stops the work, 1 for findings in data.
"""

import difflib
from collections.abc import Iterable


class RungError(Exception):
    """The base of all errors that a user can mend."""

    exit_code = 2


class ConfigError(RungError):
    """A setting is unknown, missing or impossible."""


class DataError(RungError):
    """A file of labelled structures cannot be used as it is."""


class FindingsError(DataError):
    """The checks of the doctor found errors in readable data."""

    exit_code = 1


class ModelError(RungError):
    """A model file cannot be used."""


class UntrustedError(ModelError):
    """A file could run code while it loads, and the user has not said that it is trusted."""


class MissingExtraError(ModelError):
    """An optional package is needed; the message names the extra that brings it."""


class StorageError(RungError):
    """A file cannot be written, read or locked."""


class ExecutorError(RungError):
    """Work cannot be given to the workers that were asked for."""


class FitError(RungError):
    """The labels given cannot determine the fit that was asked for."""


class LabelError(RungError):
    """A calculation gave no label."""


class UnconvergedError(LabelError):
    """A calculation did not converge or diverged: to do it once more as it is would not help."""


class TimeLimitError(LabelError):
    """A calculation came to its time limit."""


class WaitingError(LabelError):
    """Inputs of a calculation are written, and its outputs are not there yet."""


def one_of(name: str, known: Iterable[str], what: str) -> str:
    """Return a sentence for an unknown ``name``: what there is, and the nearest of it, in capitals or not."""
    choices = sorted(known)
    plain = {choice.casefold(): choice for choice in reversed(choices)}
    close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.5)
    hint = f" Did you mean {plain[close[0]]!r}?" if close else ""
    listed = ", ".join(choices) if choices else "none"
    return f"Unknown {what} {name!r}; there is: {listed}.{hint}"


def counted(number: int, one: str, several: str = "") -> str:
    """Return ``1 energy`` or ``2 energies`` for a sentence; without ``several`` an s makes ``one`` many."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
