"""Make the labels of PBE and UCCSD(T), put those of DMC beside them, and find the saddle of both levels.

python examples/h3_qmc/labels.py FOLDER       # some 30 minutes on one core; a second call goes on
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ase.io import write
from levels import LEVELS
from saddles import Saddle

from geometries import frames
from rung import read_structures, write_structures
from rung.collect.collecting import collect
from rung.collect.settings import CollectSettings
from rung.data.structure import Structure
from rung.label.engines.ase import AseEngine
from rung.label.labelling import label_structures

HERE = Path(__file__).parent
CHECKED = slice(60, 160)
"""Frames with forces of UCCSD(T): each needs six energies more."""


def labelled(structures: Sequence[Structure], level: str, folder: Path, *, forces: bool) -> dict[str, Structure]:
    """Return structures with the labels of a level; ``rung label`` with the engine ``ase`` makes them, once."""
    engine = AseEngine(calculator=f"levels:{LEVELS[level].__name__}", forces=forces, trusted=True)
    done = label_structures(structures, level, engine, folder / (level if forces else f"{level}-energies"))
    for name, reason in done.failed.items():
        print(f"{name}: {reason}", file=sys.stderr)
    return {one.structure_id: one for one in read_structures(done.file)}


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(file)


def saddle(level: str, folder: Path) -> Mapping[str, Any]:
    """Return the saddle of a level with its modes, from its file where there is one."""
    file = folder / f"saddle.{level}.json"
    if not file.exists():
        write_json(file, asdict(Saddle.of(LEVELS[level]())))
    return json.loads(file.read_text())


def main(folder: Path) -> None:
    """Make all labels and write ``frames.extxyz`` and ``saddles.json``."""
    sys.path.insert(0, str(HERE))  # where the engine finds the levels
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "geometries.extxyz", frames())
    structures = read_structures(folder / "geometries.extxyz")
    near = [one for one in structures if not one.structure_id.startswith("chan")]
    pbe = labelled(structures, "pbe", folder, forces=True)
    cluster = labelled(near[CHECKED], "ccsdt", folder, forces=True)
    rest = [one for one in near if one.structure_id not in cluster]
    cluster |= labelled(rest, "ccsdt", folder, forces=False)
    both = [
        replace(one, labels={**pbe[one.structure_id].labels, **cluster.get(one.structure_id, one).labels})
        for one in structures
    ]
    write_structures(folder / "plain.extxyz", both)
    collect(
        CollectSettings(
            paths=(HERE / "dmc",),
            structures=(folder / "plain.extxyz",),
            fidelity="dmc",
            equilibration=0,
            out=folder / "frames.extxyz",
        )
    )
    write_json(folder / "saddles.json", {level: saddle(level, folder) for level in LEVELS})


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]))
