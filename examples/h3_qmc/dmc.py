"""How the DMC labels were made: PyQMC, one run a structure; some 40 to 60 s on one core each.

python examples/h3_qmc/dmc.py FOLDER path_050 rand_000 ...     # writes FOLDER/<name>.hdf5, which `rung collect` reads

A run that was killed goes on from its file, with another seed. The length of a run is fixed after 40 blocks, from their
scatter, and never by the error that is reported: to stop where it looks small would make it too small.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyqmc.api as pyqmc
from levels import molecule
from pyqmc.observables.accumulators import EnergyAccumulator
from pyqmc.wftools import generate_wf
from pyscf import dft

from geometries import frames

WALKERS, TIME_STEP, STEPS = 1000, 0.05, 10
EQUILIBRATION_STEP, EQUILIBRATION = 0.1, 10
"""10 a.u. at a larger time step: after 2 a.u. H2 + H was still 0.25 eV too high."""

LEFT_OUT, PILOT, MOST = 2, 40, 400
AIM = 0.018 / 27.211386
"""Hartree: the error that the length of a run aims at."""

JASTROW = Path(__file__).parent / "dmc" / "jastrow.json"


class LocalEnergy(EnergyAccumulator):
    """The local energy with a pseudopotential that is local, as ccECP of hydrogen is: T-moves would do nothing."""

    def has_nonlocal_moves(self) -> bool:
        """Return that there are none."""
        return False


def wave_function(name: str, folder: Path) -> tuple[Any, Any]:
    """Return the molecule and its Slater-Jastrow wave function: PBE orbitals, and the Jastrow factor of all frames."""
    (atoms,) = (one for one in frames() if one.info["structure_id"] == name)
    field = dft.UKS(molecule(atoms))
    field.xc, field.grids.level, field.conv_tol = "pbe", 3, 1e-9
    field.chkfile = str(folder / f"{name}.chk")
    field.kernel()
    if not field.converged:
        raise RuntimeError(f"{name}: PBE did not converge.")
    cell, mean_field = pyqmc.recover_pyscf(field.chkfile)
    function, _ = generate_wf(cell, mean_field)
    for key, values in json.loads(JASTROW.read_text()).items():
        function.parameters[key] = np.array(values)
    return cell, function


def run(name: str, folder: Path) -> None:
    """Equilibrate, run the pilot, and run on to the length that it asks for."""
    seed = int(hashlib.sha256(f"{name}.dmc".encode()).hexdigest()[:8], 16)
    cell, function = wave_function(name, folder)
    nonlocal_parts = [
        line for _, channels in cell._ecp.values() for angular, terms in channels if angular >= 0 for line in terms
    ]
    assert not any(part[1] for lines in nonlocal_parts for part in lines), "this pseudopotential is not local"
    out, before = folder / f"{name}.hdf5", folder / f"{name}.equilibration.hdf5"
    # numbers of a run that goes on must not be those that it began with
    np.random.seed((seed + int(time.time())) % 2**32 if out.exists() else seed)
    walkers = pyqmc.initial_guess(cell, WALKERS)
    told = {"nsteps_per_block": STEPS, "accumulators": {"energy": LocalEnergy(cell)}}
    if not out.exists():
        before.unlink(missing_ok=True)  # PyQMC would go on with it in silence
        pyqmc.rundmc(
            function,
            walkers,
            tstep=EQUILIBRATION_STEP,
            nblocks=EQUILIBRATION,
            hdf_file=str(before),
            vmc_warmup=4,
            **told,
        )
    with h5py.File(before) as file:
        walkers.load_hdf(file)
    blocks = LEFT_OUT + PILOT
    for _ in ("pilot", "whole"):
        pyqmc.rundmc(function, walkers, tstep=TIME_STEP, nblocks=blocks, hdf_file=str(out), vmc_warmup=0, **told)
        with h5py.File(out) as file:
            scatter = np.var(file["energytotal"][LEFT_OUT : LEFT_OUT + PILOT], ddof=1)
        blocks = LEFT_OUT + int(np.clip(np.ceil(1.3 * scatter / AIM**2), PILOT, MOST))


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for chosen in sys.argv[2:]:
        run(chosen, Path(sys.argv[1]))
