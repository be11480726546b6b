"""The readout of a trained model fitted once more in closed form, which gives evidence and error bars."""

from dataclasses import replace

from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import Expected
from rung.fit.methods.readout import ReadoutSettings, expected_fit, fit_readout
from rung.model.trainable import TrainablePotential


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


def expected_with_closing(
    training: Expected,
    model: TrainablePotential,
    lift: Lift,
    settings: ReadoutSettings | None,
    context: Context,
) -> Expected:
    """Return what a training and the closing fit after it take.

    Parameters
    ----------
    training
        What the training takes.
    model
        Before its first step. Features of the trained one cost the same, and no cache has them.
    lift, settings, context
        As :func:`with_closing_readout` takes them.
    """
    if settings is None:
        return training
    base = Base(model.frozen(), lift.target)
    closing = expected_fit(replace(lift, valid=(), base=base), settings, replace(context, cache=None))
    return with_readout_fit(training, closing, "closing_readout")


def with_readout_fit(training: Expected, readout: Expected, key: str) -> Expected:
    """Return what a training and a fit of its readout take together; the weights are those of the training.

    Parameters
    ----------
    training, readout
        What each takes.
    key
        The setting that asks for the fit of the readout; its designs are told with it.
    """
    return replace(
        training,
        designs=(*training.designs, *(replace(one, what=f"{key}: {one.what}") for one in readout.designs)),
        seconds=training.seconds + readout.seconds,
        memory=max(training.memory, readout.memory),
        sentences=(*training.sentences, *readout.sentences),
    )
