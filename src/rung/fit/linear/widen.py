"""Widening a readout: random hidden units whose outgoing weights start at zero.

The widened base predicts what the base predicts, and the fit gains functions of the same features that the trained
hidden layer does not have. The units stand for what the fixed features can express and the trained readout does not.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import Field

from rung.data.labels import Array
from rung.errors import ConfigError
from rung.model.readout import HiddenLayer, Readout
from rung.settings import Settings


class Widening(Settings):
    """Random units added to the last non-linear readout."""

    units: int = Field(default=0, ge=0, le=100000)
    """How many; 0 leaves the readout as it is."""
    spread: float = Field(default=1.5, gt=0)
    """R.m.s. of what goes into a unit's activation over the training atoms."""
    seed: int = Field(default=0, ge=0)
    """Of the random directions."""


def widened(readout: Readout, features: Sequence[Array], settings: Widening) -> Readout:
    """Return ``readout`` with random units in its last non-linear block.

    A unit looks along a random direction of the whitened features, so that every direction in which the training
    atoms differ is as likely as another; directions in which they hardly differ are held back.

    Parameters
    ----------
    readout
        The base's readout.
    features
        Features of the training frames, each of shape ``(n, D)``.
    settings
        How many units, how strong, and the seed.

    Raises
    ------
    ConfigError
        When no readout has exactly one hidden layer to add units to.
    """
    if settings.units == 0:
        return readout
    places = [k for k, block in enumerate(readout.blocks) if len(block.layers) == 1]
    if not places:
        raise ConfigError(
            "This base has no readout with one hidden layer, so its readout cannot be widened; set units to 0."
        )
    block = readout.blocks[places[-1]]
    layer = block.layers[0]
    seen = np.concatenate([np.asarray(frame, dtype=float)[:, list(block.columns)] for frame in features])
    weight = np.hstack([layer.weight, _directions(seen, settings)])
    added = replace(
        block,
        layers=(
            HiddenLayer(weight, np.concatenate([layer.bias, np.zeros(settings.units)]), layer.activation, layer.gain),
        ),
        weights=np.concatenate([block.weights, np.zeros(settings.units)]),
        n_random=block.n_random + settings.units,
    )
    blocks = (*readout.blocks[: places[-1]], added, *readout.blocks[places[-1] + 1 :])
    return replace(readout, blocks=blocks)


def _directions(seen: Array, settings: Widening) -> Array:
    covariance = np.cov(seen.T).reshape(seen.shape[1], seen.shape[1])
    eigenvalues, axes = np.linalg.eigh(covariance)
    eigenvalues = np.maximum(eigenvalues, 1e-3 * max(float(eigenvalues[-1]), 1e-12))
    random = np.random.default_rng(settings.seed).normal(size=(len(eigenvalues), settings.units))
    return np.asarray(settings.spread / np.sqrt(len(eigenvalues)) * (axes / np.sqrt(eigenvalues)) @ random)
