"""More images until the barrier stands still, and the spread of a barrier over posterior draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from pydantic import AfterValidator, Field

from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.error_bars import ErrorBars
from rung.evaluate.paths.barrier import BandSettings, Barrier, BarrierSettings, relaxed_barrier
from rung.evaluate.paths.endpoints import displacements
from rung.progress import SILENT, Progress
from rung.results.barrier_task import Draws
from rung.settings import Option, Settings

FEWEST_STEPS, TIMES_STEPS = 100, 2
"""A draw begins at the relaxed band, so it may take so many steps, or so many times those of the band."""

FIRST_LOST = 4
"""Where none of so many first draws relaxes, the others are left out."""


def _none_or_several(draws: int) -> int:
    if draws == 1:
        raise ValueError("one draw has no spread; give 0, or 2 or more")
    return draws


BandDraws = Annotated[int, Field(ge=0, le=10000), AfterValidator(_none_or_several)]
"""How many posterior draws a band is relaxed on."""


class RefinementSettings(Settings):
    """When a band has images enough."""

    first: Annotated[int, Option(("first-images",))] = Field(default=5, ge=3)
    """Images of the first band, both ends counted; each further one has an image more between each two."""
    tolerance: Annotated[float, Option(("image-tolerance",))] = Field(default=0.01, gt=0)
    """The barrier counts as converged where more images change it by less, eV."""
    most: Annotated[int, Option(("most-images",))] = Field(default=17, ge=5)
    """No band has more images than this."""


def converged_barrier(
    initial: Atoms,
    final: Atoms,
    calculator: Any,
    settings: BandSettings,
    refinement: RefinementSettings,
    *,
    guess_images: Sequence[Atoms] | None = None,
    folder: Path | None = None,
    progress: Progress = SILENT,
    error_bars: ErrorBars | None = None,
) -> tuple[Barrier, tuple[tuple[int, float], ...]]:
    """Relax bands with more and more images until the barrier changes no more.

    Parameters
    ----------
    initial, final, calculator, settings, progress, error_bars
        As for :func:`~rung.evaluate.paths.barrier.relaxed_barrier`, the number of images apart.
    refinement
        With how many images to begin, and when to stop.
    guess_images
        The first band, ends counted; its length holds instead of ``refinement.first``.
    folder
        Each band is kept in a folder of its own in it.

    Returns
    -------
    tuple
        The last band, and (images, barrier in eV) of each. The last has ``converged`` False and no barrier where the
        limit of images came first.
    """
    found: list[Barrier] = []
    count, guess = refinement.first if guess_images is None else len(guess_images), guess_images
    ends = initial, final
    while True:
        band = relaxed_barrier(
            *ends,
            calculator,
            settings.narrowed(BarrierSettings, images=count),
            guess_images=guess,
            folder=None if folder is None else folder / f"{count}-images",
            progress=progress,
            error_bars=error_bars,
        )
        found.append(band)
        history = tuple((len(one.images), one.barrier) for one in found)
        if not band.converged:
            return band, history
        if len(found) > 1 and abs(found[-1].barrier - found[-2].barrier) < refinement.tolerance:
            return band, history
        if 2 * count - 1 > refinement.most:
            reason = f"the barrier still changes by more than {refinement.tolerance} eV with {count} images"
            return replace(band, converged=False, barrier=float("nan"), reason=reason), history
        count, guess, ends = 2 * count - 1, refined(band.images), (band.images[0], band.images[-1])


def refined(images: Sequence[Atoms]) -> list[Atoms]:
    """Return the band with an image halfway between each two."""
    band = [images[0].copy()]
    for one, two in pairwise(images):
        middle = one.copy()
        middle.set_positions(one.positions + 0.5 * displacements(one, two), apply_constraint=False)
        band += [middle, two.copy()]
    return band


@dataclass(frozen=True)
class BarrierDraws:
    """Barriers of bands relaxed on potentials drawn from a posterior.

    Parameters
    ----------
    barriers, reactions
        eV, shape ``(draws,)``; NaN where a band did not relax.
    reasons
        Why, one sentence a draw; empty where it did.
    """

    barriers: Array
    reactions: Array
    reasons: tuple[str, ...]

    @property
    def n_converged(self) -> int:
        """How many bands relaxed."""
        return int(np.isfinite(self.barriers).sum())

    @property
    def stderr(self) -> float:
        """Standard deviation of the barriers that were found, eV; NaN where fewer than half were."""
        return self._spread(self.barriers)

    @property
    def reaction_stderr(self) -> float:
        """The same of the reaction energy, eV."""
        return self._spread(self.reactions)

    def entry(self) -> Draws:
        """Return the fields and what follows from them as ``barrier.json`` has them."""
        return Draws(
            barriers=self.barriers,
            reactions=self.reactions,
            n=len(self.barriers),
            n_converged=self.n_converged,
            stderr=self.stderr,
            reaction_stderr=self.reaction_stderr,
            reasons=tuple(f"draw {index}: {reason}" for index, reason in enumerate(self.reasons) if reason),
        )

    def _spread(self, values: Array) -> float:
        found = values[np.isfinite(self.barriers)]
        return float(np.std(found, ddof=1)) if len(found) > max(1, len(values) / 2) else float("nan")


def draw_steps(settings: BarrierSettings, steps: int) -> int:
    """Return how many steps each draw may take after a band that took ``steps``."""
    return min(settings.max_steps, max(FEWEST_STEPS, TIMES_STEPS * steps))


def relaxed_draws(
    band: Sequence[Atoms],
    calculators: Sequence[Callable[[], Any]],
    settings: BarrierSettings,
    *,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> BarrierDraws:
    """Relax a band again on each of several potentials; the rest is left out once they can give no spread any more.

    Parameters
    ----------
    band
        The band that was relaxed on the mean of the posterior; each draw starts there, ends too.
    calculators
        One function a draw that returns its ASE calculator.
    settings
        As those of ``band``.
    folder
        Each draw is kept in a folder of its own in it.
    progress
        Where draws are reported.

    Raises
    ------
    DataError
        When there are fewer than two draws.
    """
    if len(calculators) < 2:
        raise DataError(f"A spread needs at least two draws, not {len(calculators)}.")
    found: list[tuple[float, float, str]] = []
    # the numbering was settled for the mean band, whose images are in one order
    kept = settings.model_copy(update={"match_atoms": False})
    with progress.task("posterior draws", len(calculators)) as task:
        for index, make in enumerate(calculators):
            if reason := _hopeless([lost for _, _, lost in found], len(calculators)):
                found += [(np.nan, np.nan, reason)] * (len(calculators) - index)
                break
            one = relaxed_barrier(
                band[0],
                band[-1],
                make(),
                kept,
                guess_images=band,
                folder=None if folder is None else folder / f"draw-{index:03d}",
            )
            found.append((one.barrier, one.reaction, one.reason))
            task.advance()
    barriers, reactions, reasons = zip(*found, strict=True)
    return BarrierDraws(np.array(barriers), np.array(reactions), reasons)


def _hopeless(reasons: Sequence[str], total: int) -> str:
    """Return why the draws that are left are not worth their steps; empty where they are."""
    lost = sum(map(bool, reasons))
    if lost == len(reasons) >= FIRST_LOST:
        return f"left out, for none of the first {lost} relaxed"
    if total - lost <= max(1, total / 2):
        return f"left out, for {lost} of {total} did not relax, and the others are too few for a spread"
    return ""
