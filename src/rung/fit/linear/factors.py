"""Factors, ranks and null spaces of small dense matrices, with one sentence where a fit is singular."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from rung.data.labels import Array
from rung.errors import FitError

SINGULAR = "The fit is singular: give the energies an energy_stderr or a model error, and the weights a prior."


def cholesky(matrix: Array) -> tuple[Array, bool]:
    """Return the lower Cholesky factor, zero above, as scipy's ``cho_solve`` takes it.

    Raises
    ------
    FitError
        When the matrix is not positive definite.
    """
    try:
        factor, _ = cho_factor(matrix, lower=True)
    except np.linalg.LinAlgError as error:
        raise FitError(SINGULAR) from error
    return np.tril(factor), True


def inverse(matrix: Array) -> Array:
    """Return the inverse of a positive definite matrix, also of one without rows."""
    return np.asarray(cho_solve(cholesky(matrix), np.eye(len(matrix)))) if len(matrix) else matrix


def rank(singular: Array, shape: tuple[int, ...]) -> int:
    """Return how many singular values of a matrix of ``shape`` are more than rounding."""
    return int(np.sum(singular > max(shape) * np.finfo(float).eps * singular.max(initial=0.0)))


def row_space(matrix: Array) -> Array:
    """Return orthonormal rows that span the rows of ``matrix``."""
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(right[: rank(singular, matrix.shape)])


def complement(rows: Array) -> Array:
    """Return orthonormal rows that span what orthonormal ``rows`` do not."""
    _, _, right = np.linalg.svd(rows, full_matrices=True)
    return np.asarray(right[len(rows) :])
