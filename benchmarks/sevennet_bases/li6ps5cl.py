"""Dynamics of Li6PS5Cl on SevenNet-MF-0: its PBE, its PBE lifted with forty energies of cold frames, and its R2SCAN.

The base is the modality PBE as it is. The labels are energies of the modality R2SCAN of ordered frames at 300 K, with
noise of 20 meV a cell; no hot or disordered frame has one. Every run starts from the same disordered cell of 52 atoms,
at the same volume, in steps of 2 fs with the masses of nature, and is 50 ps long. Work that is done is kept in --work;
the same command goes on with it, 10 ps at a time, and ``table`` writes the page of what there is.

    .venv-sevenn/bin/python benchmarks/sevennet_bases/li6ps5cl.py fit --work runs/sevennet_bases
    .venv-sevenn/bin/python benchmarks/sevennet_bases/li6ps5cl.py errors --work runs/sevennet_bases
    .venv-sevenn/bin/python benchmarks/sevennet_bases/li6ps5cl.py run --work runs/sevennet_bases --fused
    .venv-sevenn/bin/python benchmarks/sevennet_bases/li6ps5cl.py table --work runs/sevennet_bases \\
        --write docs/results/sevennet-bases.md#li6ps5cl
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase.io import read, write
from dynamics_table import kept_runs, read_run, table
from fused import fused
from lifts import LIFTED, Numbers, Study, errors
from lifts import table as errors_table
from modalities import CHECKPOINT, FIDELITIES, HIGH, LOW, labelled, labelled_once, with_noise

from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import without_labels
from rung.data.structure import Structure
from rung.evaluate.dynamics.md import MDSettings
from rung.model.potential import ReadoutPotential
from rung.pages import write_table
from rung.run.stages import run_fit
from rung.tasks.md import MDTask, find_md
from rung.tasks.opened import Opened, Source, open_calculator

TESTBED = Path(__file__).parent.parent / "testbed" / "li6ps5cl"
SPLITS = ("train", "test_cold", "test_hot")
N_LABELS, STDERR = 40, 0.02
"""Energies, and the noise of each, eV a cell of 52 atoms."""

COLUMNS = {
    "test_cold energy": ("E, cold, meV/atom", 1),
    "test_cold forces": ("F, cold, meV/Å", 0),
    "test_hot energy": ("E, hot, meV/atom", 1),
    "test_hot forces": ("F, hot, meV/Å", 0),
}

TEMPERATURES = (800.0, 1000.0, 1200.0, 600.0)
"""K, in the order of the runs: what is most worth comes first."""
POTENTIALS = ("lifted", "base", "truth")
TIMESTEP, FRAME_EVERY, CHUNK = 2.0, 25, 5000
"""fs; steps."""


def make_frames(folder: Path) -> None:
    """Write the frames of the testbed with the labels of both modalities: forces of the target in the tests alone."""
    for name in SPLITS:
        if (folder / f"{name}.extxyz").exists():
            continue
        structures = labelled(read_structures(TESTBED / f"{name}.extxyz"))
        if name == "train":
            cold = [place for place, one in enumerate(structures) if one.info["exchanged"] == 0]
            rng = np.random.default_rng(0)
            chosen = {int(place) for place in rng.choice(cold, N_LABELS, replace=False)}
            noisy = with_noise(structures, STDERR, rng)
            structures = [
                noisy[place] if place in chosen else without_labels(one, HIGH) for place, one in enumerate(structures)
            ]
        write_structures(folder / f"{name}.extxyz", structures)


def lift(folder: Path) -> Path:
    """Fit the readout to the draw that dynamics is run on, and return the folder of its run."""
    config = {
        "run": str(folder / "readout"),
        "fidelities": FIDELITIES,
        "target": HIGH,
        "base": {"file": str(CHECKPOINT), "fidelity": LOW, "head": "PBE"},
        "data": {
            "train": str(folder / "train.extxyz"),
            "evaluate": {name: str(folder / f"{name}.extxyz") for name in SPLITS[1:]},
        },
        "method": {"name": "readout"},
        "threads": 1,
    }
    return run_fit(RunConfig.read(config, "benchmark")).folder.path


def opened(name: str, folder: Path) -> Opened:
    """Return one of the three potentials."""
    if name == "lifted":
        return open_calculator(Source(model=folder / "readout" / "model.rung"), HIGH)
    fidelity, head = (LOW, "PBE") if name == "base" else (HIGH, "R2SCAN")
    return open_calculator(Source(model=CHECKPOINT, head=head), fidelity)


def start_structure(folder: Path) -> Path:
    """Write the first disordered frame of the training set without its labels, and return where."""
    path = folder / "start.extxyz"
    if not path.exists():
        frames = read(TESTBED / "train.extxyz", index=":")
        atoms = next(one for one in frames if one.info["exchanged"] == 1).copy()
        atoms.info = {}
        for name in [name for name in atoms.arrays if name not in ("numbers", "positions")]:
            del atoms.arrays[name]
        write(path, atoms)
    return path


def run(folder: Path, options: argparse.Namespace) -> None:
    """Make the runs that are missing, or the rest of them."""
    start, steps = start_structure(folder), options.steps
    for temperature in options.temperatures:
        for name in options.potentials:
            potential = opened(name, folder)
            if options.fused:
                potential = fused(potential, read(start), options.work)
            for goal in [*range(CHUNK, steps, CHUNK), steps]:
                settings = MDSettings(
                    temperature=temperature,
                    steps=goal,
                    timestep=TIMESTEP,
                    friction=0.002,
                    frame_every=FRAME_EVERY,
                    save_every=250,
                )
                place = folder / "md" / f"{name}-{temperature:g}K"
                result = find_md(potential, MDTask(start=start, dynamics=settings), place)
                print(name, temperature, result.picoseconds, "ps", result.reason, flush=True)
                if result.reason:
                    break


def study(folder: Path, draws: int) -> Study:
    """Return the errors of fits over draws of forty cold frames."""
    read = {name: read_structures(TESTBED / f"{name}.extxyz") for name in SPLITS}
    every = {"train": 1, "test_cold": 2, "test_hot": 2}
    made = {
        name: labelled_once(folder / "draws" / f"{name}.extxyz", one[:: every[name]], forces=name != "train")
        for name, one in read.items()
    }
    train = [one if one.info["exchanged"] == 0 else without_labels(one, HIGH) for one in made["train"]]
    asked = partial(measure, {name: made[name] for name in SPLITS[1:]})
    return Study("li6ps5cl", folder / "draws", folder / "cache", train, N_LABELS, STDERR, asked, draws)


def measure(tests: Mapping[str, Sequence[Structure]], potential: ReadoutPotential, fidelity: str) -> Numbers:
    """Return errors of energies and forces on each test."""
    found = {}
    for name, structures in tests.items():
        said = errors(potential, fidelity, structures)
        found[f"{name} forces"] = said["forces"]
        if fidelity == HIGH:
            found[f"{name} energy"] = said["energy"]
    return found


def dynamics(folder: Path, temperatures: Sequence[float], page: Path | None) -> Iterator[str]:
    """Yield what the runs have shown as lines of Markdown, those too whose numbers are kept beside the page."""
    places = {(name, kelvin): folder / "md" / f"{name}-{kelvin:g}K" for kelvin in temperatures for name in POTENTIALS}
    runs = [read_run(place, *key, TIMESTEP, TIMESTEP * FRAME_EVERY) for key, place in places.items()]
    found = [one for one in runs if one is not None]
    every = kept_runs(found, None if page is None else page.with_name(f"{page.stem}-dynamics.csv"))
    yield from table(every) if every else ("No run of dynamics is long enough to be shown yet.",)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("fit", "errors", "run", "table"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--temperatures", type=float, nargs="+", default=list(TEMPERATURES))
    parser.add_argument("--potentials", nargs="+", choices=POTENTIALS, default=list(POTENTIALS))
    parser.add_argument("--steps", type=int, default=25000)
    parser.add_argument("--fused", action="store_true", help="compile the convolutions of ``run``; needs g++")
    parser.add_argument("--draws", type=int, default=5, help="of ``errors``")
    parser.add_argument("--methods", nargs="+", choices=LIFTED, default=LIFTED, help="of ``errors``")
    parser.add_argument("--write", type=Path, help="the page of ``table``")
    options = parser.parse_args(arguments)
    folder = options.work / "li6ps5cl"
    folder.mkdir(parents=True, exist_ok=True)
    if options.part == "fit":
        make_frames(folder)
        lift(folder)
    elif options.part == "errors":
        study(folder, options.draws).make(options.methods)
    elif options.part == "run":
        run(folder, options)
    else:
        said = f"{N_LABELS} energies of cold frames with noise of {1000 * STDERR:g} meV a cell:"
        made = study(folder, options.draws).made(options.write)
        lines = [said, "", *errors_table(made, COLUMNS)] if made else []
        text = "\n".join([*lines, "", *dynamics(folder, options.temperatures, options.write)]) + "\n"
        print(text)
        if options.write:
            write_table(options.write, text)


if __name__ == "__main__":
    main()
