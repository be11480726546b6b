"""``scratch``: a new model, trained on the target's own energies and forces. This is how a base is made."""

from typing import Literal

from pydantic import Field, field_validator

from rung.backends.architectures import AnyArchitecture, new_architecture
from rung.data.elements import require_element
from rung.errors import ConfigError
from rung.fit.fidelities.expected import expected_training
from rung.fit.fidelities.rows import FidelityLabels, RowSettings
from rung.fit.fidelities.several import Start, TrainingData, fit_together, start_new, training_data
from rung.fit.lift import Context, FitResult, Lift
from rung.fit.method import Expected, Method, NamedSettings
from rung.fit.training.stages import TrainingSettings


class ScratchSettings(NamedSettings):
    """Train a new model on the target alone."""

    name: Literal["scratch"] = "scratch"
    architecture: AnyArchitecture = Field(default_factory=new_architecture)
    """The shape of the model."""
    training: TrainingSettings = TrainingSettings()
    """How it is trained."""
    reference_energies: dict[str, float] | None = None
    """eV by element symbol, such as those of isolated atoms; by default least squares on the training energies, once
    before the training and once after it."""

    @field_validator("reference_energies")
    @classmethod
    def _are_elements(cls, energies: dict[str, float] | None) -> dict[str, float] | None:
        for symbol in energies or {}:
            require_element(symbol)
        return energies


def fit_scratch(lift: Lift, settings: ScratchSettings, context: Context) -> FitResult:
    """Fit the target by a new model trained on ``lift.train``; ``lift.valid`` says when to stop.

    Raises
    ------
    ConfigError
        When a base is given: it would not be used.
    DataError
        When a validation structure holds an element that no training structure does.
    FitError
        When nothing is labelled, or the training diverges.
    """
    if lift.base is not None:
        raise ConfigError(
            "The method 'scratch' trains a new model and uses no base; the method 'transfer' starts from one."
        )
    data, start = _begun(lift, settings, context)
    return fit_together(start, data, settings.training, settings, context, judge=None)


def _begun(lift: Lift, settings: ScratchSettings, context: Context) -> tuple[TrainingData, Start]:
    target, training = lift.target, settings.training
    rows = RowSettings(fidelities={target: FidelityLabels()})
    references = None if settings.reference_energies is None else {target: settings.reference_energies}
    data = training_data(lift, rows, settings.architecture.cutoff, training.valid_fraction, context)
    return data, start_new(settings.architecture, data, "shared", training.loss.energy_floor, references, context)


def _expected(lift: Lift, settings: ScratchSettings, context: Context) -> Expected:
    data, start = _begun(lift, settings, context)
    return expected_training(start, data, settings.training, context)


SCRATCH = Method(settings=ScratchSettings, fit=fit_scratch, base="none", expect=_expected)
