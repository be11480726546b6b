"""What a model starts from, measured on the rows that it will be trained on: reference energies, scale, neighbours."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers

from rung.data.elements import symbols
from rung.data.frames import select
from rung.data.labels import Array
from rung.data.stream import Indices, PackedRows, in_order, spans
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.errors import ConfigError, DataError
from rung.fit.fidelities.composition import CompositionFit, fit_composition
from rung.model.predictions import predict_rows
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential

_SMALLEST_SCALE = 1e-8
"""A scale of 0 never learns."""

_BLOCK = 4096


@dataclass(frozen=True)
class Normalisation:
    """What a new model of several fidelities starts from.

    Parameters
    ----------
    references
        Reference energies by fidelity.
    scales
        Scale and shift by fidelity. The scale is the root mean square of the fidelity's force components, eV/Å; a
        fidelity without forces takes that of all fidelities together, and without any force it is the root mean square
        of its energies per atom, eV. The shift is its mean interaction energy per atom, eV; zero where reference
        energies were fitted, for they hold it.
    common_scale
        One scale for all fidelities: the root mean square of all force components, eV/Å; without any force the largest
        of ``scales``.
    avg_num_neighbors
        Mean number of neighbours of an atom.
    warnings
        What the compositions did not tell.
    """

    references: Mapping[str, ReferenceEnergies]
    scales: Mapping[str, tuple[float, float]]
    common_scale: float
    avg_num_neighbors: float
    warnings: tuple[str, ...]


def normalisation(
    structures: Sequence[Structure],
    rows: PackedRows,
    elements: Sequence[int],
    floor: float,
    given: Mapping[str, Mapping[str, float]] | None = None,
) -> Normalisation:
    """Measure what a new model starts from.

    The fidelity with the most energies comes first. The others are fitted as changes from it, of least norm: what
    their compositions do not tell (an element that only the cheap level has seen) stays as it is there.

    Parameters
    ----------
    structures, rows
        The geometry of each training row, and the rows packed in the same order.
    elements
        Atomic numbers, ascending.
    floor
        eV/atom; see :func:`~rung.fit.fidelities.composition.fit_composition`.
    given
        Reference energies that the user gave, by fidelity and symbol; by default all are fitted.

    Raises
    ------
    ConfigError
        When ``given`` misses an element.
    FitError
        When no row has an energy and reference energies must be fitted.
    """
    given = given or {}
    members = {name: np.flatnonzero(rows.fidelity == index) for index, name in enumerate(rows.fidelities)}
    count = {name: int(np.isfinite(rows.energy[chosen]).sum()) for name, chosen in members.items()}
    compositions = composition_matrix(structures, elements)
    first = np.zeros(len(elements))
    references: dict[str, ReferenceEnergies] = {}
    scales: dict[str, tuple[float, float]] = {}
    warnings: list[str] = []
    for name in sorted(members, key=lambda name: -count[name]):
        chosen, shift = members[name], 0.0
        energies = rows.energy[chosen] - compositions[chosen] @ first
        if name in given:
            constants = _given(given[name], elements)
            residual = (rows.energy[chosen] - compositions[chosen] @ constants) / rows.n_atoms[chosen]
            shift = float(np.nanmean(residual)) if count[name] else 0.0
        elif references and not count[name]:
            constants, residual = first, np.full(len(chosen), np.nan)
            warnings.append(f"No training structure has an energy of {name!r}; its energies have no zero of their own.")
        else:
            of_it = select(structures, chosen)
            fit = fit_composition(of_it, energies, rows.energy_stderr[chosen], elements, floor)
            constants, residual = first + fit.energies, fit.residual / rows.n_atoms[chosen]
            warnings += [_of(name, sentence, len(members)) for sentence in fit.warnings]
        if not references:
            first = constants
        references[name] = ReferenceEnergies(dict(zip(elements, constants.tolist(), strict=True)))
        every = np.arange(len(rows))
        sizes = (_force_size(rows, chosen), _force_size(rows, every), _size([residual - shift]))
        scales[name] = (next((size for size in sizes if size > _SMALLEST_SCALE), 1.0), shift)
    neighbours = len(rows.edges) / max(1, int(rows.atom_start[-1]))
    of_all = _force_size(rows, np.arange(len(rows)))
    return Normalisation(
        {name: references[name] for name in rows.fidelities},
        {name: scales[name] for name in rows.fidelities},
        of_all if of_all > _SMALLEST_SCALE else max(scale for scale, _ in scales.values()),
        max(neighbours, 1e-3),
        tuple(warnings),
    )


def change_of_reference(
    model: TrainablePotential, structures: Sequence[Structure], rows: PackedRows, floor: float, batch_size: int
) -> dict[str, CompositionFit]:
    """Return, by fidelity, the change of reference energies that takes ``model`` nearest to the labelled energies.

    Parameters
    ----------
    model
        What predicts.
    structures, rows
        The geometry of each row, and the rows packed in the same order; fidelities without energies are left out.
    floor
        eV/atom; see :func:`~rung.fit.fidelities.composition.fit_composition`.
    batch_size
        Rows per batch of predictions.
    """
    difference = rows.energy - predicted_energies(model, rows, batch_size)
    found = {}
    for index, name in enumerate(rows.fidelities):
        chosen = np.flatnonzero(rows.fidelity == index)
        if np.isfinite(difference[chosen]).any():
            of_it = select(structures, chosen)
            found[name] = fit_composition(
                of_it, difference[chosen], rows.energy_stderr[chosen], elements_in(of_it), floor
            )
    return found


def predicted_energies(model: TrainablePotential, rows: PackedRows, batch_size: int) -> Array:
    """Return the model's energy of each row, eV, shape ``(S,)``."""
    batches = (rows.batch(chosen, dtype=model.dtype, device=model.device) for chosen in in_order(len(rows), batch_size))
    return np.array([one.energy for one in predict_rows(model, batches, forces=False)])


def refuse_strangers(structures: Sequence[Structure], elements: Sequence[int]) -> None:
    """Raise a :class:`~rung.errors.DataError` where ``structures`` hold an element that is not among ``elements``."""
    strange = sorted(set(elements_in(structures)) - set(elements))
    if strange:
        known = symbols(elements)
        raise DataError(f"Structures hold {symbols(strange)}, which the model does not know; it knows {known}.")


def _of(name: str, sentence: str, n_fidelities: int) -> str:
    return sentence if n_fidelities == 1 else f"Fidelity {name!r}: {sentence}"


def _given(given: Mapping[str, float], elements: Sequence[int]) -> Array:
    energies = {atomic_numbers[symbol]: float(energy) for symbol, energy in given.items()}
    missing = sorted(set(elements) - set(energies))
    if missing:
        raise ConfigError(f"reference_energies has no energy for {symbols(missing)}, which the training data hold.")
    return np.array([energies[number] for number in elements])


def _force_size(rows: PackedRows, chosen: Indices) -> float:
    """Return the root mean square of the forces of some rows, eV/Å, of which only a few are in memory at a time."""
    blocks = (chosen[start : start + _BLOCK] for start in range(0, len(chosen), _BLOCK))
    return _size(rows.forces[spans(rows.atom_start, block)] for block in blocks)


def _size(blocks: Iterable[Array]) -> float:
    """Return the root mean square of the finite numbers of all blocks, 0 where there is none."""
    total, count = 0.0, 0
    for values in blocks:
        finite = values[np.isfinite(values)]
        total, count = total + float(np.sum(finite**2)), count + finite.size
    return math.sqrt(total / count) if count else 0.0
