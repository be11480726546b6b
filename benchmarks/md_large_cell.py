"""Dynamics of a cell of more than a thousand atoms with the base and with the lifted potential that rung exported.

Both run in MACE's own calculator. First the two files are compared: the same classes and tensor shapes, or the script
stops. Then steps of both alternate, so that whatever else the machine does meets both alike.

    rung fit examples/readout.yaml                                   # writes runs/.../r2scan.model
    python benchmarks/md_large_cell.py --lifted runs/mos2-readout/r2scan.model --out docs/results/dynamics.md#large-cell
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ase import units
from ase.build import mx2
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet

from rung.demo_data import folder
from rung.pages import write_table


def same_modules(base: Path, lifted: Path) -> tuple[int, int]:
    """Return how many modules and tensors two files share in class, name and shape; stop where they do not."""
    one, two = (torch.load(path, map_location="cpu", weights_only=False) for path in (base, lifted))
    # torch.fx makes a class anew for each graph that it loads, so classes are compared by their names
    classes = [
        [(name, type(module).__module__, type(module).__qualname__) for name, module in model.named_modules()]
        for model in (one, two)
    ]
    assert classes[0] == classes[1], "the classes differ"
    shapes = [
        {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()} for model in (one, two)
    ]
    assert shapes[0] == shapes[1], "the tensors differ in name, shape or type"
    return len(classes[0]), len(shapes[0])


def dynamics(path: Path, size: tuple[int, int], kelvin: float) -> VelocityVerlet:
    from mace.calculators import MACECalculator

    atoms = mx2("MoS2", "2H", 3.18, 3.13, (*size, 1), 9.0)
    atoms.pbc = True
    atoms.calc = MACECalculator(model_paths=str(path), device="cpu", default_dtype="float32")
    random = np.random.default_rng(0)
    thermalize_momenta(atoms, kelvin, rng=random)
    Stationary(atoms)
    return VelocityVerlet(atoms, timestep=1.0 * units.fs, logfile=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, default=folder("mos2") / "base.model")
    parser.add_argument("--lifted", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--size", type=int, nargs=2, default=(19, 18))
    parser.add_argument("--kelvin", type=float, default=600.0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    modules, tensors = same_modules(arguments.base, arguments.lifted)
    runs = [dynamics(path, tuple(arguments.size), arguments.kelvin) for path in (arguments.base, arguments.lifted)]
    for run in runs:
        run.run(1)  # the first step computes the forces twice and warms up
    start = [run.atoms.get_total_energy() for run in runs]
    seconds = np.empty((arguments.pairs, 2))
    for pair in range(arguments.pairs):
        for which in (0, 1) if pair % 2 else (1, 0):
            begun = time.perf_counter()
            runs[which].run(1)
            seconds[pair, which] = time.perf_counter() - begun
    drift = [
        1e3 * (run.atoms.get_total_energy() - first) / len(run.atoms) for run, first in zip(runs, start, strict=True)
    ]
    ratio = seconds[:, 1] / seconds[:, 0]
    low, high = np.percentile(ratio, [25, 75])
    text = (
        "| atoms | modules and tensors alike | pairs of steps | base, s/step | lifted, s/step | lifted / base | "
        "drift of both, meV/atom |\n| --- | --- | --- | --- | --- | --- | --- |\n"
        f"| {len(runs[0].atoms)} | {modules}, {tensors} | {arguments.pairs} | {np.median(seconds[:, 0]):.2f} | "
        f"{np.median(seconds[:, 1]):.2f} | {np.median(ratio):.3f} (quartiles {low:.3f} to {high:.3f}) | "
        f"{drift[0]:+.3f}, {drift[1]:+.3f} |\n"
    )
    print(text)
    if arguments.out:
        write_table(arguments.out, text)


if __name__ == "__main__":
    main()
