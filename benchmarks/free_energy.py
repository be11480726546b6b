"""The free-energy barrier of the testbed's vacancy hop at 600 K: base, lifted with 100 noisy energies, and the truth.

    python benchmarks/free_energy.py FOLDER --out docs/results/free-energy.md#free-energy

fits the lifted potential, samples base and lifted in FOLDER (going on where it was), and writes the table. The truth is
CHGNet's surface, sampled beforehand in an environment of its own (testbed/chgnet_r2scan.py says how to make it):

    PYTHONPATH=benchmarks/testbed rung free-energy chgnet_r2scan:calculator neb_pbe.extxyz --trusted [...] --out truth

Without FOLDER/truth the table says so. On one core a step costs some 25 ms for the MACE and 70 ms for CHGNet.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rung.cli import main as rung
from rung.demo_data import folder as bundled
from rung.pages import write_table
from rung.storage import read_json

TEMPERATURE = 600.0
WINDOWS = ("-0.06", "0.66", "13")
SAMPLING = ("--temperature", "600", "--windows", *WINDOWS, "--spring", "60", "--timestep", "2")


def sample(name: str, model: str, fidelity: str, work: Path, data: Path, steps: int) -> dict[str, Any]:
    """Return what ``free_energy.json`` says of one potential, sampled before or now."""
    variable = work / "cv.yaml"
    if not variable.exists():
        variable.write_text(yaml.safe_dump({"kind": "path", "band": str(data / "neb_pbe.extxyz")}))
    words = ["free-energy", model, str(data / "neb_pbe.extxyz"), "--fidelity", fidelity, "--cv", str(variable)]
    rung([*words, *SAMPLING, "--steps", str(steps), "--out", str(work / name)])
    return dict(read_json(work / name / "free_energy.json"))


def lifted_model(work: Path, data: Path) -> str:
    """Fit the readout to the 100 noisy energies of the bundled training file, unless that was done."""
    config = {
        "run": "lifted",
        "fidelities": {"pbe": {}, "r2scan": {}},
        "target": "r2scan",
        "base": {"file": str(data / "base.model"), "fidelity": "pbe"},
        "data": {"train": str(data / "train.extxyz"), "evaluate": {"test": str(data / "test.extxyz")}},
        "method": {"name": "readout"},
    }
    path = work / "config.yaml"
    if not path.exists():
        path.write_text(yaml.safe_dump(config))
    if not (work / "lifted" / "model.rung").exists():
        rung(["fit", str(path)])
    return str(work / "lifted" / "model.rung")


def row(name: str, found: Mapping[str, Any]) -> str:
    barrier = found["barrier"]
    picoseconds = sum(found["steps"]) * found["timestep"] / 1000
    if barrier is None:
        return f"| {name} | {picoseconds:.0f} | | | | | {found['reason']} |"
    told = found["model_error"]
    model = "" if told is None else f"{told['spread_of_first_order']:.3f}"
    exact = "" if told is None else ("refused" if told["reason"] else f"{told['spread_of_change']:.3f}")
    factor = math.exp(barrier["rate_log_stderr"])
    activation = f"{barrier['activation']:.3f} ± {barrier['activation_stderr']:.3f}"
    return (
        f"| {name} | {picoseconds:.0f} | {barrier['barrier']:.3f} ± {barrier['barrier_stderr']:.3f} | {activation} "
        f"| {barrier['rate']:.1e} (×/÷ {factor:.1f}) | {model} | {exact} |"
    )


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "| potential | total ps | ΔF‡, ℓ0 = one path, eV | −kT ln(hk/kT), eV | rate, 1/s "
        "| model error, first order, eV | model error, reweighted, eV |",
        "|---|---|---|---|---|---|---|",
        *(row(name, one) for name, one in found.items()),
        "",
    ]
    for name, one in found.items():
        windows = one["windows"]
        overlaps = [window["overlap"] for window in windows[:-1] if window["overlap"] is not None]
        least = f"least overlap of neighbours {min(overlaps):.2f}" if overlaps else "not joined"
        samples = [window["samples"] for window in windows]
        lines.append(f"- {name}: {min(samples)} to {max(samples)} independent samples a window, {least}.")
    if "truth" not in found:
        lines += ["", "The truth was not sampled."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=2000, help="of each window, for base and lifted")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    data = bundled("mos2")
    found = {
        "base": sample("base", str(data / "base.model"), "pbe", given.folder, data, given.steps),
        "lifted": sample("fe-lifted", lifted_model(given.folder, data), "r2scan", given.folder, data, given.steps),
    }
    truth = given.folder / "truth" / "free_energy.json"
    if truth.exists():
        found["truth"] = dict(read_json(truth))
    text = table(found)
    print(text)
    if given.out is not None:
        write_table(given.out, text)


if __name__ == "__main__":
    main()
