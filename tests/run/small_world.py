"""A small world on disk: a tiny MACE base, molecules labelled by it and by a readout of it that was moved, a config."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase.build import molecule

from rung.backends import export
from rung.backends.mace import wrap
from rung.checkpoint import save
from rung.data.labels import Labels, empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential, Surface
from rung.run.evaluation import predict
from tests.geometries import rattled
from tests.mace_models import tiny_mace
from tests.several_fidelities import several

NAMES = ("H2O", "CH4", "CO2", "CH3OH")


@dataclass(frozen=True)
class SmallWorld:
    """Files in ``folder``, and the two potentials that labelled them.

    ``low`` is the base; ``high`` has the same backbone, other readout weights and other reference energies, so a
    readout fit can find it.
    """

    folder: Path
    low: ReadoutPotential
    high: ReadoutPotential

    def config(self, name: str = "config.yaml", **changes: Any) -> Path:
        """Write a config with ``changes`` of its keys (None removes one) and return its path."""
        values: dict[str, Any] = {
            "run": "run",
            "fidelities": {"low": {}, "high": {"level_of_theory": "the truth"}},
            "target": "high",
            "base": {"file": "base.model", "fidelity": "low"},
            "data": {"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}},
            "method": {"name": "readout"},
            **changes,
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
        return path


def potentials() -> tuple[ReadoutPotential, ReadoutPotential]:
    """Return the base and the truth, the latter under ``high``."""
    low = wrap(tiny_mace(scale=1.3), "low")
    surface = low.surface("low")
    rng = np.random.default_rng(7)
    moved = surface.readout.moved(
        0.2 * np.abs(surface.readout.weights).mean() * rng.normal(size=surface.readout.weights.shape)
    )
    elements = surface.reference.elements
    high = Surface(moved, surface.reference.moved(elements, np.array([3.0, -40.0, 25.0])))
    return low, low.with_surface("high", high)


def build_world(
    folder: Path, n_train: int = 16, n_test: int = 6, n_labelled: int = 10, stderr: float = 0.002
) -> SmallWorld:
    """Write base, training and test structures; the first ``n_labelled`` training frames have ``high`` energies."""
    low, high = potentials()
    folder.mkdir(parents=True, exist_ok=True)
    export(low, "low", folder / "base.model")
    train = labelled(frames("train", n_train, 100), low, high)
    rng = np.random.default_rng(5)
    few = [
        with_high(frame, frame.labelled("high").energy + stderr * rng.normal() if k < n_labelled else np.nan, stderr)
        for k, frame in enumerate(train)
    ]
    write_structures(folder / "train.extxyz", few)
    write_structures(folder / "test.extxyz", labelled(frames("test", n_test, 500), low, high))
    return SmallWorld(folder, low, high)


def build_conditioned_world(folder: Path, n_train: int = 8, n_test: int = 4) -> SmallWorld:
    """Write the same around a base whose features depend on the fidelity: it offers ``low`` and ``high``.

    The base labelled all structures itself, so that its errors are those of the offset alone.
    """
    base = several("all", (("hidden", "6x0e"), ("max_ell", 1), ("scale", 1.3)))
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "base.rung", base, metadata={"target": "high"})
    save(folder / "folded.rung", base.at("low"), metadata={"target": "low"})
    write_structures(folder / "train.extxyz", labelled(frames("train", n_train, 100), base, base))
    write_structures(folder / "test.extxyz", labelled(frames("test", n_test, 500), base, base))
    return SmallWorld(folder, base, base)


def frames(name: str, count: int, seed: int) -> list[Structure]:
    """Return rattled molecules of four formulas."""
    return [
        Structure(rattled(molecule(NAMES[k % len(NAMES)]), seed + k, 0.08), f"{name}-{k:03d}", {}) for k in range(count)
    ]


def labelled(structures: list[Structure], low: ReadoutPotential, high: ReadoutPotential) -> list[Structure]:
    """Return structures with the energies and forces of both potentials."""
    said = {"low": predict(low, structures, "low"), "high": predict(high, structures, "high")}
    return [
        replace(
            structure,
            labels={
                name: replace(empty_labels(len(structure)), energy=float(found.energy[k]), forces=found.forces[k])
                for name, found in said.items()
            },
        )
        for k, structure in enumerate(structures)
    ]


def with_high(structure: Structure, energy: float, stderr: float) -> Structure:
    """Return a structure whose only ``high`` label is an energy; none where it is NaN."""
    labels: dict[str, Labels] = {"low": structure.labels["low"]}
    if np.isfinite(energy):
        labels["high"] = replace(empty_labels(len(structure)), energy=energy, energy_stderr=stderr)
    return replace(structure, labels=labels)
