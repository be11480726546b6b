"""What a method gets, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rung.data.energy_table import NO_TABLE, EnergyTable
from rung.data.label_rows import mentioned
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.cache import DesignCache
from rung.features.design import Design
from rung.features.passes import build_designs, features_of
from rung.fidelity import Fidelity, require_fidelity
from rung.model.domain import element_domains
from rung.model.environments import KnownEnvironments, environment_kernel
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface
from rung.model.tangent import TangentPosterior
from rung.progress import SILENT, Progress
from rung.results.fit import FitDetails
from rung.settings import Settings

SPREAD_STRUCTURES = 300
"""How many training structures tell how far the features of an element spread."""

DOMAIN_STRUCTURES = 1000
"""How many training structures tell where the domain of a fit ends."""


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
    progress
        Where long work reports.
    evaluated
        Splits of structures that the result will be asked for: a new model whose training holds no structure with one
        of their elements is refused before it. They are read only where a model is new.
    """

    seed: int = 0
    cache: DesignCache | None = None
    folder: Path | None = None
    device: str = "cpu"
    dtype: str = "float32"
    progress: Progress = SILENT
    evaluated: Sequence[Sequence[Structure]] = ()


@dataclass(frozen=True)
class Base:
    """The potential that a lift starts from.

    Parameters
    ----------
    potential
        It may offer other fidelities too.
    fidelity
        The one that it was trained on, and that the lift starts from.

    Raises
    ------
    ConfigError
        When the potential does not offer the fidelity.
    """

    potential: ReadoutPotential
    fidelity: str

    def __post_init__(self) -> None:
        require_fidelity(self.fidelity, self.potential.fidelities)

    @cached_property
    def plain(self) -> ReadoutPotential:
        """The potential with features that do not depend on the fidelity: those of ``fidelity``.

        A backbone that is conditioned on the fidelity is folded here and nowhere else. Other fidelities are offered
        where they have the same features.
        """
        return self.potential.at(self.fidelity)

    @property
    def surface(self) -> Surface:
        """Readout and reference energies of ``fidelity``."""
        return self.potential.surface(self.fidelity)

    def energy_designs(
        self, structures: Sequence[Structure], cache: DesignCache | None, progress: Progress = SILENT
    ) -> list[Design]:
        """Return the design of each structure without forces, from the cache where it holds one."""
        return build_designs(
            structures,
            self.plain.backbone,
            self.surface.readout,
            forces=False,
            fidelity=self.fidelity,
            cache=cache,
            progress=progress,
        )

    def environments(
        self,
        train: Sequence[Structure],
        labelled: Sequence[Structure],
        cache: DesignCache | None,
        progress: Progress = SILENT,
    ) -> KnownEnvironments:
        """Return which environments of the structures ``labelled`` are alike, in features of the base.

        Parameters
        ----------
        train
            All training structures: an even choice of them tells how far the features spread.
        labelled
            Those whose energies are fitted.
        cache, progress
            As for :meth:`energy_designs`.
        """
        backbone, fidelity = self.plain.backbone, self.fidelity
        spread = [train[k] for k in evenly_spread(range(len(train)), SPREAD_STRUCTURES)]
        structures = [*spread, *labelled]
        features = features_of(structures, backbone, fidelity=fidelity, cache=cache, progress=progress)
        kernel = environment_kernel(features[: len(spread)], [structure.atoms.numbers for structure in spread])
        known = [train[k] for k in evenly_spread(range(len(train)), DOMAIN_STRUCTURES)]
        inside = features_of(known, backbone, fidelity=fidelity, cache=cache, progress=progress)
        return KnownEnvironments(
            kernel,
            {
                structure.geometry_hash: kernel.environments(rows, structure.atoms.numbers)
                for structure, rows in zip(labelled, features[len(spread) :], strict=True)
            },
            element_domains(inside, [structure.atoms.numbers for structure in known]),
        )


@dataclass(frozen=True)
class Lift:
    """The question that a method answers: labels, a base, and the fidelity to reach.

    Parameters
    ----------
    train
        Structures to learn from; those with labels of the target are fitted, others may anchor or train too.
    valid
        Structures that a method may choose by; nothing else is seen.
    base
        What the lift starts from; None where a model is trained from scratch.
    fidelities
        Every fidelity that the labels may have, by name: the target's and the base's among them.
    target
        The fidelity to lift to.
    table
        Labels that are differences of two structures to learn from, and which labels share errors.

    Raises
    ------
    ConfigError
        When the target or the base's fidelity is not among ``fidelities``.
    """

    train: Sequence[Structure]
    valid: Sequence[Structure]
    base: Base | None
    fidelities: Mapping[str, Fidelity]
    target: str
    table: EnergyTable = NO_TABLE

    def __post_init__(self) -> None:
        require_fidelity(self.target, self.fidelities)
        if self.base is not None:
            require_fidelity(self.base.fidelity, self.fidelities)

    @property
    def goal(self) -> Fidelity:
        """The fidelity to lift to, with what is known of its labels."""
        return self.fidelities[self.target]

    @property
    def labelled(self) -> list[Structure]:
        """The training structures that a label of the target tells of, in order: an energy, or a difference."""
        return [self.train[k] for k in mentioned(self.train, self.target, self.table)]

    def require_base(self, method: str) -> Base:
        """Return the base; raise a :class:`~rung.errors.ConfigError` where ``method`` needs one and there is none."""
        if self.base is None:
            raise ConfigError(f"The method {method!r} needs a base: name its file and fidelity in the config.")
        return self.base

    def require_labelled(self) -> list[Structure]:
        """Return :attr:`labelled`; raise a :class:`~rung.errors.FitError` where there is none."""
        labelled = self.labelled
        if not labelled:
            raise FitError(f"No training frame carries {self.target}_energy.")
        return labelled


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
        Tables for the report, such as the evidence profile.
    """

    potential: ReadoutPotential
    posterior: Posterior | TangentPosterior | None
    settings: Settings
    diagnostics: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    details: FitDetails = field(default_factory=FitDetails)
