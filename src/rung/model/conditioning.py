"""How the fidelities of one model differ."""

from typing import Literal

Conditioning = Literal["shared", "readouts", "embedding", "all"]
"""What each fidelity has of its own, besides reference energies, scale and shift.

``shared``
    Nothing.
``readouts``
    Readouts; the backbone is one.
``embedding``
    A vector that is added to what the model first holds of an atom, its element.
``all``
    That vector, and one added to the scalars inside every layer and to what enters the hidden units of the readouts.

Where exactly a vector is added is the backend's to say; one that knows no such place refuses.
"""
