"""Units inside rung: eV, Å, eV/Å, eV/Å³, K and fs; readers convert, nothing else does."""

from ase import units

HARTREE = float(units.Hartree)
"""One Hartree in eV (CODATA 2014, the set that ASE uses)."""

BOHR = float(units.Bohr)
"""One Bohr radius in Å."""

KCAL_PER_MOL = float(units.kcal / units.mol)
"""One kcal/mol in eV."""

GPA = float(units.GPa)
"""One GPa in eV/Å³."""

BOLTZMANN = float(units.kB)
"""Boltzmann's constant in eV/K."""

PLANCK = float(units._hplanck / units._e)
"""Planck's constant in eV s: an energy quantum over it is a frequency in 1/s."""

MILLI = 1000.0
"""eV to meV, for what people read."""
