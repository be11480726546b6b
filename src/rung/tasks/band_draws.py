"""Posterior draws of a band: whether they are worth their steps, what they cost, and what to say of them."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import counted
from rung.evaluate.paths.barrier import Barrier, BarrierSettings
from rung.evaluate.paths.refinement import BarrierDraws, draw_steps, relaxed_draws
from rung.progress import Progress, duration
from rung.tasks.error_bars import PosteriorBars

LONG = 60.0
"""Seconds of draws above which their cost is said before they begin."""

NO_BARRIER = (
    "The band was not relaxed on posterior draws, for it has no barrier; the error bar is that of first order: give "
    "ends with a barrier between them, or more images."
)


def band_on_draws(
    band: Barrier,
    settings: BarrierSettings,
    calculator: Any,
    error_bars: PosteriorBars,
    *,
    count: int,
    seed: int,
    folder: Path,
    progress: Progress,
) -> tuple[BarrierDraws | None, tuple[str, ...]]:
    """Return the band relaxed on ``count`` posterior draws, and sentences; None where it has no barrier.

    Parameters
    ----------
    band, settings, calculator
        The band on the mean of the posterior, how it was relaxed, and on what.
    error_bars
        They make the draws of ``seed``.
    folder
        Each draw is kept in a folder of its own in it.
    progress
        Where draws are reported, and before them their cost.
    """
    if band.at_end:
        return None, (NO_BARRIER,)
    settings = settings.model_copy(update={"max_steps": draw_steps(settings, band.steps)})
    if cost := _cost(band, count, settings.max_steps, _step_seconds(band, calculator)):
        progress.say(cost)
    draws = relaxed_draws(
        band.images,
        # made when it is its turn: as many models at once would fill the memory
        [partial(error_bars.draw, index, seed=seed) for index in range(count)],
        settings,
        folder=folder,
        progress=progress,
    )
    if draws.n_converged == count:
        return draws, ()
    bar = "." if np.isfinite(draws.stderr) else ", which is that of first order instead."
    return draws, (
        f"The band relaxed on {draws.n_converged} of {counted(count, 'posterior draw')}; the others are not in the "
        f"error bar{bar}",
    )


def _step_seconds(band: Barrier, calculator: Any) -> float:
    """Return what a step of the band takes: forces of each image between the ends."""
    image = band.images[band.saddle].copy()
    calculator.get_forces(image)  # the first call may set things up
    image.rattle(1e-4)  # calculators remember what they were asked last
    started = time.monotonic()
    calculator.get_forces(image)
    return (time.monotonic() - started) * (len(band.images) - 2)


def _cost(band: Barrier, count: int, most_steps: int, step_seconds: float) -> str:
    """Return what ``count`` draws take; empty where that is a moment."""
    most = count * most_steps * step_seconds
    if most < LONG:
        return ""
    return (
        f"{counted(count, 'posterior draw')} of the band take about {duration(count * band.steps * step_seconds)}, if "
        f"each needs the {counted(band.steps, 'step')} of the band, and {duration(most)} at most; --draws 0 leaves "
        "them out."
    )
