"""What a fit knows of its parameters afterwards: a mean, a covariance and the model's own error."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rung.data.labels import Array
from rung.model.domain import Domain
from rung.model.environments import EnvironmentKernel

_E0 = re.compile(r"E0\[(\d+)\]")


@dataclass(frozen=True)
class Posterior:
    """A normal distribution over the change of the readout weights and of the reference energies.

    Parameters
    ----------
    parameters
        A name per parameter: readout weights, then ``E0[Z]`` per element.
    mean
        The fitted change, shape ``(K,)``.
    covariance
        Shape ``(K, K)``; along combinations of E0 that no label identifies the variance is infinite, which is held
        in ``unidentified``, not here.
    unidentified
        Orthonormal rows in parameter space, shape ``(U, K)``, that no label identifies.
    model_error
        The model's own error s, eV/√atom: what the fitted form cannot express.
    force_error
        The part of it that is rough, in a component of a force, eV/Å.
    model_covariance
        The smooth part of the model's own error as a covariance over the parameters, shape ``(K, K)``: a random
        function in the span of the readout's basis, with the reference energies that go with it. None where the method
        does not know it.
    rough_error
        The rough part, eV/√atom: an error of its own for each environment. None stands for ``model_error``.
    environments
        Which environments share their rough part; None where the method does not know it: then only one and the same
        structure does.
    domain
        Where the training structures lie; None where nobody knows, as in fits before it was kept.
    shared
        How the parameters move where all labels carry their shared error once, shape ``(K,)``; None where they share
        none, or nobody knows.
    shared_stderr
        That error, eV.
    """

    parameters: tuple[str, ...]
    mean: Array
    covariance: Array
    unidentified: Array
    model_error: float
    force_error: float
    model_covariance: Array | None = None
    rough_error: float | None = None
    environments: EnvironmentKernel | None = None
    domain: Domain | None = None
    shared: Array | None = None
    shared_stderr: float = 0.0

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the reference energies, in the order of ``parameters``."""
        names = (_E0.fullmatch(name) for name in self.parameters)
        return tuple(int(name[1]) for name in names if name is not None)

    @cached_property
    def is_known(self) -> bool:
        """Whether there is a covariance: a fit with a hinge band has none, and keeps its domain here."""
        return bool(np.isfinite(self.covariance).all())

    @cached_property
    def total(self) -> Array:
        """The covariance of the parameters with the smooth part of the model's own error, shape ``(K, K)``."""
        return self.covariance if self.model_covariance is None else self.covariance + self.model_covariance

    def with_smooth_error(self) -> "Posterior":
        """Return the posterior whose covariance holds the smooth part of the model's own error."""
        return replace(self, covariance=self.total, model_covariance=None)

    def identified(self, variance: float) -> "Posterior":
        """Return the posterior with this variance, eV², for each combination of E0 that no label identifies."""
        covariance = self.covariance + variance * self.unidentified.T @ self.unidentified
        return replace(self, covariance=covariance, unidentified=self.unidentified[:0])

    @property
    def rough_variance(self) -> float:
        """The variance of the rough part for each atom, eV²."""
        return (self.model_error if self.rough_error is None else self.rough_error) ** 2
