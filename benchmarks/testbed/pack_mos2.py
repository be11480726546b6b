"""Pack the testbed that ``make_mos2.py`` and ``train_base.sh`` wrote into the folder that the package ships.

    python pack_mos2.py FULL_DIR OUT_DIR

Numbers are rounded (positions 1e-6 Å, forces 1e-5 eV/Å, energies 1e-5 eV, stress 1e-8 eV/Å³): far below what any
label means, and a third of the bytes.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from rung.data.labels import Labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure


def rounded(structure: Structure) -> Structure:
    """Return the structure with the digits that are kept."""
    atoms = structure.atoms.copy()
    atoms.positions = np.round(atoms.positions, 6)
    atoms.set_cell(np.round(atoms.cell.array, 6))
    labels = {name: _rounded_labels(known) for name, known in structure.labels.items()}
    return replace(structure, atoms=atoms, labels=labels)


def _rounded_labels(labels: Labels) -> Labels:
    return replace(
        labels,
        energy=round(labels.energy, 5),
        energy_stderr=round(labels.energy_stderr, 5),
        forces=np.round(labels.forces, 5),
        stress=np.round(labels.stress, 8),
    )


def named(structures: list[Structure], name: str) -> list[Structure]:
    """Return structures that a file left nameless under the name of the file and their place in it."""
    return [
        replace(structure, structure_id=f"{name}-{place}")
        if structure.structure_id.startswith("geometry-")
        else structure
        for place, structure in enumerate(structures)
    ]


def main() -> None:
    """Pack every file."""
    full, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test", "ood", "neb_pbe", "neb_r2scan"):
        structures = named([rounded(structure) for structure in read_structures(full / f"{name}.extxyz")], name)
        write_structures(out / f"{name}.extxyz", structures)
    for name in ("truth.json", "train_exact.json"):
        content = json.loads((full / name).read_text())
        (out / name).write_text(json.dumps(content, indent=1) + "\n")
    shutil.copyfile(full / "base.model", out / "base.model")


if __name__ == "__main__":
    main()
