"""Results of which a test cares for a few numbers: the others are unknown."""

from collections.abc import Mapping
from typing import Any

from rung.results.fits import FitErrors
from rung.results.metrics import Checks, FitNumbers, Metrics, SplitErrors

COUNTS = {name: 0 for name, field in SplitErrors.model_fields.items() if field.annotation is int}
UNKNOWN = {name: None for name, field in SplitErrors.model_fields.items() if field.annotation is not int}


def split_errors(**values: float) -> SplitErrors:
    """Return errors of one split at one fidelity, unknown where not given."""
    return SplitErrors.model_validate({**COUNTS, **UNKNOWN, **values})


def fit_errors(**values: float) -> FitErrors:
    """Return the same for a fit of a study."""
    return FitErrors.model_validate({**COUNTS, **UNKNOWN, **values})


def metrics(
    splits: Mapping[str, Mapping[str, SplitErrors]],
    base: Mapping[str, Mapping[str, SplitErrors]] | None = None,
    *,
    checked: tuple[str, ...] = (),
    **fit: Any,
) -> Metrics:
    """Return the metrics of a run with these errors, and changes of the numbers of its fit."""
    numbers = {"method": "readout", "seconds": 1.0, "cache_seconds": 0.0, "n_parameters": 1, "n_energies": 1}
    return Metrics(
        splits=splits,
        base=base,
        checks=Checks(step_zero=None, warnings=checked),
        fit=FitNumbers.model_validate({**numbers, "warnings": (), "hyperparameters": {}, **fit}),
    )
