"""What a linear fit asks of its energies, however their errors are kept: as full matrices or by groups.

:class:`Energies` are ``y = A d + Z e + noise`` with the covariance ``R(s) = statistical + s² · model`` of the noise.
:class:`Blind` are the same energies as far as no change of E0 touches them. At one s they have a :class:`Precision`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rung.data.labels import Array
from rung.fit.linear.factors import row_space

Positions = NDArray[np.intp]
"""Which of the data are meant, by their places."""


class Precision(ABC):
    """The inverse covariance of blind energies at one s: P, with P Z = 0 where E0 is flat.

    Parameters
    ----------
    log_determinant
        Of the covariance of the combinations that no E0 touches.
    """

    log_determinant: float

    @abstractmethod
    def solve(self, values: Array) -> Array:
        """Return ``P @ values``, of the shape of ``values``: ``(k,)`` or ``(k, c)``."""

    @abstractmethod
    def response(self, solved: Array, factor: Array) -> float:
        """Return ``solvedᵀ M solved - tr[(P - factor factorᵀ) M]``, with M the covariance of the data per s²."""

    @abstractmethod
    def of_data(self, solved: Array, factor: Array) -> tuple[Array, Array]:
        """Return ``solved`` and the diagonal of ``P - factor factorᵀ`` energy by energy, shapes ``(n,)``."""


class Blind(ABC):
    """Energies as far as no change of E0 touches them.

    Parameters
    ----------
    design
        Shape ``(k, P)``.
    target
        eV, shape ``(k,)``.
    """

    design: Array
    target: Array

    @property
    @abstractmethod
    def freedom(self) -> int:
        """The number of independent combinations."""

    @abstractmethod
    def precision(self, model_error: float) -> Precision:
        """Return P at s, eV/√atom; two exact labels that contradict each other raise a ``FitError``."""

    @abstractmethod
    def error_size(self, residual: Array) -> tuple[float, int]:
        """Return the size of ``residual`` of the energies, eV, shape ``(n,)``, and how many combinations tell it.

        The size is that of the model's own error, s in eV/√atom, which makes it as likely as may be. Combinations that
        hold next to none of that error do not count: such as the difference of two labels of one geometry.
        """


@dataclass(frozen=True)
class Energies(ABC):
    """``n`` energies, or differences of energies, less what the base says of them.

    Parameters
    ----------
    design
        A, shape ``(n, P)``.
    composition
        Z, shape ``(n, E)``: the elements of the fit.
    target
        y, eV, shape ``(n,)``.
    """

    design: Array
    composition: Array
    target: Array

    def __len__(self) -> int:
        """Return the number of data."""
        return len(self.target)

    @cached_property
    def identified(self) -> Array:
        """Orthonormal rows that span the changes of E0 which the data identify, shape ``(r, E)``."""
        return row_space(self.composition)

    @property
    def share(self) -> Array:
        """How often each datum holds the error that all labels share, shape ``(n,)``: once for an energy."""
        return np.ones(len(self))

    @property
    @abstractmethod
    def label_variance(self) -> Array:
        """Statistical variance of each label, eV², shape ``(n,)``."""

    @abstractmethod
    def variance(self, model_error: float) -> Array:
        """Return the diagonal of R(s), eV², shape ``(n,)``."""

    @abstractmethod
    def covariance(self, model_error: float) -> Array:
        """Return R(s), eV², shape ``(n, n)``: for few energies."""

    @abstractmethod
    def solve(self, values: Array, model_error: float) -> Array:
        """Return ``R(s)⁻¹ values``, shape of ``values``, ``(n, c)``."""

    @abstractmethod
    def blind(self, reference_stderr: float) -> Blind:
        """Return what no change of E0 touches; an E0 prior that is not flat, in eV, counts as noise instead."""

    @abstractmethod
    def rows(self, chosen: Positions) -> Self:
        """Return the data whose positions are ``chosen``."""

    @abstractmethod
    def with_variance(self, variance: Array) -> Self:
        """Return the data with errors of labels added that are independent, variances in eV², shape ``(n,)``."""

    @abstractmethod
    def transformed(self, combination: Array) -> "Energies":
        """Return ``combination @ data``, shape ``(m, n)``: differences, say, with the covariances that follow."""
