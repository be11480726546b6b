# ruff: noqa: PLC0415 - torch takes seconds to import, so it is imported when a model is opened, and --help is quick
"""Open whatever a task may evaluate: a file of rung or of a backend, or any ASE calculator that Python can import."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field, field_validator

from rung.data.held import Held
from rung.data.readers.structures import complete_atoms, read_structures, require_matter
from rung.data.states import refuse_strange_states
from rung.errors import ConfigError, DataError, UntrustedError
from rung.fidelity import require_fidelity
from rung.settings import Option
from rung.source import Opening
from rung.storage import content_hash
from rung.tasks.error_bars import PosteriorBars, error_bars_of
from rung.tasks.imported import imported_calculator

if TYPE_CHECKING:
    from rung.calculator import RungCalculator

_IMPORTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


P = TypeVar("P")


class Source(Opening):
    """Which potential a task evaluates, and how it is opened."""

    model: Annotated[str, Option(positional=True)]
    """A model.rung, a model file of a backend, or package.module:function that returns an ASE calculator; of a module
    of yours, PYTHONPATH says where: PYTHONPATH=. rung ..."""

    @field_validator("model", mode="before")
    @classmethod
    def _text(cls, model: object) -> object:
        return str(model) if isinstance(model, Path) else model

    @property
    def imported(self) -> bool:
        """Whether ``model`` names a function of a Python module and no file."""
        return bool(_IMPORTED.fullmatch(self.model)) and not Path(self.model).exists()


class PotentialOptions(Opening, ABC, Generic[P]):
    """Settings that say which potential a task evaluates."""

    @abstractmethod
    def open(self) -> P:
        """Return the potential."""


@dataclass(frozen=True)
class Opened:
    """A potential at one fidelity, as tasks see it.

    Parameters
    ----------
    calculator
        An ASE calculator.
    fidelity
        Its fidelity; of an imported calculator the name of what it computes.
    source
        What it was opened from, for people.
    fingerprint
        A hash that tells it from other potentials: of weights, readout and reference energies where rung knows them,
        else of the function or class that the calculator comes from.
    error_bars
        None where the fit left no posterior of this fidelity.
    metadata
        Those of the checkpoint; empty where there is none.
    reference
        Reference energy E0 of each element that the model knows, eV by symbol; None where rung does not know the model.
    offered
        The fidelities that the model offers, this one among them.
    stateless
        Whether it sees geometries alone, so that a charge, a spin or a magnetic moment would be lost on it. ASE's
        calculators get what a structure says, and do with it what they do.
    """

    calculator: Any
    fidelity: str
    source: str
    fingerprint: str
    error_bars: PosteriorBars | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    reference: Mapping[str, float] | None = None
    offered: tuple[str, ...] = ()
    stateless: bool = False

    @property
    def known(self) -> bool:
        """Whether the fingerprint is of all that the potential computes, and no mere name of a function."""
        return self.reference is not None

    def check_state(self, *structures: Atoms) -> None:
        """Refuse a structure with a charge, a spin or magnetic moments where the potential does not take them.

        Raises
        ------
        DataError
            Names what it has.
        """
        if self.stateless:
            refuse_strange_states((("The structure", atoms) for atoms in structures), self.metadata, self.source)

    def at(self, fidelity: str) -> Any:
        """Return a calculator of another fidelity of the same model.

        Raises
        ------
        ConfigError
            When the model does not offer it.
        """
        from rung.calculator import RungCalculator

        require_fidelity(fidelity, self.offered)
        if fidelity == self.fidelity or not isinstance(self.calculator, RungCalculator):
            return self.calculator
        return RungCalculator(self.calculator.potential, fidelity=fidelity)

    @classmethod
    def of(cls, calculator: Any, *, fidelity: str, source: str = "") -> "Opened":
        """Return a calculator that is in memory already, with what rung knows of it.

        Parameters
        ----------
        calculator
            A :class:`~rung.calculator.RungCalculator`, or any other ASE calculator.
        fidelity
            The fidelity that it computes.
        source
            What it was opened from; by default the name of its class.
        """
        from rung.calculator import RungCalculator

        kind = f"{type(calculator).__module__}:{type(calculator).__qualname__}"
        if isinstance(calculator, RungCalculator):
            return _of_rung(calculator, source or kind, stateless=True)
        return cls(calculator, fidelity, source or kind, content_hash("imported", source or kind), offered=(fidelity,))


def open_calculator(source: Source, fidelity: str) -> Opened:
    """Open a model file, or import ``package.module:function``, at one fidelity.

    Parameters
    ----------
    source
        The file or function. A function is called without arguments and returns an ASE calculator.
    fidelity
        The fidelity to evaluate; for an imported calculator the name of what it computes.

    Raises
    ------
    UntrustedError
        When code would run and ``source`` does not say that it may.
    ConfigError
        When the module or function does not exist, or returns no calculator.
    ModelError
        When the file cannot be used.
    """
    if source.imported:
        return Opened.of(_imported(source), fidelity=fidelity, source=source.model)
    from rung.calculator import RungCalculator

    calculator = RungCalculator(
        Path(source.model),
        fidelity=fidelity,
        trusted=source.trusted,
        head=source.head,
        device=source.device,
        dtype=source.dtype,
    )
    return _of_rung(calculator, source.model, stateless=not source.ignore_state)


def open_fidelities(source: Source, fidelities: Sequence[str]) -> dict[str, Opened]:
    """Open several fidelities of one model side by side, by name.

    A backend's file and an imported calculator take whatever name they are given for the one surface that they have, so
    they are refused under two: they would show one surface as two levels.

    Raises
    ------
    ConfigError
        When no fidelity is named, or several of a model that has one; and as :func:`open_calculator`.
    """
    names = list(dict.fromkeys(fidelities))
    if not names:
        raise ConfigError("Name a fidelity with --fidelity.")
    potentials = {}
    for name in names:
        potentials[name] = open_calculator(source, name)
        if not set(names) <= set(potentials[name].offered):
            raise ConfigError(
                f"{source.model} holds one fidelity and was asked for {', '.join(names)}; name the one that it is, or "
                "give a model.rung that holds them all."
            )
    return potentials


class OneFidelity(Source, PotentialOptions[Opened]):
    """A potential at one fidelity."""

    fidelity: str
    """The fidelity to evaluate."""

    def open(self) -> Opened:
        """Return the potential."""
        return open_calculator(self, self.fidelity)


class OptionalModel(PotentialOptions[Callable[[], Opened] | None]):
    """A potential at one fidelity, or none."""

    model: str | None = None
    """A model.rung, a model file of a backend, or package.module:function for an ASE calculator: it makes the runs.
    Of a module of yours, PYTHONPATH says where: PYTHONPATH=. rung ..."""
    fidelity: str | None = None
    """The fidelity to run; needed with a model."""

    def open(self) -> Callable[[], Opened] | None:
        """Return what opens the potential, for a task checks its files first; None without a model."""
        if self.model is None:
            return None
        if self.fidelity is None:
            raise ConfigError("Say which fidelity of the model to run: --fidelity.")
        source = Source(
            model=self.model,
            trusted=self.trusted,
            head=self.head,
            device=self.device,
            dtype=self.dtype,
            ignore_state=self.ignore_state,
        )
        return partial(open_calculator, source, self.fidelity)


class SeveralFidelities(Source, PotentialOptions[Mapping[str, Opened]]):
    """A potential at fidelities that stand side by side."""

    fidelity: tuple[str, ...] = Field(min_length=1)
    """The fidelity, or several to put side by side."""

    def open(self) -> Mapping[str, Opened]:
        """Return the potential at each fidelity, by name."""
        return open_fidelities(self, self.fidelity)


def read_start(path: Path) -> Atoms:
    """Return the first structure of a file, with all that the file says of it.

    That is what constraints hold, masses, initial charges and magnetic moments, and ``info`` with charge and spin.

    Raises
    ------
    DataError
        When the file cannot be read or holds nothing, no matter can be like the structure, or a constraint is not one
        that rung follows.
    """
    structures = read_structures(path)
    if not structures:
        raise DataError(f"{path} holds no structure.")
    atoms = complete_atoms(require_matter(structures[0]))
    try:
        Held.of(atoms)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return atoms


def _imported(source: Source) -> Any:
    if not source.trusted:
        raise UntrustedError(f"{source.model} runs code of that module: say --trusted if you know where it comes from.")
    return imported_calculator(source.model)


def _of_rung(calculator: "RungCalculator", source: str, *, stateless: bool) -> Opened:
    from rung.model.potential import ReadoutPotential

    potential, fidelity = calculator.potential, calculator.fidelity
    reference = None
    if isinstance(potential, ReadoutPotential):
        surface = potential.surface(fidelity)
        reference = {chemical_symbols[number]: float(energy) for number, energy in surface.reference.energies.items()}
        # the other fidelities of the file may come and go
        potential = ReadoutPotential(potential.backbone, {fidelity: surface})
    return Opened(
        calculator,
        fidelity,
        source,
        potential.fingerprint,
        error_bars=error_bars_of(calculator),
        metadata=calculator.metadata,
        reference=reference,
        offered=tuple(calculator.potential.fidelities),
        stateless=stateless,
    )
