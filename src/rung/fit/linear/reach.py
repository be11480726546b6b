"""How much of the training structures' energies the labelled ones reach: beyond them a fit extrapolates.

Where two levels of theory differ by a part of how far a structure is from equilibrium, labels of hot frames alone say
little of cold ones, and their reference energies take up what hot frames have in common. Features do not see this: cold
frames lie in the middle of hot ones.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.data.labels import Array
from rung.fit.linear.factors import row_space

MARGIN = 0.25
"""Of the labelled range, on both sides: so far beyond it still counts as reached."""

TOO_MANY = 0.25
"""Share of the training structures beyond the labelled range from which it is worth a warning."""

FEWEST = 3
"""Labelled structures without which there is no range."""


def not_reached(energies: Array, composition: Array, labelled: NDArray[Any]) -> tuple[str, ...]:
    """Return a warning where many training structures lie beyond the labelled ones in energy; else nothing.

    Parameters
    ----------
    energies
        The base's, of all training structures, eV, shape ``(S,)``.
    composition
        Atoms of each element, shape ``(S, E)``. Structures whose reference energies the labels leave open do not count.
    labelled
        Positions of the structures that labels tell of.
    """
    if len(labelled) < FEWEST:
        return ()
    atoms = composition.sum(axis=1)
    known = row_space(composition[labelled])
    identified = np.linalg.norm(composition - composition @ known.T @ known, axis=1) <= 1e-8 * atoms
    reference = np.linalg.lstsq(composition[labelled], energies[labelled], rcond=None)[0]
    beyond = (energies - composition @ reference) / atoms
    low, high = beyond[labelled].min(), beyond[labelled].max()
    margin = MARGIN * (high - low)
    below, above = identified & (beyond < low - margin), identified & (beyond > high + margin)
    count, total = int(np.count_nonzero(below | above)), int(np.count_nonzero(identified))
    if count <= TOO_MANY * total:
        return ()
    where = " or ".join(name for name, some in (("below", below), ("above", above)) if some.any())
    return (
        f"Labels reach little of the training structures: of {total}, {count} lie {where} the labelled ones in the "
        f"base's energy, by up to {1e3 * _farthest(beyond[identified], low, high):.0f} meV/atom, and there neither "
        "energies nor their error bars are safe; label some of them.",
    )


def _farthest(values: Array, low: float, high: float) -> float:
    return float(max(low - values.min(), values.max() - high))
