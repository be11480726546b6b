"""From a linear fit to a nonlinear function that says the same: steps along the rows of the fit, its kernel kept.

One Gauss-Newton step puts the weights of a network where its tangent meets the fit. The network itself is elsewhere, by
its curvature. The fit knows what each energy should be, so more steps along the same rows close the gap. They chase the
fit and not the labels: nothing new is learnt from noise. The rows are not computed anew (a chord method), and the steps
are mixed with those before them (Anderson, J. ACM 12, 547, 1965).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from rung.data.labels import Array

DAMPING = 1e-3
"""What is added to the kernel, in units of its mean eigenvalue: directions that hardly count take no long step."""

STEPS = 12
"""The most steps of a walk."""

MEMORY = 4
"""How many steps before it a step is mixed with."""


@dataclass(frozen=True)
class Walk:
    """Where a walk came closest to the fit.

    Parameters
    ----------
    coefficients
        Of the rows, shape ``(k,)``.
    remaining
        R.m.s. of what is left there.
    """

    coefficients: Array
    remaining: float


def walk(kernel: Array, misfit: Callable[[Array], Array], tolerance: float) -> Walk:
    """Return coefficients c at which ``misfit(c)`` is small, where a small change of c takes ``kernel @ c`` off it.

    Parameters
    ----------
    kernel
        Products of the rows along which the walk goes, positive semi-definite, shape ``(k, k)``.
    misfit
        What is left at given coefficients, shape ``(k,)``; it may be infinite where the function breaks down.
    tolerance
        The r.m.s. of the misfit that is small enough.
    """
    best = Walk(np.zeros(len(kernel)), np.inf)
    if not np.trace(kernel) > 0:
        return Walk(best.coefficients, _size(misfit(best.coefficients)))
    factor = cho_factor(kernel + DAMPING * np.trace(kernel) / len(kernel) * np.eye(len(kernel)))
    position, positions, moves = best.coefficients, list[Array](), list[Array]()
    for _ in range(STEPS + 1):
        rest = misfit(position)
        remaining = _size(rest)
        if not np.isfinite(remaining):
            break
        if remaining < best.remaining:
            best = Walk(position, remaining)
        if remaining <= tolerance:
            break
        positions = [*positions, position][-MEMORY - 1 :]
        moves = [*moves, cho_solve(factor, rest)][-MEMORY - 1 :]
        position = _mixed(positions, moves)
    return best


def _mixed(positions: list[Array], moves: list[Array]) -> Array:
    """Return the position after the last one, by the combination of the moves that would have left least."""
    ahead = np.asarray(positions[-1] + moves[-1])
    if len(moves) == 1:
        return ahead
    changes = np.diff(np.array(moves), axis=0).T
    share = np.linalg.lstsq(changes, moves[-1], rcond=1e-8)[0]
    return np.asarray(ahead - (np.diff(np.array(positions), axis=0).T + changes) @ share)


def _size(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0


def where_equal(
    size: Callable[[float], float], low: float, high: float, *, rounds: int = 6, near: float = 1.1
) -> float:
    """Return the s at which ``size(s)`` is s, by bisection of its logarithm: the least found large enough.

    Parameters
    ----------
    size
        Falls, or hardly rises, with s.
    low
        An s that is smaller than its size.
    high
        One that is large enough, or as large as s may become.
    rounds
        How often the interval is halved.
    near
        The ratio of its ends at which it is small enough.
    """
    for _ in range(rounds):
        if high <= near * low:
            break
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if size(middle) <= middle else (middle, high)
    return high
