"""What result files say of energies whose reference energies no label determines."""

from collections.abc import Mapping

from rung.errors import counted
from rung.results.base import Entry

OPEN_REFERENCES = "leave reference energies open"
"""What a sentence says of labels whose compositions do not determine those of the structures to judge on."""

WHAT_TO_DO = (
    "label a structure of each composition that is judged, or read the error with one offset per composition "
    "(energy_rmse_rel)"
)
"""The way out, for such a sentence."""

MOST_FORMULAS = 4
"""Compositions that a sentence names."""


class OpenReferences(Entry):
    """Energies of compositions outside the span of the labelled ones: nothing tells their reference energies."""

    n_open: int
    """Labelled energies of such compositions."""
    n_energies: int
    """Labelled energies in all."""
    formulas: tuple[str, ...] = ()
    """The first few of these compositions."""

    @property
    def part(self) -> str:
        """``3 of 12 energies``."""
        return f"{self.n_open} of {counted(self.n_energies, 'energy', 'energies')}"

    def plus(self, earlier: "OpenReferences | None") -> "OpenReferences":
        """Return both together, the formulas of the earlier ones first."""
        if earlier is None:
            return self
        return OpenReferences(
            n_open=earlier.n_open + self.n_open,
            n_energies=earlier.n_energies + self.n_energies,
            formulas=tuple(dict.fromkeys((*earlier.formulas, *self.formulas)))[:MOST_FORMULAS],
        )


def open_sentences(found: Mapping[str, OpenReferences]) -> tuple[str, ...]:
    """Return a sentence for each split of which some energies have no reference energies."""
    return tuple(
        f"The labels {OPEN_REFERENCES} for {one.part} of {split} (such as {', '.join(one.formulas)}): errors of their "
        f"energies say nothing of the fit; {WHAT_TO_DO}."
        for split, one in found.items()
        if one.n_open
    )
