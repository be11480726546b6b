"""What is declared of a method, beside its function: its settings, and what it reads, takes and starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from rung.features.estimate import Estimate
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.model.potential import ReadoutPotential
from rung.settings import Settings


@dataclass(frozen=True)
class DesignWork:
    """Designs of one kind that a fit will read.

    Parameters
    ----------
    what
        What they hold, in words.
    n_structures, n_entries
        Of how many structures, and how many entries of the cache.
    cost
        What it takes to make those that the cache does not have.
    """

    what: str
    n_structures: int
    n_entries: int
    cost: Estimate


@dataclass(frozen=True)
class Expected:
    """What a fit will do, before it starts.

    Parameters
    ----------
    n_fitted, n_frozen
        Weights that move and those that do not; None where nobody can tell.
    designs
        What is read of the frozen backbone.
    seconds, memory
        Time on this machine, and bytes beside what the process has; NaN where unknown.
    sentences
        What else there is to say.
    lighter
        What to do where this machine has too little memory.
    """

    n_fitted: int | None = None
    n_frozen: int | None = None
    designs: tuple[DesignWork, ...] = ()
    seconds: float = float("nan")
    memory: float = float("nan")
    sentences: tuple[str, ...] = ()
    lighter: str = "let fewer layers move, or give fewer energies"


@dataclass(frozen=True)
class StepZero:
    """How far the untrained start of a fit lies from the base, at the worst structure of a few.

    Parameters
    ----------
    energy
        meV/atom, after the change of reference energies that both know of.
    force
        meV/Å, the largest component.
    tolerance
        meV/atom and meV/Å that rounding explains.
    """

    energy: float
    force: float
    tolerance: float

    @property
    def facts(self) -> dict[str, float]:
        """The numbers for a fit's diagnostics."""
        return {"step_zero_energy": self.energy, "step_zero_force": self.force}

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence where the start is not the base."""
        if max(self.energy, self.force) <= self.tolerance:
            return ()
        return (
            f"Before any step the model differs from the base by {self.energy:.2g} meV/atom and {self.force:.2g} "
            "meV/Å, which rounding does not explain: what is reported as learnt is not all learnt.",
        )


class NamedSettings(Settings):
    """The settings of a method; their ``name`` tells which."""

    name: str
    """The method."""


S = TypeVar("S", bound=NamedSettings)


@dataclass(frozen=True)
class Designs(Generic[S]):
    """The designs of the base's frozen backbone that a method reads.

    Parameters
    ----------
    prepare
        Computes those of the training structures, so that the context's cache has them.
    forces
        Whether some of them hold derivatives of forces, which cost most.
    """

    prepare: Callable[[Lift, S, Context], object]
    forces: bool


def no_designs(settings: NamedSettings) -> None:
    """Return that a method reads no designs, whatever its settings: its backbone moves, or it has no base."""
    del settings


def no_differences(settings: NamedSettings) -> bool:
    """Return that a method learns from energies of structures alone, each with an error of its own."""
    del settings
    return False


def all_differences(settings: NamedSettings) -> bool:
    """Return that a method uses differences, whatever its settings: its labels are rows of a linear model."""
    del settings
    return True


@dataclass(frozen=True)
class Method(Generic[S]):
    """What the rest of rung knows of a method; it stands beside the method's function.

    Parameters
    ----------
    settings
        Their class; the default of its field ``name`` is the method's name.
    fit
        The function.
    base
        Whether the method needs a base, uses one where there is one, or uses none.
    continues
        Whether the fit goes on from all fidelities of a base whose features depend on the fidelity; otherwise it
        starts from the features of one of them, :attr:`Base.plain`.
    designs
        Returns the designs that a fit with given settings reads, or None.
    start
        Measures how far the untrained start lies from the base, where neither a training reports it in its diagnostics
        nor the fit starts from designs; None where the method has no such start.
    expect
        Says what a fit will take, from passes timed on one frame; None where the method cannot tell.
    differences
        Returns whether a fit with given settings uses labels that are differences, and errors that labels share.
    seedless
        Whether a fit to the same labels is the same whatever the seed.
    """

    settings: type[S]
    fit: Callable[[Lift, S, Context], FitResult]
    base: Literal["needed", "optional", "none"]
    continues: bool = False
    designs: Callable[[S], Designs[S] | None] = no_designs
    start: Callable[[Lift, S], StepZero] | None = None
    expect: Callable[[Lift, S, Context], Expected] | None = None
    differences: Callable[[S], bool] = no_differences
    seedless: bool = False

    @property
    def name(self) -> str:
        """The name by which a config asks for the method."""
        return str(self.settings.model_fields["name"].default)

    def origin(self, base: Base) -> ReadoutPotential:
        """Return the potential that a fit starts from."""
        return base.potential if self.continues else base.plain
