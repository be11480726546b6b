"""What a tangent fit knows of its weights afterwards: all of them, by the rows of derivatives that the fit has seen.

Within the span of the rows the fit has a covariance. Beyond it the prior stands as it was: every weight is as wide as
before. Energies of any structure are linear in the change of the weights, at the base, where the rows were taken.
"""

from dataclasses import dataclass

from rung.data.labels import Array
from rung.data.structure import Structure
from rung.model.domain import Domain
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential


@dataclass(frozen=True)
class TangentRow:
    """A datum whose derivative by the weights is one row of the span.

    Parameters
    ----------
    structure
        Its energy, or a force of it; labels do not matter.
    direction
        u of the derivative of u·F, shape ``(n, 3)``; None for the energy.
    """

    structure: Structure
    direction: Array | None = None


@dataclass(frozen=True)
class WeightGroup:
    """Weights that have one prior width.

    Parameters
    ----------
    layer
        The layer that they belong to; empty for all.
    combination
        The group's basis as combinations of the rows, shape ``(P, R)``; its vectors are orthogonal.
    size
        Of one over the length of a vector of the basis.
    variance
        Mean of α²; the prior variance of one weight is this over size².
    """

    layer: str
    combination: Array
    size: float
    variance: float


@dataclass(frozen=True)
class TangentPosterior:
    """A normal distribution over the change of all moving weights of a base, and of the reference energies.

    The rows themselves are not held, for they are as many numbers as weights times labels: they follow from the base
    and the structures by one reverse pass each.

    Parameters
    ----------
    coordinates
        Over the coordinates in the bases of the groups, one after the other, then ``E0[Z]``. It holds the model's own
        error s too, and the rough part of it; no ``rough_error``, as in older fits, stands for none.
    base
        Where the derivatives are taken; its features do not depend on the fidelity.
    fidelity
        Which of the base's surfaces.
    tensors
        The names of the tensors that moved.
    rows
        What spans the bases, ``R`` of them.
    groups
        The prior of the weights.
    absorbed
        How the reference energies follow a change of the weights, as combinations of the rows, shape ``(E, R)``.
    own_variance
        Of each weight in the smooth part of the model's own error: a random function along all weights alike.
    domain
        Where the training structures lie, seen by the base's readout and features; None where that is not known.
    """

    coordinates: Posterior
    base: ReadoutPotential
    fidelity: str
    tensors: tuple[str, ...]
    rows: tuple[TangentRow, ...]
    groups: tuple[WeightGroup, ...]
    absorbed: Array
    own_variance: float
    domain: Domain | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a covariance."""
        return self.coordinates.is_known

    @property
    def model_error(self) -> float:
        """The model's own error s, eV/√atom."""
        return self.coordinates.model_error

    @property
    def rough_variance(self) -> float:
        """The variance of the rough part of the model's own error for each atom, eV²."""
        return 0.0 if self.coordinates.rough_error is None else self.coordinates.rough_variance
