"""What an engine is: the record of one program that makes labels, what it is asked, and what it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from ase import Atoms

from rung.data.labels import Array
from rung.settings import Settings

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Subject:
    """What an engine computes.

    Parameters
    ----------
    structure_id
        The name of the structure.
    atoms
        Its geometry, with charge and spin in ``info`` and magnetic moments where its file gives them; no constraints.
    fidelity
        What the label is called.
    stderr
        The one-sigma error to reach, eV; NaN where none was asked for.
    seed
        Of everything random.
    """

    structure_id: str
    atoms: Atoms
    fidelity: str
    stderr: float = float("nan")
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """What an engine found, of a calculation that converged.

    Parameters
    ----------
    energy
        Of the cell, eV.
    program, method
        What made it, and the level of theory, for people.
    energy_stderr
        One-sigma error, eV; NaN where nobody knows it.
    forces
        Shape ``(n, 3)``, eV/Å; None where there are none.
    stress
        Shape ``(6,)``, ASE's sign and order, eV/Å³; None where there is none.
    independent
        Independent samples of a statistical energy; NaN of any other.
    warnings
        What makes the label doubtful.
    details
        Numbers that say how it was made, by name.
    """

    energy: float
    program: str
    method: str
    energy_stderr: float = float("nan")
    forces: Array | None = None
    stress: Array | None = None
    independent: float = float("nan")
    warnings: tuple[str, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Engine(Generic[S]):
    """The record of an engine.

    Parameters
    ----------
    settings
        Its settings, whose ``name`` is that of the engine.
    label
        Computes one label; the folder is the structure's own, and what it left there before is still there. Raises a
        :class:`~rung.errors.LabelError` where it gives none.
    check
        Raises where these settings cannot work, before any calculation: a package or a name that is not there.
    packages
        Distributions whose versions decide the result.
    inputs
        Files that the settings name and whose content decides the result.
    statistical
        Whether labels are more precise the longer they are computed, so that the error asked for decides the result.
    elsewhere
        Whether it waits for programs that run elsewhere, whose time nobody knows here.
    power
        How its time grows with the number of electrons: time ∝ Nᵖ.
    """

    settings: type[S]
    label: Callable[[Subject, S, Path], Made]
    check: Callable[[S], None]
    packages: tuple[str, ...] = ()
    inputs: Callable[[S], tuple[Path, ...]] = lambda _: ()
    statistical: Callable[[S], bool] = lambda _: False
    elsewhere: bool = False
    power: Callable[[S], float] = lambda _: 1.0
