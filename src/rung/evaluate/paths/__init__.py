"""Minimum-energy paths: bands, barriers, vibrations and rates of any ASE calculator."""
