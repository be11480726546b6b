"""Sulfur vacancies in MoS2 from one hundred noisy energies: fit, barrier, rates, rows of vacancies.

THE LABELS ARE MADE BY MODELS, not by ab initio calculations: "pbe" is what one pretrained network says and "r2scan"
what another says. They stand for a cheap and an expensive level of theory whose truth is known, and say nothing about
MoS2.

    python examples/mos2_vacancies/study.py                     # some minutes on two cores
    python examples/mos2_vacancies/study.py --quick             # fewer draws and rows: to see that it works
    python examples/mos2_vacancies/study.py --counts 1 2 3 4 5 6 --largest 4 --draws 32    # the whole study, hours

Everything goes into --out and is kept: a stopped study goes on where it was.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rung.cli.console import TerminalProgress
from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.demo_data import folder
from rung.report.tasks.vacancies import hop_figure
from rung.results.barrier_task import TaskPanel
from rung.results.vacancies import VacanciesResult
from rung.run.stages import run_fit
from rung.storage import read_json, write_text
from rung.tasks.barrier import BarrierTask, find_barriers
from rung.tasks.opened import Source, open_fidelities
from rung.tasks.vacancies import VacancyTask, study_vacancies

FIDELITIES = ("pbe", "r2scan")
NOTICE = (
    "The labels are model-made, not ab initio: they stand for two levels of theory whose truth is known, and say "
    "nothing about MoS2 itself."
)
LATTICE, THICKNESS = 3.18, 3.13
NOISE = 0.03
"""eV: the statistical error that the single energies along the band get."""


def fitted(out: Path, frames: int) -> Path:
    """Lift the base with the one hundred noisy energies of the bundled data; return the model file."""
    data = folder("mos2")
    train = out / "train.extxyz"
    if not train.exists():
        write_structures(train, read_structures(data / "train.extxyz")[:frames])
    config = RunConfig.read(
        {
            "run": out / "fit",
            "fidelities": {name: {"level_of_theory": f"{name}, model-made"} for name in FIDELITIES},
            "target": "r2scan",
            "base": {"file": data / "base.model", "fidelity": "pbe"},
            "data": {"train": train, "evaluate": {"test": data / "test.extxyz"}},
            "method": {"name": "readout"},
            "cache": out / "cache",
        }
    ).resolved(out)
    return run_fit(config, notices=[NOTICE], progress=TerminalProgress()).folder.model


def ends_and_energies(out: Path) -> dict[str, Path | str]:
    """Write the two ends of the hop, and the target's energies along the base's path with noise, as DMC would have."""
    band = read_structures(folder("mos2") / "neb_pbe.extxyz")
    random = np.random.default_rng(0)
    noisy = []
    for image in band:
        truth = image.labelled("r2scan")
        label = replace(truth, energy=truth.energy + NOISE * random.normal(), energy_stderr=NOISE)
        noisy.append(replace(image, labels={"r2scan": label}))
    bare = [replace(image, labels={}) for image in (band[0], band[-1])]
    files = [out / name for name in ("initial.extxyz", "final.extxyz", "energies.extxyz")]
    for file, structures in zip(files, (bare[:1], bare[1:], noisy), strict=True):
        write_structures(file, structures)
    return {"initial": files[0], "final": files[1], "energies": files[2], "target": "r2scan"}


def summary(barriers: Sequence[TaskPanel], vacancies: VacanciesResult) -> Iterator[str]:
    """Yield the table of results as Markdown."""
    truth = read_json(folder("mos2") / "truth.json")
    yield "| hop of one vacancy | barrier, eV | ± weights | ± in all | truth |"
    yield "| --- | --- | --- | --- | --- |"
    for entry in barriers[0].barriers:
        exact = truth[entry.name]["barrier"]
        cells = (number(value) for value in (entry.value, entry.stderr, entry.stderr_total))
        yield f"| {entry.name}, relaxed | " + " | ".join(cells) + f" | {exact:.3f} |"
    band = read_structures(folder("mos2") / "neb_pbe.extxyz")
    for entry in barriers[1].barriers:
        level = "r2scan" if entry.name != "pbe" else "pbe"
        energies = np.array([image.labelled(level).energy for image in band])
        cells = (number(value) for value in (entry.value, entry.stderr, entry.stderr_total))
        yield f"| {entry.name}, along the pbe path | " + " | ".join(cells) + f" | {np.ptp(energies):.3f} |"
    yield ""
    yield "| rate at | " + " | ".join(FIDELITIES) + " |"
    yield "| --- | --- | --- |"
    rates = [{rate.temperature: rate for rate in entry.rates} for entry in barriers[0].barriers]
    for kelvin in sorted({kelvin for found in rates for kelvin in found}):
        cells = [f"{found[kelvin].rate:.2e} /s" if kelvin in found else "none" for found in rates]
        yield f"| {kelvin:.0f} K | " + " | ".join(cells) + " |"
    yield ""
    yield "| vacancies in a row | " + " | ".join(f"{name}, eV for each atom" for name in FIDELITIES) + " |"
    yield "| --- | --- | --- |"
    for count in dict.fromkeys(hop.vacancies for hop in vacancies.hops):
        found = {hop.fidelity: hop for hop in vacancies.hops if hop.vacancies == count}
        cells = [
            f"{number(found[name].per_atom)} ± {number(found[name].stderr_total, count)}"
            f"{'' if found[name].converged else ' (cell not converged)'}"
            for name in FIDELITIES
        ]
        yield f"| {count} | " + " | ".join(cells) + " |"


def number(value: float, share: float = 1.0) -> str:
    return f"{value / share:.3f}" if np.isfinite(value) else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("mos2_vacancies"))
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--largest", type=int, default=2, help="margin of the largest cell; 2: cells are not converged")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.quick:
        arguments.counts, arguments.draws = [1, 2], 2
    out = arguments.out.absolute()
    print(NOTICE)
    model = fitted(out, 150 if arguments.quick else 660)
    band = {"fmax": 0.1 if arguments.quick else 0.05}
    task = BarrierTask.read(
        {
            **ends_and_energies(out),
            "images": 5,
            "band": band,
            "draws": arguments.draws,
            "temperatures": (300.0, 600.0),
        }
    )
    potentials, progress = open_fidelities(Source(model=model), FIDELITIES), TerminalProgress()
    barriers = find_barriers(potentials, task, out / "hop", progress=progress)
    rows = VacancyTask.read(
        {
            "monolayer": {"lattice": LATTICE, "thickness": THICKNESS},
            "counts": arguments.counts,
            "most": arguments.largest,
            "images": 5,
            "band": band,
            "defect_margin": 3,
        }
    )
    vacancies = study_vacancies(potentials, rows, out / "rows", progress=progress)
    hop_figure(vacancies.hops).write_html(out / "rows.html", include_plotlyjs=True)
    table = "\n".join(summary(barriers, vacancies)) + "\n"
    write_text(out / "results.md", table)
    print(table)
    print(f"Figures: {out / 'hop' / 'barrier.html'}, {out / 'rows' / 'vacancies.html'}, {out / 'rows.html'}")


if __name__ == "__main__":
    main()
