"""Error bars of differences of energies, as evaluation takes them, from whatever calculator a command opened."""

from typing import Any

import numpy as np
from ase import Atoms

from rung.calculator import RungCalculator
from rung.evaluate.paths.band import DifferenceStderr


def difference_stderr(calculator: Any) -> DifferenceStderr | None:
    """Return error bars of a difference, weights alone and the headline; None where there is no posterior."""
    if not isinstance(calculator, RungCalculator) or not calculator.has_error_bars:
        return None

    def stderr(image: Atoms, reference: Atoms) -> tuple[float, float]:
        variance = calculator.energy_difference_variance(image, reference)
        return float(np.sqrt(variance.weights)), float(np.sqrt(variance.headline))

    return stderr


def domain_note(calculator: Any, image: Atoms, reference: Atoms) -> str:
    """Return a sentence where ``image`` is unlike what the fit has seen; empty where it is not, or nothing is known."""
    if not isinstance(calculator, RungCalculator) or not calculator.has_error_bars:
        return ""
    variance = calculator.energy_difference_variance(image, reference)
    if not variance.correlated > variance.independent:
        return ""
    return (
        "The highest image is unlike what the fit has seen: the error of its features "
        f"({np.sqrt(variance.correlated):.3f} eV) exceeds what the model's own error would make of two ordinary "
        f"structures ({np.sqrt(variance.independent):.3f} eV). Label structures near it before you trust the barrier."
    )
