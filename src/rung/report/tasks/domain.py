"""What pages and tables of tasks say of structures outside the domain of a fit."""

from rung.report.tables import ABSENT
from rung.results.domain import DomainNumbers


def outside_sentences(domain: DomainNumbers | None) -> tuple[str, ...]:
    """Return the verdict where structures are outside; nothing where all are inside, or nothing is known."""
    return (domain.verdict,) if domain is not None and domain.domain == "outside" else ()


def standing_words(domain: DomainNumbers) -> str:
    """Return how many of how many structures are outside, for a table."""
    return ABSENT if domain.domain == "unknown" else f"{domain.n_outside} of {domain.n_structures}"
