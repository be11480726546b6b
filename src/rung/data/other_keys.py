"""Labels that a file calls otherwise than rung does: what may be one, and how to give it its name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rung.data.attributes import ARRAYS, IMAGE_FLAGS, STATE
from rung.data.labels import BARE_KEYS, ENERGY, FORCES, STRESS, split_key
from rung.errors import one_of

ENDINGS = {
    ENERGY: ("_energies", "_en", "_e", "_etot", "_total_energy", "_potential_energy"),
    FORCES: ("_force", "_f", "_frc", "_forcess"),
    STRESS: ("_stresses", "_strs"),
}
"""How the names of labels are spelt in the files of others."""

_SPELT = {**ENDINGS, "_gradient": ("_gradients", "_grad", "_grads")}
"""The same with forces of the other sign, which ``rung convert`` turns; no key of rung ends so."""

_KNOWN = (*BARE_KEYS, *STATE, *ARRAYS, IMAGE_FLAGS, "positions", "momenta", "velocities")
"""Names that rung or ASE know, so that nobody takes their numbers for labels of another name."""


def right_key(key: str) -> str:
    """Return the key of rung that ``key`` was probably meant for; empty where its ending says nothing."""
    return _with_ending(key, ENDINGS)


def numbers_in(info: Mapping[str, Any], arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys and columns of a frame that could be labels and have no name of one, sorted.

    These are floating-point numbers: one, six or nine of a frame, or three of each atom.
    """
    of_frame = [str(key) for key, value in info.items() if _is_float(value) and np.size(value) in (1, 6, 9)]
    of_atoms = [str(key) for key, value in arrays.items() if _is_float(value) and np.shape(value)[1:] == (3,)]
    return tuple(sorted(key for key in (*of_frame, *of_atoms) if key not in _KNOWN and split_key(key) is None))


def conversion(keys: Sequence[str], fidelity: str = "NAME") -> str:
    """Return the command that gives labels under ``keys`` their names, as far as their spelling says what they are."""
    meanings: dict[str, str] = {}
    for key in keys:
        right = _with_ending(key, _SPELT)
        if right:
            meanings.setdefault(right.rpartition("_")[2], key)
    if "forces" in meanings:
        meanings.pop("gradient", None)
    pairs = " ".join(f"{meaning}={key}" for meaning, key in (meanings or {"energy": "KEY"}).items())
    return f"rung convert --keys {pairs} --fidelity {fidelity}"


def no_such_label(fidelity: str, labelled: Iterable[str]) -> str:
    """Return a sentence for a fidelity of which files have no label: what they have, and how labels get its name."""
    there = sorted(labelled)
    other = there[0] if len(there) == 1 else "KEY"
    name = f"{other}{ENERGY}" if there else "KEY"
    return (
        f"{one_of(fidelity, there, 'fidelity')} Labels of another name get this one by rung convert --keys "
        f"energy={name} --fidelity {fidelity}, or in a config by fidelities.{fidelity}.key: {other}."
    )


def _with_ending(key: str, spelt: Mapping[str, Sequence[str]]) -> str:
    lower = key.lower()
    for ending, others in spelt.items():
        for other in (ending, *others):
            if lower.endswith(other) and len(key) > len(other):
                return key[: -len(other)] + ending
    return ""


def _is_float(value: Any) -> bool:
    return not isinstance(value, Mapping) and np.asarray(value).dtype.kind == "f"
