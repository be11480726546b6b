"""Harmonic modes of each kind of lift beside those of MP2: a run a row and draw of 200 energies, then its minima.

    OMP_NUM_THREADS=1 python examples/molecules/claims_modes.py FOLDER [--draws 5] [--write docs/results/claims.md]

``FOLDER`` is that of ``claims.py``, whose base, files and settings it takes. It goes on where it stopped, and does
draw after draw. ``--write`` makes the table of what is there; the numbers of every draw stay in ``claims.csv`` beside
the page, so that another machine can begin at the draw that is missing.
"""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from claims import FAR, base_of, rows_of_labels, rows_of_lifts
from claims_data import LEVELS, claim_files
from claims_tables import COLUMNS, spread

from rung import RungCalculator, demo_data, read_structures, run_fit, write_structures
from rung.config import RunConfig
from rung.data.splits import draw_labels
from rung.evaluate.paths.vibrations import vibrations
from rung.pages import keep_values, write_table
from rung.storage import write_text

LOW, HIGH, NUMBER = FAR.low, FAR.high, 200

SPLIT, METRICS = "modes", ("all", "softest", "other")
"""What ``claims.csv`` calls the errors of modes, those of the softest ones, and minima with more or fewer modes."""

HIGHEST_FORCE = 0.002
"""eV/Å, to which a minimum is relaxed, as the references were."""


def rows() -> dict[str, dict[str, Any]]:
    """Return the rows: name and settings; those of an empty name start from a base."""
    matrix, lifts = rows_of_labels(LOW, HIGH), rows_of_lifts(LOW, HIGH)
    return {
        "LL-EF": {"name": "offset"},
        "LL-EF, then `readout`": {"name": "readout"},
        "LL-EF, then `tangent`": {"name": "tangent"},
        "HL-E": matrix["HL-E"],
        "HL-EF": matrix["HL-EF"],
        "LL-EF+HL-E": matrix["joint"],
        "`joint` from the base": lifts["joint"],
        "`onehot`, all": lifts["onehot"],
        "`transfer`": lifts["transfer"],
        "`delta`": lifts["delta"],
    }


def place_of(name: str, draw: int, folder: Path) -> Path:
    """Return the folder of a row and draw."""
    return folder / "modes" / str(draw) / re.sub(r"[^A-Za-z]+", "-", name).strip("-")


def fitted(name: str, settings: Mapping[str, Any], draw: int, files: Mapping[str, Path], folder: Path) -> Path:
    """Fit one row on one draw, once, and return its model."""
    new = settings.get("start") == "new"
    ending = "" if new else "-energies"
    drawn = folder / "modes" / str(draw) / f"train{ending}.extxyz"
    if not drawn.exists():
        write_structures(drawn, draw_labels(read_structures(files[f"train{ending}"]), HIGH, NUMBER, draw))
    config: dict[str, Any] = {
        "fidelities": {level: {"level_of_theory": LEVELS[level]} for level in (LOW, HIGH)},
        "target": HIGH,
        "threads": 1,
        "seed": draw,
        "run": place_of(name, draw, folder),
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


def done(draws: range, data: Path, folder: Path) -> Iterator[str]:
    """Fit every row of each draw and find its modes, and yield what was done."""
    files = claim_files(data, folder, (LOW, HIGH))
    minima = minima_of(data)[HIGH]
    for draw in draws:
        for name, settings in rows().items():
            file = place_of(name, draw, folder).with_suffix(".json")
            if not file.exists():
                model = fitted(name, settings, draw, files, folder)
                found = {molecule: [wavenumbers(model, one) for one in places] for molecule, places in minima.items()}
                write_text(file, json.dumps({"name": name, "modes": found}))
            yield f"draw {draw}: {name}"


def minima_of(data: Path) -> dict[str, Any]:
    """Return the minima of each molecule on each level, with their modes."""
    references: dict[str, Any] = json.loads((data / "references.json").read_text())["equilibria"]
    return references


def errors_of(modes: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, float]:
    """Return r.m.s. errors of all modes and of the softest, cm⁻¹, in their order, and minima with another number."""
    every, softest, other = [], [], 0
    for molecule, places in truth.items():
        for mine, theirs in zip(modes[molecule], places, strict=True):
            if len(mine) != len(theirs["wavenumbers"]):
                other += 1
                continue
            errors = np.sort(mine) - np.sort(theirs["wavenumbers"])
            every.extend(errors)
            softest.append(errors[0])
    rms = [float(np.sqrt(np.mean(np.square(errors)))) for errors in (every, softest)]
    return dict(zip(METRICS, (*rms, float(other)), strict=True))


def every_error(data: Path, folder: Path, file: Path) -> dict[str, dict[str, list[float]]]:
    """Return the errors of each row, a number a draw: what ``file`` has kept, and those at hand, which it then has."""
    truth = minima_of(data)[HIGH]
    found = {}
    for name in rows():
        for one in (folder / "modes").glob(f"*/{place_of(name, 0, folder).name}.json"):
            for metric, value in errors_of(json.loads(one.read_text())["modes"], truth).items():
                found[FAR.title, name, str(NUMBER), one.parent.name, SPLIT, metric] = value
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (title, name, _, _, split, metric), value in keep_values(file, COLUMNS, found).items():
        if (title, split) == (FAR.title, SPLIT):
            errors[name][metric].append(value)
    return errors


def table(errors: Mapping[str, Mapping[str, list[float]]], minima: Mapping[str, Any]) -> Iterator[str]:
    """Yield how far the modes of each row are from those of MP2: mean and standard deviation between draws."""
    heads = ("labels, method", "draws", "modes, cm⁻¹", "the softest of each minimum, cm⁻¹")
    yield f"| {' | '.join(heads)} | minima with another number of modes |"
    yield "|---|---|---|---|---|"
    low = {name: [one["wavenumbers"] for one in places] for name, places in minima[LOW].items()}
    itself = errors_of(low, minima[HIGH])
    yield f"| {LEVELS[LOW]} itself | – | " + " | ".join(f"{itself[metric]:.0f}" for metric in METRICS) + " |"
    for name in rows():
        if name in errors:
            cells = [spread(errors[name][metric], 0) for metric in METRICS[:2]]
            other = sum(errors[name]["other"])
            yield f"| {name} | {len(errors[name]['all'])} | {' | '.join(cells)} | {other:.0f} |"


def main() -> None:
    """Fit and find modes, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder of the studies")
    parser.add_argument("--draws", type=int, default=5, help="draws of labels (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first of them (default %(default)s)")
    parser.add_argument("--data", type=Path, help="the folder of frames.extxyz; by default that of the package")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table, and fit nothing")
    chosen = parser.parse_args()
    folder, data = chosen.folder.resolve(), chosen.data or demo_data.folder("molecules")
    if chosen.write is not None:
        errors = every_error(data, folder, chosen.write.with_name("claims.csv"))
        write_table(chosen.write, "\n".join(table(errors, minima_of(data))))
        return
    for line in done(range(chosen.first, chosen.draws), data, folder):
        print(line, flush=True)


if __name__ == "__main__":
    main()
