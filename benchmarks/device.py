"""What one card computes, and how fast: predictions, designs, a fit, training, molecular dynamics, under 8 minutes.

    python benchmarks/device.py --device cuda --out device.json
    python benchmarks/device.py --device cpu --quick

Everything is built in code: a MACE with random weights, cells of a rattled crystal, labels of the model itself. A part
is repeated until its share of ``--budget`` is spent, after one pass that is not counted. ``--quick`` takes a small
model and one repeat, to see that the script is sound. Energies and forces on the device are held against a CPU's first.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from ase import units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from rung import RungCalculator, checkpoint
from rung.backends.mace.settings import MaceArchitecture
from rung.backends.training import build_trainable, trainable
from rung.data.batch import collate
from rung.data.labels import empty_labels
from rung.data.stream import pack
from rung.data.structure import Structure
from rung.features.passes import build_designs
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.training.schedule import Constant
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.run.evaluation import predict

ELEMENTS = (8, 12)
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def model_of(channels: int, cutoff: float, device: str, dtype: str) -> ReadoutPotential:
    """Return a new model with random weights, on the device."""
    reference = ReferenceEnergies({8: -430.0, 12: -46.0})
    made = build_trainable(
        MaceArchitecture(channels=channels, max_l=1, cutoff=cutoff),
        references={"low": reference},
        elements=ELEMENTS,
        avg_num_neighbors=40.0,
        scales={"low": (1.0, 0.0)},
        seed=0,
        dtype=DTYPES[dtype],
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.rung"
        checkpoint.save(path, made.frozen(), metadata={"target": "low"})
        return checkpoint.load(path, device=device).potential


def cells(repeat: int, count: int) -> list[Structure]:
    """Return rattled cells of MgO, of eight atoms times the cube of ``repeat``."""
    found = []
    for index in range(count):
        atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True).repeat(repeat)
        atoms.rattle(0.05, seed=index)
        found.append(Structure(atoms, f"cell-{repeat}-{index}", {}))
    return found


def labelled(structures: list[Structure], potential: ReadoutPotential) -> list[Structure]:
    """Return the structures with what the model says at ``low``, and other energies at ``high``."""
    said = predict(potential, structures, "low")
    rng = np.random.default_rng(0)
    rows = []
    for structure, energy, forces in zip(structures, said.energy, said.forces, strict=True):
        low = replace(empty_labels(len(structure)), energy=float(energy), forces=forces)
        high = replace(empty_labels(len(structure)), energy=float(energy) + 0.1 * rng.normal(), energy_stderr=0.01)
        rows.append(replace(structure, labels={"low": low, "high": high}))
    return rows


class Clock:
    """Repeats work until its share of the budget is spent, and keeps the median."""

    def __init__(self, share: float, device: str, *, once: bool) -> None:
        self.share, self.cuda, self.once = share, torch.device(device).type == "cuda", once
        self.results: dict[str, Any] = {}

    def _timed(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def __call__(self, name: str, work: Callable[[], object], per: float = 1.0, unit: str = "s") -> None:
        """Time ``work``, of which one pass does ``per`` units."""
        first = self._timed(work)
        seconds = [first] if self.once else []
        begun = time.perf_counter()
        while not seconds or (time.perf_counter() - begun < self.share and not self.once):
            seconds.append(self._timed(work))
        value = statistics.median(seconds) / per
        peak = torch.cuda.max_memory_allocated() / 2**30 if self.cuda else None
        self.results[name] = {"median": value, "unit": unit, "repeats": len(seconds), "first": first / per, "GiB": peak}
        shown = f", {peak:.2f} GiB at most" if peak is not None else ""
        print(f"{name:44s} {value:12.5g} {unit} ({len(seconds)} times; the first {first / per:.3g}){shown}", flush=True)


def check(device: str, dtype: str, channels: int, cutoff: float) -> dict[str, float]:
    """Return how far energies and forces on the device are from those on a CPU."""
    (structure,) = cells(1, 1)
    found = []
    for where in ("cpu", device):
        potential = model_of(channels, cutoff, where, dtype)
        batch = collate([structure], ["low"], potential.cutoff, dtype=potential.dtype, device=potential.device)
        prediction = potential.predict(batch)
        found.append((float(prediction.energy[0]), np.asarray(prediction.forces.cpu())))
    apart = {
        "energy_meV_per_atom": 1e3 * abs(found[1][0] - found[0][0]) / len(structure),
        "force_meV_per_A": 1e3 * float(np.abs(found[1][1] - found[0][1]).max()),
    }
    print(f"{dtype}: from the CPU {apart['energy_meV_per_atom']:.2g} meV/atom, {apart['force_meV_per_A']:.2g} meV/Å")
    return apart


def measure(potential: ReadoutPotential, clock: Clock, device: str, dtype: str, sizes: tuple[int, ...]) -> None:
    """Time each part, the dear ones on the smaller cells alone."""
    surface = potential.surface("low")
    small = labelled(cells(1, 16), potential)
    for repeat in sizes:
        some = cells(repeat, 1)
        atoms = len(some[0])
        batch = collate(some, ["low"], potential.cutoff, dtype=potential.dtype, device=potential.device)
        clock(f"energy and forces, {atoms} atoms", lambda batch=batch: potential.predict(batch))
        md = some[0].atoms.copy()
        md.set_momenta(np.random.default_rng(0).normal(size=(atoms, 3)))
        md.calc = RungCalculator(potential, fidelity="low")
        integrator = VelocityVerlet(md, 0.5 * units.fs)
        clock(f"a step of MD in ASE, {atoms} atoms", lambda run=integrator: run.run(5), per=5.0)

    def designs(forces: bool, kind: Any = "auto") -> Callable[[], object]:
        chosen = small[:2] if forces else small
        return lambda: build_designs(
            chosen, potential.backbone, surface.readout, forces=forces, fidelity="low", kind=kind
        )

    clock("design of energies, 8 atoms, a frame", designs(False), per=len(small))
    clock("design with forces by the Jacobian, 8 atoms", designs(True, "jacobian"), per=2.0)
    clock("design with forces, summed, 8 atoms", designs(True, "summed"), per=2.0)
    lift = Lift(
        train=small,
        valid=(),
        base=Base(potential, "low"),
        fidelities={"low": Fidelity("low"), "high": Fidelity("high")},
        target="high",
    )
    context = Context(device=device, dtype=dtype)
    clock("a readout fit to 16 energies, end to end", lambda: fit_readout(lift, ReadoutSettings(), context))
    rows = pack(small, ["low"] * len(small), potential.cutoff)
    settings = TrainingSettings(epochs=1, batch_size=8, schedule=Constant())
    model = trainable(potential, {"low": "low"})
    clock(
        "an epoch of training, 16 frames of 8 atoms",
        lambda: train(model, rows, None, settings, seed=0, device=device, dtype=DTYPES[dtype]),
    )


def main() -> None:
    """Check, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--cutoff", type=float, default=6.0)
    parser.add_argument("--budget", type=float, default=240.0, help="s, shared by the parts; first passes come on top")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    told = parser.parse_args()
    channels, cutoff = (8, 4.0) if told.quick else (told.channels, told.cutoff)
    sizes = (1, 2) if told.quick else (1, 2, 3, 4)
    name = torch.cuda.get_device_name(told.device) if torch.device(told.device).type == "cuda" else platform.processor()
    about = {
        "device": f"{told.device} ({name})",
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "channels": channels,
        "cutoff": cutoff,
        "dtype": told.dtype,
    }
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    apart = {dtype: check(told.device, dtype, channels, cutoff) for dtype in DTYPES}
    clock = Clock(told.budget / (2 * len(sizes) + 5), told.device, once=told.quick)
    measure(model_of(channels, cutoff, told.device, told.dtype), clock, told.device, told.dtype, sizes)
    if told.out is not None:
        told.out.write_text(json.dumps({"about": about, "from_the_cpu": apart, "times": clock.results}, indent=1))


if __name__ == "__main__":
    main()
