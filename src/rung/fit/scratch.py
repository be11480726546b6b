"""``scratch``: a new model, trained on the target's own energies and forces. This is how a base is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import atomic_numbers
from pydantic import field_validator

from rung.backends import torch_dtype
from rung.backends.training import build_trainable
from rung.data.labels import Array
from rung.data.stream import PackedRows, pack
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.errors import ConfigError, DataError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.composition import fit_composition
from rung.fit.heldout import hold_out
from rung.fit.method import Context, FitResult
from rung.fit.outcome import result_of
from rung.fit.stages import TrainingSettings
from rung.fit.trainer import train as run_training
from rung.model.architecture import MaceArchitecture
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.settings import Settings


class ScratchSettings(Settings):
    """Train a new model on the target alone."""

    name: Literal["scratch"] = "scratch"
    architecture: MaceArchitecture = MaceArchitecture()
    """The shape of the model."""
    training: TrainingSettings = TrainingSettings()
    """How it is trained."""
    reference_energies: dict[str, float] | None = None
    """eV by element symbol, such as those of isolated atoms; by default least squares on the training energies."""

    @field_validator("reference_energies")
    @classmethod
    def _are_elements(cls, energies: dict[str, float] | None) -> dict[str, float] | None:
        unknown = [symbol for symbol in energies or {} if symbol not in atomic_numbers]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not an element")
        return energies


@dataclass(frozen=True)
class Normalisation:
    """What a new model starts from, measured on the training rows.

    Parameters
    ----------
    reference
        Reference energies.
    scale
        Root mean square of the force components, eV/Å; without forces, of the energies per atom, eV.
    shift
        Mean interaction energy per atom, eV; zero where reference energies were fitted, for they hold it.
    avg_num_neighbors
        Mean number of neighbours of an atom.
    warnings
        What the compositions did not tell.
    """

    reference: ReferenceEnergies
    scale: float
    shift: float
    avg_num_neighbors: float
    warnings: tuple[str, ...]


def scratch(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: ScratchSettings,
    context: Context,
) -> FitResult:
    """Fit ``target`` by a new model trained on ``train``; ``valid`` says when to stop.

    Raises
    ------
    ConfigError
        When a base is given: it would not be used.
    DataError
        When a validation structure holds an element that no training structure does.
    FitError
        When nothing is labelled, or the training diverges.
    """
    require_fidelity(target, fidelities)
    if base is not None:
        raise ConfigError(
            "The method 'scratch' trains a new model and uses no base; the method 'transfer' starts from one."
        )
    training = settings.training
    kept, held = hold_out(train, valid, target, training.valid_fraction, context.seed)
    elements = elements_in(kept)
    refuse_strangers(held, elements)
    cutoff = settings.architecture.cutoff
    rows = pack(kept, [target] * len(kept), cutoff, known=(target,), progress=context.progress)
    held_rows = pack(held, [target] * len(held), cutoff, known=(target,)) if held else None
    start = normalisation(kept, rows, elements, settings.reference_energies, training.loss.energy_floor)
    dtype = torch_dtype(context.dtype)
    assert dtype is not None  # noqa: S101 - only None gives None
    model = build_trainable(
        settings.architecture,
        references={target: start.reference},
        elements=elements,
        avg_num_neighbors=start.avg_num_neighbors,
        scales={target: (start.scale, start.shift)},
        seed=context.seed,
        dtype=dtype,
    )
    trained = run_training(
        model,
        rows,
        held_rows,
        training,
        seed=context.seed,
        device=context.device,
        dtype=dtype,
        folder=context.folder,
        progress=context.progress,
    )
    facts = {"scale": start.scale, "shift": start.shift, "avg_num_neighbors": start.avg_num_neighbors}
    return result_of(model, trained, settings, rows, held_rows, facts, start.warnings)


def normalisation(
    structures: Sequence[Structure],
    rows: PackedRows,
    elements: Sequence[int],
    given: Mapping[str, float] | None,
    floor: float,
) -> Normalisation:
    """Measure what a new model starts from.

    Parameters
    ----------
    structures, rows
        The training structures, and the same packed.
    elements
        Atomic numbers, ascending.
    given
        Reference energies by symbol that the user gave, or None to fit them.
    floor
        eV/atom; see :func:`~rung.fit.composition.fit_composition`.

    Raises
    ------
    ConfigError
        When ``given`` misses an element.
    """
    neighbours = len(rows.edges) / max(1, int(rows.atom_start[-1]))
    warnings: tuple[str, ...] = ()
    if given is None:
        fit = fit_composition(structures, rows.energy, rows.energy_stderr, elements, floor)
        reference = ReferenceEnergies(dict(zip(elements, fit.energies.tolist(), strict=True)))
        residual, warnings, shift = fit.residual / rows.n_atoms, fit.warnings, 0.0
    else:
        reference = _given(given, elements)
        constants = np.array([reference.energies[number] for number in elements])
        residual = (rows.energy - composition_matrix(structures, elements) @ constants) / rows.n_atoms
        finite = residual[np.isfinite(residual)]
        shift = float(finite.mean()) if len(finite) else 0.0
    return Normalisation(reference, _scale(rows.forces, residual - shift), shift, max(neighbours, 1e-3), warnings)


def _given(given: Mapping[str, float], elements: Sequence[int]) -> ReferenceEnergies:
    energies = {atomic_numbers[symbol]: float(energy) for symbol, energy in given.items()}
    missing = sorted(set(elements) - set(energies))
    if missing:
        raise ConfigError(f"reference_energies has no energy for the atomic numbers {missing} of the training data.")
    return ReferenceEnergies({number: energies[number] for number in elements})


def _scale(forces: Array, residual: Array) -> float:
    """Return the root mean square of forces, or else of energies per atom, or else 1: a scale of 0 never learns."""
    for values in (forces[np.isfinite(forces)], residual[np.isfinite(residual)]):
        size = float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
        if size > 1e-8:
            return size
    return 1.0


def refuse_strangers(structures: Sequence[Structure], elements: Sequence[int]) -> None:
    """Raise where ``structures`` hold an element that is not among ``elements``."""
    strange = sorted(set(elements_in(structures)) - set(elements))
    if strange:
        raise DataError(f"Structures hold the atomic numbers {strange}, which the model does not know.")
