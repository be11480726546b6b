"""Frequencies and zero-point energies of molecules after a lift, and how often their error bars hold the truth.

A base on GFN2-xTB is lifted to MP2 by energies of distorted geometries alone. Minima are relaxed on each potential,
and their modes are compared, in rising order, with those of MP2 in the bundled data. Fits and modes are kept in FOLDER,
and the next call goes on.

    python benchmarks/frequencies.py FOLDER --base BASE.rung --out docs/results/molecules.md#frequencies

BASE is what ``rung demo --data molecules`` trains, ``demo/base/model.rung`` there.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write

from rung import RunConfig, Source, VibrationsTask, open_fidelities, read_structures, run_fit, vibrations
from rung.data.labels import Array
from rung.data.readers.structures import write_structures
from rung.data.splits import draw_labels, energies_only
from rung.demo.labelled import only
from rung.demo_data import folder as bundled
from rung.evaluate.coverage import coverage
from rung.evaluate.paths.vibrations import WAVENUMBER
from rung.pages import write_table
from rung.results.vibrations import FidelityModes
from rung.units import MILLI

LOW, HIGH = "gfn2", "mp2"
LEVELS = {"gfn2": "GFN2-xTB", "mp2": "MP2/cc-pVDZ"}


@dataclass(frozen=True)
class Minimum:
    """A minimum of MP2 with its modes, cm⁻¹."""

    name: str
    atoms: Atoms
    wavenumbers: Array


def minima(data: Path) -> list[Minimum]:
    """Return the minima of the bundled data."""
    entries: dict[str, list[dict[str, Any]]] = json.loads((data / "references.json").read_text())["equilibria"][HIGH]
    return [
        Minimum(f"{name}-{number}", Atoms(one["symbols"], one["positions"]), np.array(one["wavenumbers"]))
        for name, found in entries.items()
        for number, one in enumerate(found)
    ]


def lifted(folder: Path, base: Path, data: Path, method: str, count: int, seed: int) -> Path:
    """Return the checkpoint of a fit to ``count`` energies of MP2."""
    run = folder / f"{method}-{count}-{seed}"
    file = run.with_suffix(".extxyz")
    if not file.exists():
        frames = [only(one, HIGH) for one in read_structures(data / "frames.extxyz") if one.info["part"] == "train"]
        write_structures(file, draw_labels(energies_only(frames, HIGH), HIGH, count, seed))
    config = {
        "run": str(run),
        "fidelities": {name: {"level_of_theory": level} for name, level in LEVELS.items()},
        "target": HIGH,
        "base": {"file": str(base), "fidelity": LOW},
        "data": {"train": str(file)},
        "method": {"name": method},
        "threads": 1,
    }
    return run_fit(RunConfig.read(config).resolved(folder)).folder.model


def modes(checkpoint: Path, fidelity: str, minimum: Minimum, folder: Path) -> FidelityModes:
    """Return the modes of a potential at its own minimum."""
    start = folder / f"{minimum.name}.extxyz"
    if not start.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(start, minimum.atoms)
    potentials = open_fidelities(Source(model=str(checkpoint)), [fidelity])
    (found,) = vibrations(potentials, VibrationsTask.read({"structure": str(start)}), folder / minimum.name).fidelities
    return found


@dataclass
class Errors:
    """Errors of modes, cm⁻¹, and of zero-point energies, meV, and the bars beside them."""

    modes: list[float] = field(default_factory=list)
    bars: list[float] = field(default_factory=list)
    zero_points: list[float] = field(default_factory=list)
    zero_point_bars: list[float] = field(default_factory=list)
    lost: int = 0

    def add(self, found: FidelityModes, truth: Array) -> None:
        """Add those of one minimum."""
        if len(found.wavenumbers) != len(truth) or found.n_imaginary:
            self.lost += 1
            return
        self.modes += (np.array(found.wavenumbers) - truth).tolist()
        self.bars += list(found.stderr_smooth)
        self.zero_points.append(MILLI * (found.zero_point_energy - 0.5 * WAVENUMBER * float(truth.sum())))
        self.zero_point_bars.append(MILLI * found.zero_point_stderr_smooth)

    def cells(self) -> list[str]:
        """Return the cells of a row of the table."""
        cells = []
        for errors, bars, places in ((self.modes, self.bars, 0), (self.zero_points, self.zero_point_bars, 1)):
            shares = [coverage(errors, np.zeros(len(errors)), bars, level) for level in (0.68, 0.95)]
            held = " / ".join("–" if np.isnan(share) else f"{100 * share:.0f}" for share in shares)
            cells += [f"{np.sqrt(np.mean(np.square(errors))):.{places}f}", held]
        return [*cells, str(self.lost)]


def rows(arguments: argparse.Namespace, data: Path) -> Iterator[str]:
    """Yield the table line by line."""
    heads = ("potential", "energies", "modes, cm⁻¹", "held, 68 / 95 %", "zero-point energy, meV", "held, 68 / 95 %")
    yield "| " + " | ".join((*heads, "no minimum")) + " |"
    yield "|" + "---|" * (len(heads) + 1)
    known, before = minima(data), Errors()
    for minimum in known:
        before.add(modes(arguments.base, LOW, minimum, arguments.folder / "modes-base"), minimum.wavenumbers)
    yield "| " + " | ".join(("base", "–", *before.cells())) + " |"
    for method in arguments.methods:
        for count in arguments.labels:
            after = Errors()
            for seed in range(arguments.draws):
                checkpoint = lifted(arguments.folder, arguments.base, data, method, count, seed)
                for minimum in known:
                    folder = arguments.folder / f"modes-{method}-{count}-{seed}"
                    after.add(modes(checkpoint, HIGH, minimum, folder), minimum.wavenumbers)
                print(f"{method} with {count} energies, draw {seed}", file=sys.stderr, flush=True)
            yield "| " + " | ".join((f"`{method}`", str(count), *after.cells())) + " |"


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where fits and modes are kept")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint of a base on GFN2-xTB")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["readout", "tangent"])
    parser.add_argument("--out", type=Path, help="page.md#name, or a file")
    arguments = parser.parse_args()
    arguments.folder, arguments.base = arguments.folder.resolve(), arguments.base.resolve()
    table = "\n".join(rows(arguments, bundled("molecules")))
    print(table)
    if arguments.out:
        write_table(arguments.out, table)


if __name__ == "__main__":
    main()
