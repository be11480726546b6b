"""What a fit knows of its parameters afterwards: a mean, a covariance and the model's own error."""

import re
from dataclasses import dataclass
from functools import cached_property

from rung.data.labels import Array

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
        The same for a component of a force, eV/Å.
    model_covariance
        The model's own error as a random function of the features, a covariance over the parameters whose energy
        variance is s² per atom, shape ``(K, K)``: for differences, in which what two structures share cancels.
        None where the method does not know it.
    """

    parameters: tuple[str, ...]
    mean: Array
    covariance: Array
    unidentified: Array
    model_error: float
    force_error: float
    model_covariance: Array | None = None

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the reference energies, in the order of ``parameters``."""
        names = (_E0.fullmatch(name) for name in self.parameters)
        return tuple(int(name[1]) for name in names if name is not None)
