"""An exported MACE file, or a committee of them, in i-PI by its driver `mace`, beside the same run by ASE.

Needs `pip install ipi`, version 3.3 or newer.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import write
from nve import TIMESTEP, by_ase, start

INPUT = """<simulation verbosity='low'>
  <output prefix='run'>
    <properties stride='1' filename='out'> [ step, potential{{electronvolt}}, kinetic_md{{electronvolt}} ] </properties>
    {extras}
  </output>
  <total_steps> {steps} </total_steps>
  {forcefield}
  <system>
    <initialize nbeads='1'>
      <file mode='xyz' units='automatic'> start.xyz </file>
      <masses mode='manual' units='dalton'> [ {masses} ] </masses>
      <velocities mode='xyz' units='automatic'> velocities.xyz </velocities>
    </initialize>
    <forces> <force forcefield='mace'> </force> </forces>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nve'> <timestep units='femtosecond'> {timestep} </timestep> </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""
DRIVER = """<ffdirect name='{name}'>
    <pes> mace </pes>
    <parameters> {{template:start.extxyz,model:{model},device:cpu,mace_kwargs:mace.json}} </parameters>
  </ffdirect>"""
EXTRAS = "<trajectory filename='committee' stride='1' extra_type='committee_pot'> extras </trajectory>"


def forcefield(models: Sequence[Path]) -> str:
    """Return the forces of one model, or of a committee of several."""
    if len(models) == 1:
        return DRIVER.format(name="mace", model=models[0].resolve())
    members = "\n".join(DRIVER.format(name=f"mace{k}", model=path.resolve()) for k, path in enumerate(models))
    return f"<ffcommittee name='mace'>\n{members}\n</ffcommittee>"


def write_inputs(atoms: Atoms, models: Sequence[Path], steps: int, folder: Path) -> None:
    """Write what i-PI reads; positions in Å, velocities in atomic units."""
    folder.mkdir(parents=True)
    write(folder / "start.extxyz", atoms)
    (folder / "mace.json").write_text(json.dumps({"default_dtype": "float64"}))
    vectors = " ".join(f"{number:.12f}" for number in atoms.cell.array.ravel())
    velocities = atoms.get_velocities() / (units.Bohr / units.AUT)
    for name, kind, values in (
        ("start.xyz", "positions{angstrom}", atoms.positions),
        ("velocities.xyz", "velocities{atomic_unit}", velocities),
    ):
        rows = [f"{one} {x:.16e} {y:.16e} {z:.16e}" for one, (x, y, z) in zip(atoms.symbols, values, strict=True)]
        head = f"# CELL(GENH): {vectors} cell{{angstrom}} {kind}"
        (folder / name).write_text("\n".join([str(len(atoms)), head, *rows]) + "\n")
    content = INPUT.format(
        steps=steps,
        forcefield=forcefield(models),
        timestep=TIMESTEP,
        masses=", ".join(f"{mass:.10f}" for mass in atoms.get_masses()),  # i-PI has others
        extras=EXTRAS if len(models) > 1 else "",
    )
    (folder / "input.xml").write_text(content)


def main() -> None:
    """Run both and print how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="the fit; or the draws of rung export --committee")
    parser.add_argument(
        "--start", type=Path, required=True, help="a file of structures; the first, periodic one is run"
    )
    parser.add_argument("--fit", type=Path, help="what ASE runs; by default the first model")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("ipi"), help="a new folder")
    told = parser.parse_args()
    atoms = start(told.start)
    write_inputs(atoms, told.models, told.steps, told.out)
    tool = Path(sys.executable).with_name("i-pi")
    subprocess.run([str(tool), "input.xml"], cwd=told.out, check=True, stdout=subprocess.DEVNULL)
    _, potential, kinetic = np.loadtxt(told.out / "run.out").T
    energies, kinetics = by_ase(atoms, str(told.fit or told.models[0]), told.steps)
    print(f"i-PI {version('ipi')}, {told.steps} steps of {TIMESTEP} fs, {len(atoms)} atoms; from ASE at most:")
    print(f"potential energy {1e3 * np.abs(potential - energies).max():.2g} meV")
    print(f"kinetic energy {1e3 * np.abs(kinetic - kinetics).max():.2g} meV")


if __name__ == "__main__":
    main()
