"""A SevenNet backbone whose features depend on the fidelity."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor

from rung.backends.fidelity_vectors import Vectors, vectors_hash, with_vectors
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.fold import folded
from rung.data.batch import Batch
from rung.fidelity import require_fidelity


@dataclass(frozen=True, eq=False)
class ConditionedSevenNetBackbone(SevenNetBackbone):
    """A frozen SevenNet model shared by fidelities, each of which adds vectors of its own at some of its layers.

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
    def shared(self) -> SevenNetBackbone:
        """What the fidelities share, as a backbone to which none adds anything."""
        return SevenNetBackbone(self.module, self.description, self.element_scales, self.stored)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what the fidelities share and of what each adds."""
        return vectors_hash("sevenn-conditioned-1", self.shared.fingerprint, self.conditions)

    @cached_property
    def _folded(self) -> dict[str, SevenNetBackbone]:
        return {}

    def at(self, fidelity: str) -> SevenNetBackbone:
        """Return the plain backbone of one fidelity: its vectors folded into biases.

        Raises
        ------
        ConfigError
            When there is no such fidelity.
        """
        require_fidelity(fidelity, self.conditions)
        if fidelity not in self._folded:
            module, description = folded(self.module, self.description, self.conditions[fidelity])
            self._folded[fidelity] = replace(self.shared, module=module, description=description)
        return self._folded[fidelity]

    def run(self, batch: Batch) -> Tensor:
        """Return the features, each row at its fidelity."""
        with with_vectors(self.module, self.conditions, batch):
            return super().run(batch)
