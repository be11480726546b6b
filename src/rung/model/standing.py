"""Whether several structures are inside the domain of a fit, and what that means for their error bars."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rung.errors import counted
from rung.model.domain import Place
from rung.results.base import DomainWord
from rung.results.domain import DomainNumbers

NOT_KEPT = "this fit did not keep where its training structures lie. Fit again to know."


@dataclass(frozen=True)
class Standing:
    """Whether structures together are inside the domain of a fit.

    Parameters
    ----------
    places
        The name of each structure whose place is known, and its place.
    """

    places: tuple[tuple[str, Place], ...]

    @property
    def outside(self) -> tuple[tuple[str, Place], ...]:
        """Those that are outside, in their order."""
        return tuple((name, place) for name, place in self.places if place.outside)

    @property
    def domain(self) -> DomainWord:
        """Outside where one of the structures is, unknown where no place is known."""
        if not self.places:
            return "unknown"
        return "outside" if self.outside else "inside"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, each with the name of the structure; empty where none is outside."""
        return tuple(f"{name}: {reason}" for name, place in self.outside for reason in place.reasons)

    @property
    def distance(self) -> float:
        """The largest distance of an atom from the nearest training environment."""
        return max((place.distance for _, place in self.places), default=np.nan)

    @property
    def limit(self) -> float:
        """The largest distance that counts as inside."""
        return min((place.distance_limit for _, place in self.places), default=np.nan)

    def numbers(self, what: str, *, inside: str, outside: str) -> DomainNumbers:
        """Return what a result file says of the structures.

        Parameters
        ----------
        what
            What they are, in the plural, such as frames of test; the first word ends in s.
        inside, outside
            What holds where all are inside, and where some are not: the end of a sentence without its full stop.
        """
        count, away = len(self.places), self.outside
        first, reasons = (away[0][0], away[0][1].reasons) if away else ("", ())
        noun, *rest = what.split(maxsplit=1)
        these = counted(count, " ".join((noun.removesuffix("s"), *rest)), what)
        if away:
            verdict = f"Outside the domain: {len(away)} of {these}, the first {first} ({'; '.join(reasons)}). "
            verdict += f"{outside[:1].upper()}{outside[1:]}."
        elif count:
            verdict = (
                f"Inside the domain: {'' if count == 1 else 'all '}{these}. No atom is farther than "
                f"{self.distance:.1f} spreads from "
            )
            verdict += f"the nearest training environment (limit {self.limit:.1f}). {inside[:1].upper()}{inside[1:]}."
        else:
            verdict = f"It is unknown whether the {what} are inside the domain: {NOT_KEPT}"
        return DomainNumbers(
            domain=self.domain,
            n_structures=count,
            n_outside=len(away),
            first=first,
            reasons=reasons,
            distance=self.distance,
            limit=self.limit,
            verdict=verdict,
        )


def standing(places: Iterable[tuple[str, Place | None]]) -> Standing:
    """Return the standing of named structures; those whose place is not known do not count."""
    return Standing(tuple((name, place) for name, place in places if place is not None))
