"""The readout of a trained model fitted once more in closed form, which gives evidence and error bars."""

from dataclasses import replace

from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.methods.readout import ReadoutSettings, fit_readout


def with_closing_readout(
    result: FitResult, lift: Lift, settings: ReadoutSettings | None, context: Context
) -> FitResult:
    """Return a trained potential with its target's readout fitted in closed form, and what both fits say.

    The features are those that were trained; each other fidelity of the potential stays as the training left it.

    Parameters
    ----------
    result
        Of a training.
    lift
        What was learnt from; validation structures are not used.
    settings
        Of the closing fit; None returns ``result`` itself.
    context
        Cache, progress.

    Raises
    ------
    FitError
        When the labels cannot determine the fit.
    """
    if settings is None:
        return result
    closed = fit_readout(replace(lift, valid=(), base=Base(result.potential, lift.target)), settings, context)
    return FitResult(
        potential=result.potential.with_surface(lift.target, closed.potential.surface(lift.target)),
        posterior=closed.posterior,
        settings=result.settings,
        diagnostics={**closed.diagnostics, **result.diagnostics},
        warnings=(*result.warnings, *closed.warnings),
        details=closed.details.with_tables(result.details),
    )
