"""Errors of predicted energies, forces and stresses against labels; arrays in, one frozen result out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.evaluate.calibration import calibration
from rung.evaluate.coverage import against_labels
from rung.results.metrics import Calibration, SplitErrors
from rung.units import MILLI

Blocks = ArrayLike | Sequence[ArrayLike]
"""Values of every atom: one array of all of them, or one array a structure."""


class ErrorSums:
    """Errors of structures that come part by part: a few numbers a structure are kept, and sums over components."""

    def __init__(self) -> None:
        self._size = 0
        self._n_stresses = 0
        self._columns: list[tuple[Array, ...]] = []
        self._formulas: list[str] = []
        self._forces, self._departure, self._stress = _Moments(), _Moments(), _Moments()

    def add(
        self,
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
        outside: ArrayLike | None = None,
    ) -> None:
        """Add ``S`` structures of ``N`` atoms in all; a NaN label is an absent one.

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
            One-sigma error of each prediction, posterior and model error together, eV, shape ``(S,)``; where it is
            infinite the structure lies beyond what the fit determines and does not count in ``energy_z2``.
        forces, forces_label, base_forces
            Predicted, labelled and the base's forces, eV/Å: ``(N, 3)``, flat ``(3N,)``, or one ``(n, 3)`` a structure.
        stress, stress_label
            Predicted and labelled stress, eV/Å³, shape ``(S, 6)``.
        outside
            1 for each structure outside the domain of the fit, 0 inside, NaN where that is not known, shape ``(S,)``.

        Raises
        ------
        DataError
            When the lengths disagree, a label is infinite, or a prediction is not finite where there is a label.
        """
        atoms = np.asarray(n_atoms, dtype=float)
        size = len(atoms)
        label = _column(energy_label, size, "energy_label")
        known = _known(label, "energy_label")
        predicted = _column(energy, size, "energy")
        if len(formulas) != size:
            raise DataError(
                f"There {'is' if len(formulas) == 1 else 'are'} {counted(len(formulas), 'formula')} for "
                f"{counted(size, 'structure')}; give one each."
            )
        _require_finite(predicted[known], "energy")
        sigma = _optional(energy_stderr_label, size, "energy_stderr_label")
        bar = _optional(energy_stderr, size, "energy_stderr")
        away = _optional(outside, size, "outside")
        self._columns.append(tuple(values[known] for values in (predicted - label, atoms, sigma, bar, away)))
        self._formulas += [formula for formula, has in zip(formulas, known, strict=True) if has]
        self._forces.add(_difference(forces, forces_label, int(atoms.sum()), "forces_label"))
        self._departure.add(_difference(forces, base_forces, int(atoms.sum()), "base_forces"))
        stress_error, n_stresses = _stress_error(stress, stress_label, size)
        self._stress.add(stress_error)
        self._size, self._n_stresses = self._size + size, self._n_stresses + n_stresses

    def errors(self) -> SplitErrors:
        """Return the errors of all structures so far."""
        error, atoms, sigma, bar, _ = self._known()
        per_atom = MILLI * error / atoms
        bars = calibration(error, _variance(sigma, bar), atoms)
        return SplitErrors(
            n_structures=self._size,
            n_energies=len(error),
            n_forces=self._forces.count,
            n_stresses=self._n_stresses,
            energy_mae=_mean(np.abs(per_atom)),
            energy_rmse=_rms(per_atom),
            energy_rmse_rel=_rms(relative_errors(per_atom, self._formulas)),
            force_mae=self._forces.mae,
            force_rmse=self._forces.rmse,
            force_departure_rmse=self._departure.rmse,
            stress_mae=self._stress.mae,
            stress_rmse=self._stress.rmse,
            energy_chi2=_chi_square(error, np.square(sigma)),
            energy_z2=bars.z2,
            n_energy_bars=bars.n,
            energy_crps=bars.crps,
            coverage_energy_50=bars.within_50,
            coverage_energy_68=bars.within_68,
            coverage_energy_90=bars.within_90,
            coverage_energy_95=bars.within_95,
            noise_floor=_rms((MILLI * sigma / atoms)[np.isfinite(sigma)]),
        )

    def calibration(self, *, outside: bool) -> Calibration:
        """Return how well error bars of energies hold inside the domain of the fit, or outside."""
        error, atoms, sigma, bar, away = self._known()
        chosen = away == outside
        return calibration(error[chosen], _variance(sigma, bar)[chosen], atoms[chosen])

    def n_labelled(self, *, outside: bool) -> int:
        """Return how many labelled energies are inside the domain of the fit, or outside, with a bar or without."""
        return int(np.count_nonzero(self._known()[-1] == outside))

    def _known(self) -> tuple[Array, ...]:
        """Return error, atoms, σ, bar and whether it is outside, of all labelled energies so far."""
        columns = zip(*self._columns, strict=True) if self._columns else ((np.empty(0),) for _ in range(5))
        return tuple(np.concatenate(parts) for parts in columns)


class _Moments:
    """Mean absolute and root-mean-square error of components that come part by part; NaN without any."""

    def __init__(self) -> None:
        self.count = 0
        self._absolute = 0.0
        self._square = 0.0

    def add(self, values: Array) -> None:
        self.count += len(values)
        self._absolute += float(np.abs(values).sum())
        self._square += float(np.square(values).sum())

    @property
    def mae(self) -> float:
        return self._absolute / self.count if self.count else float("nan")

    @property
    def rmse(self) -> float:
        return float(np.sqrt(self._square / self.count)) if self.count else float("nan")


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
    if not len(errors):
        return np.empty(0)
    _, group = np.unique(np.asarray(formulas, dtype=str), return_inverse=True)
    count = np.bincount(group)
    several = (count > 1)[group]
    left = (errors - (np.bincount(group, weights=errors) / count)[group])[several]
    return np.asarray(left * np.sqrt(count / np.maximum(count - 1, 1))[group][several])


def _column(values: ArrayLike, size: int, what: str) -> Array:
    column = np.asarray(values, dtype=float).reshape(-1)
    if len(column) != size:
        raise DataError(
            f"{what} has {counted(len(column), 'value')} for {counted(size, 'structure')}; give one each, NaN where "
            "unknown."
        )
    return column


def _optional(values: ArrayLike | None, size: int, what: str) -> Array:
    return np.full(size, np.nan) if values is None else _column(values, size, what)


def _difference(predicted: Blocks | None, label: Blocks | None, n_atoms: int, what: str) -> Array:
    """Return predicted less label, meV/Å, of the components that have a label, flat."""
    if predicted is None or label is None:
        return np.empty(0)
    given, wanted = _flat(predicted, n_atoms, "forces"), _flat(label, n_atoms, what)
    known = _known(wanted, what)
    _require_finite(given[known], "force")
    return np.asarray(MILLI * (given - wanted)[known])


def _flat(blocks: Blocks, n_atoms: int, what: str) -> Array:
    if isinstance(blocks, Sequence):
        parts = [np.asarray(block, dtype=float).reshape(-1) for block in blocks]
        flat = np.concatenate(parts) if parts else np.empty(0)
    else:
        flat = np.asarray(blocks, dtype=float).reshape(-1)
    if len(flat) != 3 * n_atoms:
        raise DataError(
            f"{what} has {counted(len(flat), 'component')} for {counted(n_atoms, 'atom')}; there must be three an atom."
        )
    return flat


def _stress_error(stress: ArrayLike | None, label: ArrayLike | None, size: int) -> tuple[Array, int]:
    if stress is None or label is None:
        return np.empty(0), 0
    given, wanted = np.asarray(stress, dtype=float), np.asarray(label, dtype=float)
    if given.shape != (size, 6) or wanted.shape != (size, 6):
        raise DataError(f"Stresses have shapes {given.shape} and {wanted.shape}; both must be ({size}, 6).")
    known = _known(wanted, "stress_label").all(axis=1)
    _require_finite(given[known], "stress")
    return np.asarray(MILLI * (given - wanted)[known].reshape(-1)), int(known.sum())


def _known(labels: Array, what: str) -> NDArray[np.bool_]:
    """Return where there are labels; an infinite one is no label, and no absent one."""
    if np.isinf(labels).any():
        raise DataError(f"{what} holds an infinite value; NaN says that a label is absent.")
    return np.asarray(~np.isnan(labels))


def _require_finite(values: Array, what: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise DataError(
            f"{counted(bad, f'predicted {what} value is', f'predicted {what} values are')} not finite; the potential "
            "broke down on these structures."
        )


def _variance(sigma: Array, bar: Array) -> Array:
    return np.square(against_labels(bar, sigma))


def _chi_square(error: Array, variance: Array) -> float:
    usable = np.isfinite(variance) & (variance > 0)
    return _mean(np.square(error[usable]) / variance[usable])


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _rms(values: Array) -> float:
    return float(np.sqrt(_mean(np.square(values))))
