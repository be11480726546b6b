"""Force designs of the frames of a fit: every component, or random directions, as many as the band needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.features.cache import DesignCache
from rung.features.design import Design
from rung.features.measure import FULL_WORK, full_work
from rung.features.passes import build_designs
from rung.features.probes import Probe, joined, trace_error
from rung.fit.linear.terms import Band
from rung.model.protocols import Backbone
from rung.model.readout import Readout
from rung.progress import SILENT, Progress

LEAST, MOST = 2, 16
"""Directions of each frame: two tell how well the trace is known; sixteen cost more than ten epochs of a training."""

TRACE_ERROR = 0.1
"""Relative standard error of tr BᵀB at which no more directions are taken: τ² is then known to it, and the evidence
leaves τ² uncertain by a factor."""

BAND = 100
"""Frames of a usual band, by which a few structures are judged."""

ROWS_A_WEIGHT = 2
"""How many rows the band has for each fitted weight: with fewer it would be blind to some changes of the weights."""


@dataclass(frozen=True)
class ForceDesigns:
    """Makes the force designs of one base.

    Parameters
    ----------
    backbone, readout, fidelity
        Of the base.
    cache, progress
        As for :func:`~rung.features.passes.build_designs`.
    """

    backbone: Backbone
    readout: Readout
    fidelity: str
    cache: DesignCache | None = None
    progress: Progress = SILENT

    def are_dear(self, structures: Sequence[Structure]) -> bool:
        """Return whether full designs of ``structures`` take more than :data:`~rung.features.measure.FULL_WORK`.

        The count is the same on every machine and with every cache, so that a fit does not depend on them.
        """
        return full_work(structures, self.backbone, len(self.readout.weights), self.fidelity) > FULL_WORK

    def of_band(self, structures: Sequence[Structure], band: Band, *, widened: bool = False) -> list[Design]:
        """Return the designs of the frames that anchor, as the band asks for them.

        Parameters
        ----------
        structures
            The frames.
        band
            Says along how many directions, and whether single atoms count.
        widened
            Whether the readout has random units: they change with their seed and number, and a Jacobian serves all.

        Raises
        ------
        ConfigError
            When the band looks at single atoms along random directions.
        """
        count = 0 if band.probes == "auto" else band.probes
        if count and band.sees_atoms:
            raise ConfigError(
                "The band looks at single atoms (a hinge, or a transform other than scale), and random directions know "
                "none: set probes to 0, or leave such transforms out."
            )
        if band.probes == "auto" and not band.sees_atoms and self.are_dear(structures):
            return self._enough(structures, band.probe_seed)
        if not count:
            return build_designs(
                structures,
                self.backbone,
                self.readout,
                forces=True,
                fidelity=self.fidelity,
                cache=self.cache,
                kind="jacobian" if widened else "auto",
                progress=self.progress,
            )
        return self.probed(structures, range(count), band.probe_seed)

    def affordable(self, structures: Sequence[Structure]) -> list[Design]:
        """Return full designs, or designs along one direction where those of a whole band would be dear."""
        a_band = [*structures] * ceil(BAND / max(len(structures), 1))
        if self.are_dear(a_band):
            return self.probed(structures, range(1))
        return build_designs(
            structures,
            self.backbone,
            self.readout,
            forces=True,
            fidelity=self.fidelity,
            cache=self.cache,
            progress=self.progress,
        )

    def probed(self, structures: Sequence[Structure], indices: Sequence[int], seed: int = 0) -> list[Design]:
        """Return designs along the random directions of these indices."""
        rows = [
            build_designs(
                structures,
                self.backbone,
                self.readout,
                forces=True,
                fidelity=self.fidelity,
                cache=self.cache,
                probe=Probe(seed, index),
                builds=0 if number else len(indices),
                progress=self.progress,
            )
            for number, index in enumerate(indices)
        ]
        return [joined(one) for one in zip(*rows, strict=True)]

    def _enough(self, structures: Sequence[Structure], seed: int) -> list[Design]:
        """Return designs along as many directions as the trace of BᵀB and the number of weights ask for."""
        count = directions_for(len(self.readout.weights), len(structures))
        while True:
            designs = self.probed(structures, range(count), seed)
            error = trace_error(designs)
            if error <= TRACE_ERROR or count >= MOST:
                return designs
            count = min(MOST, max(count + 1, ceil(count * (error / TRACE_ERROR) ** 2)))


def directions_for(n_weights: int, n_structures: int) -> int:
    """Return how many directions of each structure a band begins with: enough rows for all weights."""
    return min(MOST, max(LEAST, ceil(ROWS_A_WEIGHT * n_weights / max(n_structures, 1))))


def probing_numbers(designs: Sequence[Design]) -> dict[str, float]:
    """Return along how many directions each frame was probed, and how well tr BᵀB is known; nothing where none was."""
    if not designs or not designs[0].is_probed:
        return {}
    numbers = {"force_probes": float(len(designs[0].forces))}
    return {**numbers, "force_trace_error": trace_error(designs)} if len(designs[0].forces) > 1 else numbers
