"""What a training on a base, or on several fidelities, should know before its first step.

Does the model start where the base is? And do two fidelities ask the same of the weights that they share? Labels of
one geometry at two fidelities ask for a change each, label minus what the model says now. Where those changes are
opposed, shared weights cannot follow both (the conflict of gradients of Yu et al., arXiv:2001.06782, seen at labels).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rung.data.batch import by_count
from rung.data.frames import places_labelled_by, select
from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure, composition_matrix
from rung.errors import counted
from rung.fidelity import require_fidelity
from rung.fit.method import StepZero
from rung.model.potential import ReadoutPotential
from rung.model.predictions import Predicts, predict_structures
from rung.model.trainable import TrainablePotential
from rung.units import MILLI

STEP_ZERO_STRUCTURES = 8
"""Structures on which the start is compared with the base."""

PAIRS = 60
"""At most so many geometries are asked what two fidelities want."""

FEWEST_PAIRS = 8
"""With fewer, a correlation says nothing."""

OPPOSED = -0.3
"""A correlation of wanted changes below this is called a conflict."""

NOTABLE = 0.2
"""A fidelity that wants less than this share of the other's change opposes nothing."""

_TOLERANCE = {torch.float32: 0.1, torch.float64: 1e-6}
"""meV/atom and meV/Å by which a start may miss the base, times the largest force in eV/Å or 1: rounding."""

_ROWS = 8


def step_zero(
    model: TrainablePotential, base: ReadoutPotential, starts: Mapping[str, str], structures: Sequence[Structure]
) -> StepZero:
    """Compare a model before its first step with the base that it came from.

    Parameters
    ----------
    model
        Its reference energies may have been fitted already; that change is taken out.
    base
        Where it came from.
    starts
        For each fidelity of the model the surface of the base that it starts from.
    structures
        A few of them, evenly spaced, are looked at, each at every fidelity.
    """
    chosen = evenly_spread(structures, STEP_ZERO_STRUCTURES)
    energy = force = largest = 0.0
    for fidelity, origin in starts.items():
        energies, model_forces = _predictions(model, chosen, fidelity)
        base_energies, base_forces = _predictions(base, chosen, origin)
        moved = _moved(model, base, fidelity, origin, chosen)
        sizes = np.array([len(structure) for structure in chosen])
        apart = np.abs(energies - base_energies - moved) / sizes
        energy = max(energy, float(apart.max()))
        force = max(force, float(np.abs(model_forces - base_forces).max()))
        largest = max(largest, float(np.abs(base_forces).max()))
    tolerance = max(tolerance_of(kind, largest) for kind in (model.dtype, base.dtype))
    return StepZero(energy * MILLI, force * MILLI, tolerance)


def tolerance_of(dtype: torch.dtype, largest: float) -> float:
    """Return the meV/atom and meV/Å by which equal models differ through rounding, given the largest force in eV/Å."""
    return _TOLERANCE[dtype] * max(1.0, largest)


@dataclass(frozen=True)
class Agreement:
    """What another fidelity asks of the weights that it shares with the target, on geometries that both label.

    Parameters
    ----------
    fidelity, target
        The two.
    n_energies
        Geometries whose two energies were compared, each beside another of its composition.
    energy
        Correlation of the wanted changes of energy per atom, compositions' means taken out: 1 where both ask the same,
        -1 where they ask the opposite; NaN where too few are known.
    energy_share
        R.m.s. of the other's wanted change over that of the target's.
    n_forces
        Force components that both label.
    force
        Cosine between the wanted changes of forces, NaN likewise.
    force_share
        As ``energy_share``.
    """

    fidelity: str
    target: str
    n_energies: int
    energy: float
    energy_share: float
    n_forces: int
    force: float
    force_share: float

    @property
    def facts(self) -> dict[str, float]:
        """The numbers for a fit's diagnostics; nothing where nothing was compared."""
        found = {"energy_agreement": self.energy, "force_agreement": self.force}
        return {f"{name}_{self.fidelity}": value for name, value in found.items() if math.isfinite(value)}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences where the two oppose each other."""
        asked = (
            ("energies", self.energy, self.energy_share, counted(self.n_energies, "geometry", "geometries")),
            ("forces", self.force, self.force_share, counted(self.n_forces, "component")),
        )
        return tuple(
            f"The {what} of {self.fidelity!r} and {self.target!r} ask the weights that they share for opposite changes "
            f"(correlation {value:.2f} on {count}): give each more of its own, lower the weight of {self.fidelity!r}, "
            "or leave it out."
            for what, value, share, count in asked
            if value < OPPOSED and share > NOTABLE
        )


def agreement(model: TrainablePotential, structures: Sequence[Structure], fidelity: str, target: str) -> Agreement:
    """Compare what two fidelities ask of a model, on at most :data:`PAIRS` geometries that both label.

    Parameters
    ----------
    model
        Offers both.
    structures
        Those that train; each stands for its labels.
    fidelity, target
        The two.
    """
    for name in (fidelity, target):
        require_fidelity(name, model.fidelities)
    paired = np.intersect1d(places_labelled_by(structures, fidelity), places_labelled_by(structures, target))
    chosen = evenly_spread(select(structures, paired), PAIRS)
    labels = [structure.labelled(name) for structure in chosen for name in (fidelity, target)]
    of_forces = bool(chosen) and all(any(label.has_forces for label in labels[part::2]) for part in (0, 1))
    wanted = {name: _wanted(model, chosen, name, forces=of_forces) for name in (fidelity, target)}
    formulas = [structure.formula for structure in chosen]
    energies = [_within(wanted[name][0], formulas) for name in (fidelity, target)]
    both = np.isfinite(energies[0]) & np.isfinite(energies[1])
    one, other = (values[both] for values in energies)
    forces = [wanted[name][1] for name in (fidelity, target)]
    known = np.isfinite(forces[0]) & np.isfinite(forces[1])
    first, second = (values[known] for values in forces)
    return Agreement(
        fidelity, target, int(both.sum()), *_compared(one, other), int(known.sum()), *_compared(first, second)
    )


def _compared(one: Array, other: Array) -> tuple[float, float]:
    """Return the cosine of two changes and the size of the first over that of the second."""
    size, reference = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if len(one) < FEWEST_PAIRS or not size or not reference:
        return math.nan, math.nan
    return float(one @ other) / (size * reference), size / reference


def _within(values: Array, formulas: Sequence[str]) -> Array:
    """Return values less the mean of their composition; NaN where one is alone in it."""
    found = np.full(len(values), np.nan)
    for formula in set(formulas):
        members = np.array([k for k, name in enumerate(formulas) if name == formula and np.isfinite(values[k])], int)
        if len(members) > 1:
            found[members] = values[members] - values[members].mean()
    return found


def _wanted(
    model: TrainablePotential, structures: Sequence[Structure], fidelity: str, *, forces: bool
) -> tuple[Array, Array]:
    """Return labels less what the model says: eV/atom, shape ``(S,)``, and eV/Å, flat, NaN where not asked for."""
    labels = [structure.labelled(fidelity) for structure in structures]
    energy, force = _predictions(model, structures, fidelity, forces=forces)
    sizes = np.array([len(structure) for structure in structures], dtype=float)
    known = np.concatenate([np.zeros((0, 3)), *(label.forces for label in labels)])
    return (np.array([label.energy for label in labels], dtype=float) - energy) / sizes, (known - force).ravel()


def _predictions(
    potential: Predicts, structures: Sequence[Structure], fidelity: str, *, forces: bool = True
) -> tuple[Array, Array]:
    """Return energies, eV, shape ``(S,)``, and forces, eV/Å, shape ``(N, 3)``, NaN where not asked for."""
    predictions = list(predict_structures(potential, by_count(structures, _ROWS), fidelity, forces=forces))
    blocks = [
        np.full((len(structure), 3), np.nan) if one.forces is None else one.forces
        for structure, one in zip(structures, predictions, strict=True)
    ]
    return np.array([one.energy for one in predictions]), np.concatenate([np.zeros((0, 3)), *blocks])


def _moved(
    model: TrainablePotential, base: ReadoutPotential, fidelity: str, origin: str, structures: Sequence[Structure]
) -> Array:
    """Return the energy, eV, by which the change of reference energies moves each structure."""
    elements = sorted(base.elements)
    now, before = model.references[fidelity].energies, base.surface(origin).reference.energies
    change = np.array([now[element] - before[element] if element in now else 0.0 for element in elements])
    found: Array = composition_matrix(structures, elements) @ change
    return found
