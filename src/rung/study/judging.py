"""The errors of one fit of a study on a split, and what a call of its potential takes."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from rung.data.batch import collate
from rung.data.splits import key_of
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential
from rung.results.fits import FitErrors, StructureErrors
from rung.run.evaluation import SplitPrediction, errors_of
from rung.units import MILLI

TIMINGS = 3


def fit_errors(
    prediction: SplitPrediction,
    structures: Sequence[Structure],
    fidelity: str,
    base: SplitPrediction | None = None,
    shares: Mapping[str, float] | None = None,
) -> FitErrors:
    """Return the errors of one fit on a split, with the ``shares`` of its error bars that held the label."""
    errors = errors_of(prediction, structures, fidelity, base)
    return FitErrors.model_validate(errors.as_json() | dict(shares or {}))


def structure_errors(
    prediction: SplitPrediction, structures: Sequence[Structure], fidelity: str, by: str
) -> StructureErrors:
    """Return the errors of each structure against its labels, in groups by the key ``by``.

    A test structure without that key is a group of its own.
    """
    key = key_of(by)
    energy, force, counts = [], [], []
    for place, structure in enumerate(structures):
        label = structure.labelled(fidelity)
        energy.append(MILLI * float(prediction.energy[place] - label.energy) / len(structure))
        forces = prediction.forces[place]
        error = np.empty(0) if forces is None else MILLI * (forces - label.forces).reshape(-1)
        known = error[np.isfinite(error)]
        counts.append(len(known))
        force.append(float(np.sqrt(np.mean(known**2))) if len(known) else float("nan"))
    told = by in ("structure_id", "composition")
    groups = [str(key(one)) if told or by in one.info else f"{one.structure_id} alone" for one in structures]
    return StructureErrors(groups=tuple(groups), energy=tuple(energy), force=tuple(force), n_forces=tuple(counts))


def call_seconds(potential: ReadoutPotential, structures: Sequence[Structure], fidelity: str) -> float:
    """Return seconds per atom of energies and forces of a small batch: the least of a few timings, neighbours apart."""
    batch = collate(
        list(structures), [fidelity] * len(structures), potential.cutoff, dtype=potential.dtype, device=potential.device
    )
    times = []
    for _ in range(TIMINGS):
        started = time.perf_counter()
        potential.predict(batch, forces=True)
        times.append(time.perf_counter() - started)
    return min(times) / sum(len(structure) for structure in structures)
