"""A check of energies that stand per atom where those of the whole cell are meant.

Total energies over the number of atoms follow a robust fit of reference energies; energies per atom do so as they
stand. Where cells differ in size, only one of the two can be near.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from rung.data.labels import Array
from rung.data.structure import Structure, elements_in
from rung.doctor.examined import Examined
from rung.doctor.findings import finding
from rung.doctor.outliers import energies_beside, robust_residual, rows_per_atom, scatter_of
from rung.results.findings import Finding

NEARER = 4.0
"""How many times nearer to their fit energies per atom must be: chance reaches 2.7 with few total energies."""


def energies_per_atom(examined: Examined) -> Iterator[Finding]:
    """Find energies that follow the composition only where they are taken for energies per atom."""
    for split, fidelity in per_atom(examined):
        yield finding(
            "error",
            "energy-unit",
            f"{split}: {fidelity!r} energies in eV per atom: cells of different size have nearly the same energy, and "
            "rung reads that of the whole cell; multiply each, and its energy_stderr, by the number of its atoms.",
            (split,),
            (fidelity,),
        )


def per_atom(examined: Examined) -> tuple[tuple[str, str], ...]:
    """Return the splits and fidelities whose energies stand per atom."""
    return examined.once("energies per atom", lambda: tuple(_found(examined)))


def _found(examined: Examined) -> Iterator[tuple[str, str]]:
    for fidelity in examined.ordered:
        labelled = {
            split: [structure for structure in members if structure.labelled(fidelity).has_energy]
            for split, members in examined.bonded.items()
        }
        together = [structure for members in labelled.values() for structure in members]
        everywhere = _is_nearer(examined, fidelity, together)
        for split, members in labelled.items():
            if members and (everywhere or _is_nearer(examined, fidelity, members)):
                yield split, fidelity


def _is_nearer(examined: Examined, fidelity: str, structures: Sequence[Structure]) -> bool:
    _, beside = energies_beside(examined, fidelity, structures)
    known = np.isfinite(beside)
    compared = [structure for structure, one in zip(structures, known, strict=True) if one]
    return max(nearness(structures, fidelity), nearness(compared, fidelity, beside[known])) > NEARER


def nearness(structures: Sequence[Structure], fidelity: str, beside: Array | None = None) -> float:
    """Return how many times nearer to a fit of reference energies the energies are when taken as those of an atom.

    Parameters
    ----------
    structures
        All with an energy at ``fidelity``.
    fidelity
        The energies to look at.
    beside
        Total energies of another level, eV, that the fit may take as well.

    Returns
    -------
    float
        1 where nothing can be said: few energies, or cells of one size.
    """
    sizes = np.array([len(structure) for structure in structures], dtype=float)
    elements = elements_in(structures)
    if len(structures) < 6 + 2 * len(elements) or len(np.unique(sizes)) < 2:
        return 1.0
    matrix = rows_per_atom(structures, None if beside is None else beside - np.median(beside / sizes) * sizes)
    energies = np.array([structure.labels[fidelity].energy for structure in structures])
    total, each = (_scatter(matrix, values) for values in (energies / sizes, energies))
    shifted = _scatter(np.hstack([matrix, 1.0 / sizes[:, None]]), energies / sizes)
    # one constant in all energies hides their size as well, and then total energies less it are far nearer still
    return total / each if each > 0 and shifted * NEARER > each else 1.0


def _scatter(matrix: Array, values: Array) -> float:
    """Return the middle distance of values from a robust fit, over their middle size."""
    size = float(np.median(np.abs(values)))
    return scatter_of(robust_residual(matrix, values), matrix.shape[1]) / size if size > 0 else 0.0
