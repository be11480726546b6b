"""Labels as rows of the linear model: energies of structures, and differences of two, with the errors they share.

With T the ``combination``, the data are ``T E + noise``. What differs from independent energies stands here alone:
designs, compositions and the model's own error follow as ``T A``, ``T Z`` and ``T M Tᵀ``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.energy_table import NO_TABLE, EnergyRow, EnergyTable
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import FitError


@dataclass(frozen=True)
class LabelRows:
    """``m`` labels of ``n`` structures.

    Parameters
    ----------
    combination
        T, shape ``(m, n)``: a row with a single 1 for an energy, with 1 and -1 for a difference.
    energy
        eV, shape ``(m,)``.
    sigma
        The error of each, eV, shape ``(m,)``; zero where there is none.
    factors
        One column for each run that several labels share: the part of their errors that they share, shape ``(m, r)``.
    """

    combination: Array
    energy: Array
    sigma: Array
    factors: Array

    @property
    def covariance(self) -> Array:
        """Of the labels' own errors, eV², shape ``(m, m)``."""
        own = self.sigma**2 - np.sum(self.factors**2, axis=1)
        return np.diag(np.maximum(own, 0.0)) + self.factors @ self.factors.T


def mentioned(structures: Sequence[Structure], fidelity: str, table: EnergyTable = NO_TABLE) -> list[int]:
    """Return the positions of the structures that a label of ``fidelity`` tells of; of several of one name, the first.

    Parameters
    ----------
    structures
        With their energies as labels.
    table
        Differences.
    """
    return [place for place, _ in telling(structures, fidelity, table)]


def telling(
    structures: Iterable[Structure], fidelity: str, table: EnergyTable = NO_TABLE
) -> Iterator[tuple[int, Structure]]:
    """Yield what :func:`mentioned` returns, each with its structure: streamed ones are read once, and none is kept."""
    wanted = set(table.of(fidelity).subtracted)
    for place, structure in enumerate(structures):
        if structure.labelled(fidelity).has_energy or structure.structure_id in wanted:
            yield place, structure
        wanted.discard(structure.structure_id)


def label_compositions(
    structures: Sequence[Structure], composition: Array, fidelity: str, table: EnergyTable = NO_TABLE
) -> Array:
    """Return T Z without T, which may be large: atoms of each element in each label, shape ``(m, E)``.

    Parameters are those of :func:`label_rows`, with the compositions of the structures, shape ``(n, E)``.
    """
    place = {structure.structure_id: number for number, structure in reversed([*enumerate(structures)])}
    energies = [k for k, structure in enumerate(structures) if structure.labelled(fidelity).has_energy]
    pairs = [(place[row.structure_id], place[row.minus]) for row in table.of(fidelity).within(place).differences]
    one, other = np.array(pairs, dtype=int).reshape(-1, 2).T
    return np.vstack([composition[energies], composition[one] - composition[other]])


def are_special(fidelity: str, table: EnergyTable) -> bool:
    """Return whether labels of ``fidelity`` are anything but energies with errors of their own."""
    own = table.of(fidelity)
    return bool(own.differences or own.correlated)


def label_rows(structures: Sequence[Structure], fidelity: str, table: EnergyTable = NO_TABLE) -> LabelRows:
    """Return the labels of ``fidelity``: the energies of the structures that have one, then the differences.

    Parameters
    ----------
    structures
        ``n`` structures, those that :func:`mentioned` names.
    table
        Differences, and which energies share errors.

    Raises
    ------
    FitError
        When a row of the table tells of no structure that is there.
    """
    known = {structure.structure_id: place for place, structure in reversed([*enumerate(structures)])}
    own = table.of(fidelity)
    labels = [structure.labelled(fidelity) for structure in structures]
    places = [place for place, label in enumerate(labels) if label.has_energy]
    energy = np.array([labels[place].energy for place in places] + [row.energy for row in own.differences])
    sigma = np.array([labels[place].energy_stderr for place in places] + [row.stderr for row in own.differences])
    combination = np.zeros((len(energy), len(structures)))
    combination[np.arange(len(places)), places] = 1.0
    row_of: dict[int, EnergyRow] = {}
    named = {row.structure_id: row for row in own.energies}
    for number, place in enumerate(places):
        if known[structures[place].structure_id] == place and structures[place].structure_id in named:
            row_of[number] = named[structures[place].structure_id]
    for number, row in enumerate(own.differences, start=len(places)):
        if missing := sorted(row.pair - set(known)):
            raise FitError(
                f"{row.place}: {missing[0]} is not among the structures that are fitted; single atoms are left out "
                "unless data.single_atoms is fit."
            )
        combination[number, known[row.structure_id]] = 1.0
        combination[number, known[row.minus]] = -1.0
        row_of[number] = row
    return LabelRows(combination, energy, np.nan_to_num(sigma), _factors(row_of, len(energy)))


def _factors(rows: dict[int, EnergyRow], count: int) -> Array:
    runs = sorted({row.run for row in rows.values() if row.run})
    factors = np.zeros((count, len(runs)))
    for number, row in rows.items():
        if row.run:
            factors[number, runs.index(row.run)] = row.shared_stderr
    shared = np.count_nonzero(factors, axis=0) > 1  # with nobody to share it, an error is a label's own
    return factors[:, shared]
