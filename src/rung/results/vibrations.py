"""``vibrations.json``: the harmonic modes of one structure at one or several fidelities."""

from collections.abc import Mapping
from math import nan
from typing import Self

from pydantic import model_validator

from rung.results.base import Atoms, DomainWord, Entry, Number, Numbers, Result, equally_long
from rung.results.settings import SettingsEntry

VIBRATIONS_FILE = "vibrations.json"


class FidelityModes(Entry):
    """The modes at one fidelity."""

    fidelity: str
    """The fidelity."""
    model: str
    """What the potential was opened from."""
    energy: Number
    """Of the structure whose modes they are, eV."""
    max_force: Number
    """Largest force left on an atom of it, eV/Å."""
    relaxed: bool
    """Whether the structure was relaxed at this fidelity, to the forces asked for."""
    wavenumbers: Numbers = ()
    """cm⁻¹, imaginary ones negative, rising; none where the structure did not relax."""
    stderr: Numbers = ()
    """One-sigma error of each from the fitted weights alone, cm⁻¹; null where it is not known."""
    stderr_smooth: Numbers = ()
    """The same with the smooth part of the model's own error, cm⁻¹."""
    shares: tuple[Mapping[str, float], ...] = ()
    """Of each mode, how much of its kinetic energy each element has."""
    n_imaginary: int = 0
    """How many are clearly imaginary."""
    n_rigid: int = 0
    """Whole shifts and turns that were taken out."""
    zero_point_energy: Number = nan
    """Half a quantum of each mode that is not imaginary, eV."""
    zero_point_stderr: Number = nan
    """Its error from the fitted weights alone, eV."""
    zero_point_stderr_smooth: Number = nan
    """The same with the smooth part of the model's own error, eV."""
    domain: DomainWord = "unknown"
    """Whether the structure is like the training structures."""
    notes: tuple[str, ...] = ()
    """What a reader should know of these modes."""
    reason: str = ""
    """Why there are no modes; empty where there are."""

    @model_validator(mode="after")
    def _one_number_a_mode(self) -> Self:
        return equally_long(self, "wavenumbers", "stderr", "stderr_smooth", "shares")


class VibrationsSettingsEntry(SettingsEntry):
    """The settings of the modes."""


class VibrationsResult(Result):
    """What ``rung vibrations`` found."""

    formula: str
    """Of the structure."""
    n_atoms: Atoms
    """Its atoms."""
    periodic: bool
    """Whether it is periodic, so that the modes are those at Γ of its cell."""
    settings: VibrationsSettingsEntry
    """Of the displacements."""
    fidelities: tuple[FidelityModes, ...]
    """In the order asked for."""
    warnings: tuple[str, ...] = ()
    """What a reader should know of all."""
