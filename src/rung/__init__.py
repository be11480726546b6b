"""rung lifts a machine-learning interatomic potential to a higher level of theory with a handful of energies."""

__version__ = "0.1.0"
