"""Label the molecules level by level, and find their minima and paths; a second call goes on where the first stopped.

    python examples/molecules/labels.py FOLDER                # 240 geometries of each molecule
    python examples/molecules/labels.py FOLDER --number 300   # 60 more of each
    python examples/molecules/labels.py FOLDER --first 120 --number 240 --molecules HNCO CH3OH

The last form makes what another machine has not: geometries from number 120 on, and neither paths nor minima.

The work is done in rounds of a few geometries of every molecule at every level, so that whatever is there is a
balanced set; ``assemble.py`` makes one file of it at any time.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ase import Atoms
from ase.io import read, write
from levels import CLUSTER, CLUSTER_FORCES, GFN2, HYBRID, MP2, Level

from geometries import MINIMA, PATHS, geometry, path, relaxed
from rung import read_structures
from rung.evaluate.paths.vibrations import vibrations
from rung.label.engines import EngineSettings
from rung.label.labelling import label_structures
from rung.storage import write_text

ROUND = 40
"""Geometries of each molecule that a round adds."""

CHECKED = {
    **dict.fromkeys(("H2O", "NH3", "HNO", "HCN"), 24),
    "CH2O": 12,
    "H2O2": 8,
    "CH2NH": 4,
    "CH3OH": 2,
    "HNCO": 2,
    "HONO": 2,
}
"""How many test geometries have forces of CCSD(T), of the molecules that do not have 16; 158 in all."""

HYBRIDS = 80
"""Geometries of each molecule that have B3LYP too."""

SMALL = ("H2O", "NH3", "HNO", "HCN")
"""Molecules whose minimum is found with CCSD(T), too."""

ORDER = ("H2O", "NH3", "HNO", "HCN", "CH4", "C2H2", "CH2O", "H2O2", "CH2NH", "CH3OH", "HNCO", "HONO")
"""From what takes least time to what takes most."""

QUICK = 7
"""How many of these have gradients of CCSD(T) that take seconds; those of the others wait until the end."""

ATOMS = ("H", "C", "N", "O")


def tested(number: int) -> bool:
    """Return whether a geometry is for tests alone: two of each ten."""
    return number % 10 in (8, 9)


def checked(name: str, number: int) -> bool:
    """Return whether a geometry has forces of CCSD(T): the first ones of the test."""
    return tested(number) and sum(map(tested, range(number))) < CHECKED.get(name, 16)


def geometries(name: str, number: int, folder: Path) -> list[Atoms]:
    """Return the first geometries of a molecule, from their file as far as it has them."""
    file = folder / "geometries" / f"{name}.extxyz"
    before = read(file, ":") if file.exists() else []
    missing = [geometry(name, one) for one in range(len(before), number)]
    if missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file.with_suffix(".part"), before + missing, format="extxyz")
        file.with_suffix(".part").replace(file)
    return (before + missing)[:number]


def label(molecules: Sequence[Atoms], fidelity: str, engine: EngineSettings, folder: Path) -> None:
    """Label molecules in a folder; say of which there is no label."""
    if not molecules:
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.with_suffix(".extxyz")
    write(file, molecules, format="extxyz")
    done = label_structures(read_structures(file), fidelity, engine, folder)
    for structure, reason in done.failed.items():
        print(f"{structure}: {reason}", file=sys.stderr)


def every_level(name: str, molecules: Sequence[Atoms], folder: Path) -> None:
    """Label geometries of a molecule by GFN2, MP2 and CCSD(T)."""
    label(molecules, "gfn2", GFN2, folder / "gfn2" / name)
    label(molecules, "mp2", MP2, folder / "mp2" / name)
    label(molecules, "ccsdt", CLUSTER, folder / "ccsdt-energies" / name)


def check(name: str, molecules: Sequence[Atoms], folder: Path) -> None:
    """Label the geometries that have forces of CCSD(T)."""
    chosen = [one for number, one in enumerate(molecules) if checked(name, number)]
    label(chosen, "ccsdt", CLUSTER_FORCES, folder / "ccsdt" / name)


def scan(name: str, folder: Path) -> None:
    """Label the points of the MP2 path of a molecule at every level."""
    file = folder / "paths" / f"{name}.extxyz"
    if not file.exists():
        points = [Atoms(one.numbers, one.positions) for one in path(name, "mp2", 0.02)]
        for number, (atoms, value) in enumerate(zip(points, PATHS[name][1], strict=True)):
            atoms.info = {"structure_id": f"{name}_scan_{number:02d}", "molecule": name, "coordinate": value}
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, points)
    points = read(file, ":")
    for level, engine in (("gfn2", GFN2), ("mp2", MP2), ("ccsdt-energies", CLUSTER)):
        label(points, level.removesuffix("-energies"), engine, folder / level / f"{name}-scan")


def equilibrium(name: str, level: str, folder: Path) -> None:
    """Relax the minima of a molecule on a level, and write their energies, places and harmonic modes."""
    file = folder / "equilibria" / f"{level}-{name}.json"
    if file.exists():
        return
    entries = []
    for guess in MINIMA[name]:
        atoms = relaxed(guess, level, fmax=0.002)  # not from GFN2: its H2O2 is planar, a saddle elsewhere
        modes = vibrations(atoms, Level(level))
        if modes.n_imaginary:
            raise RuntimeError(f"A minimum of {name} on {level} has an imaginary mode.")
        entries.append(
            {
                "symbols": atoms.get_chemical_symbols(),
                "positions": atoms.positions.round(6).tolist(),
                "energy": float(atoms.get_potential_energy()),
                "wavenumbers": modes.wavenumbers.round(2).tolist(),
            }
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(entries))


def single_atoms(folder: Path) -> None:
    """Label single atoms, each in its ground state, at the levels of PySCF."""
    atoms = [Atoms(symbol, info={"structure_id": f"atom_{symbol}"}) for symbol in ATOMS]
    for level, engine in (("mp2", MP2), ("ccsdt-energies", CLUSTER), ("b3lyp", HYBRID)):
        label(atoms, level.removesuffix("-energies"), engine, folder / level / "atoms")


def steps(number: int, folder: Path) -> Iterator[str]:
    """Do the work, the cheapest and most useful first, and yield what was done."""
    for upto in range(ROUND, number + ROUND, ROUND):
        for name in ORDER:
            every_level(name, geometries(name, min(upto, number), folder), folder)
            yield f"{min(upto, number)} geometries of {name}"
        if upto == ROUND:
            single_atoms(folder)
            for name in PATHS:
                scan(name, folder)
                yield f"the path of {name}"
            for level, names in (("gfn2", ORDER), ("mp2", ORDER)):
                for name in names:
                    equilibrium(name, level, folder)
                    yield f"minima of {name} on {level}"
        for name in ORDER[:QUICK]:
            check(name, geometries(name, min(upto, number), folder), folder)
            yield f"forces of CCSD(T) among the first {min(upto, number)} of {name}"
    for name in ORDER[QUICK:]:
        check(name, geometries(name, number, folder), folder)
        yield f"forces of CCSD(T) of {name}"
    for name in SMALL:
        equilibrium(name, "ccsdt", folder)
        yield f"minima of {name} on CCSD(T)"
    for name in MINIMA:
        if name in PATHS:
            label(read(folder / "paths" / f"{name}.extxyz", ":"), "b3lyp", HYBRID, folder / "b3lyp" / f"{name}-scan")
        label(geometries(name, min(HYBRIDS, number), folder), "b3lyp", HYBRID, folder / "b3lyp" / name)
        yield f"B3LYP of {name}"


def more(names: Sequence[str], first: int, number: int, folder: Path) -> Iterator[str]:
    """Label geometries from number ``first`` on, and nothing else, and yield what was done."""
    for upto in range(first + ROUND, number + ROUND, ROUND):
        for name in names:
            wanted = range(first, min(upto, number))
            every_level(name, [geometry(name, one) for one in wanted], folder)
            yield f"geometries {wanted[0]} to {wanted[-1]} of {name}"


def main() -> None:
    """Make all labels that are missing."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the labels go")
    parser.add_argument("--number", type=int, default=240, help="geometries of each molecule (default %(default)s)")
    parser.add_argument("--first", type=int, help="begin at this number, and make nothing but geometries")
    parser.add_argument("--molecules", nargs="+", choices=ORDER, default=ORDER, help="of --first: these alone")
    given = parser.parse_args()
    if given.first is None:
        work = steps(given.number, given.folder)
    else:
        work = more(given.molecules, given.first, given.number, given.folder)
    for done in work:
        print(done, flush=True)


if __name__ == "__main__":
    main()
