"""Chalcogen vacancies in MX2 monolayers: builders, their hops, and energies of formation and binding."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.build import mx2
from pydantic import Field, field_validator

from rung.data.elements import require_element
from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.evaluate.error_bars import UNKNOWN, Bar, ErrorBars
from rung.evaluate.paths.endpoints import displacements
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.settings import Settings


class Monolayer(Settings):
    """An MX2 monolayer."""

    metal: str = "Mo"
    """Symbol of the metal."""
    chalcogen: str = "S"
    """Symbol of the chalcogen."""
    lattice: float = Field(default=3.18, gt=0)
    """Lattice constant, Å."""
    thickness: float = Field(default=3.13, gt=0)
    """Distance between the two planes of chalcogen, Å."""
    vacuum: float = Field(default=9.0, gt=0)
    """Empty space on both sides, Å."""
    phase: Literal["2H", "1T"] = "2H"
    """How the planes are stacked."""

    @field_validator("metal", "chalcogen")
    @classmethod
    def _is_element(cls, symbol: str) -> str:
        return require_element(symbol)

    def build(self, size: tuple[int, int]) -> Atoms:
        """Return the perfect layer with ``size`` repeats along its two lattice vectors, periodic in all directions."""
        if min(size) < 1:
            raise DataError(f"A cell has at least one repeat along each vector, not {size}.")
        layer = mx2(f"{self.metal}{self.chalcogen}2", self.phase, self.lattice, self.thickness, (*size, 1), self.vacuum)
        layer.pbc = True
        return layer


@dataclass(frozen=True)
class Hop:
    """Atoms that move into vacancies.

    Parameters
    ----------
    initial, final
        Both ends, unrelaxed, in one order.
    moving
        Indices of the atoms that hop.
    n_vacancies
        Vacancies of the cell.
    """

    initial: Atoms
    final: Atoms
    moving: tuple[int, ...]
    n_vacancies: int


def row_sites(layer: Atoms, chalcogen: str, size: tuple[int, int], count: int, line: int = 0) -> tuple[int, ...]:
    """Return the indices of ``count`` neighbours in a row of the upper plane, along the first lattice vector.

    Parameters
    ----------
    layer
        A perfect layer of :meth:`Monolayer.build`.
    chalcogen
        Symbol of the atoms.
    size
        Repeats of ``layer``.
    count
        How many, at most ``size[0]``.
    line
        Which row, counted along the second lattice vector.

    Raises
    ------
    DataError
        When the row does not fit into the cell.
    """
    if not 1 <= count <= size[0]:
        raise DataError(f"A row of {count} does not fit into a cell with {counted(size[0], 'repeat')}.")
    upper = np.flatnonzero((layer.numbers == Atoms(chalcogen).numbers[0]) & (layer.positions[:, 2] > _middle(layer)))
    scaled = layer.get_scaled_positions()[upper][:, :2]
    first = scaled[0]
    found = []
    for step in range(count):
        wanted = first + np.array([step / size[0], line / size[1]])
        away = scaled - wanted
        found.append(int(upper[np.linalg.norm(away - np.round(away), axis=1).argmin()]))
    return tuple(found)


def without(layer: Atoms, sites: Sequence[int]) -> Atoms:
    """Return ``layer`` with the atoms at ``sites`` taken out."""
    if len(set(sites)) != len(sites):
        raise DataError("A site can be taken out once.")
    kept = np.ones(len(layer), dtype=bool)
    kept[list(sites)] = False
    return layer[kept]


def column_sites(layer: Atoms, chalcogen: str) -> tuple[int, int]:
    """Return the indices of two chalcogen atoms above each other: the divacancy of a column."""
    number = Atoms(chalcogen).numbers[0]
    upper = np.flatnonzero((layer.numbers == number) & (layer.positions[:, 2] > _middle(layer)))
    lower = np.flatnonzero((layer.numbers == number) & (layer.positions[:, 2] < _middle(layer)))
    away = layer.positions[lower] - layer.positions[upper[0]]
    return int(upper[0]), int(lower[np.linalg.norm(away[:, :2], axis=1).argmin()])


def concerted_hop(layer: Atoms, chalcogen: str, size: tuple[int, int], count: int) -> Hop:
    """Return the hop of a whole row: ``count`` neighbours of a row of as many vacancies move into it at once.

    The row of vacancies moves by one lattice vector, from line 0 to line 1.
    """
    vacant, movers = _two_lines(layer, chalcogen, size, count)
    return _hop(layer, vacant, movers, count)


def sequential_hops(layer: Atoms, chalcogen: str, size: tuple[int, int], count: int) -> tuple[Hop, ...]:
    """Return the same move atom by atom, ``count`` hops in order from one end of the row; each begins where one ended.

    All have one order of atoms: the energy of a start is that of the end before it.
    """
    vacant, movers = _two_lines(layer, chalcogen, size, count)
    return tuple(_hop(layer, vacant, movers, count, done=step, moved=1) for step in range(count))


def _two_lines(layer: Atoms, chalcogen: str, size: tuple[int, int], count: int) -> tuple[Array, Array]:
    if size[1] < 3:
        raise DataError(f"A row that hops needs three repeats along the second vector, not {size[1]}.")
    rows = [np.array(row_sites(layer, chalcogen, size, count, line)) for line in (0, 1)]
    return rows[0], rows[1]


def _hop(layer: Atoms, vacant: Array, movers: Array, count: int, *, done: int = 0, moved: int | None = None) -> Hop:
    """Return the hop of ``moved`` movers after the first ``done`` of them have gone."""
    stop = count if moved is None else done + moved
    ways = np.array([displacements(layer[[int(a)]], layer[[int(b)]])[0] for a, b in zip(movers, vacant, strict=True)])
    ends = []
    for gone in (done, stop):
        image = layer.copy()
        image.positions[movers[:gone]] += ways[:gone]
        ends.append(without(image, vacant.tolist()))
    shift = np.searchsorted(np.sort(vacant), movers)  # how many atoms were taken out before each mover
    indices = tuple(int(index) for index in (movers - shift)[done:stop])
    return Hop(ends[0], ends[1], indices, count)


def _middle(layer: Atoms) -> float:
    return float(layer.positions[:, 2].mean())


def relaxed(atoms: Atoms, calculator: Any, *, fmax: float = 0.02, steps: int = 300, state: Path | None = None) -> Atoms:
    """Return ``atoms`` with positions relaxed in a cell that stays.

    Parameters
    ----------
    atoms
        Where it begins.
    calculator
        Any ASE calculator.
    fmax
        Largest force on an atom to reach, eV/Å.
    steps
        Steps that may be taken.
    state
        As for :func:`~rung.evaluate.relaxation.relax`.

    Raises
    ------
    DataError
        When the forces are not small after the steps allowed.
    """
    found = relax(atoms, calculator, RelaxationSettings(fmax=fmax, steps=steps), state=state)
    if not found.converged:
        raise DataError(
            f"{atoms.get_chemical_formula()} did not relax to {fmax} eV/Å in {counted(steps, 'step')}; allow more "
            "steps."
        )
    return found.atoms


@dataclass(frozen=True)
class EnergyOfDefect:
    """An energy of formation or binding.

    Parameters
    ----------
    name
        What it is.
    value
        eV.
    bar
        Its error, eV; NaN where the potential has no error bars.
    """

    name: str
    value: float
    bar: Bar


def formation_energy(
    perfect: Atoms,
    defective: Atoms,
    calculator: Any,
    chemical_potential: float,
    *,
    name: str = "formation",
    error_bars: ErrorBars | None = None,
) -> EnergyOfDefect:
    """Return E(defective) − E(perfect) + n μ, eV, for n atoms of one element taken out.

    Parameters
    ----------
    perfect, defective
        Both relaxed, in one cell.
    calculator
        Any ASE calculator.
    chemical_potential
        μ of the element that was taken out, eV an atom, on the same scale of energies as ``calculator``.
    name
        What it is called.
    error_bars
        Those of the potential.

    Raises
    ------
    DataError
        When ``defective`` is not ``perfect`` less atoms of one element, or when the labels of the fit do not identify
        the energy of atoms of that element, so that any number would be an accident of the fit.
    """
    left = {int(number): int((perfect.numbers == number).sum()) for number in np.unique(perfect.numbers)}
    for number in defective.numbers:
        left[int(number)] = left.get(int(number), 0) - 1
    taken = {number: count for number, count in left.items() if count}
    if len(taken) != 1 or min(taken.values()) < 1:
        raise DataError("A formation energy needs a perfect cell and the same cell less atoms of one element.")
    if not np.isfinite(chemical_potential):
        raise DataError("A formation energy needs a chemical potential, which is a choice of yours: state it.")
    (count,) = taken.values()
    value = energy_of(defective, calculator) - energy_of(perfect, calculator) + count * chemical_potential
    bar = UNKNOWN if error_bars is None else error_bars.combination([defective, perfect], [1.0, -1.0])
    if bar.infinite:
        raise DataError(
            "The labels of the fit do not identify the energy of an atom that is taken out, for their compositions do "
            "not differ in it: a formation energy would be an accident of the fit. Label a structure with another "
            "number of these atoms."
        )
    return EnergyOfDefect(name, value, bar)


def binding_energy(
    perfect: Atoms,
    single: Atoms,
    cluster: Atoms,
    calculator: Any,
    *,
    name: str = "binding",
    error_bars: ErrorBars | None = None,
) -> EnergyOfDefect:
    """Return n E(single) − E(cluster) − (n − 1) E(perfect), eV: what n vacancies gain by being together.

    Positive where they attract. No chemical potential and no E0 is in it, for the atoms balance.

    Parameters
    ----------
    perfect, single, cluster
        The layer without, with one and with n vacancies, relaxed, in one cell.
    calculator, name, error_bars
        As for :func:`formation_energy`.
    """
    taken = len(perfect) - len(cluster)
    if len(perfect) - len(single) != 1 or taken < 2:
        raise DataError("A binding energy needs a perfect cell, one vacancy in it, and two or more.")
    structures, factors = [single, cluster, perfect], [float(taken), -1.0, 1.0 - taken]
    value = sum(factor * energy_of(atoms, calculator) for factor, atoms in zip(factors, structures, strict=True))
    bar = UNKNOWN if error_bars is None else error_bars.combination(structures, factors)
    return EnergyOfDefect(name, value, bar)


def energy_of(atoms: Atoms, calculator: Any) -> float:
    """Return the energy of ``atoms`` where they stand, eV."""
    return float(calculator.get_potential_energy(atoms.copy()))
