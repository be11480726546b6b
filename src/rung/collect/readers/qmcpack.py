"""QMCPACK: ``scalar.dat``, a row for each block, and ``dmc.dat``, a row for each step; Hartree per simulation cell.

The columns stand in the first line, and which there are depends on the run: ``LocalEnergy`` is always there. Blocks of
``scalar.dat`` are averaged plainly, as QMCPACK's own ``qmca`` does; steps of ``dmc.dat`` by ``Weight``, the weight of
all walkers (src/QMCDrivers/WalkerControl.cpp).
"""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from rung.collect.output import Series
from rung.collect.readers.qmcpack_forces import force_series, is_force
from rung.collect.readers.qmcpack_input import geometry_of_input, inputs_of
from rung.collect.readers.reader import OutputReader, RunName
from rung.collect.readers.rows import Rows, numbered, read_rows, require_finite, require_one_run, text_of
from rung.data.labels import Array
from rung.errors import DataError
from rung.units import HARTREE

ENERGY, BLOCK_WEIGHT, STEP_WEIGHT = "LocalEnergy", "BlockWeight", "Weight"

_WEIGHS = 0.5
"""Standard errors, as of independent blocks, by which weights may move the mean without a word."""

_NAME = re.compile(r"(?P<prefix>.+?)(?:\.g(?P<twist>\d+))?\.s(?P<series>\d+)\.(?:scalar|dmc)\.dat")
_NO_ENERGIES = {ENERGY, "LocalEnergy_sq", BLOCK_WEIGHT, "BlockCPU", "AcceptRatio", "index"}
_SCALAR = re.compile(rb"#\s*index\s+LocalEnergy\s")
_DMC = re.compile(rb"#\s*Index\s+LocalEnergy\s+Variance\s+Weight\s")


def run_name(path: Path) -> RunName:
    """Return which run a file is of: ``<prefix>[.g<twist>].s<series>.scalar.dat``."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return RunName(path.parent, path.name)
    twist = match["twist"]
    return RunName(path.parent, match["prefix"], int(match["series"]), None if twist is None else int(twist))


def read_scalar(path: Path) -> Series:
    """Read ``scalar.dat``.

    A run whose blocks all have one weight is VMC: in DMC the number of walkers changes.

    Raises
    ------
    DataError
        When the file is empty, damaged, or holds two runs.
    """
    rows, table = _table(path)
    weights = table.get(BLOCK_WEIGHT, np.ones(len(rows.values)))
    energies = HARTREE * require_finite(path, rows, table[ENERGY], ENERGY)
    method = "VMC" if len(weights) > 1 and np.ptp(weights) == 0 else "DMC"
    columns = {
        name: HARTREE * values for name, values in table.items() if name not in _NO_ENERGIES and not is_force(name)
    }
    forces, said = force_series(table)
    notes = (*rows.notes, *_weighing(energies, weights), *said)
    prefix = run_name(path).prefix
    return Series(
        path,
        "QMCPACK",
        method if BLOCK_WEIGHT in table else "",
        energies,
        np.ones_like(energies),
        0,
        columns,
        atoms_of_input(path.parent, prefix),
        notes,
        forces,
        None if forces is None else geometry_of_input(path.parent, prefix),
    )


def read_dmc(path: Path) -> Series:
    """Read ``dmc.dat``; errors are those of :func:`read_scalar`."""
    rows, table = _table(path)
    energies = HARTREE * require_finite(path, rows, table[ENERGY], ENERGY)
    weights = require_finite(path, rows, table[STEP_WEIGHT], STEP_WEIGHT)
    if (weights <= 0).any():
        line = rows.lines[int(np.argmin(weights))]
        raise DataError(f"{path}, line {line}: all walkers are gone ({STEP_WEIGHT} is not above zero).")
    n_atoms = atoms_of_input(path.parent, run_name(path).prefix)
    return Series(path, "QMCPACK", "DMC", energies, weights, n_atoms=n_atoms, notes=rows.notes)


def atoms_of_input(folder: Path, prefix: str) -> int | None:
    """Return how many atoms the inputs of a project in ``folder`` have in their cell; None where they do not tell.

    An input is XML with ``<project id="prefix">``, and its atoms are the particle sets whose groups have a positive
    charge.
    """
    counts = {sum(_atoms_in(ions) for ions in root.iter("particleset")) for root in inputs_of(folder, prefix)}
    return counts.pop() if len(counts) == 1 and counts != {0} else None


def _atoms_in(particles: ElementTree.Element) -> int:
    """Return how many particles of positive charge a set has."""
    count = 0
    for group in particles.iter("group"):
        charges = [one.text or "" for one in group.iter("parameter") if one.get("name") == "charge"]
        size = group.get("size") or particles.get("size") or ""
        if charges and _positive(charges[0]) and size.isdecimal():
            count += int(size)
    return count


def _positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _weighing(energies: Array, weights: Array) -> tuple[str, ...]:
    """Return what is to be said where the weights of blocks matter, by which qmca does not average them."""
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        return ("some blocks have no weight: all walkers were gone",)
    shift = float(np.average(energies, weights=weights) - energies.mean())
    if abs(shift) <= _WEIGHS * energies.std() / np.sqrt(len(energies)):
        return ()
    return (f"weighed by their walkers, the blocks' mean is {shift:+.4f} eV off: the population drifts",)


def _table(path: Path) -> tuple[Rows, dict[str, Array]]:
    """Return the rows of a file, and its columns by their names in the first line."""
    text = text_of(path)
    lines = list(numbered(text))
    if not lines or not lines[0][1].lstrip().startswith("#"):
        raise DataError(f"{path} has no line of column names at its top; the file is empty or damaged.")
    names = lines[0][1].lstrip().removeprefix("#").split()
    if ENERGY not in names:
        raise DataError(f"{path} has no column {ENERGY}; there is: {', '.join(names)}.")
    again = next((number for number, line in lines[1:] if line.lstrip().startswith("#")), None)
    if again is not None:
        raise DataError(f"{path}, line {again}: a second run begins there; split the file, and collect the parts.")
    whole = text.endswith("\n")
    rows = read_rows(path, ((number, line.split()) for number, line in lines[1:]), len(names), whole=whole)
    require_one_run(path, rows, rows.values[:, 0])
    return rows, dict(zip(names, rows.values.T, strict=True))


SCALAR = OutputReader(
    kind="QMCPACK scalar.dat",
    suffixes=(".scalar.dat",),
    recognises=lambda _, head: _SCALAR.match(head) is not None,
    read=read_scalar,
    name=run_name,
)

DMC = OutputReader(
    kind="QMCPACK dmc.dat",
    suffixes=(".dmc.dat",),
    recognises=lambda _, head: _DMC.match(head) is not None,
    read=read_dmc,
    name=run_name,
    spare=True,
)
