"""Symbols of elements: what is none is named as one, and isotopes with what to write in their place."""

from collections.abc import Iterable

from ase.data import atomic_numbers, chemical_symbols

_LISTED = 20

_ISOTOPES = {
    "D": "deuterium is H with a mass of its own: write H and a column masses of 2.014",
    "T": "tritium is H with a mass of its own: write H and a column masses of 3.016",
}


def is_element(symbol: str) -> bool:
    """Return whether ``symbol`` is that of an element; ``X``, which stands for nothing, and isotopes are not."""
    return atomic_numbers.get(symbol, 0) > 0


def symbols(numbers: Iterable[int]) -> str:
    """Return the symbols of elements for a sentence, by atomic number, without repeats; of many, the first 20."""
    listed = [chemical_symbols[number] for number in sorted({int(number) for number in numbers})]
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def hint(symbol: str) -> str:
    """Return what to do where ``symbol``, in whatever letters, is no element."""
    return _ISOTOPES.get(symbol.strip().capitalize(), "name an element of the periodic table")


def isotope(symbol: str) -> bool:
    """Return whether ``symbol`` is that of an isotope, which some formats know."""
    return symbol.strip().capitalize() in _ISOTOPES


def require_element(symbol: str) -> str:
    """Return ``symbol``.

    Raises
    ------
    ValueError
        When it is no element: the sentence says what to do.
    """
    if not is_element(symbol):
        raise ValueError(f"{symbol[:20]!r} is not an element; {hint(symbol)}")
    return symbol
