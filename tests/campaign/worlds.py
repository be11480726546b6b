"""Small campaigns: cells of carbon and oxygen whose truth is a readout of a pair backbone, computed or looked up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rung import RungCalculator
from rung.backends import export
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential
from rung.run.evaluation import predict
from tests.fit.pair_world import geometries, pair_base, truth

KNOWN = {"name": "known", "files": ["known.extxyz"], "forces": False}
EXACT = {"name": "ase", "calculator": "tests.campaign.worlds:exact_calculator", "trusted": True, "forces": False}


def exact_potential() -> ReadoutPotential:
    """The base with the surface that the labels come from."""
    base = pair_base()
    return base.with_surface("high", truth(base, 0.1))


def exact_calculator() -> RungCalculator:
    """The potential that the labels come from."""
    return RungCalculator(exact_potential(), fidelity="high")


def labelled(structures: list[Structure], *fidelities: str) -> list[Structure]:
    """Return structures with exact energies of fidelities."""
    potential = exact_potential()
    said = {name: predict(potential, structures, name) for name in fidelities}
    return [
        replace(
            one,
            labels={
                name: replace(empty_labels(len(one)), energy=float(each.energy[k]), forces=each.forces[k])
                for name, each in said.items()
            },
        )
        for k, one in enumerate(structures)
    ]


def build(folder: Path, n_train: int = 24) -> Path:
    """Write a base, a pool without labels of the target, what is known of it, and files of questions."""
    folder.mkdir(parents=True, exist_ok=True)
    export(pair_base(), "low", folder / "base.pair")
    train = geometries(n_train)
    write_structures(folder / "train.extxyz", labelled(train, "low"))
    write_structures(folder / "known.extxyz", labelled(train, "low", "high"))
    others = [replace(one, structure_id=f"other-{k}") for k, one in enumerate(geometries(8, seed=9))]
    write_structures(folder / "test.extxyz", labelled(others[4:], "low", "high"))
    terms = [replace(one, info={"coefficient": sign}) for one, sign in zip(others[::2][:2], (1.0, -1.0), strict=True)]
    write_structures(folder / "sum.extxyz", terms)
    for name, one in zip(("initial", "final"), others[:3:2], strict=True):
        write_structures(folder / f"{name}.extxyz", [replace(one, structure_id=name)])
    return folder


def told(folder: Path, **changes: Any) -> Path:
    """Write ``campaign.yaml`` with ``changes`` of its keys and return its path."""
    values: dict[str, Any] = {
        "run": "campaign",
        "fidelities": {"low": {}, "high": {}},
        "target": "high",
        "base": {"file": "base.pair", "fidelity": "low"},
        "data": {"train": "train.extxyz"},
        "method": {"name": "readout"},
        "questions": {"reaction": {"kind": "sum", "structures": "sum.extxyz", "tolerance": 1e-6, "propose": False}},
        "budget": {"labels": 12},
        "batch": 3,
        "stderr": [0.002],
        "engine": KNOWN,
        **changes,
    }
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    return path


BARRIER: dict[str, Any] = {
    "kind": "barrier",
    "initial": "initial.extxyz",
    "final": "final.extxyz",
    "images": 3,
    "band": {"relax_endpoints": False, "fmax": 1000.0, "climb": False, "interpolation": "linear"},
    "tolerance": 0.02,
    "propose": True,
}
"""A band that counts as relaxed at once."""


def exact(folder: Path, names: list[str]) -> np.ndarray:
    """Return the true energies of structures, eV."""
    known = {one.structure_id: one.labelled("high").energy for one in read_structures(folder / "known.extxyz")}
    return np.array([known[name] for name in names])
