"""QMCPACK's ``ACForce`` columns of ``scalar.dat``, four for each component of the force on each ion; Hartree/bohr.

``ACForce_hf_<ion>_<axis>``, ``_pulay_``, ``_Ewfgrad_`` and ``_wfgrad_`` are written with the sign of forces
(src/QMCHamiltonians/ACForce.cpp). The first holds the ions' own repulsion; ``pulay`` is the zero-variance term, zero
with fast derivatives.
"""

import re
from collections.abc import Mapping

import numpy as np

from rung.collect.forces import ForceSeries
from rung.data.labels import Array
from rung.units import BOHR, HARTREE

PIECES = ("hf", "pulay", "Ewfgrad", "wfgrad")
_COLUMN = re.compile(r"ACForce_(hf|pulay|Ewfgrad|wfgrad)_(\d+)_([012])")


def is_force(name: str) -> bool:
    """Return whether a column is a piece of a force."""
    return name.startswith("ACForce_")


def force_series(table: Mapping[str, Array]) -> tuple[ForceSeries | None, tuple[str, ...]]:
    """Return the pieces of the forces in the columns of a file, and what is to be said of them.

    None without such columns, and with a note where they are not those of all components, or hold what is no number.
    """
    columns = {name: values for name, values in table.items() if is_force(name)}
    if not columns:
        return None, ()
    matches = [_COLUMN.fullmatch(name) for name in columns]
    ions = 1 + max((int(match[2]) for match in matches if match is not None), default=-1)
    due = [f"ACForce_{piece}_{ion}_{axis}" for ion in range(ions) for axis in range(3) for piece in PIECES]
    strange = next((name for name, match in zip(columns, matches, strict=True) if match is None), None)
    if strange is not None:
        return None, (f"its forces are left out: {strange} is no column that is known",)
    missing = [name for name in due if name not in columns]
    if missing:
        return None, (f"its forces are left out: {len(missing)} of {len(due)} columns are missing, first {missing[0]}",)
    bad = next((name for name in due if not np.isfinite(columns[name]).all()), None)
    if bad is not None:
        return None, (f"its forces are left out: {bad} holds what is no finite number",)
    pieces = {piece: _stacked(columns, piece, ions) for piece in PIECES}
    force = HARTREE / BOHR
    return ForceSeries(
        direct=force * (pieces["hf"] + pieces["pulay"]),
        weighted_gradient=force * pieces["Ewfgrad"],
        gradient=pieces["wfgrad"] / BOHR,
    ), ()


def _stacked(columns: Mapping[str, Array], piece: str, ions: int) -> Array:
    listed = [columns[f"ACForce_{piece}_{ion}_{axis}"] for ion in range(ions) for axis in range(3)]
    return np.stack(listed, axis=1).reshape(-1, ions, 3)
