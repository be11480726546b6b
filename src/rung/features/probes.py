"""Forces along random directions of all atoms: their derivatives by the fitted weights, one forward-mode pass each.

The rows uᵀB of random directions u, whose components are independent, ±1 with equal odds, stand for the force design B
of a structure: E[u uᵀ] = 1, so E[Bᵀu uᵀB] = BᵀB (Hutchinson, Commun. Stat. Simul. Comput. 19, 433, 1990). A few rows
do where the full design takes a pass for each fitted weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from rung.data.batch import Batch
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.features.design import Design
from rung.model.protocols import Backbone
from rung.model.readout import Readout
from rung.storage import content_hash

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Probe:
    """One random direction of all atoms of each structure.

    Parameters
    ----------
    seed
        Of all directions.
    index
        Which of them: those of other indices are independent of it.
    """

    seed: int = 0
    index: int = 0

    @property
    def fingerprint(self) -> str:
        """A hash of everything that the direction depends on, beside the geometry."""
        return content_hash("probe-1", self.seed, self.index)

    def direction(self, structure: Structure) -> Array:
        """Return the direction, shape ``(n, 3)``: the same wherever this geometry is met."""
        geometry = int(structure.geometry_hash[:16], 16)
        random = np.random.default_rng([self.seed, self.index, geometry])
        return random.choice([-1.0, 1.0], size=(len(structure), 3))


def moved_features(backbone: Backbone, batch: Batch, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features and their derivative as all atoms move, both of shape ``(N, D)``.

    One forward-mode pass gives both. An operation that has no forward mode in torch, as a library may bring one, is
    differentiated backwards twice instead, which is linear in the first cotangent.

    Parameters
    ----------
    backbone, batch
        Whose features; the batch's own positions are left as they are.
    direction
        Shape ``(N, 3)``.
    """
    try:
        return _forwards(backbone, batch, direction)
    except NotImplementedError:
        return _backwards_twice(backbone, batch, direction)


def _forwards(backbone: Backbone, batch: Batch, direction: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), forward_ad.dual_level():
        positions = forward_ad.make_dual(batch.positions.detach().clone(), direction)
        features, tangent = forward_ad.unpack_dual(backbone.features(replace(batch, positions=positions)))
    return features, torch.zeros_like(features) if tangent is None else tangent


def _backwards_twice(backbone: Backbone, batch: Batch, direction: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        positions = batch.positions.detach().clone().requires_grad_(True)
        features = backbone.features(replace(batch, positions=positions))
        cotangent = torch.zeros_like(features, requires_grad=True)
        (gradient,) = torch.autograd.grad(features, positions, cotangent, create_graph=True)
        (tangent,) = torch.autograd.grad(gradient, cotangent, direction)
    return features.detach(), tangent.detach()


def probed_force(readout: Readout, features: Floats, tangent: Floats) -> Array:
    """Return uᵀB of one structure by the chain rule, eV/Å per unit weight, shape ``(P,)``, float64.

    Parameters
    ----------
    readout
        Any readout of these features.
    features
        Shape ``(n, D)``.
    tangent
        Their derivative along the direction, shape ``(n, D)``.
    """
    point = torch.as_tensor(features).double()

    def basis(values: Tensor) -> Tensor:
        return readout.basis(values).sum(dim=0)

    along = torch.func.jvp(basis, (point,), (torch.as_tensor(tangent).double(),))[1]
    return -np.asarray(along.numpy())


def joined(designs: Sequence[Design]) -> Design:
    """Return one structure's design with the directions of all of ``designs``, each one or more of them."""
    share = np.sqrt(1.0 / len(designs))
    return replace(
        designs[0],
        forces=share * np.concatenate([one.forces for one in designs]),
        fixed_forces=share * np.concatenate([one.fixed_forces for one in designs]),
        sketch=share * np.concatenate([one.sketch for one in designs if one.sketch is not None]),
    )


def trace_error(designs: Sequence[Design]) -> float:
    """Return the relative standard error of tr BᵀB over all ``designs``, from how much their directions differ.

    Parameters
    ----------
    designs
        Probed, each with two directions or more.
    """
    total, variance = 0.0, 0.0
    for design in designs:
        sizes = len(design.forces) * np.sum(design.forces**2, axis=1)  # what each direction alone says of the trace
        total += float(np.mean(sizes))
        variance += float(np.var(sizes, ddof=1)) / len(sizes)
    return float(np.sqrt(variance)) / total if total > 0 else 0.0
