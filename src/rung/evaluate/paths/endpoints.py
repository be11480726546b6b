"""Whether two structures can be the ends of a band."""

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rung.data.attributes import unlike
from rung.data.held import Held
from rung.data.labels import Array
from rung.errors import DataError

SAME_PLACE = 0.1
"""Å: structures whose atoms all lie nearer to each other than this are one minimum."""

HELD_STILL = 1e-3
"""Å: what is held in two structures and lies nearer than this is at one place; text files round off less."""

_CANDIDATES = 64
"""Atoms whose way is tried as the way of all."""

_MOVED = 0.5
"""Å: an atom that goes less far cannot have changed places with another."""

_PERMUTED = 1 / 3
"""Of squared paths, best pairing over the given one: atoms that truly follow each other in a row reach 1/2."""


def displacements(initial: Atoms, final: Atoms) -> Array:
    """Return the shortest way of each atom from ``initial`` to ``final`` under periodicity, Å, shape ``(n, 3)``."""
    vectors, _ = find_mic(final.positions - initial.positions, initial.cell, initial.pbc)
    return np.asarray(vectors, dtype=float)


def common_shift(initial: Atoms, final: Atoms) -> Array:
    """Return how all atoms moved together from ``initial`` to ``final``: the mean of their ways, Å, shape ``(3,)``.

    It is zero where nothing is periodic, and along directions in which an atom is held: there a shift means something.

    Notes
    -----
    Near half a cell the shortest ways of atoms point to both sides, so their mean says nothing. The way of each atom is
    tried as that of all; the one that leaves the others the least to go is refined to the mean.
    """
    shifts = Held.of(initial).joined(Held.of(final)).shifts
    if len(initial) < 2 or not initial.pbc.any() or not len(shifts):
        return np.zeros(3)
    onto = shifts.T @ shifts
    raw = final.positions - initial.positions
    chosen = np.unique(np.linspace(0, len(raw) - 1, min(len(raw), _CANDIDATES)).astype(int))
    candidates = np.concatenate([np.zeros((1, 3)), raw[chosen] @ onto])
    left = find_mic((raw[None] - candidates[:, None]).reshape(-1, 3), initial.cell, initial.pbc)[1]
    totals = left.reshape(len(candidates), -1).sum(axis=1)
    best = 0 if totals[0] <= totals.min() + 1e-6 else int(np.argmin(totals))
    shift = candidates[best]
    for _ in range(20):
        change = find_mic(raw - shift, initial.cell, initial.pbc)[0].mean(axis=0) @ onto
        shift = shift + change
        if np.linalg.norm(change) < 1e-12:
            break
    return np.asarray(shift)


def relative_displacements(initial: Atoms, final: Atoms) -> Array:
    """Return :func:`displacements` without the common shift, Å, shape ``(n, 3)``."""
    shift = common_shift(initial, final)
    if not shift.any():
        return displacements(initial, final)
    vectors, _ = find_mic(final.positions - initial.positions - shift, initial.cell, initial.pbc)
    return np.asarray(vectors, dtype=float)


def aligned(initial: Atoms, final: Atoms) -> Atoms:
    """Return ``final`` like :func:`unwrapped`, and without the common shift of all atoms."""
    moved = unwrapped(initial, final)
    moved.set_positions(initial.positions + relative_displacements(initial, final), apply_constraint=False)
    return moved


def hold_together(initial: Atoms, final: Atoms) -> tuple[Atoms, Atoms, str]:
    """Return both ends with what either holds held in both, and a sentence where they hold other things.

    Raises
    ------
    DataError
        When what is held stands at another place in the other end: no path could hold it.
    """
    one, two = Held.of(initial), Held.of(final)
    held, different = one.joined(two), one.differs_from(two)
    ways = displacements(initial, final)
    across = ways - held.project(ways)
    lengths = np.linalg.norm(across, axis=1)
    if lengths.max(initial=0.0) > HELD_STILL:
        worst = int(np.argmax(lengths))
        raise DataError(
            f"Atom {worst} is held, and what is held of it stands {lengths[worst]:.3g} Å apart in the two ends; "
            "move one end so that both agree, or release the atom."
        )
    ends = initial.copy(), final.copy()
    for end in ends:
        end.set_constraint(held.constraints())
    # the last digits of a file are no way to go
    ends[1].set_positions(final.positions - across, apply_constraint=False)
    note = (
        f"The ends hold other atoms or directions (first at index {int(different[0])}): the band holds what either "
        f"holds, {held.words()}."
        if len(different)
        else ""
    )
    return *ends, note


def unwrapped(initial: Atoms, final: Atoms) -> Atoms:
    """Return ``final`` in the cell of ``initial``, every atom at the periodic image nearest to where it started."""
    moved: Atoms = final.copy()
    moved.set_cell(initial.cell)
    moved.set_positions(initial.positions + displacements(initial, final), apply_constraint=False)
    return moved


def same_place(initial: Atoms, final: Atoms) -> bool:
    """Return whether no atom moved by more than :data:`SAME_PLACE`, a shift of all apart."""
    return bool(np.linalg.norm(relative_displacements(initial, final), axis=1).max() < SAME_PLACE)


def check_endpoints(initial: Atoms, final: Atoms, *, allow_exchange: bool = False) -> None:
    """Refuse ends between which no sensible band can be drawn.

    Parameters
    ----------
    initial, final
        The same atoms in the same order in the same cell.
    allow_exchange
        Whether like atoms may truly change places, as the hydrogens of a turning methyl group do.

    Raises
    ------
    DataError
        When atoms, order, cell, periodicity, masses or charges differ, a position is not finite, the ends are one
        structure, a shift of all its atoms apart, or like atoms are numbered differently.
    """
    check_same_atoms(initial, final, ("initial", "final"))
    check_same_physics(initial, final, ("initial", "final"))
    if same_place(initial, final):
        shifted = np.linalg.norm(displacements(initial, final), axis=1).max() >= SAME_PLACE
        raise DataError(
            f"The initial and the final structure are the same{', but for a shift of all atoms' if shifted else ''}; "
            "give the two ends of the path."
        )
    if not allow_exchange:
        _refuse_permuted(initial, aligned(initial, final))


def matched(initial: Atoms, final: Atoms) -> tuple[Atoms, tuple[int, ...]]:
    """Renumber like atoms of ``final`` so that the sum of their squared ways from ``initial`` is smallest.

    Parameters
    ----------
    initial, final
        One formula in one cell; the order of the atoms may differ.

    Returns
    -------
    tuple
        The final structure in the order of the initial one, and the indices that got another atom than before.

    Raises
    ------
    DataError
        When formula, cell or periodicity differ, or a position is not finite.

    Notes
    -----
    The assignment problem is solved exactly for each element and isotope (Kuhn 1955). The shortest way need not be the
    one that atoms truly take: look at the band.
    """
    _check_formula(initial, final, ("initial", "final"))
    _check_cell(initial, final, ("initial", "final"))
    partner = np.arange(len(initial))
    kinds = [np.column_stack([atoms.numbers, np.round(atoms.get_masses(), 6)]) for atoms in (initial, final)]
    for kind in np.unique(kinds[0], axis=0):
        here, there = (np.flatnonzero((one == kind).all(axis=1)) for one in kinds)
        if len(here) != len(there):
            raise DataError("The initial and the final structure hold different isotopes; a path keeps its atoms.")
        columns = linear_sum_assignment(_squared_ways(initial, final, here, there))[1]
        partner[here] = there[columns]
    changed = np.flatnonzero(partner != np.arange(len(initial)))
    bare = final.copy()
    bare.set_constraint()
    renumbered: Atoms = bare[partner]
    renumbered.set_constraint(Held.of(final).in_order(partner).constraints())
    return renumbered, tuple(int(index) for index in changed)


def check_same_atoms(first: Atoms, second: Atoms, names: tuple[str, str]) -> None:
    """Raise a :class:`DataError` unless both hold the same atoms in one order in one cell, at finite places."""
    one, two = names
    _check_formula(first, second, names)
    if (first.numbers != second.numbers).any():
        place = int(np.flatnonzero(first.numbers != second.numbers)[0])
        raise DataError(
            f"The {one} and the {two} structure list their atoms in another order (first at index {place}); sort one "
            "so that each index is one atom, or set match_atoms."
        )
    _check_cell(first, second, names)


def check_same_physics(first: Atoms, second: Atoms, names: tuple[str, str]) -> None:
    """Raise a :class:`DataError` unless masses, charge and spin of both are the same: no path changes them."""
    if difference := unlike(first, second):
        raise DataError(f"The {names[0]} and the {names[1]} structure differ in {difference}; a path keeps that.")


def _check_formula(first: Atoms, second: Atoms, names: tuple[str, str]) -> None:
    one, two = names
    for atoms, name in ((first, one), (second, two)):
        if not len(atoms) or not np.isfinite(atoms.positions).all():
            raise DataError(f"The {name} structure has no atoms or a position that is not finite.")
    if sorted(first.numbers) != sorted(second.numbers):
        formulas = first.get_chemical_formula(), second.get_chemical_formula()
        raise DataError(
            f"The {one} structure is {formulas[0]} and the {two} one {formulas[1]}; they must be one formula."
        )


def _check_cell(first: Atoms, second: Atoms, names: tuple[str, str]) -> None:
    one, two = names
    if (first.pbc != second.pbc).any() or not np.allclose(first.cell.array, second.cell.array, atol=1e-6):
        raise DataError(f"The {one} and the {two} structure differ in cell or periodicity; a band keeps both.")


def _refuse_permuted(initial: Atoms, final: Atoms) -> None:
    lengths = np.linalg.norm(displacements(initial, final), axis=1)
    for number in np.unique(initial.numbers):
        movers = np.flatnonzero((initial.numbers == number) & (lengths > _MOVED))
        for cycle in _exchanges(initial, final, movers):
            listed = ", ".join(str(index) for index in cycle)
            raise DataError(
                f"Atoms {listed} of the final structure seem to be numbered differently from the initial one: paired "
                "otherwise they hardly move; set match_atoms to pair them by the shortest way, or allow_exchange if "
                "they truly change places."
            )


def _exchanges(initial: Atoms, final: Atoms, movers: NDArray[np.intp]) -> list[list[int]]:
    """Return the cycles of like atoms whose best pairing is far shorter than the given one, as atom indices."""
    if len(movers) < 2:
        return []
    cost = _squared_ways(initial, final, movers, movers)
    partner = linear_sum_assignment(cost)[1]
    found = []
    for cycle in _cycles(partner):
        best = sum(cost[row, partner[row]] for row in cycle)
        if len(cycle) > 1 and best < _PERMUTED * sum(cost[row, row] for row in cycle):
            found.append(sorted(int(movers[row]) for row in cycle))
    return found


def _squared_ways(initial: Atoms, final: Atoms, here: NDArray[np.intp], there: NDArray[np.intp]) -> Array:
    """Return the squared shortest way from each atom of ``here`` to each of ``there``, Å², shape ``(here, there)``."""
    between = final.positions[there][None, :, :] - initial.positions[here][:, None, :]
    _, distances = find_mic(between.reshape(-1, 3), initial.cell, initial.pbc)
    return np.asarray(np.square(distances).reshape(len(here), len(there)))


def _cycles(permutation: NDArray[np.intp]) -> list[list[int]]:
    left = set(range(len(permutation)))
    cycles = []
    while left:
        cycle = [min(left)]
        while (following := int(permutation[cycle[-1]])) != cycle[0]:
            cycle.append(following)
        left -= set(cycle)
        cycles.append(cycle)
    return cycles
