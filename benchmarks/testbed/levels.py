# ruff: noqa: E402 - warnings are silenced before the packages that warn on import
"""Two levels of theory that wheels ship, for testbeds whose truth is known: SevenNet-MF-0's PBE and CHGNet's r2SCAN.

The labels are NOT ab initio: they come from pretrained potentials. Two unrelated networks stand for two levels of
theory, so that the surfaces are independent functions and no method is favoured by looking like one of them. The
weights come with the wheels: SevenNet-MF-0 under the MIT licence, CHGNet under a modified BSD-3 licence.

    python -m venv labels && labels/bin/pip install torch==2.13.0 sevenn==0.13.0 chgnet==0.4.2

Units: eV, eV/Å, Å. Energies are totals per cell.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
import numpy as np
import torch
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
LOW, HIGH = "pbe", "r2scan"
FORCES = "{}_forces"
STARTED = time.monotonic()


def say(*words: object) -> None:
    """Print progress with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:6.0f} s", *words, flush=True)


def calculators() -> dict[str, Any]:
    """Return a calculator for each level."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator
    from sevenn.calculator import SevenNetCalculator

    high = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False)
    return {
        LOW: SevenNetCalculator("7net-mf-0", modal="PBE", device="cpu"),
        HIGH: CHGNetCalculator(model=high, use_device="cpu"),
    }


def relaxed(atoms: Atoms, calculator: Any, *, steps: int, cell: bool, fmax: float = 0.03) -> Atoms:
    """Return the structure after at most ``steps`` of FIRE, its cell moving too where ``cell`` says so."""
    atoms = atoms.copy()
    atoms.calc = calculator
    FIRE(FrechetCellFilter(atoms) if cell else atoms, logfile=None).run(fmax=fmax, steps=steps)
    atoms.calc = None
    return atoms


def dynamics(
    atoms: Atoms, calculator: Any, temperature: float, rng: np.random.Generator, *, settle: int, count: int, every: int
) -> Iterator[Atoms]:
    """Yield ``count`` frames of Langevin dynamics at ``temperature`` K, every so many steps of 2 fs."""
    atoms = atoms.copy()
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    run = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    run.run(settle)
    for _ in range(count):
        run.run(every)
        yield atoms.copy()


def plain(atoms: Atoms, **info: Any) -> Atoms:
    """Return the geometry alone, rounded as the file will hold it, so that labels belong to what is written."""
    return Atoms(
        numbers=atoms.numbers,
        positions=np.round(atoms.get_positions(), 5),
        cell=np.round(atoms.cell.array, 5),
        pbc=True,
        info=info,
    )


def label(atoms: Atoms, level: str, calculator: Any, *, forces: bool) -> None:
    """Put the energy, and where asked the forces, of one level on a frame."""
    probe = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True, calculator=calculator)
    atoms.info[f"{level}_energy"] = round(float(probe.get_potential_energy()), 5)
    if forces:
        atoms.arrays[FORCES.format(level)] = np.round(np.asarray(probe.get_forces(), float), 4)


def write_frames(path: Path, frames: Sequence[Atoms], prefix: Callable[[int], str]) -> None:
    """Write extended XYZ with no more digits than the numbers have, and a ``structure_id`` for every frame."""
    lines = []
    for place, frame in enumerate(frames):
        columns = [name for name in frame.arrays if name.endswith("_forces")]
        lattice = " ".join(f"{value:.5f}" for value in frame.cell.array.ravel())
        properties = ":".join(["species:S:1:pos:R:3", *(f"{name}:R:3" for name in columns)])
        info = " ".join(f"{key}={value}" for key, value in {"structure_id": prefix(place), **frame.info}.items())
        lines += [str(len(frame)), f'Lattice="{lattice}" Properties={properties} {info} pbc="T T T"']
        for row, symbol in enumerate(frame.symbols):
            numbers = [f"{value:.5f}" for value in frame.positions[row]]
            numbers += [f"{value:.4f}" for name in columns for value in frame.arrays[name][row]]
            lines.append(" ".join([symbol, *numbers]))
    path.write_text("\n".join(lines) + "\n")
    say(f"{path.name}: {len(frames)} frames, {path.stat().st_size / 1024:.0f} kB")
