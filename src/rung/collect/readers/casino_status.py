"""CASINO: ``dmc.status``, the mean and error of a DMC run as CASINO itself blocks it; Hartree.

The energy of a crystal is per primitive cell, and the file does not say how many of these the simulation cell holds.
Where ``dmc.hist`` lies beside it, that is read in its place.
"""

import re
from pathlib import Path

import numpy as np

from rung.collect.output import Mean
from rung.collect.readers.reader import OutputReader, RunName
from rung.collect.readers.rows import text_of
from rung.errors import DataError
from rung.units import HARTREE

_HEAD = b"Mixed estimators of the energies"
_ENERGY = re.compile(r"^\s*Total energy\s*=\s*(\S+)\s*\+/-\s*(\S+)\s*$", re.MULTILINE)
_MEAN = re.compile(r"^\s*mean:\s*(\S+)\s*\+/-\s*(\S+)\s*$", re.MULTILINE)
_POINTS = re.compile(r"^\s*Number of data points collected\s*=\s*(\d+)\s*$", re.MULTILINE)
_UNIT = "[All energies given in (au)]"
_BAD = "Bad reblock convergence for ETOT"
_ROUNDED = 1e-9
"""Hartree by which what is printed twice may differ."""


def read(path: Path) -> Mean:
    """Read a file; the energy of a crystal comes out per primitive cell.

    Raises
    ------
    DataError
        When it has no energy, several, one in another unit, or one that contradicts what it was made from.
    """
    text = text_of(path)
    energies, means = _ENERGY.findall(text), _MEAN.findall(text)
    if len(energies) > 1:
        raise DataError(f"{path} holds {len(energies)} results; split it, and collect the parts.")
    if not energies or not means:
        raise DataError(f"{path} has no line 'Total energy = mean +/- error' with its reblock data; run CASINO on.")
    if _UNIT not in text:
        raise DataError(f"{path} does not say that its energies are in au; only Hartree are read.")
    try:
        energy, stderr, mean = (float(word) for word in (*energies[0], means[0][0]))
    except ValueError as error:
        raise DataError(f"{path}: its energy is {' +/- '.join(energies[0])}, and no two numbers.") from error
    if not (np.isfinite(energy) and 0 < stderr < np.inf):
        raise DataError(f"{path}: its energy is {energy:g} ± {stderr:g}, so no error can be told.")
    if not abs(mean - energy) < _ROUNDED:
        raise DataError(f"{path}: its energy is {energy:.9f}, and that of its reblock data {mean:.9f}; it is damaged.")
    notes = ["the energy of a crystal is per primitive cell here; dmc.hist says how many a simulation cell holds"]
    if _BAD in text:
        notes.append("CASINO says of it: bad reblock convergence, so the error may be too small; run on")
    points = _POINTS.search(text)
    return Mean(
        path, "CASINO", "DMC", HARTREE * energy, HARTREE * stderr, int(points[1]) if points else 0, tuple(notes)
    )


READER = OutputReader(
    kind="CASINO dmc.status",
    suffixes=("dmc.status",),
    recognises=lambda _, head: head.lstrip().startswith(_HEAD),
    read=read,
    name=lambda path: RunName(path.parent, path.name.replace(".status", ".hist")),
    spare=True,
)
