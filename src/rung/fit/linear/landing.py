"""Where a network ended after its step: what it says of the labels, and how far its forces left the base.

A fit in the tangent knows what a linear function would say. The network may be elsewhere, and then neither the
leave-one-out error nor an error bar of the fit is about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.batch import by_atoms
from rung.data.energy_table import NO_TABLE, EnergyTable
from rung.data.label_rows import label_rows
from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.fit.lift import Base
from rung.fit.linear.course import ATOMS_AT_ONCE
from rung.model.predictions import Predicts, predict_structures
from rung.units import MILLI

LOOKED_AT = 16
"""On how many structures, evenly spread, forces are compared with the base's."""

RESIDUAL = 1.2
"""Residual at the labels over the leave-one-out error above which the network is not where the fit is. In a linear fit
each residual is (1 - h) times the error of its label when left out, with 0 ≤ h ≤ 1, so the ratio is at most one; the
rest is what the walk leaves (:data:`~rung.fit.linear.course.CLOSE_ENOUGH`)."""

DEPARTURE = 1.0
"""Departure of forces over the size of the base's own above which it is warned of. The band's hyper-prior of this ratio
has the median 0.3 and a width of a factor of e, and levels of theory differ by less; from one on, even directions of
forces are not the base's any more."""


@dataclass(frozen=True)
class Landing:
    """What a network says after a step, beside what the fit says of it.

    Parameters
    ----------
    residual
        R.m.s. of its energies less the labels, eV: those of the fit itself.
    leave_one_out
        R.m.s. of labels when each is left out of the linear fit, eV.
    departure
        R.m.s. of a component of its forces less the base's, eV/Å; NaN without structures.
    size
        R.m.s. of a component of the base's forces there, eV/Å.
    """

    residual: float
    leave_one_out: float
    departure: float
    size: float

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers for a fit's diagnostics, eV and eV/Å."""
        return {
            "network_residual_rmse": self.residual,
            "network_force_departure_rmse": self.departure,
            "base_force_rmse": self.size,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found, in sentences."""
        step = f"After its step the network is {MILLI * self.residual:.0f} meV off the labels it was fitted to, r.m.s."
        left = f"; each left out in turn, the linear fit errs by {MILLI * self.leave_one_out:.0f} meV."
        found = (step.rstrip(".") + left if np.isfinite(self.leave_one_out) else step,)
        if not np.isfinite(self.departure):
            return found
        return (
            *found,
            f"Its forces have left the base's by {MILLI * self.departure:.0f} meV/Å, where the base's own are "
            f"{MILLI * self.size:.0f} meV/Å, r.m.s. of a component: a departure, not an error.",
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for what no linear fit would do."""
        found = []
        if self.residual > RESIDUAL * self.leave_one_out:
            found.append(
                f"The network is {MILLI * self.residual:.0f} meV off the labels it was fitted to, more than the "
                f"{MILLI * self.leave_one_out:.0f} meV by which the linear fit misses labels that it has not seen: "
                "it is not where the fit is, and neither that error nor the error bars hold. Take the method readout, "
                "or let fewer layers move."
            )
        if self.departure > DEPARTURE * self.size:
            found.append(
                f"The forces left the base's by {self.departure / max(self.size, 1e-12):.1f} times their own size, "
                "which energies alone do not support. Take the method readout, let fewer layers move, or hold forces "
                "by probes (probes: 60)."
            )
        return tuple(found)


def landing_of(
    potential: Predicts,
    target: str,
    base: Base,
    labelled: Sequence[Structure],
    others: Sequence[Structure],
    leave_one_out: float,
    table: EnergyTable = NO_TABLE,
) -> Landing:
    """Return where a fitted network ended.

    Parameters
    ----------
    potential, target
        What was fitted, with its reference energies.
    base
        Where it came from.
    labelled
        The structures of the fit.
    others
        Structures to compare forces on; :data:`LOOKED_AT` of them are taken.
    leave_one_out
        R.m.s. error of the linear fit at labels left out, eV.
    table
        Labels that are differences.
    """
    rows = label_rows(labelled, target, table)
    found = predict_structures(potential, by_atoms(labelled, ATOMS_AT_ONCE), target, forces=False)
    residual = rows.energy - rows.combination @ np.array([one.energy for one in found])
    some = [others[k] for k in evenly_spread(range(len(others)), LOOKED_AT)]
    after, before = _forces(potential, some, target), _forces(base.plain, some, base.fidelity)
    return Landing(_rms(residual), leave_one_out, _rms(after - before), _rms(before))


def _forces(potential: Predicts, structures: Sequence[Structure], fidelity: str) -> Array:
    found = [
        one.forces.ravel()
        for one in predict_structures(potential, by_atoms(structures, ATOMS_AT_ONCE), fidelity, forces=True)
        if one.forces is not None
    ]
    return np.concatenate(found) if found else np.zeros(0)


def rms_of_known(values: Array) -> float:
    """Return the r.m.s. of what is known of ``values``; NaN where nothing is."""
    return _rms(values[np.isfinite(values)])


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan
