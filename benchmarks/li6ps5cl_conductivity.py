"""Diffusion of lithium in the Li6PS5Cl testbed: the base, and the base lifted with sixty energies of cold frames.

The lifted potential is the method readout, whose posterior is drawn from for the model's error. Every run starts from a
disordered frame (one Cl exchanged for S) at fixed volume. Runs are picoseconds and the cell has 24 Li: figures compare
two potentials under equal conditions and are no conductivities of the material. Labels are model-made, not ab initio.
What is finished is kept in --work, so that a stopped run goes on.

    rung fit benchmarks/testbed/li6ps5cl/base.yaml        # where base.model is not there yet
    python benchmarks/li6ps5cl_conductivity.py --work /tmp/li6 --write docs/results/dynamics.md#lithium
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ase.io import read, write

from rung.config import RunConfig
from rung.errors import DataError
from rung.pages import write_table
from rung.progress import SILENT
from rung.report.tasks.transport import values_of, with_total
from rung.results.transport import AtTemperature, TransportResult
from rung.run.stages import run_fit
from rung.tasks.opened import Source, open_calculator
from rung.tasks.transport import RunsSettings, TransportTask
from rung.tasks.transport_runs import find_transport_of_model

TESTBED = Path(__file__).parent / "testbed" / "li6ps5cl"
EXCHANGED = 1


def start_structure(work: Path) -> Path:
    """Write the first disordered frame of the training set without its labels, and return where."""
    frames = [one for one in read(TESTBED / "train.extxyz", index=":") if one.info["exchanged"] == EXCHANGED]
    atoms = frames[0].copy()
    atoms.info = {"exchanged": EXCHANGED}
    for name in [name for name in atoms.arrays if name not in ("numbers", "positions")]:
        del atoms.arrays[name]
    work.mkdir(parents=True, exist_ok=True)
    write(work / "start.extxyz", atoms)
    return work / "start.extxyz"


def lifted(base: Path, work: Path) -> Path:
    """Fit the readout to the target energies of cold frames, and return the model."""
    config = {
        "run": str(work / "fit"),
        "fidelities": {"pbe": {}, "r2scan": {}},
        "target": "r2scan",
        "base": {"file": str(base), "fidelity": "pbe"},
        "data": {
            "train": str(TESTBED / "train.extxyz"),
            "evaluate": {name: str(TESTBED / f"{name}.extxyz") for name in ("test_cold", "test_hot")},
        },
        "method": {"name": "readout"},
        "threads": 1,
    }
    return run_fit(RunConfig.read(config, "benchmark"), progress=SILENT).folder.model


def row(name: str, one: AtTemperature) -> str:
    """Return a row of the table."""
    window = one.window
    values = [with_total(value) for value in values_of(one)]
    slope = "–" if math.isnan(window.slope) else f"{window.slope:.2f} ± {window.slope_stderr:.2f}"
    diffuses = "yes" if window.diffusive else "no"
    cells = [name, f"{one.temperature:g}", str(one.n_runs), slope, diffuses, *values]
    return "| " + " | ".join(cells) + " |"


def page(found: Mapping[str, TransportResult], broken: Mapping[str, str], settings: RunsSettings) -> str:
    """Return the page of results, in plain words first."""
    length = settings.steps * settings.timestep / 1000
    said = [
        "**The labels come from pretrained potentials, not from ab initio calculations. The runs are short: "
        f"{settings.runs} runs of {length:g} ps at each temperature, one cell of 24 Li, the volume of one frame.** The "
        "figures compare two potentials under equal conditions. They are not conductivities of Li6PS5Cl. Those need "
        "runs of nanoseconds, larger cells and the target's own volume, which energies at one cell do not give.",
        "",
        "| potential | T, K | runs | slope of ln MSD | diffusive | D tracer, cm²/s | D collective, cm²/s | Haven ratio "
        "| σ, S/cm | σ Nernst–Einstein, S/cm |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, content in found.items():
        said += [row(name, one) for one in content.temperatures]
    said.append("")
    for name, content in found.items():
        for one in content.activation.values():
            energy = one.activation_energy
            said.append(f"- {name}: activation energy of the {one.quantity.split(',')[0]} {with_total(energy)} eV.")
        warnings = dict.fromkeys(sentence for one in content.temperatures for sentence in one.warnings)
        said += [f"- {name}: {sentence}" for sentence in warnings]
    said += [f"- {name}: no figure. {sentence}" for name, sentence in broken.items()]
    command = " ".join(["python benchmarks/li6ps5cl_conductivity.py", *sys.argv[1:]])
    return "\n".join([*said, "", f"Made by `{command}`.", ""])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, run, and write the page."""
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument("--base", type=Path, default=TESTBED / "base.model")
    said.add_argument("--work", type=Path, required=True)
    said.add_argument("--write", type=Path, help="the page to write")
    said.add_argument("--temperatures", type=float, nargs="+", default=[600.0, 800.0, 1000.0])
    said.add_argument("--runs", type=int, default=3)
    said.add_argument("--draws", type=int, default=0, help="draws of the lifted potential, each run --runs times")
    said.add_argument("--steps", type=int, default=2000, help="of --timestep; 2000 are 4 ps")
    said.add_argument("--timestep", type=float, default=2.0)
    given = said.parse_args(arguments)
    start = start_structure(given.work)
    settings = RunsSettings(runs=given.runs, steps=given.steps, timestep=given.timestep, frame_every=10)
    models = {"base, pbe": (given.base, "pbe", 0), "lifted, r2scan": (lifted(given.base, given.work), "r2scan", 0)}
    if given.draws:
        models["draws of the lifted"] = (models["lifted, r2scan"][0], "r2scan", given.draws)
    found, broken = {}, {}
    for name, (model, fidelity, draws) in models.items():
        folder = given.work / name.replace(", ", "-").replace(" ", "-")
        task = TransportTask(
            files=[start],
            temperatures=given.temperatures,
            diffusion={"species": "Li", "charge": 1.0, "skip_fs": 0.1 * given.steps * given.timestep},
            runs=settings.model_copy(update={"draws": draws}),
        )
        try:
            potential = open_calculator(Source(model=model, trusted=True), fidelity)
            found[name] = find_transport_of_model(potential, task, folder, progress=SILENT)
        except DataError as error:  # a run that broke: the other potential's figures stand
            broken[name] = str(error).replace(f"{given.work}/", "")
            print(f"{name}: {broken[name]}", flush=True)
            continue
        print("\n".join(row(name, one) for one in found[name].temperatures), flush=True)
    if given.write:
        write_table(given.write, page(found, broken, settings))


if __name__ == "__main__":
    main()
