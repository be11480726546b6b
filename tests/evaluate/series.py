"""Series whose numbers remember the ones before."""

import numpy as np


def correlated(count, memory, rng):
    """Normal numbers of variance one of which each remembers the one before: g = (1 + m)/(1 − m)."""
    noise = rng.normal(size=count)
    for index in range(1, count):
        noise[index] = memory * noise[index - 1] + np.sqrt(1 - memory**2) * noise[index]
    return noise
