"""What the passes of a design cost on the testbed's base, what bounds them, and how much memory a large build takes.

    OMP_NUM_THREADS=1 python benchmarks/design_passes.py                    # a minute or two
    OMP_NUM_THREADS=1 python benchmarks/design_passes.py --memory 1000      # and 1,000 structures, about five minutes

Times are CPU seconds (user + system) of this process, so other work on the machine disturbs them little.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import rung
from rung.backends import load_base
from rung.data.batch import collate
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.features.jacobian import plan_moves
from rung.features.passes import build_designs
from rung.model.readout import HiddenLayer, Readout, ReadoutBlock

DEMO = Path(rung.__file__).parent / "demo_data" / "mos2"
GROUPS = {
    "dense products": ("bmm", "mm", "addmm", "matmul", "einsum"),
    "gather and scatter over edges": (
        "gather",
        "scatter_add_",
        "index_add_",
        "index_select",
        "_index_put_impl_",
        "index",
    ),
    "copies and fresh memory": ("copy_", "fill_", "empty", "clone", "zero_", "cat", "empty_strided"),
    "element by element": (
        "mul",
        "add",
        "add_",
        "sum",
        "div",
        "sub",
        "neg",
        "silu_backward",
        "silu",
        "pow",
        "sin",
        "cos",
    ),
}


def cpu() -> float:
    times = os.times()
    return times.user + times.system


def clock(work: Callable[[], object], repeats: int, share: int) -> float:
    """Return milliseconds of CPU time that one of ``share`` parts of ``work`` takes."""
    work()
    start = cpu()
    for _ in range(repeats):
        work()
    return 1e3 * (cpu() - start) / repeats / share


def bounds(work: Callable[[], object], repeats: int = 5) -> str:
    """Return which kinds of operations the time of ``work`` goes to."""
    with torch.profiler.profile() as profile:
        for _ in range(repeats):
            work()
    spent: dict[str, float] = defaultdict(float)
    for event in profile.key_averages():
        name = event.key.removeprefix("aten::")
        group = next((group for group, names in GROUPS.items() if name in names), "the rest (autograd, dispatch)")
        spent[group] += event.self_cpu_time_total
    total = sum(spent.values())
    return ", ".join(
        f"{name} {100 * value / total:.0f} %" for name, value in sorted(spent.items(), key=lambda x: -x[1])
    )


def passes(structures: list[Structure], potential) -> None:
    backbone, readout = potential.backbone, potential.surface("pbe").readout
    print("\nOne pass, ms of CPU a structure")
    print(
        f"{'structures a batch':>20} {'forward':>9} {'reverse, layer 1':>17} {'reverse, layer 2':>17} {'J u':>7}",
        end="",
    )
    print(f" {'J u, vmap':>10} {'reverse, vmap':>14}")
    for count in (1, 4, 12):
        batch = collate(structures[:count], ["pbe"] * count, backbone.cutoff, dtype=backbone.dtype)
        batch = replace(batch, positions=batch.positions.requires_grad_())
        for _ in range(3):  # TorchScript compiles on the first calls
            torch.autograd.grad(backbone.features(batch).sum(), batch.positions)
        forward = clock(lambda batch=batch: backbone.features(batch), 6, count)
        layers = backbone.feature_layers(batch)
        features = torch.cat(layers, dim=1)
        basis = readout.basis(features).sum(dim=0)
        first, last = layers[0].sum(dim=0)[0], basis[-1]
        cotangent = torch.zeros_like(features, requires_grad=True)
        (gradient,) = torch.autograd.grad(features, batch.positions, cotangent, create_graph=True)
        direction = torch.randn_like(gradient)

        def reverse(energy, batch=batch, **options):
            return torch.autograd.grad(energy, batch.positions, retain_graph=True, **options)

        def move(direction, gradient=gradient, cotangent=cotangent, **options):
            return torch.autograd.grad(gradient, cotangent, direction, retain_graph=True, **options)

        many = torch.stack([direction] * 6)
        each = torch.eye(len(basis))[:6]
        row = [
            forward,
            clock(lambda first=first: reverse(first), 8, count),
            clock(lambda last=last: reverse(last), 8, count),
            clock(lambda direction=direction: move(direction), 8, count),
            clock(lambda many=many: move(many, is_grads_batched=True), 1, 6 * count),
            clock(
                lambda basis=basis, each=each: reverse(basis, grad_outputs=each, is_grads_batched=True), 1, 6 * count
            ),
        ]
        print(f"{count:>20} {row[0]:9.1f} {row[1]:17.1f} {row[2]:17.1f} {row[3]:7.1f} {row[4]:10.1f} {row[5]:14.1f}")
        if count == 4:
            print(f"    bounds a reverse pass: {bounds(lambda last=last: reverse(last))}")
            print(f"    bounds a J u pass:     {bounds(lambda direction=direction: move(direction))}")


def widened(readout: Readout, units: int) -> Readout:
    rng = np.random.default_rng(0)
    columns = tuple(range(readout.n_features))
    layer = HiddenLayer(rng.normal(size=(len(columns), units)) / len(columns), rng.normal(size=units), "silu")
    return replace(readout, blocks=(*readout.blocks, ReadoutBlock("random", columns, (layer,), np.zeros(units))))


def builds(structures: list[Structure], potential) -> None:
    backbone, readout = potential.backbone, potential.surface("pbe").readout
    count = len(structures)
    print(f"\nDesigns with forces of {count} structures, ms of CPU a structure (kilobytes in the cache)")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("jacobian", "summed"):
            cache = DesignCache(Path(folder) / kind)

            def build(readout=readout, kind=kind, cache=cache, forces=True):
                start = cpu()
                build_designs(structures, backbone, readout, forces=forces, fidelity="pbe", kind=kind, cache=cache)
                return 1e3 * (cpu() - start) / count

            made, read = build(), build()
            size = sum(entry.size for entry in cache.entries()) / count / 1e3
            print(f"    {kind:9} made {made:6.0f}   read {read:5.1f}   ({size:.0f} kB)", end="")
            if kind == "jacobian":
                print(f"   for {len(readout.weights) + 400} weights {build(widened(readout, 400)):5.1f}", end="")
            print()
        cache = DesignCache(Path(folder) / "features")
        start = cpu()
        build_designs(structures, backbone, readout, forces=False, fidelity="pbe", cache=cache)
        print(f"    energies alone {1e3 * (cpu() - start) / count:.1f}")


def colours(structures: list[Structure], backbone) -> None:
    print("\nPasses of a Jacobian as the cell grows (three for each group of atoms that move together)")
    for repeats in ((1, 1, 1), (2, 1, 1), (4, 1, 1), (8, 1, 1), (8, 2, 1)):
        atoms = structures[0].atoms * repeats
        start = time.perf_counter()
        plan = plan_moves(atoms, backbone.receptive_field)
        spent = time.perf_counter() - start
        print(
            f"    {len(atoms):5d} atoms: {3 * plan.n_colours:5d} passes instead of {3 * len(atoms):5d}, "
            f"{len(plan.pairs) / len(atoms) ** 2:.2f} of all pairs, planned in {spent:.2f} s"
        )


def memory(structures: list[Structure], potential, count: int) -> None:
    rng = np.random.default_rng(0)
    many = []
    for index in range(count):
        atoms = structures[index % len(structures)].atoms.copy()
        if index >= len(structures):
            atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
        many.append(Structure(atoms, f"memory-{index}", {}))
    backbone, readout = potential.backbone, potential.surface("pbe").readout
    print(
        f"\nMemory: {count} structures of {np.mean([len(s) for s in many]):.0f} atoms, {len(readout.weights)} weights"
    )
    print(f"    before {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        for kind, chosen in (("auto", many), ("jacobian", many[:50])):
            start, wall = cpu(), time.perf_counter()
            designs = build_designs(
                chosen,
                backbone,
                readout,
                forces=True,
                fidelity="pbe",
                kind=kind,
                cache=DesignCache(Path(folder) / kind),
            )
            held = sum(design.forces.nbytes for design in designs) / 1e6
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"    {kind:9} {len(chosen)} structures: {cpu() - start:.0f} s of CPU, "
                f"{time.perf_counter() - wall:.0f} s on the clock; designs {held:.0f} MB, peak {peak:.0f} MB",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="also build N structures and show the peak")
    parser.add_argument("--only-memory", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of third parties: TorchScript's own deprecation
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread, float32")
    potential = load_base(DEMO / "base.model", fidelity="pbe")
    structures = read_structures(DEMO / "train.extxyz")
    if not options.only_memory:
        passes(structures, potential)
        builds(structures[:24], potential)
        colours(structures, potential.backbone)
    if options.memory:
        memory(structures, potential, options.memory)


if __name__ == "__main__":
    main()
