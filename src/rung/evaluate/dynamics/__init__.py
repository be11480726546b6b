"""Molecular dynamics of any ASE calculator, and statistics of its runs."""
