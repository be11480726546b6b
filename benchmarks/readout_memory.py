"""Peak memory of the designs and the fit of many structures, in a process of its own.

python benchmarks/readout_memory.py STRUCTURES COMPUTED
"""

import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from readout_task import LOW, Task, rows_of, solve

from rung.backends import load_base
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.features.passes import build_designs
from rung.model.potential import ReadoutPotential

GIGABYTE = 1e9


def peak_gigabytes() -> float:
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIGABYTE


def measure(n_structures: int, n_computed: int) -> dict[str, float]:
    """Return the peak memory, GB, before the work, with all designs, and after the fit.

    ``n_computed`` structures are computed. The entries of the others are put into the cache beforehand, copied from a
    computed one: reading an entry takes the same memory whatever its numbers are.
    """
    with as_file(files("rung") / "demo_data" / "mos2") as data, tempfile.TemporaryDirectory() as folder:
        base = load_base(data / "base.model", fidelity=LOW)
        structures = rattled(
            [frame for frame in read_structures(data / "train.extxyz") if len(frame) == 27], n_structures
        )
        cache = DesignCache(Path(folder))
        copy_entry(base, structures[0], structures[n_computed:], cache)
        before = peak_gigabytes()
        readout = base.surface(LOW).readout
        designs = build_designs(structures, base.backbone, readout, forces=True, fidelity=LOW, cache=cache)
    designed = peak_gigabytes()
    zeros = np.zeros(n_structures)
    task = Task(base, structures, zeros, zeros, [design.fixed_forces for design in designs])
    solve(task, rows_of(task, designs))
    return {"before": before, "designs": designed, "fit": peak_gigabytes()}


def rattled(frames: Sequence[Structure], number: int) -> list[Structure]:
    random = np.random.default_rng(0)
    structures = []
    for index in range(number):
        atoms = frames[index % len(frames)].atoms.copy()
        atoms.positions += 0.02 * random.standard_normal(atoms.positions.shape)
        structures.append(Structure(atoms, f"rattled-{index}", {}))
    return structures


def copy_entry(base: ReadoutPotential, made: Structure, copies: Sequence[Structure], cache: DesignCache) -> None:
    readout = base.surface(LOW).readout
    build_designs([made], base.backbone, readout, forces=True, fidelity=LOW, cache=cache)
    key = next(entry.key for entry in cache.entries())
    arrays = cache.get(key) if key is not None else None
    if key is None or arrays is None:
        raise SystemExit("The cache entry that was just written cannot be read.")
    for structure in copies:
        cache.put(replace(key, structure=structure.geometry_hash), arrays)


def memory_in_a_process(n_structures: int, n_computed: int) -> dict[str, float]:
    command = [sys.executable, __file__, str(n_structures), str(n_computed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
