"""Make one file of the labels that there are, and one of the reference values: minima, modes, barriers and atoms.

    python examples/molecules/assemble.py FOLDER OUT
    python examples/molecules/assemble.py FOLDER OUT --with EARLIER    # EARLIER: what this wrote before

Only geometries with labels of GFN2, MP2 and CCSD(T) are taken. Those of a T1 diagnostic above 0.03 are left out: one
determinant does not do there, and coupled cluster is no truth.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from labels import ATOMS, tested

from geometries import MINIMA, PATHS
from rung import read_structures, write_structures
from rung.data.labels import Labels
from rung.data.structure import Structure
from rung.demo.molecules import number_of
from rung.results.label import LabelRecord
from rung.storage import write_text

NEEDED = ("gfn2", "mp2", "ccsdt")

FOLDERS = {"gfn2": "gfn2", "mp2": "mp2", "b3lyp": "b3lyp", "ccsdt-energies": "ccsdt", "ccsdt": "ccsdt"}
"""Folders of labels, and what the labels are called; a later one counts: forces of CCSD(T) come with the energy."""

HIGHEST_T1 = 0.03
"""Above it a geometry is left out; 0.02 is where coupled cluster becomes doubtful."""


def labelled(part: str, folder: Path) -> dict[str, Structure]:
    """Return the structures of a part with every label that the folders have of them, and with their T1."""
    merged: dict[str, Structure] = {}
    for place, fidelity in FOLDERS.items():
        where = folder / place / part
        for one in read_structures(where / "labels.extxyz") if (where / "labels.extxyz").exists() else ():
            before = merged.get(one.structure_id)
            if before is None:
                info = {key: one.info[key] for key in ("molecule", "coordinate") if key in one.info}
                before = replace(one, labels={}, info=info)
            labels = {**before.labels, fidelity: rounded(one.labelled(fidelity))}
            merged[one.structure_id] = replace(before, labels=labels, info={**before.info, **t1_of(one, where)})
    return merged


def rounded(labels: Labels) -> Labels:
    """Return labels to 1 µeV and 1 µeV/Å, which is more than they converge to."""
    return replace(labels, energy=round(labels.energy, 6), forces=np.round(labels.forces, 6) + 0.0)


def t1_of(structure: Structure, folder: Path) -> dict[str, float]:
    """Return the T1 diagnostic of a label, where it has one."""
    source = next(str(value) for key, value in structure.info.items() if key.endswith("_sources"))
    details = LabelRecord.read(folder / source / "job" / "metrics.json").details
    return {"t1_diagnostic": round(details["t1_diagnostic"], 5)} if "t1_diagnostic" in details else {}


def frames(folder: Path) -> Iterator[Structure]:
    """Yield the labelled geometries of every molecule, each with the part that it belongs to."""
    for name in MINIMA:
        dropped = 0
        for one in sorted(labelled(name, folder).values(), key=number_of):
            if not complete(one):
                continue
            if one.info["t1_diagnostic"] > HIGHEST_T1:
                dropped += 1
                continue
            yield replace(one, info={**one.info, "part": part_of(number_of(one))})
        if dropped:
            print(f"{name}: {dropped} geometries have a T1 above {HIGHEST_T1}, and are left out", file=sys.stderr)
        scan = sorted(labelled(f"{name}-scan", folder).values(), key=number_of)
        if all(map(complete, scan)):
            yield from (replace(one, info={**one.info, "part": "scan"}) for one in scan)


def complete(structure: Structure) -> bool:
    """Return whether a structure has the energies of all levels that each has."""
    return all(structure.labelled(level).has_energy for level in NEEDED)


def part_of(number: int) -> str:
    """Return the part of a geometry by its number: of each ten, seven train, one validates, and two test."""
    return "test" if tested(number) else "valid" if number % 10 == 7 else "train"


def references(structures: Sequence[Structure], folder: Path) -> dict[str, Any]:
    """Return minima and modes, paths with their barriers, and energies of single atoms, by level."""
    equilibria: dict[str, dict[str, Any]] = {}
    for file in sorted((folder / "equilibria").glob("*.json")):
        level, name = file.stem.split("-", 1)
        equilibria.setdefault(level, {})[name] = json.loads(file.read_text())
    paths = {}
    for name in PATHS:
        scan = [one for one in structures if one.info["part"] == "scan" and one.info["molecule"] == name]
        if scan:
            paths[name] = path_of(scan)
    return {"equilibria": equilibria, "paths": paths, "atoms": atoms_of(folder)}


def path_of(scan: Sequence[Structure]) -> dict[str, Any]:
    """Return the energies along a path from its lowest point on each level, eV, and its barrier: the highest one."""
    energies: dict[str, Any] = {}
    for level in (*NEEDED, "b3lyp"):
        values = np.array([one.labelled(level).energy for one in scan])
        if np.isfinite(values).all():
            energies[level] = (values - values.min()).round(5).tolist()
    return {
        "coordinate": [float(one.info["coordinate"]) for one in scan],
        "energies": energies,
        "barrier": {level: max(values) for level, values in energies.items()},
    }


def atoms_of(folder: Path) -> Mapping[str, Mapping[str, float]]:
    """Return the energy of each single atom in its ground state, eV, by level."""
    atoms = labelled("atoms", folder)
    levels = {level for one in atoms.values() for level in one.labels}
    return {
        level: {name: atoms[f"atom_{name}"].labelled(level).energy for name in ATOMS if f"atom_{name}" in atoms}
        for level in sorted(levels)
    }


def merged(earlier: Sequence[Structure], later: Sequence[Structure]) -> list[Structure]:
    """Return earlier structures and later ones that are not among them, molecule by molecule, each by its numbers."""
    known = {one.structure_id for one in earlier}
    every = [*earlier, *(one for one in later if one.structure_id not in known)]
    order = list(MINIMA)

    def place(one: Structure) -> tuple[int, bool, int]:
        return order.index(str(one.info["molecule"])), one.info["part"] == "scan", number_of(one)

    return sorted(every, key=place)


def write(folder: Path, out: Path, earlier: Path | None) -> None:
    """Write ``frames.extxyz`` and ``references.json``; the latter is that of ``earlier`` where there is one."""
    structures = list(frames(folder))
    if earlier is None:
        written = references(structures, folder)
    else:
        structures = merged(read_structures(earlier / "frames.extxyz"), structures)
        written = json.loads((earlier / "references.json").read_text())
    out.mkdir(parents=True, exist_ok=True)
    write_structures(out / "frames.extxyz", structures)
    write_text(out / "references.json", json.dumps(written, indent=None) + "\n")
    counts = {part: sum(one.info["part"] == part for one in structures) for part in ("train", "valid", "test", "scan")}
    checks = sum(one.labelled("ccsdt").has_forces for one in structures)
    print(f"{len(structures)} structures: {counts}; {checks} with forces of CCSD(T)")


def main() -> None:
    """Make the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the labels are")
    parser.add_argument("out", type=Path, help="where the two files go")
    parser.add_argument("--with", type=Path, dest="earlier", metavar="EARLIER", help="a folder of two earlier files")
    given = parser.parse_args()
    write(given.folder, given.out, given.earlier)


if __name__ == "__main__":
    main()
