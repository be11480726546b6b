"""A small SevenNet model of two modalities, and structures that both of them labelled."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase.build import molecule

from rung.backends import load_base
from rung.data.labels import empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.run.evaluation import predict
from tests.geometries import rattled
from tests.sevennet_models import write_sevennet

NAMES = ("H2O", "CH4", "CO2", "CH3OH")
HEADS = {"low": "a", "high": "b"}


def build_world(folder: Path, n_train: int = 12, n_test: int = 4) -> Path:
    """Write ``base.pth``, ``train.extxyz`` and ``test.extxyz``, and return the base.

    Training frames have energies and forces of ``low``, and energies of ``high``; test frames have forces of it too.
    """
    base = write_sevennet(folder / "base.pth", modalities=("a", "b"), apart=0.2, element_scales=(10.0, 10.0, 10.0))
    for name, count, seed in (("train", n_train, 100), ("test", n_test, 500)):
        write_structures(folder / f"{name}.extxyz", labelled(base, name, count, seed))
    return base


def labelled(base: Path, name: str, count: int, seed: int) -> list[Structure]:
    """Return rattled molecules with what each modality says."""
    potential = load_base(base, fidelity="low", head=HEADS, dtype="float64")
    frames = [
        Structure(rattled(molecule(NAMES[k % len(NAMES)]), seed + k, 0.08), f"{name}-{k:03d}", {}) for k in range(count)
    ]
    said = {fidelity: predict(potential, frames, fidelity) for fidelity in HEADS}
    forces = {"low": True, "high": name == "test"}
    return [
        replace(
            frame,
            labels={
                fidelity: replace(
                    empty_labels(len(frame)),
                    energy=float(found.energy[k]),
                    forces=found.forces[k] if forces[fidelity] else np.full((len(frame), 3), np.nan),
                )
                for fidelity, found in said.items()
            },
        )
        for k, frame in enumerate(frames)
    ]


def config(folder: Path, run: str, method: Mapping[str, Any], **base: Any) -> Path:
    """Write a config of a run in ``folder`` and return its path."""
    values = {
        "run": run,
        "fidelities": {"low": {}, "high": {}},
        "target": "high",
        "base": {"file": "base.pth", "fidelity": "low", "head": "a", **base},
        "data": {"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}},
        "method": dict(method),
    }
    path = folder / f"{run}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
