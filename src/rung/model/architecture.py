"""The shape of a new model, as a user writes it: what is common to those of all backends."""

from pydantic import Field

from rung.settings import Settings


class Architecture(Settings):
    """What every architecture says; each backend has one of its own, with the shape of its models."""

    kind: str
    """Which backend builds it."""
    cutoff: float = Field(gt=0)
    """Å; the range of one edge."""
