"""What a potential predicts for structures, batch by batch: the one loop over batches outside the training."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.model.protocols import Prediction


class Predicts(Protocol):
    """What predicts batches: a potential, or a model that trains."""

    @property
    def cutoff(self) -> float:
        """Å; the range of one edge."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of the batches."""

    @property
    def device(self) -> torch.device:
        """Where the batches come to."""

    def predict(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Return energies, and forces and stress where asked for, none of which keeps a graph of the weights."""


@dataclass(frozen=True)
class StructurePrediction:
    """What a potential predicts for one structure of ``n`` atoms.

    Parameters
    ----------
    energy
        Total energy, eV.
    atom_energies
        The same by atom, eV, shape ``(n,)``.
    forces
        eV/Å, shape ``(n, 3)``; None where not asked for.
    stress
        eV/Å³, ASE's sign, Voigt order, shape ``(6,)``, NaN without volume; None where not asked for.
    """

    energy: float
    atom_energies: Array
    forces: Array | None
    stress: Array | None


def predict_structures(
    potential: Predicts,
    batches: Iterable[Sequence[Structure]],
    fidelity: str,
    *,
    forces: bool = True,
    stress: bool = False,
) -> Iterator[StructurePrediction]:
    """Yield the prediction of each structure, one batch at a time.

    Parameters
    ----------
    potential
        What predicts.
    batches
        The structures that go through the model together, as :func:`rung.data.batch.by_count` and
        :func:`rung.data.batch.by_atoms` cut them. Other batches give other last digits.
    fidelity
        The fidelity to predict.
    forces, stress
        What to predict beside energies.

    Raises
    ------
    ConfigError
        When the potential does not offer ``fidelity``.
    ModelError
        When it does not know an element.
    """
    return predict_rows(potential, collated(potential, batches, fidelity), forces=forces, stress=stress)


def collated(potential: Predicts, batches: Iterable[Iterable[Structure]], fidelity: str) -> Iterator[Batch]:
    """Yield the batches as a potential takes them: for those who predict the same structures over and over."""
    for members in batches:
        rows = list(members)  # streamed structures are read once
        yield collate(rows, [fidelity] * len(rows), potential.cutoff, dtype=potential.dtype, device=potential.device)


def predict_rows(
    potential: Predicts, batches: Iterable[Batch], *, forces: bool = True, stress: bool = False
) -> Iterator[StructurePrediction]:
    """Yield the prediction of each row of each batch, every row at its own fidelity.

    Parameters, units and errors are those of :func:`predict_structures`.
    """
    for batch in batches:
        prediction = potential.predict(batch, forces=forces, stress=stress)
        sizes = batch.n_atoms.tolist()
        absent = [None] * len(sizes)
        parts = zip(
            prediction.energy.tolist(),
            _blocks(prediction.atom_energies, sizes),
            absent if prediction.forces is None else _blocks(prediction.forces, sizes),
            absent if prediction.stress is None else _numpy(prediction.stress),
            strict=True,
        )
        for energy, atom_energies, of_forces, of_stress in parts:
            yield StructurePrediction(energy, atom_energies, of_forces, of_stress)


def _blocks(values: Tensor, sizes: list[int]) -> list[Array]:
    """Return the values of each row's atoms."""
    return [_numpy(block) for block in values.split(sizes)]


def _numpy(values: Tensor) -> Array:
    array: Array = values.detach().double().cpu().numpy()
    return array
