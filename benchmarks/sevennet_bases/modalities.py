"""SevenNet-MF-0 at two levels: the base speaks PBE, and the truth is the modality R2SCAN of the same file.

So the truth is known everywhere, forces too. **Both levels are a pretrained potential, not ab initio calculations.**
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import sevenn
from ase import Atoms

from rung.backends import load_base
from rung.data.labels import empty_labels
from rung.data.readers.structures import READING, read_structures, write_structures
from rung.data.structure import Structure
from rung.run.evaluation import predict

CHECKPOINT = Path(sevenn.__file__).parent / "pretrained_potentials" / "SevenNet_MF_0" / "checkpoint_sevennet_mf_0.pth"
LOW, HIGH = "pbe", "r2scan"
HEADS = {LOW: "PBE", HIGH: "R2SCAN"}
FIDELITIES = {
    LOW: {"level_of_theory": "PBE as SevenNet-MF-0 has it (model-made)"},
    HIGH: {"level_of_theory": "R2SCAN as SevenNet-MF-0 has it (model-made)"},
}


def labelled_once(path: Path, structures: Sequence[Structure], *, forces: bool = True) -> list[Structure]:
    """Return structures with the labels of both modalities in place of their own; ``path`` keeps them."""
    if not path.exists():
        write_structures(path, labelled(structures, forces=forces))
    return read_structures(path)


def labelled(structures: Sequence[Structure], *, forces: bool = True) -> list[Structure]:
    """Return structures with exact energies of both modalities, and forces of both where asked."""
    bare = [Structure(_bare(one.atoms), one.structure_id, {}, _of_file(one)) for one in structures]
    both = load_base(CHECKPOINT, fidelity=LOW, head=HEADS)
    said = {fidelity: predict(both, bare, fidelity, forces=forces) for fidelity in HEADS}
    found = []
    for place, one in enumerate(bare):
        labels = {}
        for fidelity, prediction in said.items():
            labels[fidelity] = replace(empty_labels(len(one.atoms)), energy=float(prediction.energy[place]))
            if forces:
                labels[fidelity] = replace(labels[fidelity], forces=prediction.forces[place])
        found.append(replace(one, labels=labels))
    return found


def with_noise(structures: Sequence[Structure], stderr: float, rng: np.random.Generator) -> list[Structure]:
    """Return structures whose target has an energy alone, with noise of ``stderr`` eV a cell."""
    found = []
    for one in structures:
        exact = one.labels[HIGH]
        noisy = replace(
            empty_labels(len(one.atoms)), energy=exact.energy + rng.normal(0.0, stderr), energy_stderr=stderr
        )
        found.append(replace(one, labels={**one.labels, HIGH: noisy}))
    return found


def _of_file(one: Structure) -> dict[str, object]:
    return {key: value for key, value in one.info.items() if key != READING}


def _bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
