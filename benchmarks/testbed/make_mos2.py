# ruff: noqa: E402, E501 - warnings are silenced before the packages that warn on import
"""Make the MoS2 sulfur-vacancy testbed: one material, two complete potential-energy surfaces.

The labels are NOT ab initio. They come from pretrained potentials that wheels ship: SevenNet-MF-0 (PBE, R2SCAN) and CHGNet
(0.3.0 on PBE, r2scan). The low level is the PBE of one of them, the high level the r2SCAN of the other, so that the two
surfaces are independent functions (two settings of one network would favour methods that look like that network) and differ
as two levels of theory do: a scale, a shift, other forces, another barrier. Because the high level is a known function, its
forces, barriers and free energies are known too, so a method that sees only a few noisy high-level *energies* can be scored on
everything it was not shown.

    pip install torch==2.13.0 sevenn==0.13.0 chgnet==0.4.2 && python make_mos2.py sevenn chgnet OUT_DIR   # low high out

Units: eV, eV/A, A; stress eV/A^3, Voigt (xx yy zz yz xz xy). Energies are total energies per cell.
"""

import json
import os
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import numpy as np
import torch
from ase import units
from ase.build import mx2
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.mep import NEB
from ase.optimize import FIRE

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
LEVELS = ("pbe", "r2scan")
OUT = Path(sys.argv[3])
OUT.mkdir(parents=True, exist_ok=True)
RNG = np.random.default_rng(20260522)


def calculator(package, level):
    if package == "sevenn":
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator("7net-mf-0", modal=level.upper(), device="cpu")
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    name = {"pbe": "0.3.0", "r2scan": "r2scan"}[level]
    return CHGNetCalculator(model=CHGNet.load(model_name=name, use_device="cpu", verbose=False), use_device="cpu")


CALC = {level: calculator(package, level) for level, package in zip(LEVELS, sys.argv[1:3], strict=True)}


def monolayer(n, a=3.18):
    atoms = mx2("MoS2", kind="2H", a=a, thickness=3.13, size=(n, n, 1), vacuum=9.0)
    atoms.pbc = True
    return atoms


def top_sulfur(atoms):
    mid = atoms.positions[atoms.numbers == 42, 2].mean()
    return [i for i, z in enumerate(atoms.numbers) if z == 16 and atoms.positions[i, 2] > mid]


def sulfur_pair(atoms):
    """A top-layer sulfur near the cell centre and its nearest top-layer neighbour."""
    top = top_sulfur(atoms)
    centre = atoms.cell.array[:2, :2].sum(0) / 2
    first = min(top, key=lambda i: np.linalg.norm(atoms.positions[i, :2] - centre))
    second = min((i for i in top if i != first), key=lambda i: atoms.get_distance(first, i, mic=True))
    return first, second


def hop_endpoints(n):
    """Vacancy at site A (the hopping atom sits at B) and vacancy at B, same atom order."""
    perfect = monolayer(n)
    site, mover = sulfur_pair(perfect)
    target = perfect.positions[site].copy()
    initial = perfect.copy()
    del initial[site]
    mover -= mover > site
    final = initial.copy()
    final.positions[mover] = target
    return initial, final, mover


def labelled(atoms, kind):
    frame = atoms.copy()
    frame.calc = None
    frame.info = {"kind": kind}
    for name in list(frame.arrays):
        if name not in ("numbers", "positions"):
            del frame.arrays[name]
    for level, calc in CALC.items():
        probe = frame.copy()
        probe.calc = calc
        frame.info[f"{level}_energy"] = float(probe.get_potential_energy())
        frame.info[f"{level}_stress"] = np.asarray(probe.get_stress(), float)  # Voigt, eV/A^3
        frame.arrays[f"{level}_forces"] = np.asarray(probe.get_forces(), float)
    return frame


def rattled(n, kind, amplitudes=(0.03, 0.06, 0.1)):
    atoms = monolayer(n, 3.18 * (1 + RNG.uniform(-0.015, 0.015)))
    first, second = sulfur_pair(atoms)
    if kind == "hop":
        home, target = atoms.positions[second].copy(), atoms.positions[first].copy()
        t = RNG.uniform(0, 1)
        atoms.positions[second] = home + t * (target - home) + [0, 0, RNG.uniform(0, 0.8) * np.sin(np.pi * t)]
        del atoms[first]
    elif kind == "vacancy":
        del atoms[first]
    elif kind == "divacancy":
        del atoms[sorted((first, second))]
    atoms.positions += RNG.normal(0, RNG.choice(amplitudes), atoms.positions.shape)
    return labelled(atoms, kind)


def near_path(band, kind="path"):
    """A frame beside a relaxed band: between two neighbouring images, rattled a little."""
    k, t = RNG.integers(len(band) - 1), RNG.uniform(0, 1)
    atoms = band[k].copy()
    atoms.positions += t * (band[k + 1].positions - band[k].positions)
    atoms.positions += RNG.normal(0, RNG.choice([0.01, 0.025, 0.05]), atoms.positions.shape)
    return labelled(atoms, kind)


def dynamics(n, temperature, count, every=12):
    atoms = monolayer(n)
    first, _ = sulfur_pair(atoms)
    del atoms[first]
    atoms.calc = CALC["pbe"]
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=RNG)
    md = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=RNG)
    frames = []
    for _ in range(count):
        md.run(every)
        frames.append(labelled(atoms, f"md{temperature}"))
    return frames


def barrier(level, n, images=7):
    initial, final, _ = hop_endpoints(n)
    for end in (initial, final):
        end.calc = CALC[level]
        FIRE(end, logfile=None).run(fmax=0.02, steps=400)
    band = [initial.copy() for _ in range(images - 1)] + [final.copy()]
    neb = NEB(band, climb=False, allow_shared_calculator=True)
    neb.interpolate("idpp", mic=True)
    for image in band:
        image.calc = CALC[level]
    FIRE(neb, logfile=None).run(fmax=0.1, steps=300)
    neb.climb = True
    optimiser = FIRE(neb, logfile=None)
    converged = optimiser.run(fmax=0.04, steps=500)
    energies = [float(image.get_potential_energy()) for image in band]
    return band, {
        "energies": energies,
        "barrier": max(energies) - energies[0],
        "reaction": energies[-1] - energies[0],
        "converged": bool(converged),
    }


truth, bands = {}, {}
for level in LEVELS:
    bands[level], truth[level] = barrier(level, 3)
    write(OUT / f"neb_{level}.extxyz", [labelled(image, "neb") for image in bands[level]])
    print(level, truth[level], flush=True)
(OUT / "truth.json").write_text(json.dumps(truth, indent=1))
kinds = ("pristine", "vacancy", "hop", "hop")
train = [rattled(3, k, (0.02, 0.04, 0.07, 0.1)) for k in kinds for _ in range(60)] + [
    near_path(bands["pbe"]) for _ in range(180)
]
train += dynamics(3, 300, 60) + dynamics(3, 900, 120) + dynamics(3, 1500, 60)
test = [rattled(3, k) for k in kinds for _ in range(20)] + dynamics(3, 600, 40)
larger = [rattled(4, k) for k in ("vacancy", "hop", "divacancy", "divacancy") for _ in range(10)] + [
    rattled(3, "divacancy") for _ in range(40)
]
order = RNG.permutation(len(train))
train = [train[i] for i in order]
(OUT / "train_exact.json").write_text(
    json.dumps({f"train-{k:03d}": round(f.info["r2scan_energy"], 5) for k, f in enumerate(train)})
)  # to draw subsets and noise from
for number, frame in enumerate(train):
    frame.info["structure_id"] = f"train-{number:03d}"
    frame.info.pop("r2scan_stress")
    exact, forces = frame.info.pop("r2scan_energy"), frame.arrays.pop("r2scan_forces")
    if number < 100:  # only these carry a high-level energy, noisy as a QMC energy would be, and no high-level forces
        stderr = float(RNG.uniform(0.02, 0.06))
        frame.info["r2scan_energy"] = exact + float(RNG.normal(0, stderr))
        frame.info["r2scan_energy_stderr"] = stderr
for name, frames in (("test", test), ("ood", larger)):
    for number, frame in enumerate(frames):
        frame.info["structure_id"] = f"{name}-{number:03d}"
for name, frames in (("train", train), ("test", test), ("ood", larger)):
    write(OUT / f"{name}.extxyz", frames)
    print(name, len(frames), sorted({len(f) for f in frames}), flush=True)
