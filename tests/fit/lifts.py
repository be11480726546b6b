"""Lifts of tests: from a base at ``low`` to ``high``, unless a test says otherwise."""

from collections.abc import Sequence

from rung.data.structure import Structure
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Lift
from rung.model.potential import ReadoutPotential

NAMES = ("low", "high")


def lift_of(
    train: Sequence[Structure],
    base: ReadoutPotential | None = None,
    valid: Sequence[Structure] = (),
    *,
    source: str = "low",
    target: str = "high",
    fidelities: Sequence[str | Fidelity] = NAMES,
) -> Lift:
    """Return what a method is asked for.

    Parameters
    ----------
    train, valid
        Structures to learn from and to choose by.
    base, source
        The base, and the fidelity that it was trained on.
    target
        The fidelity to lift to.
    fidelities
        All fidelities, by name or with what is known of their labels.
    """
    known = [item if isinstance(item, Fidelity) else Fidelity(item) for item in fidelities]
    table = {fidelity.name: fidelity for fidelity in known}
    return Lift(train, valid, None if base is None else Base(base, source), table, target)
