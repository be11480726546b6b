"""Whether atoms move together: how many independent walkers the atoms of one trajectory are worth."""

import numpy as np

from rung.data.labels import Array

BLOCKS = 20
"""Blocks of equal time into which a trajectory is cut: each is long beside a hop, and all together tell of company."""


def independent_walkers(moved: Array, axes: tuple[int, ...]) -> float:
    """Return how many independent walkers give a mean squared displacement that scatters like that of all atoms.

    Parameters
    ----------
    moved
        Displacements from the first frame, Å, shape ``(T, n, 3)``.
    axes
        Which Cartesian directions count.

    Returns
    -------
    float
        Between 1, where all atoms move as one, and ``n``.

    Notes
    -----
    Squared normal displacements of two atoms whose displacements have correlation ρ have correlation ρ². So the mean
    over n atoms scatters as that of n / (1 + Σ ρ²/n) independent ones, the sum over ordered pairs of two different
    atoms. ρ is taken from the displacements over whole blocks in time, all atoms of a block together. Of k such
    numbers, ρ² comes out too large by (1 − ρ²)/k, which is taken off.
    """
    n_frames, n_atoms = moved.shape[:2]
    ends = np.linspace(0, n_frames - 1, min(BLOCKS, n_frames - 1) + 1).round().astype(int)
    steps = np.diff(moved[ends][:, :, list(axes)], axis=0)
    rows = steps.transpose(1, 0, 2).reshape(n_atoms, -1)
    sizes = np.linalg.norm(rows, axis=1)
    moving = sizes > 0
    count = int(moving.sum())
    if count < 2:
        return float(max(n_atoms, 1))
    unit = rows[moving] / sizes[moving, None]
    # the sum of squares of all pairs is that of the smaller of both products
    gram = unit @ unit.T if count <= rows.shape[1] else unit.T @ unit
    together = float(np.square(gram).sum()) - count
    spare = 1.0 / rows.shape[1]
    company = max((together / count - (count - 1) * spare) / (1.0 - spare), 0.0)
    return float(np.clip(n_atoms / (1.0 + company), 1.0, n_atoms))
