"""Decay towards the weights that a training began with."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from rung.settings import Settings


class DecayToStart(Settings):
    """A pull of the moving weights towards their start w₀: w ← w − η·λ·(w − w₀) after each step.

    This is L2-SP (Li, Grandvalet and Davoine, arXiv:1802.01483), decoupled from the gradient as AdamW's own decay is
    (arXiv:1711.05101), so that the size of the loss does not matter. The learning rate η is that of the step.
    """

    may_be_infinite: ClassVar[frozenset[str]] = frozenset({"strength"})

    strength: float = Field(default=1.0, ge=0)
    """λ. At a learning rate of 10⁻³ a strength of 1 forgets in a thousand steps; infinity lets nothing move."""

    def apply(self, weights: Sequence[Tensor], start: Sequence[Tensor], learning_rate: float) -> None:
        """Move ``weights`` in place; a step beyond the start ends there."""
        with torch.no_grad():
            torch._foreach_lerp_(list(weights), list(start), min(1.0, learning_rate * self.strength))
