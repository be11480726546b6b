"""What grows with the number of frames or energies, each measured in a process of its own: time and peak memory.

Fits start from designs that are there; the base's energies are zero.

python benchmarks/scale.py                       everything, a quarter of an hour on a quiet core
python benchmarks/scale.py doctor 100000         one case
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.data.labels import Labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.doctor import diagnose_files
from rung.features.design import Design
from rung.fidelity import Fidelity
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.diagnosis import explain
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Assembly, Energies, Term, WeightPrior, assemble
from rung.fit.methods.offset import of_references
from rung.model.potential import Surface
from rung.model.readout import Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies
from rung.pages import write_table
from rung.run.file_settings import EvaluationSettings
from rung.run.files import evaluate_files

WEIGHTS = 48
CASES = (
    ("doctor", (20_000, 100_000)),
    ("offset", (1_000, 5_000, 50_000)),
    ("readout", (5_000, 50_000)),
    ("evaluate", (100, 400)),
)


def molecules(count: int) -> list[Structure]:
    """Return frames of water on springs, with energies and forces at two levels."""
    random = np.random.default_rng(0)
    start = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.47], [0.0, -0.76, -0.47]])
    none = np.full((3, 3), np.nan)
    frames = []
    for k in range(count):
        move = random.normal(scale=0.05, size=(3, 3))
        labels = {
            name: Labels(
                energy + 0.5 * stiffness * float((move**2).sum()), 0.001, -stiffness * move, none, np.full(6, np.nan)
            )
            for name, energy, stiffness in (("pbe", -14.0, 8.0), ("dmc", -17.0, 9.0))
        }
        frames.append(Structure(Atoms("OH2", positions=start + move), f"water-{k}", labels))
    return frames


def doctor(count: int, folder: Path) -> Callable[[], object]:
    """Return the doctor's work on a file of frames of three atoms."""
    write_structures(folder / "water.extxyz", molecules(count))
    return lambda: diagnose_files([folder / "water.extxyz"])


def linear(count: int, solve: Callable[[Assembly], Solution]) -> Callable[[], object]:
    """Return a fit to energies whose designs are there: what the method does after the passes of the backbone."""
    random = np.random.default_rng(0)
    truth = random.normal(scale=0.05, size=WEIGHTS)
    hydrogen, oxygen = random.integers(1, 9, size=(2, count))
    size = (hydrogen + oxygen).astype(float)
    rows = random.normal(size=(count, WEIGHTS)) * np.sqrt(size)[:, None]
    energy = rows @ truth + hydrogen - 2.0 * oxygen + np.sqrt(size) * random.normal(scale=0.02, size=count)
    structures = [
        Structure(
            Atoms(f"H{h}O{o}", positions=random.normal(size=(h + o, 3))),
            f"cluster-{k}",
            {"dmc": Labels(energy[k], 0.01, np.full((h + o, 3), np.nan), np.full((h + o, 3), np.nan), np.full(6, 0.0))},
        )
        for k, (h, o) in enumerate(zip(hydrogen, oxygen, strict=True))
    ]
    terms: tuple[Term, ...] = (Energies(), WeightPrior())
    nothing = np.zeros((0, WEIGHTS))
    designs = tuple(
        Design(row, nothing, np.array([h, o], dtype=float), 0.0, np.zeros(0))
        for row, h, o in zip(rows, hydrogen, oxygen, strict=True)
    )
    readout = Readout((ReadoutBlock("readout", tuple(range(WEIGHTS)), (), np.zeros(WEIGHTS)),))
    surface = Surface(readout, ReferenceEnergies({1: 0.0, 8: 0.0}))
    problem = Problem(tuple(structures), designs, readout, surface, (1, 8), Fidelity("dmc"))

    def fit() -> object:
        solution = solve(assemble(terms, problem))
        return explain(problem, solution, terms)

    return fit


def evaluate(count: int, folder: Path) -> Callable[[], object]:
    """Return the evaluation of the demonstration's base, cells of 26 or 27 atoms."""
    random = np.random.default_rng(0)
    with as_file(files("rung") / "demo_data" / "mos2") as data:
        (folder / "base.model").write_bytes((data / "base.model").read_bytes())
        start = read_structures(data / "test.extxyz")[0]
    write_structures(
        folder / "many.extxyz",
        [
            Structure(
                Atoms(
                    start.atoms.numbers,
                    positions=start.atoms.positions + random.normal(scale=0.01, size=(len(start), 3)),
                    cell=start.atoms.cell,
                    pbc=True,
                ),
                f"cell-{k}",
                start.labels,
            )
            for k in range(count)
        ],
    )
    model = folder / "base.model"
    settings = EvaluationSettings(
        model=model, files=(folder / "many.extxyz",), fidelity="pbe", base=model, base_fidelity="pbe", trusted=True
    )
    return lambda: evaluate_files(settings)


def measure(case: str, count: int) -> dict[str, float]:
    """Return seconds of the clock and of the processor, and gigabytes at the peak, before and after."""
    with tempfile.TemporaryDirectory() as name:
        work = {
            "doctor": lambda: doctor(count, Path(name)),
            "offset": lambda: linear(count, of_references),
            "readout": lambda: linear(count, quadratic_solution),
            "evaluate": lambda: evaluate(count, Path(name)),
        }[case]()
        before, clock, processor = peak(), time.perf_counter(), time.process_time()
        work()
        return {
            "seconds": time.perf_counter() - clock,
            "processor": time.process_time() - processor,
            "before": before,
            "peak": peak(),
        }


def peak() -> float:
    """Return the largest memory that this process has had, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Print one row a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", choices=[name for name, _ in CASES])
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("--here", action="store_true", help="measure in this process and print JSON")
    parser.add_argument("--out", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.case, arguments.count)))
        return
    rows = ["| case | number | seconds | of one core | GB before | GB at the peak |", "|---|---|---|---|---|---|"]
    print("\n".join(rows))
    for name, counts in CASES:
        for count in counts if arguments.count is None else (arguments.count,):
            if arguments.case in (None, name):
                command = [sys.executable, __file__, name, str(count), "--here"]
                row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                numbers = f"{row['seconds']:.1f} | {row['processor']:.1f} | {row['before']:.2f} | {row['peak']:.2f}"
                rows.append(f"| `{name}` | {count:,} | {numbers} |")
                print(rows[-1], flush=True)
    if arguments.out is not None:
        write_table(arguments.out, "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
