"""A check of energies that lie far from a robust per-element fit."""

from collections.abc import Iterator, Sequence

import numpy as np

from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, ids
from rung.doctor.slopes import weighted_median
from rung.errors import counted
from rung.results.findings import Finding

FAR = 10.0
"""Standard deviations, by the median absolute deviation: tails of real data reach six or seven."""

FLOOR = 0.005
"""eV per atom: nearer than this is no outlier, however well the others agree."""

ENOUGH = 10
"""Energies a fidelity needs in all, more than elements, for a fit to mean anything."""


def outliers(examined: Examined) -> Iterator[Finding]:
    """Find energies far from a robust fit of reference energies and of another fidelity's or the base's energies."""
    for fidelity in examined.ordered:
        labelled = [
            (split, structure)
            for split, members in examined.bonded.items()
            for structure in members
            if structure.labelled(fidelity).has_energy
        ]
        structures = [structure for _, structure in labelled]
        against, beside = energies_beside(examined, fidelity, structures)
        near = np.isfinite(beside)
        distance = np.zeros(len(structures))
        distance[near] = far_from_fit(
            [s for s, one in zip(structures, near, strict=True) if one], fidelity, beside[near]
        )
        alone = far_from_fit(structures, fidelity, None)  # those that nothing stands beside, among all
        distance[~near] = alone[~near]
        for split in examined.splits:
            far_off = [s for (where, s), far in zip(labelled, distance, strict=True) if where == split and far > 1.0]
            if far_off:
                yield finding(
                    "warning",
                    "outliers",
                    f"{split}: {counted(len(far_off), f'{fidelity!r} energy lies', f'{fidelity!r} energies lie')} far "
                    f"from a robust fit of reference energies{against}: {few(ids(far_off))}.",
                    (split,),
                    (fidelity,),
                    ids(far_off),
                )


def far_from_fit(structures: Sequence[Structure], fidelity: str, beside: Array | None) -> Array:
    """Return how far each energy lies from a robust fit, over what is allowed; above 1 it is an outlier.

    Parameters
    ----------
    structures
        All with an energy at ``fidelity``.
    fidelity
        The energies to look at.
    beside
        Energies of another fidelity or of the base, eV; None where there are none.
    """
    elements = elements_in(structures)
    if len(structures) < max(ENOUGH, 4 * len(elements)):
        return np.zeros(len(structures))
    sizes = np.array([len(structure) for structure in structures], dtype=float)
    matrix = rows_per_atom(structures, None if beside is None else beside - np.median(beside))
    energies = np.array([structure.labels[fidelity].energy for structure in structures])
    stderr = np.nan_to_num([structure.labels[fidelity].energy_stderr for structure in structures])
    residual = robust_residual(matrix, energies / sizes)
    scale = np.sqrt((1.4826 * scatter_of(residual, matrix.shape[1])) ** 2 + (stderr / sizes) ** 2)
    return np.asarray(np.abs(residual) / np.maximum(FAR * scale, FLOOR))


def rows_per_atom(structures: Sequence[Structure], beside: Array | None) -> Array:
    """Return what energies are fitted with, per atom: the composition, and other energies, eV, where there are any."""
    sizes = np.array([len(structure) for structure in structures], dtype=float)
    columns = [composition_matrix(structures, elements_in(structures))]
    if beside is not None:
        columns.append(beside[:, None])
    return np.asarray(np.hstack(columns) / sizes[:, None])


def scatter_of(residual: Array, n_columns: int) -> float:
    """Return the middle size of the residuals of a fit of nearly least absolute error.

    It goes through as many points as it has columns; they say nothing of the scatter.
    """
    return float(np.median(np.sort(np.abs(residual))[n_columns:]))


def robust_residual(matrix: Array, values: Array) -> Array:
    """Return residuals of a fit of nearly least absolute error, by reweighted least squares; the median is zero."""
    scale = np.linalg.norm(matrix, axis=0)
    matrix = matrix / np.where(scale > 0, scale, 1.0)
    weight = np.ones(len(values))
    residual = values
    for _ in range(30):
        root = np.sqrt(weight)[:, None]
        coefficients = np.linalg.lstsq(matrix * root, values * root[:, 0], rcond=1e-10)[0]
        residual = values - matrix @ coefficients
        weight = 1.0 / np.maximum(np.abs(residual), 1e-6 + 0.1 * float(np.median(np.abs(residual))))
    return residual - weighted_median(residual, np.ones(len(residual)))


def energies_beside(examined: Examined, fidelity: str, structures: Sequence[Structure]) -> tuple[str, Array]:
    """Return a name and the energies to stand beside those of ``fidelity``: a lower fidelity's, or the base's.

    Only a fidelity that comes before stands beside, so that one wrong energy is not found twice.
    """
    before = examined.ordered[: examined.ordered.index(fidelity)]
    candidates = [(name, np.array([s.labelled(name).energy for s in structures])) for name in before]
    of_base = np.array([examined.base_energies.get(s.geometry_hash, np.nan) for s in structures])
    candidates.append(("base", of_base))
    name, energies = max(candidates, key=lambda item: int(np.isfinite(item[1]).sum()))
    if int(np.isfinite(energies).sum()) <= len(structures) // 2:
        return "", np.full(len(structures), np.nan)
    return (" and the base's energies" if name == "base" else f" and {name!r} energies"), energies
