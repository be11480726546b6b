"""``metrics.json`` of the jobs of a study: a fit, a trial, and the designs that fits share."""

from collections.abc import Mapping

from pydantic import Field

from rung.results.base import Entry, Number, Result
from rung.results.metrics import SplitErrors


class FitErrors(SplitErrors):
    """The errors of one fit of a study, with the share of its error bars that held the label.

    A share is absent where nothing has an error bar.
    """

    coverage_forces_68: Number = float("nan")
    """Share of force components whose label lay within the 68 % interval of prediction and label together."""
    coverage_forces_95: Number = float("nan")
    """The same for force components, 95 %."""


class BandBarrier(Entry):
    """The barrier of a band whose images stay as they are."""

    barrier: Number
    """Energy of the highest image less that of the first, eV."""
    barrier_stderr: Number
    """Its one-sigma error from the fitted weights alone, eV; null where it is not known."""
    barrier_stderr_total: Number
    """The same with the model's own error, eV."""


class StudyFitNumbers(Entry):
    """The numbers of one fit of a study."""

    method: str
    """The name of its rows."""
    seconds: Number
    """Time of the fit, s, without designs that fits share."""
    n_energies: int
    """How many target energies it saw."""
    n_left_out: int = 0
    """How many training frames no fit takes, for no atom of theirs has a neighbour."""
    hyperparameters: Mapping[str, Number]
    """Numbers of the method, by name."""
    call_seconds_per_atom: Number = float("nan")
    """Energies and forces of a small batch in rung, the least of three timings, s; absent for a trial."""


class StructureErrors(Entry):
    """The errors of one fit at the target, structure by structure: what resampling the test structures needs."""

    groups: tuple[str, ...]
    """The group of each structure, by the key of the split."""
    energy: tuple[Number, ...]
    """Error of each energy, meV/atom; null without a label."""
    force: tuple[Number, ...]
    """R.m.s. error of the force components of each structure, meV/Å; null where there is none."""
    n_forces: tuple[int, ...]
    """Force components of each structure that were compared."""


class StudyFit(Result):
    """The result of one fit of a study."""

    splits: Mapping[str, Mapping[str, FitErrors]]
    """Errors by split and fidelity."""
    bands: Mapping[str, BandBarrier]
    """Barriers by the name of the band."""
    fit: StudyFitNumbers
    """The numbers of the fit."""
    warnings: tuple[str, ...]
    """What the method warns of, in sentences."""
    structures: Mapping[str, StructureErrors] = Field(default_factory=dict)
    """Errors at the target of each structure, by split; empty in fits of 0.1.0."""


class StudyTrial(Result):
    """The result of one trial."""

    score: Number
    """Energy error on validation structures, r.m.s., meV/atom; null where it is not finite."""
    fit: StudyFitNumbers
    """The numbers of the fit."""
    warnings: tuple[str, ...]
    """What the method warns of, in sentences."""


class StudyDesigns(Result):
    """What the designs that fits share took."""

    seconds: Number
    """Time, s."""
