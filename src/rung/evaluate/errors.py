"""Errors of predicted energies, forces and stresses against labels; arrays in, one frozen result out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rung.data.labels import Array
from rung.errors import DataError
from rung.results.metrics import SplitErrors
from rung.units import MILLI

Blocks = ArrayLike | Sequence[ArrayLike]
"""Values of every atom: one array of all of them, or one array a structure."""


def split_errors(
    energy: ArrayLike,
    energy_label: ArrayLike,
    n_atoms: ArrayLike,
    formulas: Sequence[str],
    *,
    energy_stderr_label: ArrayLike | None = None,
    energy_stderr: ArrayLike | None = None,
    forces: Blocks | None = None,
    forces_label: Blocks | None = None,
    base_forces: Blocks | None = None,
    stress: ArrayLike | None = None,
    stress_label: ArrayLike | None = None,
) -> SplitErrors:
    """Return the errors of ``S`` structures of ``N`` atoms in all; a NaN label is an absent one.

    Parameters
    ----------
    energy, energy_label
        Predicted and labelled total energies, eV, shape ``(S,)``.
    n_atoms
        Atoms of each structure, shape ``(S,)``.
    formulas
        Composition of each structure, as a formula in one order for all.
    energy_stderr_label
        One-sigma statistical error of each label, eV, shape ``(S,)``.
    energy_stderr
        One-sigma error of each prediction, posterior and model error together, eV, shape ``(S,)``; where it is infinite
        the structure lies beyond what the fit determines and does not count in ``energy_z2``.
    forces, forces_label, base_forces
        Predicted, labelled and the base's forces, eV/Å: ``(N, 3)``, flat ``(3N,)``, or one ``(n, 3)`` a structure.
    stress, stress_label
        Predicted and labelled stress, eV/Å³, shape ``(S, 6)``.

    Raises
    ------
    DataError
        When the lengths disagree, or a prediction is not finite where there is a label.
    """
    atoms = np.asarray(n_atoms, dtype=float)
    size = len(atoms)
    label = _column(energy_label, size, "energy_label")
    known = np.isfinite(label)
    predicted = _column(energy, size, "energy")
    if len(formulas) != size:
        raise DataError(f"There are {len(formulas)} formulas for {size} structures; give one each.")
    _require_finite(predicted[known], "energy")
    error = (predicted - label)[known]
    per_atom = MILLI * error / atoms[known]
    names = [formula for formula, has in zip(formulas, known, strict=True) if has]
    sigma = _optional(energy_stderr_label, size, "energy_stderr_label")[known]
    bar = _optional(energy_stderr, size, "energy_stderr")[known]
    force_error = _difference(forces, forces_label, int(atoms.sum()), "forces")
    departure = _difference(forces, base_forces, int(atoms.sum()), "base_forces")
    stress_error, n_stresses = _stress_error(stress, stress_label, size)
    return SplitErrors(
        n_structures=size,
        n_energies=int(known.sum()),
        n_forces=len(force_error),
        n_stresses=n_stresses,
        energy_mae=_mean(np.abs(per_atom)),
        energy_rmse=_rms(per_atom),
        energy_rmse_rel=_rms(relative_errors(per_atom, names)),
        force_mae=_mean(np.abs(force_error)),
        force_rmse=_rms(force_error),
        force_departure_rmse=_rms(departure),
        stress_mae=_mean(np.abs(stress_error)),
        stress_rmse=_rms(stress_error),
        energy_chi2=_chi_square(error, np.square(sigma)),
        energy_z2=_chi_square(error, np.square(np.nan_to_num(sigma)) + np.square(bar)),
        noise_floor=_rms((MILLI * sigma / atoms[known])[np.isfinite(sigma)]),
    )


def relative_errors(errors: Array, formulas: Sequence[str]) -> Array:
    """Return ``errors`` less the mean of their composition, times √(k/(k-1)) for its k structures.

    A mean over the same k errors follows them, so that their spread about it is too small by that factor. Compositions
    with one structure are left out.

    Parameters
    ----------
    errors
        Error of each structure per atom, any unit, shape ``(S,)``.
    formulas
        Composition of each.
    """
    names = np.asarray(formulas, dtype=str)
    parts = [errors[names == name] for name in dict.fromkeys(formulas)]
    left = [(part - part.mean()) * np.sqrt(len(part) / (len(part) - 1)) for part in parts if len(part) > 1]
    return np.concatenate(left) if left else np.empty(0)


def _column(values: ArrayLike, size: int, what: str) -> Array:
    column = np.asarray(values, dtype=float).reshape(-1)
    if len(column) != size:
        raise DataError(f"{what} has {len(column)} values for {size} structures; give one each, NaN where unknown.")
    return column


def _optional(values: ArrayLike | None, size: int, what: str) -> Array:
    return np.full(size, np.nan) if values is None else _column(values, size, what)


def _difference(predicted: Blocks | None, label: Blocks | None, n_atoms: int, what: str) -> Array:
    """Return predicted less label, meV/Å, of the components that have a label, flat."""
    if predicted is None or label is None:
        return np.empty(0)
    given, wanted = _flat(predicted, n_atoms, "forces"), _flat(label, n_atoms, what)
    known = np.isfinite(wanted)
    _require_finite(given[known], "force")
    return np.asarray(MILLI * (given - wanted)[known])


def _flat(blocks: Blocks, n_atoms: int, what: str) -> Array:
    if isinstance(blocks, Sequence):
        parts = [np.asarray(block, dtype=float).reshape(-1) for block in blocks]
        flat = np.concatenate(parts) if parts else np.empty(0)
    else:
        flat = np.asarray(blocks, dtype=float).reshape(-1)
    if len(flat) != 3 * n_atoms:
        raise DataError(f"{what} has {len(flat)} components for {n_atoms} atoms; there must be three an atom.")
    return flat


def _stress_error(stress: ArrayLike | None, label: ArrayLike | None, size: int) -> tuple[Array, int]:
    if stress is None or label is None:
        return np.empty(0), 0
    given, wanted = np.asarray(stress, dtype=float), np.asarray(label, dtype=float)
    if given.shape != (size, 6) or wanted.shape != (size, 6):
        raise DataError(f"Stresses have shapes {given.shape} and {wanted.shape}; both must be ({size}, 6).")
    known = np.isfinite(wanted).all(axis=1)
    _require_finite(given[known], "stress")
    return np.asarray(MILLI * (given - wanted)[known].reshape(-1)), int(known.sum())


def _require_finite(values: Array, what: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise DataError(f"{bad} predicted {what} values are not finite; the potential broke down on these structures.")


def _chi_square(error: Array, variance: Array) -> float:
    usable = np.isfinite(variance) & (variance > 0)
    return _mean(np.square(error[usable]) / variance[usable])


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _rms(values: Array) -> float:
    return float(np.sqrt(_mean(np.square(values))))
