"""TurboRVB: ``pip0.d`` and ``pip0_fn.d``, a mean and its error from ``forcevmc.sh`` and ``forcefn.sh``; Hartree.

The first line is the number of bins, the second ``Energy =`` with the mean and its error (src/d_tools/corrvar of
TurboRVB). An average over twists is ``Total Energy = mean +/- error``, then ``Variance =`` (bin/energy.py). Which bins
were left out, and how long they are, only the one who called the script knows.
"""

import re
from pathlib import Path

import numpy as np

from rung.collect.output import Mean
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.errors import DataError
from rung.units import HARTREE

_BINS = re.compile(r"\s*number of bins read\s*=\s*(\d+)\s*$", re.MULTILINE)
_TWISTS = re.compile(r"^\s*Total Energy\s*=\s*(\S+)\s+\+/-\s+(\S+)\s*$", re.MULTILINE)
_ENERGY = re.compile(r"^\s*Energy\s*=\s*(\S+)\s+(\S+)\s*$", re.MULTILINE)

_HEAD = re.compile(
    r"\s*(number of bins read\s*=\s*\d+\s*$|Total Energy\s*=\s*\S+\s+\+/-\s+\S+\s*\n\s*Variance\s*=)", re.MULTILINE
)


def read(path: Path) -> Mean:
    """Read a file.

    Raises
    ------
    DataError
        When it has no energy, or several; or one that is no number.
    """
    text = text_of(path)
    bins, averages = _BINS.findall(text), _TWISTS.findall(text)
    energies = _ENERGY.findall(text) + averages
    if len(bins) > 1 or len(energies) > 1:
        raise DataError(f"{path} holds {max(len(bins), len(energies))} results; split it, and collect the parts.")
    if not energies or bool(bins) == bool(averages):
        raise DataError(f"{path} has no line 'Energy = mean error': the script that writes it failed, run it again.")
    try:
        energy, stderr = (float(word.upper().replace("D", "E")) for word in energies[0])
    except ValueError as error:
        raise DataError(f"{path}: its energy is {' '.join(energies[0])}, and no two numbers.") from error
    if not (np.isfinite(energy) and 0 < stderr < np.inf):
        raise DataError(f"{path}: its energy is {energy:g} ± {stderr:g}, so no error can be told.")
    method = {"pip0.d": "VMC", "pip0_fn.d": "DMC"}.get(path.name, "")
    notes = ("it is an average over twists",) if averages else ()
    return Mean(path, "TurboRVB", method, HARTREE * energy, HARTREE * stderr, int(bins[0]) if bins else 0, notes)


READER = OutputReader(
    kind="TurboRVB pip0.d",
    suffixes=("pip0.d", "pip0_fn.d"),
    recognises=lambda _, head: _HEAD.match(head[:400].decode("utf-8", "replace")) is not None,
    read=read,
)
