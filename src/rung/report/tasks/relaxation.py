"""What is shown of a relaxation; it has no page."""

from rung.errors import counted
from rung.report.summary import Summary
from rung.results.relaxation import RelaxationResult


def relaxation_summary(result: RelaxationResult) -> Summary:
    """Return energy, largest force and cell, and whether the forces asked for were reached."""
    head = f"energy {result.energy:.6f} eV, largest force {result.max_force:.4f} eV/Å, cell (Å):"
    vectors = ("  ".join(f"{component:12.6f}" for component in vector) for vector in result.cell)
    missed = f"Not relaxed to {result.settings.fmax} eV/Å in {counted(result.steps, 'step')}; give more steps."
    return Summary(sentences=(head, *vectors), warnings=result.warnings, failures=() if result.converged else (missed,))
