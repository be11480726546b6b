"""Checks of the base against labels of the fidelity that it was trained on."""

from collections.abc import Iterator

import numpy as np

from rung.doctor.examined import Examined
from rung.doctor.findings import finding, frames
from rung.results.findings import Finding
from rung.units import MILLI

POOR = 0.05
"""eV/Å: above it the base is a poor description of its own fidelity, and a poor anchor."""


def base_forces(examined: Examined) -> Iterator[Finding]:
    """Find a base that errs on its own fidelity's forces, or that is no better than no forces at all."""
    fidelity = examined.base_fidelity
    for split in examined.splits:
        predictions = [
            one
            for one in examined.predictions
            if fidelity is not None and one.split == split and one.structure.labelled(fidelity).has_forces
        ]
        if fidelity is None or not predictions:
            continue
        labels = np.concatenate([one.structure.labels[fidelity].forces for one in predictions])
        error = _rms(np.concatenate([one.forces for one in predictions]) - labels)
        size = _rms(labels)
        which = f"the {fidelity!r} forces"
        problem = (
            f"{split}: the base errs by {error * MILLI:.0f} meV/Å (r.m.s. of {frames(len(predictions))}) on {which}"
        )
        if size > 4.0 * POOR and error >= 0.9 * size:  # a relaxed frame has no forces to be right about
            sentence = f"{problem}, which are {size * MILLI:.0f} meV/Å themselves; is it the right base and fidelity?"
            yield finding("error", "base-wrong", sentence, (split,), (fidelity,))
        elif error > POOR:
            sentence = f"{problem}, its own fidelity; a fit that anchors to it inherits that error."
            yield finding("warning", "base-poor", sentence, (split,), (fidelity,))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
