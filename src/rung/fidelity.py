"""A fidelity: one named set of labels and the surface that they sample."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rung.errors import ConfigError, one_of

LONGEST_NAME = 100
"""Letters of a name after which files are named: file systems take some 250 bytes, with what rung adds."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Fidelity:
    """One set of labels.

    Parameters
    ----------
    name
        The name that prefixes the label keys, such as ``dmc`` in ``dmc_energy``.
    level_of_theory
        What made the labels, for people: "DMC, T-moves, ccECP".
    energy_shared_stderr
        One-sigma error, in eV per cell, that every energy of this fidelity shares (finite size, time step).
    """

    name: str
    level_of_theory: str = ""
    energy_shared_stderr: float = 0.0

    def __post_init__(self) -> None:
        """Refuse names that cannot stand in a label key and errors that are not finite."""
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"The fidelity name {self.name!r} must be letters, digits, '_', '.', '+' or '-'.")
        if len(self.name) > LONGEST_NAME:
            raise ConfigError(
                f"The fidelity name {self.name[:20] + '…'!r} has {len(self.name)} letters; give one of up to "
                f"{LONGEST_NAME}, for files are named after it."
            )
        if not (math.isfinite(self.energy_shared_stderr) and self.energy_shared_stderr >= 0):
            raise ConfigError(
                f"energy_shared_stderr of fidelity {self.name!r} must be a finite number of eV, 0 or more."
            )


def require_fidelity(name: str, known: Iterable[str]) -> str:
    """Return ``name`` if it is one of ``known``; raise a :class:`ConfigError` that lists them otherwise."""
    known = tuple(known)
    if name not in known:
        raise ConfigError(one_of(name, known, "fidelity"))
    return name
