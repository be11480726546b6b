"""A sum of two potentials that is itself one potential: a base, and a model of what another level adds to it."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from ase import Atoms
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.model.potential import ReadoutPotential, Surface
from rung.model.protocols import Backbone, Handed, LayeredFeatures
from rung.model.readout import Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies
from rung.storage import content_hash


@dataclass(frozen=True)
class SummedBackbone:
    """The features of two backbones side by side: those of ``first``, then those of ``second``.

    Parameters
    ----------
    first, second
        Of one type, on one device, and neither conditioned on the fidelity.

    Raises
    ------
    ModelError
        When they cannot run together, or the second has energy that no readout changes: it would count at every
        fidelity of the sum.
    """

    first: Backbone
    second: Backbone

    def __post_init__(self) -> None:
        """Refuse parts that one batch cannot serve."""
        if self.first.conditioned or self.second.conditioned:
            raise ModelError("A sum takes models at one fidelity each: reduce a conditioned one to a fidelity first.")
        if (self.first.dtype, self.first.device) != (self.second.dtype, self.second.device):
            raise ModelError(
                f"A sum needs models of one type on one device, not {self.first.dtype} on {self.first.device} and "
                f"{self.second.dtype} on {self.second.device}."
            )
        if float(self.second.fixed_energy(_probe(self.second, 2)).abs().max()) > 0.0:
            raise ModelError("What is added to a base must have no pair repulsion: it would count at all fidelities.")

    @property
    def cutoff(self) -> float:
        """Å; the longer range of an edge of the two."""
        return max(self.first.cutoff, self.second.cutoff)

    @property
    def receptive_field(self) -> float:
        """Å; the larger of the two."""
        return max(self.first.receptive_field, self.second.receptive_field)

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that both know."""
        return self.first.elements & self.second.elements

    @cached_property
    def fingerprint(self) -> str:
        """A hash of both."""
        return content_hash("sum-1", self.first.fingerprint, self.second.fingerprint)

    @cached_property
    def n_first(self) -> int:
        """How many columns of features the first has, as one atom shows."""
        return int(self.first.features(_probe(self.first, 1)).shape[1])

    @property
    def conditioned(self) -> bool:
        """Features do not depend on a row's fidelity."""
        return False

    @property
    def mirrors(self) -> bool:
        """Whether both have the same features in a mirror."""
        return all(not isinstance(part, Handed) or part.mirrors for part in (self.first, self.second))

    @property
    def pass_ratio(self) -> float:
        """That of the part whose Jacobian is dearer."""
        return max(self.first.pass_ratio, self.second.pass_ratio)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the features."""
        return self.first.dtype

    @property
    def device(self) -> torch.device:
        """Where both live."""
        return self.first.device

    def features(self, batch: Batch) -> Tensor:
        """Return the features of both, shape ``(N, D_first + D_second)``."""
        return torch.cat([part.features(within(batch, part.cutoff)) for part in (self.first, self.second)], dim=1)

    def feature_layers(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the layers of the first, then those of the second; one layer of a part that has no layers."""
        layers: list[Tensor] = []
        for part in (self.first, self.second):
            seen = within(batch, part.cutoff)
            layers += part.feature_layers(seen) if isinstance(part, LayeredFeatures) else [part.features(seen)]
        return tuple(layers)

    def fixed_energy(self, batch: Batch) -> Tensor:
        """Return what no readout changes, eV, shape ``(S,)``: that of the first, for the second has none."""
        return self.first.fixed_energy(within(batch, self.first.cutoff))


def within(batch: Batch, cutoff: float) -> Batch:
    """Return the batch with the edges that are shorter than ``cutoff``, Å, alone."""
    with torch.no_grad():
        kept = batch.edge_vectors().norm(dim=1) < cutoff
    if bool(kept.all()):
        return batch
    return replace(batch, edges=batch.edges[:, kept], edge_cells=batch.edge_cells[kept])


def summed(
    base: ReadoutPotential, source: str, difference: ReadoutPotential, learnt: str, *, target: str
) -> ReadoutPotential:
    """Return ``base`` with ``target`` added: its surface ``source`` plus the surface ``learnt`` of ``difference``.

    The other fidelities of the base stay as they are, for elements that both models know.

    Raises
    ------
    ConfigError
        When a surface is missing.
    ModelError
        When the models cannot run together.
    """
    below, above = base.surface(source), difference.surface(learnt)
    backbone = SummedBackbone(base.backbone, difference.backbone)
    surface = Surface(
        _side_by_side(below.readout, above.readout, backbone.n_first),
        ReferenceEnergies(
            {
                element: below.reference.energies[element] + above.reference.energies[element]
                for element in sorted(backbone.elements)
            }
        ),
    )
    return ReadoutPotential(backbone, {**base.surfaces, target: surface})


def alone(potential: ReadoutPotential, fidelity: str) -> ReadoutPotential:
    """Return a potential that has the surface of ``fidelity`` and only the model that it reads.

    Raises
    ------
    ModelError
        When the fidelity is a sum.
    """
    backbone, surface = potential.backbone, potential.surface(fidelity)
    if not isinstance(backbone, SummedBackbone):
        return potential
    if surface.readout.n_features > backbone.n_first:
        raise ModelError(
            f"The energy of {fidelity!r} is the sum of two models, which no one file of their library can hold; "
            "RungCalculator runs it from the checkpoint."
        )
    return alone(ReadoutPotential(backbone.first, {fidelity: surface}), fidelity)


def _probe(backbone: Backbone, n_atoms: int) -> Batch:
    """Return a chain of atoms of one element, near enough to one another for anything between pairs to show."""
    chain = Atoms([min(backbone.elements)] * n_atoms, positions=[[0.5 * k, 0.0, 0.0] for k in range(n_atoms)])
    structure = Structure(chain, "", {})
    return collate([structure], [""], backbone.cutoff, dtype=backbone.dtype, device=backbone.device)


def _side_by_side(below: Readout, above: Readout, n_first: int) -> Readout:
    """Return the sum of two readouts, the second of which reads the columns after ``n_first``."""
    factor = above.scale / below.scale
    moved = tuple(_moved(block, n_first, factor) for block in above.blocks)
    return Readout((*below.blocks, *moved), scale=below.scale, shift=below.shift + above.shift)


def _moved(block: ReadoutBlock, n_first: int, factor: float) -> ReadoutBlock:
    return replace(
        block,
        name=f"difference.{block.name}",
        columns=tuple(n_first + column for column in block.columns),
        weights=factor * block.weights,
        bias=factor * block.bias,
    )
