"""Harmonic modes of each kind of lift beside those of MP2: a run a row on one draw of 200 energies, then its minima.

    OMP_NUM_THREADS=1 python examples/molecules/claims_modes.py FOLDER [--write docs/results/claims.md#modes]

``FOLDER`` is that of ``claims.py``, whose base, files and settings it takes. It goes on where it stopped.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from claims import base_of, rows_of_labels, rows_of_lifts
from claims_data import LEVELS, claim_files

from rung import RungCalculator, demo_data, read_structures, run_fit, write_structures
from rung.config import RunConfig
from rung.data.splits import draw_labels
from rung.evaluate.paths.vibrations import vibrations
from rung.pages import write_table
from rung.storage import write_text

LOW, HIGH, NUMBER, DRAW = "gfn2", "mp2", 200, 0

HIGHEST_FORCE = 0.002
"""eV/Å, to which a minimum is relaxed, as the references were."""


def rows() -> dict[str, dict[str, Any]]:
    """Return the rows: name and settings; those of an empty name start from a base."""
    matrix, lifts = rows_of_labels(LOW, HIGH), rows_of_lifts(LOW, HIGH)
    return {
        "LL-EF": {"name": "offset"},
        "LL-EF, then readout": {"name": "readout"},
        "LL-EF, then tangent": {"name": "tangent"},
        "HL-E": matrix["HL-E"],
        "HL-EF": matrix["HL-EF"],
        "LL-EF+HL-E": matrix["joint"],
        "onehot from the base": lifts["onehot"],
        "transfer": lifts["transfer"],
    }


def fitted(name: str, settings: Mapping[str, Any], files: Mapping[str, Path], folder: Path) -> Path:
    """Fit one row, once, and return its model."""
    new = settings.get("start") == "new"
    ending = "" if new else "-energies"
    drawn = folder / "modes" / f"train{ending}.extxyz"
    if not drawn.exists():
        write_structures(drawn, draw_labels(read_structures(files[f"train{ending}"]), HIGH, NUMBER, DRAW))
    config: dict[str, Any] = {
        "fidelities": {level: {"level_of_theory": LEVELS[level]} for level in (LOW, HIGH)},
        "target": HIGH,
        "threads": 1,
        "seed": DRAW,
        "run": folder / "modes" / name.replace(" ", "-").replace(",", ""),
        "data": {"train": drawn, "valid": files[f"valid{ending}"], "evaluate": {"test": files["test"]}},
        "method": dict(settings),
    }
    if not new:
        config["base"] = {"file": base_of(LOW, files, folder), "fidelity": LOW}
    return run_fit(RunConfig.read(config).resolved(folder)).folder.model


def wavenumbers(model: Path, minimum: Mapping[str, Any]) -> list[float]:
    """Return the harmonic modes of a model at its own minimum, cm⁻¹; imaginary ones are negative."""
    atoms = Atoms(minimum["symbols"], minimum["positions"])
    atoms.calc = RungCalculator(model, fidelity=HIGH, dtype="float64")
    BFGS(atoms, logfile=None, maxstep=0.05).run(fmax=HIGHEST_FORCE, steps=300)
    modes = vibrations(atoms, atoms.calc)
    return [float(one) for one in modes.wavenumbers]


def done(data: Path, folder: Path) -> Iterator[str]:
    """Fit every row and find its modes, and yield what was done."""
    files = claim_files(data, folder, (LOW, HIGH))
    minima = json.loads((data / "references.json").read_text())["equilibria"][HIGH]
    for name, settings in rows().items():
        file = folder / "modes" / f"{name.replace(' ', '-').replace(',', '')}.json"
        if not file.exists():
            model = fitted(name, settings, files, folder)
            found = {molecule: [wavenumbers(model, one) for one in places] for molecule, places in minima.items()}
            write_text(file, json.dumps({"name": name, "modes": found}))
        yield name


def table(data: Path, folder: Path) -> Iterator[str]:
    """Yield how far the modes of each row are from those of MP2."""
    minima = json.loads((data / "references.json").read_text())["equilibria"]
    yield "| labels, method | modes, cm⁻¹ | the softest of each minimum, cm⁻¹ | minima with another number of modes |"
    yield "|---|---|---|---|"
    yield line(
        "GFN2 itself", {name: [one["wavenumbers"] for one in places] for name, places in minima[LOW].items()}, minima
    )
    for name in rows():
        file = folder / "modes" / f"{name.replace(' ', '-').replace(',', '')}.json"
        if file.exists():
            yield line(name, json.loads(file.read_text())["modes"], minima)


def line(name: str, modes: Mapping[str, Any], minima: Mapping[str, Any]) -> str:
    """Return a line of the table: r.m.s. of all modes and of the softest ones, in the order of their wavenumbers."""
    every, softest, other = [], [], 0
    for molecule, places in minima[HIGH].items():
        for mine, truth in zip(modes[molecule], places, strict=True):
            if len(mine) != len(truth["wavenumbers"]):
                other += 1
                continue
            errors = np.sort(mine) - np.sort(truth["wavenumbers"])
            every.extend(errors)
            softest.append(errors[0])
    rms = [np.sqrt(np.mean(np.square(errors))) for errors in (every, softest)]
    return f"| {name} | {rms[0]:.0f} | {rms[1]:.0f} | {other} |"


def main() -> None:
    """Fit and find modes, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder of the studies")
    parser.add_argument("--data", type=Path, help="the folder of frames.extxyz; by default that of the package")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table, and fit nothing")
    chosen = parser.parse_args()
    folder, data = chosen.folder.resolve(), chosen.data or demo_data.folder("molecules")
    if chosen.write is not None:
        write_table(chosen.write, "\n".join(table(data, folder)))
        return
    for name in done(data, folder):
        print(name, flush=True)


if __name__ == "__main__":
    main()
