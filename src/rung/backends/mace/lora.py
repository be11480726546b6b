"""A MACE model in training of which only mace-torch's own low-rank adapters move.

An adapter adds the product of two thin factors to a weight (LoRA: Hu et al., arXiv:2106.09685); that of an equivariant
layer has thin factors for each irreducible representation. One factor starts at zero, so nothing is added at first,
and in the end the product is added to the weight for good.
"""

from typing import Any

import torch
from torch import Tensor

from rung.backends.mace.engine import lora
from rung.backends.mace.module import TrainableMace
from rung.backends.mace.rebuild import building
from rung.data.batch import Batch


class AdaptedMace(TrainableMace):
    """The model with an adapter at every linear layer; all other parameters stay as they are."""

    def __init__(self, model: TrainableMace, *, rank: int, alpha: float, seed: int) -> None:
        super().__init__(model.parts())
        with building(self.dtype):
            torch.manual_seed(seed)
            lora.inject_LoRAs(self, rank=rank, alpha=alpha)
        self.train(model.training)

    def interaction(self, batch: Batch) -> Tensor:
        """Return each atom's energy without its reference energy, eV, shape ``(N,)``."""
        # without gradients mace-torch would keep merged weights, which a later step makes stale
        with torch.enable_grad():
            energies = super().interaction(batch)
        return energies if torch.is_grad_enabled() else energies.detach()

    def settled(self, part: torch.nn.Module) -> torch.nn.Module:
        """Return a copy of a part of this model, its adapters merged into its weights."""
        copied = super().settled(part)
        bases: list[Any] = [layer.base for layer in copied.modules() if isinstance(layer, lora.LoRAO3Linear)]
        paths = [base.instructions for base in bases]
        for base in bases:  # mace-torch takes the path of a bias for one of weights
            base.instructions = [path for path in base.instructions if path.i_in >= 0]
        lora.merge_lora_weights(copied)
        for base, instructions in zip(bases, paths, strict=True):
            base.instructions = instructions
        return copied
