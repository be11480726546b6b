"""Forces of a Monte Carlo run: the estimator of Assaraf and Caffarel, with its error, and whose atoms they are of.

With pieces of each block ``h`` (Hellmann-Feynman and zero variance), ``c = -E ∇lnΨ`` and ``w = -∇lnΨ``, the force
is ``<h> + 2 (<c> - <E><w>)`` (J. Chem. Phys. 119, 10536 (2003)). It is no mean, so its error is that of the mean of
``h + 2 (c - <E> w - <w> (E - <E>))``, which has the same mean and to first order the same error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from rung.collect.geometry import CLOSE, likeness
from rung.collect.statistics import mean_and_error
from rung.data.labels import Array

OF_THE_TRIAL = "DMC forces stand on the gradient of the trial function for that of the nodes' (Reynolds' approximation)"


@dataclass(frozen=True)
class ForceSeries:
    """The pieces of forces, a row for each block.

    Parameters
    ----------
    direct
        h, eV/Å, shape ``(rows, n, 3)``.
    weighted_gradient
        c, eV/Å, shape ``(rows, n, 3)``.
    gradient
        w, 1/Å, shape ``(rows, n, 3)``.
    """

    direct: Array
    weighted_gradient: Array
    gradient: Array


def mean_force(series: ForceSeries, energies: Array, first: int) -> tuple[Array, Array]:
    """Return the force and its standard error, eV/Å, shape ``(n, 3)`` each.

    Parameters
    ----------
    series
        The pieces.
    energies
        Of the same blocks, eV, shape ``(rows,)``.
    first
        Rows to leave out at the beginning.
    """
    energy = energies[first:] - energies[first:].mean()
    gradient = series.gradient[first:]
    # E may be thousands of eV: c - <E> w is formed row by row, where most of it cancels
    zero_bias = series.weighted_gradient[first:] - energies[first:].mean() * gradient
    rows = series.direct[first:] + 2.0 * (zero_bias - gradient.mean(axis=0) * energy[:, None, None])
    flat, ones = rows.reshape(len(rows), -1), np.ones(len(rows))
    errors = [mean_and_error(column, ones)[1] if np.ptp(column) > 0 else 0.0 for column in flat.T]
    return rows.mean(axis=0), np.array(errors).reshape(rows.shape[1:])


def misplaced(outputs: Sequence[Atoms | None], structure: Atoms) -> str:
    """Return why forces of the atoms of outputs are not those of a structure's; nothing where they are."""
    for atoms in outputs:
        if atoms is None:
            return "no input beside the output says in which order its atoms are"
        found = likeness(atoms, structure)
        if not found.distance < CLOSE:
            return "the input beside the output has its atoms in another order or at other places than the structure"
        if found.turned:
            return "the input beside the output has the molecule turned"
    return ""
