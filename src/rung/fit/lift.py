"""What every method gets and gives: a function from labels, base and settings to a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.fidelity import Fidelity
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.settings import Settings


@dataclass(frozen=True)
class Context:
    """Where and how a fit runs; nothing here changes what it should find.

    Parameters
    ----------
    seed
        Of everything random in the fit.
    cache
        The designs of the frozen backbone; None computes them afresh.
    folder
        Where the fit may keep checkpoints to resume from; None keeps none.
    device, dtype
        Of new models and of features, as torch spells them: ``cpu``, ``cuda``; ``float32``, ``float64``.
    base_fidelity
        The fidelity that the base was trained on; empty without a base.
    progress
        Where long work reports.
    """

    seed: int = 0
    cache: DesignCache | None = None
    folder: Path | None = None
    device: str = "cpu"
    dtype: str = "float32"
    base_fidelity: str = ""
    progress: Progress = SILENT


@dataclass(frozen=True)
class FitResult:
    """What a method returns.

    Parameters
    ----------
    potential
        Offers the target, and the base's fidelity too where the method keeps it.
    posterior
        What the fit knows of its parameters, or None where the method has no posterior.
    settings
        The method's settings as they were used.
    diagnostics
        Numbers for ``metrics.json``: hyper-parameters, evidence, counts.
    warnings
        Sentences that the user must read.
    details
        Tables for the report, such as the evidence profile; plain JSON.
    """

    potential: ReadoutPotential
    posterior: Posterior | None
    settings: Settings
    diagnostics: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """A way across: one function."""

    def __call__(
        self,
        train: Sequence[Structure],
        valid: Sequence[Structure],
        base: ReadoutPotential | None,
        fidelities: Mapping[str, Fidelity],
        target: str,
        settings: Any,
        context: Context,
    ) -> FitResult:
        """Fit ``target`` on ``train``; ``valid`` may choose, and nothing else is seen."""
