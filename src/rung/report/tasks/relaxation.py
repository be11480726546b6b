"""What is shown of a relaxation; it has no page."""

import math

from rung.errors import counted
from rung.report.summary import Summary
from rung.report.tasks.domain import outside_sentences
from rung.results.relaxation import RelaxationResult


def relaxation_summary(result: RelaxationResult) -> Summary:
    """Return energy, largest force and cell, whether the forces asked for were reached, and whether error bars hold."""
    bar = "" if math.isnan(result.energy_stderr) else f" ± {result.energy_stderr:.3f}"
    head = f"energy {result.energy:.6f}{bar} eV, largest force {result.max_force:.4f} eV/Å, cell (Å):"
    outside = outside_sentences(result.domain)
    vectors = ("  ".join(f"{component:12.6f}" for component in vector) for vector in result.cell)
    inside = () if outside or result.domain is None else (result.domain.verdict,)
    missed = f"Not relaxed to {result.settings.fmax} eV/Å in {counted(result.steps, 'step')}; give more steps."
    return Summary(
        sentences=(head, *vectors, *inside),
        warnings=(*outside, *result.warnings),
        failures=() if result.converged else (missed,),
    )
