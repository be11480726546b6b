"""Fits of bases of a foundation model's shape, with random weights: what designs and runs cost, in time and memory.

The shapes are those of MACE-MP (128x0e+128x1o, 89 elements, ZBL repulsion, Agnesi transform, 6 Å), of MACE-OFF (10
elements, 5 Å, no repulsion) and of a model with four heads. Weights are random, so errors mean nothing; costs do.

    OMP_NUM_THREADS=1 python benchmarks/foundation.py passes               # designs against ordinary epochs, minutes
    OMP_NUM_THREADS=1 python benchmarks/foundation.py fit mp --frames 50   # a whole run, with its peak memory
    OMP_NUM_THREADS=1 python benchmarks/foundation.py fit off --frames 50
    OMP_NUM_THREADS=1 python benchmarks/foundation.py fit heads --frames 50
"""

import argparse
import platform
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from foundation_passes import HEAD, rows
from mace import modules

from rung import load_config, run_fit
from rung.backends.mace.backbone import wrap
from rung.backends.mace.engine import o3
from rung.backends.mace.rebuild import building
from rung.cli.console import TerminalProgress
from rung.data.batch import by_count
from rung.data.labels import empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.features.estimate import duration
from rung.model.potential import ReadoutPotential
from rung.model.predictions import predict_structures
from rung.pages import write_table

LOW, HIGH = "pbe", "dmc"
RATTLE, MOVED, SIGMA = 0.08, 0.2, 0.02


@dataclass(frozen=True)
class Shape:
    """A model's shape."""

    elements: tuple[int, ...]
    cutoff: float
    radial: int
    repulsion: bool
    transform: str
    heads: tuple[str, ...] = ("Default",)


MP = Shape(tuple(range(1, 90)), 6.0, 10, True, "Agnesi")
SHAPES: Mapping[str, Shape] = {
    "mp": MP,
    "off": Shape((1, 6, 7, 8, 9, 15, 16, 17, 35, 53), 5.0, 8, False, "None"),
    "heads": replace(MP, heads=("omat_pbe", "mp_pbe", "spice_wB97M", "rgd1_b3lyp")),
}


def model_of(shape: Shape) -> torch.nn.Module:
    """Return a model with random weights and energies of a usual size."""
    random = np.random.default_rng(0)
    with building(torch.float32):
        torch.manual_seed(0)
        return modules.ScaleShiftMACE(
            atomic_inter_scale=np.full(len(shape.heads), 0.8),
            atomic_inter_shift=np.zeros(len(shape.heads)),
            r_max=shape.cutoff,
            num_bessel=shape.radial,
            num_polynomial_cutoff=5,
            max_ell=3,
            interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
            interaction_cls_first=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
            num_interactions=2,
            num_elements=len(shape.elements),
            hidden_irreps=o3.Irreps("128x0e+128x1o"),
            MLP_irreps=o3.Irreps("16x0e"),
            atomic_energies=random.normal(-5.0, 3.0, (len(shape.heads), len(shape.elements))),
            avg_num_neighbors=60.0,
            atomic_numbers=list(shape.elements),
            correlation=3,
            gate=torch.nn.functional.silu,
            pair_repulsion=shape.repulsion,
            distance_transform=shape.transform,
            radial_MLP=[64, 64, 64],
            heads=list(shape.heads),
        )


def geometries(shape: Shape, count: int) -> list[Structure]:
    """Return rattled cells of 30 to 60 atoms: rocksalts and perovskites, or boxes of water and methane."""
    random = np.random.default_rng(1)
    cells = _boxes() if 3 not in shape.elements else _crystals()
    frames = []
    for k in range(count):
        atoms = cells[k % len(cells)].copy()
        atoms.positions += random.normal(scale=RATTLE, size=atoms.positions.shape)
        frames.append(Structure(atoms, f"frame-{k}", {}))
    return frames


def _crystals() -> list[Atoms]:
    salts = [bulk(*item, cubic=True) * (2, 2, 1) for item in (("MgO", "rocksalt", 4.21), ("NaCl", "rocksalt", 5.64))]
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    perovskite = Atoms("SrTiO3", scaled_positions=places, cell=[3.905] * 3, pbc=True)
    return [*salts, perovskite * (2, 2, 2), perovskite * (3, 2, 2)]


def _boxes() -> list[Atoms]:
    boxes = []
    for name, per_side, spacing in (("H2O", (2, 2, 3), 3.1), ("H2O", (2, 2, 4), 3.1), ("CH4", (2, 2, 3), 4.0)):
        box = Atoms(cell=[spacing * number for number in per_side], pbc=True)
        for place in np.ndindex(*per_side):
            one = molecule(name)
            one.rotate(37.0 * (1 + place[0] + 2 * place[1]), (1, 2, 1 + place[2]))
            one.translate(spacing * (np.array(place) + 0.5) - one.get_center_of_mass())
            box += one
        boxes.append(box)
    return boxes


def labelled(frames: Sequence[Structure], base: ReadoutPotential) -> list[Structure]:
    """Give every frame the base's label, and an energy of a surface with another readout and other E0."""
    surface = base.surface(LOW)
    random = np.random.default_rng(2)
    change = MOVED * np.abs(surface.readout.weights).mean() * random.normal(size=surface.readout.weights.shape)
    elements = surface.reference.elements
    high = base.with_surface(
        HIGH,
        replace(
            surface,
            readout=surface.readout.moved(change),
            reference=surface.reference.moved(elements, random.normal(scale=2.0, size=len(elements))),
        ),
    )
    low = predict_structures(base, by_count(frames, 1), LOW, forces=True)
    up = predict_structures(high, by_count(frames, 1), HIGH, forces=True)
    found = []
    for frame, below, above in zip(frames, low, up, strict=True):
        none = empty_labels(len(frame))
        noisy = above.energy + SIGMA * random.normal()
        labels = {
            LOW: replace(none, energy=below.energy, forces=below.forces),
            HIGH: replace(none, energy=noisy, energy_stderr=SIGMA, forces=above.forces),
        }
        found.append(replace(frame, labels=labels))
    return found


def passes(name: str) -> list[str]:
    """Return a row for each of two frames."""
    shape = SHAPES[name]
    found = []
    for line in rows(name, wrap(model_of(shape), LOW, shape.heads[0]), LOW, geometries(shape, 4)[-2:]):
        found.append(line)
        print(line, flush=True)
    return found


def fit(name: str, count: int, method: str) -> None:
    """Do a whole run and print what it took."""
    shape = SHAPES[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = model_of(shape)
        torch.save(model, folder / "base.model")
        base = wrap(model, LOW, shape.heads[0])
        frames = labelled(geometries(shape, count + 10), base)
        write_structures(folder / "train.extxyz", frames[:count])
        write_structures(folder / "test.extxyz", frames[count:])
        (folder / "config.yaml").write_text(
            yaml.safe_dump(
                {
                    "run": "run",
                    "fidelities": {LOW: {}, HIGH: {}},
                    "target": HIGH,
                    "base": {"file": "base.model", "fidelity": LOW, "head": shape.heads[0]},
                    "data": {"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}},
                    "method": {"name": method},
                }
            )
        )
        before, start, used = _peak(), time.perf_counter(), time.process_time()
        done = run_fit(load_config(folder / "config.yaml"), progress=TerminalProgress())
        clock, processor = time.perf_counter() - start, time.process_time() - used
        kept = sum(path.stat().st_size for path in folder.glob("rung-cache/*/*.npz")) / 1e6
        errors = done.metrics.splits["test"][HIGH]
        numbers = done.metrics.fit
        sizes = [len(frame) for frame in frames[:count]]
        print(
            f"| {name} | {method} | {count} of {min(sizes)}–{max(sizes)} atoms | {clock:.0f} | {processor:.0f} "
            f"| {numbers.cache_seconds:.0f} | {numbers.seconds:.0f} | {_peak():.1f} | {kept:.0f} "
            f"| {numbers.hyperparameters.get('force_probes', 0):.0f} | {errors.energy_rmse:.2f} |"
        )
        print(f"(peak before the run {before:.1f} GB, {duration(clock)})")


def _peak() -> float:
    """Return the largest memory that this process has had, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("passes", "fit"))
    parser.add_argument("shape", nargs="?", choices=tuple(SHAPES))
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--method", default="readout")
    parser.add_argument("--out", type=Path, help="write the table of passes there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, one thread, torch {torch.__version__}, float32")
    if arguments.what == "passes":
        lines = list(HEAD)
        print("\n".join(lines))
        for name in [arguments.shape] if arguments.shape else SHAPES:
            lines += passes(name)
        if arguments.out is not None:
            write_table(arguments.out, "\n".join(lines) + "\n")
        return
    print("| shape | method | frames | s | CPU s | designs, s | fit, s | GB | MB kept | directions | meV/atom |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    fit(arguments.shape or "mp", arguments.frames, arguments.method)


if __name__ == "__main__":
    main()
