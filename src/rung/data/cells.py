"""Which cells the target's labels cover: whether a potential may be trusted where its cell changes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rung.data.structure import Structure

_SAME = 1e-3
"""Å: cells whose vectors differ by less are one."""

_LISTED = 4


def cells_of(structures: Sequence[Structure], target: str) -> dict[str, Any]:
    """Return what a checkpoint keeps of the labels of ``target``: whether any has a stress, and their cells.

    Returns
    -------
    dict
        ``stress``; ``n_cells``, the number of different periodic cells with an energy; ``cells``, the first few, Å.
    """
    labelled = [one for one in structures if one.labelled(target).has_energy or one.labelled(target).has_stress]
    cells: list[np.ndarray] = []
    for structure in labelled:
        cell = np.asarray(structure.atoms.cell.array, dtype=float)
        is_new = not any(np.allclose(cell, other, atol=_SAME) for other in cells)
        if structure.atoms.pbc.any() and is_new:
            cells.append(cell)
    return {
        "stress": any(one.labelled(target).has_stress for one in labelled),
        "n_cells": len(cells),
        "cells": [cell.tolist() for cell in cells[:_LISTED]],
    }


def cell_warning(metadata: Mapping[str, Any], fidelity: str) -> str:
    """Return why a cell that changes at ``fidelity`` is a guess; empty where labels cover it.

    Parameters
    ----------
    metadata
        Of a checkpoint.
    fidelity
        At which the cell is to change.
    """
    labels = metadata.get("target_labels")
    if metadata.get("target") != fidelity or not isinstance(labels, Mapping):
        return ""
    if labels["stress"] or labels["n_cells"] > 1:
        return ""
    if not labels["cells"]:
        return f"No {fidelity} label has a periodic cell: how its energy depends on the cell is the base's, not fitted."
    lengths = np.linalg.norm(np.array(labels["cells"][0]), axis=1)
    listed = " × ".join(f"{length:.3f}" for length in lengths)
    return (
        f"All {fidelity} energies are at one cell ({listed} Å) and none has a stress: how the energy depends on the "
        "cell is the base's, not fitted; use that cell, or label others."
    )
