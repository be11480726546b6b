"""The error bars of a potential, whichever method left its posterior."""

from rung.backends.training import trainable
from rung.features.errorbars import PosteriorErrors
from rung.features.tangent_errors import TangentErrors
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior


def errors_of(
    potential: ReadoutPotential, fidelity: str, posterior: Posterior | TangentPosterior
) -> PosteriorErrors | TangentErrors:
    """Return the error bars of one fidelity of a potential.

    Parameters
    ----------
    potential, fidelity
        What was fitted.
    posterior
        What its fit left.

    Raises
    ------
    ModelError
        When the posterior is of another readout.
    """
    if isinstance(posterior, Posterior):
        return PosteriorErrors(potential, fidelity, posterior)
    return tangent_errors(potential, fidelity, posterior)


def tangent_errors(potential: ReadoutPotential, fidelity: str, posterior: TangentPosterior) -> TangentErrors:
    """Return the error bars of a tangent fit; arguments as for :func:`errors_of`."""
    model = trainable(posterior.base, {posterior.fidelity: posterior.fidelity}).to(potential.device)
    return TangentErrors(potential, fidelity, posterior, model)
