"""What an energy of a potential is counted from, so that every table of energies can say it."""

from collections.abc import Iterable
from typing import Any

from ase import Atoms

from rung.errors import ModelError
from rung.tasks.opened import Opened


def reference_energies(potential: Opened, symbols: Iterable[str]) -> dict[str, float]:
    """Return the reference energy E0 of each element, eV.

    Parameters
    ----------
    potential
        Of a model of rung, its own E0; of any other calculator, what it gives to one atom alone.
    symbols
        The elements.

    Raises
    ------
    ModelError
        When the potential does not know an element.
    """
    wanted = sorted(set(symbols))
    if potential.reference is None:
        return {symbol: _alone(symbol, potential.calculator) for symbol in wanted}
    missing = [symbol for symbol in wanted if symbol not in potential.reference]
    if missing:
        raise ModelError(f"The model has no reference energy for {', '.join(missing)}.")
    return {symbol: potential.reference[symbol] for symbol in wanted}


def stated(references: dict[str, float]) -> str:
    """Return one sentence with the reference energies, for the foot of a table."""
    listed = ", ".join(f"{symbol} {energy:.4f}" for symbol, energy in references.items())
    return f"Reference energies E0, eV: {listed}."


def _alone(symbol: str, calculator: Any) -> float:
    atom = Atoms(symbol, positions=[[10.0, 10.0, 10.0]], cell=[20.0, 20.0, 20.0], pbc=False)
    return float(calculator.get_potential_energy(atom))
