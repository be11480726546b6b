"""What result files say of the domain of a fit: how many structures are outside, and whether error bars hold."""

from rung.results.base import DomainWord, Entry, Number


class DomainNumbers(Entry):
    """How many of some structures are outside the domain of a fit."""

    domain: DomainWord = "unknown"
    """Outside where one of them is."""
    n_structures: int = 0
    """Structures that were looked at."""
    n_outside: int = 0
    """How many of them are outside."""
    first: str = ""
    """The first that is outside; empty where none is."""
    reasons: tuple[str, ...] = ()
    """Why it is outside."""
    distance: Number = float("nan")
    """The largest distance of an atom from the nearest training environment, in r.m.s. spreads of its element."""
    limit: Number = float("nan")
    """The largest distance that counts as inside."""
    verdict: str = ""
    """Which error bars hold, and why."""


class FramesDomain(DomainNumbers):
    """How many frames of dynamics are outside the domain of a fit, and since when."""

    first_ps: Number = float("nan")
    """Time of the first frame that is outside, ps; null where none is."""
