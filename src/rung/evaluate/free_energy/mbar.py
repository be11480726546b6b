"""Samples of many biased states as one: the multistate Bennett acceptance ratio, through pymbar."""

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import logsumexp

from rung.data.labels import Array
from rung.errors import DataError, MissingExtraError

_UNJOINED = "The windows could not be joined into one free energy: the MBAR equations found no solution."

_UNSOLVED = 1e-4
"""Largest error of a state's normalisation, which the solution of the equations makes zero."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Import pymbar without its notices and without JAX, which it would switch to double precision for everybody."""
    logger = logging.getLogger("pymbar")
    level = logger.level
    logger.setLevel(logging.ERROR)
    hidden = "jax" not in sys.modules
    if hidden:
        sys.modules["jax"] = None  # type: ignore[assignment] # what makes an import of it fail
    try:
        yield
    finally:
        logger.setLevel(level)
        if hidden:
            del sys.modules["jax"]


def pymbar(module: str = "") -> Any:
    """Return pymbar or one of its modules.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    try:
        with _quiet():
            return importlib.import_module(f"pymbar{module}")
    except ImportError as error:
        raise MissingExtraError(
            "Statistics of correlated samples need pymbar; install it with: pip install 'rung[evaluate]'."
        ) from error


def independent_samples(series: Array) -> tuple[int, float]:
    """Return where a series is in equilibrium, and how many samples count as one from there on.

    The beginning that leaves most independent samples; Chodera, J. Chem. Theory Comput. 12, 1799 (2016).

    Parameters
    ----------
    series
        Shape ``(samples,)``.

    Returns
    -------
    tuple
        The first sample in equilibrium, and the statistical inefficiency g ≥ 1.
    """
    if len(series) < 10 or np.ptp(series) == 0:
        return 0, 1.0
    timeseries = pymbar(".timeseries")
    first, inefficiency, _ = timeseries.detect_equilibration(
        np.asarray(series), fast=True, nskip=max(1, len(series) // 25)
    )
    return int(first), float(max(inefficiency, 1.0))


def statistical_inefficiency(series: Array) -> float:
    """Return how many samples of a series in equilibrium count as one, g ≥ 1."""
    if len(series) < 10 or np.ptp(series) == 0:
        return 1.0
    return float(max(pymbar(".timeseries").statistical_inefficiency(np.asarray(series)), 1.0))


@dataclass(frozen=True)
class Mixture:
    """Samples from K biased states, with the free energies that make them one ensemble.

    Parameters
    ----------
    biases
        Reduced bias of each sample in each state, shape ``(K, N)``.
    counts
        Samples drawn from each state, shape ``(K,)``; they stand in order in ``biases``.
    free_energies
        Reduced free energy of each state, shape ``(K,)``.
    """

    biases: Array
    counts: Array
    free_energies: Array

    @cached_property
    def log_denominators(self) -> Array:
        """Log Σ_k N_k exp(f_k − u_k) of each sample, shape ``(N,)``: minus it is the log weight without bias."""
        return np.asarray(logsumexp(self.free_energies[:, None] - self.biases, axis=0, b=self.counts[:, None]))

    @cached_property
    def _state_weights(self) -> Array:
        """Weight of each sample in each state, shape ``(N, K)``; each column sums to one."""
        return np.exp(self.free_energies[:, None] - self.biases - self.log_denominators[None]).T

    @property
    def overlap(self) -> Array:
        """The probability that a sample of one state was drawn from another, shape ``(K, K)``; rows sum to one."""
        weights = self._state_weights
        return np.asarray(self.counts[None, :] * (weights.T @ weights))

    def log_averages(self, functions: Array) -> tuple[Array, Array]:
        """Return the logarithms of unbiased integrals of positive functions, and their covariance.

        Parameters
        ----------
        functions
            Not negative and somewhere positive, at each sample, shape ``(I, N)``.

        Returns
        -------
        tuple
            Logarithms up to one constant, shape ``(I,)``, and covariance of which differences matter, ``(I, I)``.

        Notes
        -----
        The asymptotic covariance of Kong et al., J. R. Stat. Soc. B 65, 585 (2003), with a state for each function, as
        in Shirts and Chodera, J. Chem. Phys. 129, 124105 (2008), equation 8.
        """
        with np.errstate(divide="ignore"):
            logs = np.log(functions) - self.log_denominators[None]
        totals = logsumexp(logs, axis=1)
        weights = np.hstack([self._state_weights, np.exp(logs - totals[:, None]).T])
        counts = np.concatenate([self.counts, np.zeros(len(functions))])
        covariance = _asymptotic(weights, counts)
        kept = len(self.counts)
        return np.asarray(totals), covariance[kept:, kept:]


def _asymptotic(weights: Array, counts: Array) -> Array:
    """Return Θ = Wᵀ (I − W N Wᵀ)⁺ W through the eigenvectors of WᵀW."""
    values, vectors = np.linalg.eigh(weights.T @ weights)
    root = np.sqrt(np.maximum(values, 0.0))
    scaled = vectors * root
    inner = np.eye(len(root)) - scaled.T @ (counts[:, None] * scaled)
    return np.asarray(scaled @ np.linalg.pinv(inner, rcond=1e-9, hermitian=True) @ scaled.T)


def solve(biases: Array, counts: Array) -> Mixture:
    """Return the mixture whose free energies solve the MBAR equations.

    Shirts and Chodera, J. Chem. Phys. 129, 124105 (2008).

    Raises
    ------
    DataError
        When no solution is found.
    MissingExtraError
        When pymbar is not installed.
    """
    logger = logging.getLogger("pymbar")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what it has to say is found again below
    try:
        found = pymbar().MBAR(biases, counts, solver_protocol="robust", initialize="BAR")
        mixture = Mixture(biases, np.asarray(counts, dtype=float), np.asarray(found.f_k, dtype=float))
    except NameError as error:
        # pymbar 4 catches what it has not imported where the work between two windows has no solution
        raise DataError(_UNJOINED) from error
    finally:
        logger.setLevel(level)
    off = np.abs(mixture._state_weights.sum(axis=0) - 1.0).max()
    if not np.isfinite(off) or off > _UNSOLVED:
        raise DataError(_UNJOINED)
    return mixture
