"""Units that files may be in, by the names that users give them; a number times its unit is in eV, Å or eV/Å³."""

from typing import Literal

from rung.units import BOHR, GPA, HARTREE, KCAL_PER_MOL

EnergyUnit = Literal["eV", "meV", "hartree", "rydberg", "kcal/mol", "kJ/mol"]
LengthUnit = Literal["angstrom", "bohr", "nm"]
StressUnit = Literal["eV/angstrom^3", "GPa", "kbar", "bar", "hartree/bohr^3", "rydberg/bohr^3"]

ENERGY: dict[EnergyUnit, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": HARTREE,
    "rydberg": HARTREE / 2.0,
    "kcal/mol": KCAL_PER_MOL,
    "kJ/mol": KCAL_PER_MOL / 4.184,
}
"""eV."""

LENGTH: dict[LengthUnit, float] = {"angstrom": 1.0, "bohr": BOHR, "nm": 10.0}
"""Å."""

STRESS: dict[StressUnit, float] = {
    "eV/angstrom^3": 1.0,
    "GPa": GPA,
    "kbar": GPA / 10.0,
    "bar": GPA / 1e4,
    "hartree/bohr^3": HARTREE / BOHR**3,
    "rydberg/bohr^3": HARTREE / 2.0 / BOHR**3,
}
"""eV/Å³."""
