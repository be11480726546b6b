"""Labels that are differences beside what a potential says of them."""

from collections.abc import Sequence

import numpy as np

from rung.backends.errors import errors_of
from rung.data.energy_table import EnergyTable
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.evaluate.calibration import calibration
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior
from rung.results.metrics import DifferenceErrors
from rung.units import MILLI


def difference_errors(
    table: EnergyTable,
    structures: Sequence[Structure],
    energy: Array,
    *,
    base: Array | None = None,
    potential: ReadoutPotential | None = None,
    posterior: Posterior | TangentPosterior | None = None,
) -> DifferenceErrors | None:
    """Return the errors of the differences of one fidelity within a split; None where there are none.

    Parameters
    ----------
    table
        Rows of one fidelity; those about structures that are not there do not count.
    structures
        ``S`` structures.
    energy, base
        Predictions of the potential and of the base, eV, shape ``(S,)``.
    potential, posterior
        What tells the error bars; without them there are none.
    """
    place = {one.structure_id: k for k, one in reversed([*enumerate(structures)])}
    rows = table.within(place).differences
    if not rows:
        return None
    ends = np.array([(place[row.structure_id], place[row.minus]) for row in rows])
    label, sigma = np.array([row.energy for row in rows]), np.nan_to_num([row.stderr for row in rows])
    error = energy[ends[:, 0]] - energy[ends[:, 1]] - label
    bars = np.full(len(rows), np.nan)
    if potential is not None and posterior is not None:
        known = errors_of(potential, rows[0].fidelity, posterior)
        pairs = [[structures[one], structures[other]] for one, other in ends]
        bars = np.array([known.energies(pair).combination_variance([1.0, -1.0]).total for pair in pairs])
    scores = calibration(error, bars + sigma**2, np.ones(len(rows)))
    return DifferenceErrors(
        **scores.as_json(),
        n_differences=len(rows),
        mae=MILLI * float(np.mean(np.abs(error))),
        rmse=_rms(error),
        rmse_base=float("nan") if base is None else _rms(base[ends[:, 0]] - base[ends[:, 1]] - label),
    )


def _rms(error: Array) -> float:
    return MILLI * float(np.sqrt(np.mean(np.square(error))))
