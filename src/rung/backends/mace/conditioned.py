"""A MACE backbone whose features depend on the fidelity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from rung.backends.fidelity_vectors import Vectors, vectors_hash, with_vectors
from rung.backends.mace.backbone import MaceBackbone, copy_model, freeze
from rung.backends.mace.sites import fold
from rung.data.batch import Batch
from rung.fidelity import require_fidelity


@dataclass(frozen=True, eq=False)
class ConditionedMaceBackbone(MaceBackbone):
    """A frozen MACE model shared by fidelities, each of which adds vectors of its own at some of its layers.

    Parameters
    ----------
    conditions
        What each fidelity adds: a vector for each site, the same sites for all.
    """

    conditions: Mapping[str, Vectors] = field(default_factory=dict)

    @property
    def conditioned(self) -> bool:
        """Features depend on a row's fidelity."""
        return True

    @cached_property
    def shared(self) -> MaceBackbone:
        """What the fidelities share, as a backbone to which none adds anything."""
        return MaceBackbone(self.module, self.head, self.rebuilt, self.stored)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what the fidelities share and of what each adds."""
        return vectors_hash("mace-conditioned-1", self.shared.fingerprint, self.conditions)

    @cached_property
    def _folded(self) -> dict[str, MaceBackbone]:
        return {}

    def at(self, fidelity: str) -> MaceBackbone:
        """Return the plain backbone of one fidelity: its vectors folded into embedding and biases.

        Raises
        ------
        ConfigError
            When there is no such fidelity.
        """
        require_fidelity(fidelity, self.conditions)
        if fidelity not in self._folded:
            module = copy_model(self.module)
            fold(module, self.conditions[fidelity])
            self._folded[fidelity] = MaceBackbone(freeze(module), self.head, self.rebuilt, self.stored)
        return self._folded[fidelity]

    def run(self, batch: Batch) -> dict[str, Tensor]:
        """Return what MACE's ``forward`` says of the batch, each row at its fidelity."""
        with with_vectors(self.module, self.conditions, batch):
            return super().run(batch)
