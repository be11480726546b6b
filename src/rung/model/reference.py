"""Reference energies (E0): one energy per element of one fidelity."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rung.data.elements import symbols
from rung.data.labels import Array
from rung.errors import ModelError


@dataclass(frozen=True)
class ReferenceEnergies:
    """Per-element energies of one fidelity.

    Parameters
    ----------
    energies
        eV by atomic number.
    """

    energies: Mapping[int, float]

    @property
    def elements(self) -> tuple[int, ...]:
        """The atomic numbers, sorted."""
        return tuple(sorted(self.energies))

    def of(self, numbers: Tensor) -> Tensor:
        """Return the reference energy of each atom, eV, float64, shape of ``numbers``.

        Raises
        ------
        ModelError
            When an element has none.
        """
        table = torch.full((max(self.energies, default=0) + 1,), torch.nan, dtype=torch.float64, device=numbers.device)
        for number, energy in self.energies.items():
            table[number] = energy
        inside = numbers.clamp(max=len(table) - 1)
        energies = torch.where(numbers < len(table), table[inside], torch.nan)
        if bool(torch.isnan(energies).any()):
            missing = sorted({int(number) for number in numbers[torch.isnan(energies)]})
            raise ModelError(f"There is no reference energy for {symbols(missing)}.")
        return energies

    def moved(self, elements: tuple[int, ...], change: Array) -> "ReferenceEnergies":
        """Return energies with ``change`` (eV, one per element of ``elements``) added; zeros leave every bit."""
        moved = dict(self.energies)
        for element, step in zip(elements, change, strict=True):
            moved[element] = moved[element] + float(step)
        return ReferenceEnergies(moved)
