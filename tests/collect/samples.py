"""Outputs for tests: QMCPACK's own, and series of known mean and error in its format."""

from pathlib import Path

import numpy as np

from rung.data.labels import Array

DIAMOND = Path(__file__).parent / "data" / "qmcpack-diamond"

SCALAR_HEAD = "#   index    LocalEnergy         LocalEnergy_sq      ElecElec   MPC   BlockWeight\n"
DMC_HEAD = "#   Index LocalEnergy Variance Weight NumOfWalkers AvgSentWalkers TrialEnergy DiffEff LivingFraction\n"


def autoregressive(rows: int, correlation: float, random: np.random.Generator, size: int = 1) -> Array:
    """Return series of unit variance in equilibrium, shape ``(size, rows)``, of mean zero.

    Each row is ``correlation`` c times the one before and noise: the error of a mean is √((1+c)/(1−c)/rows).
    """
    noise = random.normal(size=(size, rows))
    noise[:, 1:] *= np.sqrt(1.0 - correlation**2)
    for row in range(1, rows):
        noise[:, row] += correlation * noise[:, row - 1]
    return noise


def write_scalar(path: Path, energies: Array, *, mpc: float = 0.0, weights: Array | None = None) -> Path:
    """Write a ``scalar.dat`` of blocks whose energies are given in Hartree; ``mpc`` is MPC − ElecElec."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = 1000.0 + np.arange(len(energies)) % 7 if weights is None else weights
    rows = (
        f"{index:10d} {energy:.12e} {energy**2:.12e} -2.0e+00 {mpc - 2.0:.12e} {weight:.12e}\n"
        for index, (energy, weight) in enumerate(zip(energies, weights, strict=True))
    )
    path.write_text(SCALAR_HEAD + "".join(rows))
    return path


def write_input(path: Path, prefix: str, n_atoms: int) -> Path:
    """Write what an input of QMCPACK says of electrons and atoms, in two groups."""
    groups = "".join(
        f'<group name="{name}" size="{size}"><parameter name="charge"> 4 </parameter></group>'
        for name, size in (("C", 1), ("Si", n_atoms - 1))
    )
    electrons = '<group name="u" size="4"><parameter name="charge"> -1 </parameter></group>'
    path.write_text(
        f'<?xml version="1.0"?>\n<simulation><project id="{prefix}" series="0"/><qmcsystem>'
        f'<particleset name="e">{electrons}</particleset><particleset name="ion0">{groups}</particleset>'
        "</qmcsystem></simulation>\n"
    )
    return path


def run_of(seed: int, *, rows: int = 60, mean: float = -1.0, spread: float = 0.01) -> Array:
    """Return energies of blocks, Hartree, that do not depend on one another."""
    return mean + spread * np.random.default_rng(seed).normal(size=rows)
