"""Reference energies from compositions: least squares, of least norm where compositions do not tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.elements import symbols
from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix
from rung.errors import FitError, counted


@dataclass(frozen=True)
class CompositionFit:
    """Energies per element that explain what compositions can.

    Parameters
    ----------
    elements
        Atomic numbers, ascending.
    energies
        eV per atom of each element.
    residual
        What is left of each structure's energy, eV, NaN where it has none.
    rank
        How many combinations of elements the labelled compositions tell apart.
    warnings
        One sentence where that is fewer than there are elements.
    """

    elements: tuple[int, ...]
    energies: Array
    residual: Array
    rank: int
    warnings: tuple[str, ...]


def fit_composition(
    structures: Sequence[Structure], energies: Array, stderr: Array, elements: Sequence[int], floor: float
) -> CompositionFit:
    """Fit ``energies`` by one constant per element.

    The weight of a structure of N atoms is ``1 / (σ² + (N·floor)²)``, which is that of the loss's energy term. Where
    several solutions fit equally well, the one of least norm is taken: a change then stays zero along what no
    composition tells.

    Parameters
    ----------
    structures
        Their compositions are used.
    energies, stderr
        eV, shape ``(S,)``; NaN where absent.
    elements
        Atomic numbers to fit, ascending.
    floor
        eV/atom, the model's own error.

    Raises
    ------
    FitError
        When no energy is given.
    """
    labelled = np.isfinite(energies)
    if not labelled.any():
        raise FitError("Reference energies cannot be fitted: no training structure has an energy.")
    composition = composition_matrix(structures, elements)
    size = np.array([len(structure) for structure in structures], dtype=float)
    weight = 1.0 / np.sqrt(np.nan_to_num(stderr) ** 2 + (size * floor) ** 2)
    rows = (composition * weight[:, None])[labelled]
    found, _, rank, _ = np.linalg.lstsq(rows, (energies * weight)[labelled], rcond=1e-10)
    warnings: tuple[str, ...] = ()
    if rank < len(elements):
        warnings = (
            f"The compositions of the training energies tell only {counted(int(rank), 'combination')} of the "
            f"{len(elements)} reference energies ({symbols(elements)}) apart; the others have the least possible size, "
            "so energies of other compositions mean little.",
        )
    return CompositionFit(
        tuple(elements), np.asarray(found, dtype=np.float64), energies - composition @ found, int(rank), warnings
    )
