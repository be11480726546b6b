"""Derivatives that the fit of all layers needs: of energies and forces by weights, of designs along directions."""

from collections.abc import Sequence

import numpy as np

from rung.data.batch import by_atoms
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.features.weights import energy_row, force_row, moving_tensors, require_memory
from rung.fit.lift import Base
from rung.fit.linear.course import ATOMS_AT_ONCE
from rung.fit.linear.spans import Rows
from rung.model.predictions import predict_structures
from rung.model.tangent import TangentRow
from rung.model.trainable import TrainablePotential
from rung.progress import SILENT, Progress

STEP = 0.003
"""Å; of each component of an atom's position, for derivatives of designs by differences."""


def energies_of(model: TrainablePotential, structures: Sequence[Structure], target: str) -> Array:
    """Return total energies, eV, shape ``(S,)``."""
    batches = by_atoms(structures, ATOMS_AT_ONCE)  # those of the course, to the last digit
    return np.array([one.energy for one in predict_structures(model, batches, target, forces=False)])


def derivative_rows(
    model: TrainablePotential,
    labelled: Sequence[Structure],
    train: Sequence[Structure],
    target: str,
    layers: str,
    *,
    probes: int = 0,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Rows:
    """Return one row per energy, by one reverse pass each, and one per probe, by one double pass each.

    Parameters
    ----------
    model
        The base, as a module at ``target``.
    labelled, train
        Structures whose energies are fitted, and those of which random ones are probed.
    layers
        A regular expression: which tensors move.
    probes
        How many random directional derivatives of forces.
    seed
        Of the probed structures and their directions.

    Raises
    ------
    ConfigError
        When no tensor matches ``layers``, or the rows do not fit into the machine's memory.
    """
    moving = moving_tensors(model, layers)
    model.train()
    random = np.random.default_rng(seed)
    probed = [train[k] for k in random.integers(0, len(train), probes)]
    tensors, sizes = [*moving.values()], [tensor.numel() for tensor in moving.values()]
    require_memory(len(labelled) + len(probed), sum(sizes))
    stacked = np.empty((len(labelled) + len(probed), sum(sizes)))
    anchor, data = list[float](), list[TangentRow]()
    with progress.task("Derivatives by weights", len(labelled) + len(probed)) as task:
        for structure in labelled:
            stacked[len(data)] = energy_row(model, structure, target, tensors)
            data.append(TangentRow(_bare(structure)))
            task.advance()
        for structure in probed:
            direction = random.normal(size=(len(structure), 3)) / np.sqrt(len(structure))
            along, stacked[len(data)] = force_row(model, structure, target, tensors, direction)
            anchor.append(along)
            data.append(TangentRow(_bare(structure), direction))
            task.advance()
    names = [model.layer_of(name) for name in moving]
    groups = tuple(dict.fromkeys(names))
    owner = np.repeat([groups.index(name) for name in names], sizes)
    return Rows(stacked, np.array(anchor), groups, owner, tuple(moving), tuple(data))


def _bare(structure: Structure) -> Structure:
    return Structure(structure.atoms, structure.structure_id, {})


def design_derivatives(base: Base, structures: Sequence[Structure], random: np.random.Generator) -> Array:
    """Return u·∂a/∂x of the base's energy design of each structure along a random u, by central differences."""
    directions = [random.normal(size=(len(one), 3)) for one in structures]
    designs = [
        base.energy_designs(
            [displaced(one, sign * STEP * along) for one, along in zip(structures, directions, strict=True)], None
        )
        for sign in (1.0, -1.0)
    ]
    return np.array([(ahead.energy - behind.energy) / (2.0 * STEP) for ahead, behind in zip(*designs, strict=True)])


def displaced(structure: Structure, by: Array) -> Structure:
    """Return an unlabelled structure whose atoms are moved, Å, shape ``(N, 3)``."""
    atoms = structure.atoms.copy()
    atoms.positions += by
    return Structure(atoms, structure.structure_id, {})
