"""The plain objective of ``readout_fit.py``: its data, its value, and its minimum from cached designs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.backends import load_base
from rung.data.batch import collate
from rung.data.labels import Array
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure, composition_matrix
from rung.features.cache import DesignCache
from rung.features.design import Design
from rung.features.passes import build_designs
from rung.fit.linear.gaussian import MODEL_ERROR, EnergyData, LinearModel, PriorComponent
from rung.model.potential import ReadoutPotential

LOW, TARGET = "pbe", "r2scan"
SIGMA = 0.04  # eV; the labels' own lie between 0.02 and 0.06
TAU = 0.3  # eV/Å


@dataclass(frozen=True)
class Task:
    """What both sides fit: structures with energies (eV) and forces (eV/Å) in the order of the structures."""

    base: ReadoutPotential
    structures: list[Structure]
    energies: Array
    energy_stderr: Array
    forces: list[Array]

    @property
    def sizes(self) -> Array:
        return np.array([len(structure) for structure in self.structures], dtype=float)

    @property
    def weights(self) -> tuple[float, float]:
        """Of the mean squares of energy errors per atom and of force components: what mace takes as its weights."""
        n_weights = len(self.base.surface(LOW).readout.weights)
        return (self.sizes.mean() / SIGMA) ** 2, 3.0 * n_weights / (len(self.structures) * TAU**2)


def load_task(folder: Path, n_structures: int) -> Task:
    base = load_base(folder / "base.model", fidelity=LOW)
    frames = [frame for frame in read_structures(folder / "train.extxyz") if frame.labelled(TARGET).has_energy]
    frames = frames[:n_structures]
    designs = build_designs(frames, base.backbone, base.surface(LOW).readout, forces=False, fidelity=LOW)
    labels = np.array([frame.labelled(TARGET).energy for frame in frames])
    elements = sorted(base.elements)
    composition = composition_matrix(frames, elements)
    missing = labels - base_energies(base, designs)
    change = np.linalg.lstsq(composition, missing, rcond=None)[0]  # the change of E0, fixed for both sides
    return Task(
        base=base,
        structures=frames,
        energies=labels - composition @ change,
        energy_stderr=np.array([frame.labelled(TARGET).energy_stderr for frame in frames]),
        forces=[base_forces(base, frame) for frame in frames],
    )


def base_forces(base: ReadoutPotential, structure: Structure) -> Array:
    batch = collate([structure], [LOW], base.cutoff, dtype=base.dtype, names=base.fidelities)
    forces = base.predict(batch).forces
    if forces is None:
        raise SystemExit("The base gave no forces.")
    return forces.double().numpy().reshape(-1)


def base_energies(base: ReadoutPotential, designs: Sequence[Design]) -> Array:
    surface = base.surface(LOW)
    reference = np.array([surface.reference.energies[element] for element in sorted(base.elements)])
    return np.array(
        [
            design.energy @ surface.readout.weights
            + design.composition @ reference
            + design.n_atoms * surface.readout.constant
            + design.fixed_energy
            for design in designs
        ]
    )


def rows_of(task: Task, designs: Sequence[Design]) -> tuple[Array, Array, Array, Array]:
    """Return matrix and target of energies, then of forces, as functions of the change of the weights."""
    weights = task.base.surface(LOW).readout.weights
    energy_rows = np.array([design.energy for design in designs])
    force_rows = np.vstack([design.forces for design in designs])
    fixed = np.concatenate([design.fixed_forces for design in designs])
    energy_target = task.energies - base_energies(task.base, designs)
    force_target = np.concatenate(task.forces) - fixed - force_rows @ weights
    return energy_rows, energy_target, force_rows, force_target


def objective(task: Task, rows: tuple[Array, Array, Array, Array], change: Array) -> float:
    energy_rows, energy_target, force_rows, force_target = rows
    energy_weight, forces_weight = task.weights
    energy = (energy_rows @ change - energy_target) / task.sizes
    force = force_rows @ change - force_target
    return float(energy_weight * np.mean(energy**2) + forces_weight * np.mean(force**2))


def solve(task: Task, rows: tuple[Array, Array, Array, Array]) -> Array:
    """Return the minimum of J by the solver that every fit of rung uses: forces as a band, energies as data."""
    energy_rows, energy_target, force_rows, force_target = rows
    n_structures, n_components = len(energy_target), len(force_target)
    energy_weight, forces_weight = task.weights
    band = PriorComponent(
        "tau",
        gram=force_rows.T @ force_rows,
        offset=force_rows.T @ force_target,
        directions=np.zeros((energy_rows.shape[1], 0)),
        direction_stderr=np.zeros(0),
    )
    data = EnergyData(
        design=energy_rows,
        composition=np.zeros((n_structures, 0)),
        target=energy_target,
        statistical=np.diag(task.sizes**2 * n_structures / energy_weight),
        model=np.diag(task.sizes),
    )
    fitted = LinearModel([band], data).posterior({"tau": np.sqrt(n_components / forces_weight), MODEL_ERROR: 0.0})
    return fitted.mean


def reference_minimum(task: Task, rows: tuple[Array, Array, Array, Array]) -> float:
    """Return the minimum of J by numpy's least squares, which shares nothing with rung's solver."""
    energy_rows, energy_target, force_rows, force_target = rows
    energy_weight, forces_weight = task.weights
    energy_scale = np.sqrt(energy_weight / len(energy_target)) / task.sizes
    force_scale = np.sqrt(forces_weight / len(force_target))
    matrix = np.vstack([energy_scale[:, None] * energy_rows, force_scale * force_rows])
    target = np.concatenate([energy_scale * energy_target, force_scale * force_target])
    return objective(task, rows, np.linalg.lstsq(matrix, target, rcond=None)[0])


def designs_of(task: Task, cache: DesignCache) -> list[Design]:
    readout = task.base.surface(LOW).readout
    return build_designs(task.structures, task.base.backbone, readout, forces=True, fidelity=LOW, cache=cache)
