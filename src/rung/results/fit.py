"""``fit.json`` and ``features.json``: what a method tells of its fit, and what the designs took."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, JsonValue

from rung.results.base import Entry, Number, Result

FIT_FILE, FEATURES_FILE, MODEL_FILE = "fit.json", "features.json", "model.rung"


class HyperParameter(Entry):
    """One hyper-parameter of a linear fit."""

    name: str
    """Its name."""
    value: Number
    """The value that was taken, in ``unit``."""
    low: Number
    """Lower end of its 68 % interval; null where the fit has no posterior of it."""
    high: Number
    """Upper end of the interval."""
    unit: str
    """Its unit; empty for none."""
    meaning: str
    """What it is."""


class Alternative(Entry):
    """One model that was weighed by its evidence."""

    name: str
    """The model."""
    log_evidence: Number
    """Logarithm of its evidence."""
    note: str
    """How the evidence was taken."""


class EnergyDifference(Entry):
    """A difference of two energies: what the base, the prior and the energies tell of it, eV."""

    first: str
    """The ``structure_id`` of the structure whose energy counts positive."""
    second: str
    """The ``structure_id`` of the other one."""
    base: Number
    """The base's own difference, eV."""
    prior_mean: Number
    """How the prior (band and weights) expects it to change, eV."""
    prior_stderr: Number
    """By how much the prior lets it change, one sigma, eV."""
    energies_alone: Number
    """The change that the energies ask for without a band, eV."""
    fitted: Number
    """The change that was fitted, eV."""


class FitDetails(Entry):
    """Tables of a fit for its report; a key is absent where the method has no such table."""

    hyperparameters: tuple[HyperParameter, ...] = ()
    """The hyper-parameters of a linear fit."""
    cross_validation: tuple[Mapping[str, Number], ...] = ()
    """What cross-validation tried: a hyper-parameter by name, with the ``loss`` on what was left out."""
    evidence_profile: tuple[Mapping[str, Number], ...] = ()
    """Points of the posterior of the hyper-parameters: each value by its name, and the ``weight`` of the point."""
    energies_alone: Mapping[str, Number] = Field(default_factory=dict)
    """What the energies alone would have chosen and done: numbers by name; with ``_as_fitted`` after the name, the same
    of the fit."""
    alternatives: tuple[Alternative, ...] = ()
    """Models that were weighed by their evidence."""
    differences: tuple[EnergyDifference, ...] = ()
    """Energy differences, such as those that a term of the fit names, else the widest of one composition."""
    epochs: tuple[Mapping[str, Number], ...] = ()
    """The log of a training, a mapping an epoch: ``epoch``, ``stage``, ``learning_rate``, ``train_loss``,
    ``valid_loss``, errors on what it was stopped by (meV/atom, meV/Å), ``seconds``."""
    finished: str = ""
    """Why the training ended."""
    notes: tuple[str, ...] = ()
    """What is good to know and asks for nothing to be mended."""

    def with_tables(self, other: "FitDetails") -> Self:
        """Return these tables with those of ``other``, which take the place of one's own."""
        return type(self).model_validate(self.as_json() | other.as_json())


class FitRecord(Result):
    """What a method tells of its fit."""

    method: str
    """The name of the method."""
    settings: Mapping[str, JsonValue]
    """The settings as they were used."""
    seconds: Number
    """Time of the fit, s, without designs."""
    n_energies: int
    """How many energies of the target were fitted."""
    n_left_out: int = 0
    """How many training frames were left out, for no atom of theirs has a neighbour."""
    diagnostics: Mapping[str, Number]
    """Numbers by name: what was chosen, evidence, counts, the method's own checks."""
    warnings: tuple[str, ...]
    """What a user must know of this fit, in sentences."""
    details: FitDetails
    """Tables for the report."""


class Features(Result):
    """How many designs of the frozen backbone a run needed."""

    n_structures: int
    """Structures whose designs were needed; 0 where the method reads none."""
    seconds: Number
    """Time, s; little where the cache held them."""
