"""How the fidelities of one model differ."""

from typing import Literal

Conditioning = Literal["shared", "readouts", "embedding", "all"]
"""What each fidelity has of its own, besides reference energies, scale and shift.

``shared``
    Nothing.
``readouts``
    Readouts; the backbone is one.
``embedding``
    A vector that is added to the embedding of every element.
``all``
    That vector, and one added to the scalars that leave the linear layers before and after each convolution and enter
    the hidden units of the readouts.
"""
