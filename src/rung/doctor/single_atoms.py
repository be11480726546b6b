"""A check for single atoms, whose energies say nothing of how atoms act on one another."""

from collections.abc import Iterator

from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, frames, ids
from rung.results.findings import Finding, Severity


def single_atoms(examined: Examined) -> Iterator[Finding]:
    """Find frames in which no atom has a neighbour, and say what a fit does with them."""
    for place, (split, alone) in enumerate(examined.alone.items()):
        if not alone:
            continue
        severity: Severity = "note"
        if place > 0:
            outcome = "their errors are those of reference energies and stand among the others"
        elif examined.single_atoms.use == "fit":
            severity = "warning"
            outcome = (
                "data.single_atoms is 'fit', so they are fitted; the energy of one atom has the smallest model error, "
                "so they decide the reference energies almost alone"
            )
        else:
            outcome = "a fit leaves them out, unless data.single_atoms is 'fit'"
        are = "is a single atom or has" if len(alone) == 1 else "are single atoms or have"
        sentence = f"{split}: {frames(len(alone))} {are} no neighbours ({few(ids(alone))}); {outcome}."
        yield finding(severity, "single-atoms", sentence, (split,), (), ids(alone))
