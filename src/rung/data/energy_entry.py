"""Numbers as people write them in tables: an energy alone, or with its one-sigma error beside it in the same entry.

``-1.1723(5)`` has its error in the last digits, as papers on quantum Monte Carlo print it (the concise form of the
Guide to the Expression of Uncertainty in Measurement, section 7.2.2); ``-1172.3(5.2)`` and ``-1.1723 +/- 0.0005``
spell it out.
"""

import re
from typing import Any

import numpy as np

from rung.errors import DataError

_SIZE = r"(?:\d+\.?\d*|\.\d+)"
_POWER = r"(?:[eE][+-]?\d+)"
_BRACKETS = re.compile(rf"([+-]?{_SIZE})\s*\(({_SIZE})\)({_POWER}?)", re.ASCII)
_PLUS_MINUS = re.compile(rf"([+-]?{_SIZE}{_POWER}?)\s*(?:±|\+/-|\+-)\s*({_SIZE}{_POWER}?)", re.ASCII)
_STATED = re.compile(r"[()±]|\+/-|\+-")
_MINUS_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-"})
"""Word processors and PDF files have these in place of a hyphen."""


def number(entry: Any, name: str, wanted: str = "a number") -> float:
    """Return an entry as a finite number.

    Parameters
    ----------
    entry
        Text, bytes or a number.
    name
        What it is, for the message.
    wanted
        What it should be, for the message.

    Raises
    ------
    DataError
        When it is none; for text with a comma the sentence says how to write it.
    """
    text = _text(entry)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(text, (bool, np.bool_)) or not np.isfinite(value):
        _require_no_comma(text, name)
        raise DataError(f"{name} is {text!r}, and should be {wanted}.")
    return value


def energy_and_stderr(energy: Any, stderr: Any = None, wanted: str = "a number") -> tuple[float, float]:
    """Return an energy and its one-sigma error, NaN where there is none, both in the unit of the entries.

    Parameters
    ----------
    energy
        A number; or text such as ``-1.1723``, ``-1.1723(5)``, ``-1.5(1)e-3``, ``-1172.3(5.2)``, ``-1.1723 +/- 0.0005``
        or the same with ``±`` or ``+-``.
    stderr
        The error where it has an entry of its own; empty or None where it has none.
    wanted
        What either should be, for the message.

    Raises
    ------
    DataError
        When one is no such entry, the error is not above zero, or both entries state it.
    """
    value, stated = _with_error(_text(energy), wanted)
    apart = _text(stderr)
    if apart is None or apart == "":
        return value, stated
    if not np.isnan(stated):
        raise DataError(f"energy is {_text(energy)!r} and stderr is {apart!r}; keep one of the two errors.")
    own = number(apart, "stderr", wanted)
    if own <= 0:
        raise DataError(f"stderr is {apart!r}, and should be above zero; leave it empty where there is none.")
    return value, own


def _with_error(entry: Any, wanted: str) -> tuple[float, float]:
    if not isinstance(entry, str) or not _STATED.search(entry):
        return number(entry, "energy", wanted), float("nan")
    _require_no_comma(entry, "energy")
    value, stderr = _parts(entry)
    if not np.isfinite((value, stderr)).all():
        raise DataError(f"energy is {entry!r}, and should be {wanted}.")
    if stderr <= 0:
        raise DataError(f"energy is {entry!r}, whose error should be above zero; leave it out where there is none.")
    return value, stderr


def _parts(entry: str) -> tuple[float, float]:
    if spelt := _PLUS_MINUS.fullmatch(entry):
        return float(spelt[1]), float(spelt[2])
    if short := _BRACKETS.fullmatch(entry):
        value, stderr, power = short.groups()
        decimals = 0 if "." in stderr else len(value.partition(".")[2])
        return float(value + power), float(f"{stderr}e{int(power[1:] or 0) - decimals}")
    what = "brackets" if "(" in entry or ")" in entry else "error"
    raise DataError(f"energy is {entry!r}, whose {what} cannot be read; write -1.1723(5), or -1.1723 +/- 0.0005.")


def _require_no_comma(text: Any, name: str) -> None:
    if isinstance(text, str) and "," in text:
        raise DataError(
            f"{name} is {text!r}, whose comma may part decimals or thousands; write its decimals after a point."
        )


def _text(entry: Any) -> Any:
    """Return bytes as text, and text without what word processors put into it; another entry as it is."""
    if isinstance(entry, bytes):
        entry = entry.decode("utf-8", "replace")
    return str(entry).strip().translate(_MINUS_SIGNS) if isinstance(entry, str) else entry
