"""``metrics.json``: the errors of a fitted potential on every split, beside the base's."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field

from rung.results.base import Entry, Number, Result
from rung.results.domain import DomainNumbers
from rung.results.references import OpenReferences

METRICS_FILE = "metrics.json"


class SplitErrors(Entry):
    """Errors of one set of structures at one fidelity; null where nothing is labelled.

    Every mean runs over what is labelled, never over what is not.
    """

    n_structures: int
    """Structures, labelled or not."""
    n_energies: int
    """Structures whose energy is labelled."""
    n_forces: int
    """Force components that are labelled."""
    n_stresses: int
    """Structures whose stress is labelled."""
    energy_mae: Number
    """Mean absolute error of the energy per atom, meV/atom."""
    energy_rmse: Number
    """R.m.s. error of the energy per atom, meV/atom."""
    energy_rmse_rel: Number
    """The same r.m.s. after one offset per composition, meV/atom: what is left once only differences between structures
    of equal composition count. A structure that is alone in its composition says nothing of differences and is left
    out; with k structures a composition the offset takes one of k degrees of freedom, which the factor √(k/(k-1))
    makes up for."""
    force_mae: Number
    """Mean absolute error of the force components, meV/Å."""
    force_rmse: Number
    """R.m.s. error of the force components, meV/Å."""
    force_departure_rmse: Number
    """How far the force components lie from the base's, r.m.s., meV/Å. It is no error: it says what the forces did
    where nobody knows what they should be."""
    stress_mae: Number
    """Mean absolute error of the stress components, meV/Å³."""
    stress_rmse: Number
    """R.m.s. error of the stress components, meV/Å³."""
    energy_chi2: Number
    """Mean of (error/σ)² over energies whose σ is known: 1 where a potential is right within the labels' noise."""
    energy_z2: Number
    """Mean of error²/(σ² + predicted variance), the variance holding posterior and model error: 1 where error bars are
    honest, above 1 where they are too small."""
    n_energy_bars: int = 0
    """Labelled energies with an error bar, which ``energy_z2`` and the shares below are of: where no label fixes the
    reference energies of a composition, it has none."""
    energy_crps: Number = float("nan")
    """Mean continuous ranked probability score of energies with that variance, meV/atom: lower is better. It is 0.56 of
    the bars where they are honest, and grows with the errors and with bars too small or too wide."""
    coverage_energy_50: Number = float("nan")
    """Share of energies whose label lay within the 50 % interval of prediction and label together."""
    coverage_energy_68: Number = float("nan")
    """The same for 68 %."""
    coverage_energy_90: Number = float("nan")
    """The same for 90 %."""
    coverage_energy_95: Number = float("nan")
    """The same for 95 %."""
    noise_floor: Number
    """R.m.s. of σ per atom, meV/atom: what the energy error of a perfect potential would show against these labels."""

    @property
    def some_have_bars(self) -> bool:
        """Whether the scores of error bars are of a part of the labelled energies only."""
        return 0 < self.n_energy_bars < self.n_energies


Errors = Mapping[str, Mapping[str, SplitErrors]]
"""Errors by split, then by fidelity."""


class Calibration(Entry):
    """Whether the error bars of some energies hold; null where none has a bar and a label."""

    n: int
    """Energies with a label and an error bar."""
    z2: Number
    """Mean of error²/variance, as ``energy_z2``."""
    crps: Number
    """Mean continuous ranked probability score, meV/atom."""
    within_50: Number
    """Share of labels within the 50 % interval."""
    within_68: Number
    """The same for 68 %."""
    within_90: Number
    """The same for 90 %."""
    within_95: Number
    """The same for 95 %."""


class DifferenceErrors(Calibration):
    """Errors of labels that are differences of two structures, and how well their error bars hold; CRPS in meV."""

    n_differences: int
    """Labels that are differences."""
    mae: Number
    """Mean absolute error, meV."""
    rmse: Number
    """Root mean square error, meV."""
    rmse_base: Number
    """The same of the base after new reference energies; null without a base."""


class DomainErrors(DomainNumbers):
    """The structures of a split inside and outside the domain of the fit, and how well error bars hold in each part."""

    inside: Calibration
    """Of the structures inside."""
    outside: Calibration
    """Of those outside."""


class Evaluation(Result):
    """Errors of a potential on every split, beside the base's: what ``rung evaluate --json`` prints."""

    splits: Errors
    """Errors of the potential, by split and fidelity."""
    base: Errors | None
    """Errors of the base, likewise; null without a base. Its forces count as they are, its energies at the target after
    new reference energies: those of the training labels, or, for ``rung evaluate``, those of the very structures."""
    domain: Mapping[str, DomainErrors] = Field(default_factory=dict)
    """What is inside and what is outside the domain of the fit, by split, for energies of the target; empty where no
    error bars are known, and in runs of 0.1."""
    differences: Mapping[str, DifferenceErrors] = Field(default_factory=dict)
    """Errors of labels of the target that are differences, by split; empty where there are none."""
    target: str = ""
    """The fidelity that was lifted to, or evaluated; empty in files of older runs."""
    open_references: Mapping[str, OpenReferences] = Field(default_factory=dict)
    """Labelled energies of the target of which the fit's labels leave reference energies open, by split; splits without
    such energies are absent, and so are all where the model does not say what it was fitted to."""


class StartDistance(Entry):
    """How far a model lay from the base before any step, at the worst of a few training structures."""

    energy: Number
    """Energies, the change of reference energies taken out, meV/atom."""
    force: Number
    """Force components, meV/Å."""


class Checks(Entry):
    """What a run checks of itself."""

    step_zero: StartDistance | None
    """How far the untrained start lay from the base; null where a method has no such start."""
    warnings: tuple[str, ...]
    """Sentences: a start that is not the base, an error that rose at another fidelity."""


class FitNumbers(Entry):
    """The numbers of a fit."""

    method: str
    """The name of the method."""
    seconds: Number
    """Time of the fit, s, without designs."""
    cache_seconds: Number
    """Time of the designs, s; little where the cache held them."""
    n_parameters: int
    """How many parameters were fitted."""
    n_energies: int
    """How many energies of the target the training set has."""
    warnings: tuple[str, ...]
    """What the method warns of, in sentences."""
    hyperparameters: Mapping[str, Number]
    """Further numbers of the method, by name: what was chosen, counts, its own checks."""


class Metrics(Evaluation):
    """The errors of a run, with what it checked of itself and the numbers of its fit."""

    checks: Checks
    """What the run checked of itself."""
    fit: FitNumbers
    """The numbers of the fit."""


K = TypeVar("K", bound=SplitErrors)


def by_split(errors: Mapping[str, Mapping[str, K]] | None) -> dict[tuple[str, str], K]:
    """Return errors by (split, fidelity); none where there are none."""
    if errors is None:
        return {}
    return {(split, name): entry for split, by_fidelity in errors.items() for name, entry in by_fidelity.items()}
