"""``predictions/<split>.json``: what a potential predicts for each structure of a split, with error bars and labels.

Force components are many, so they are arrays and not numbers one by one.
"""

from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, SkipValidation, model_validator

from rung.errors import counted
from rung.results.base import Atoms, Result

PREDICTIONS = "predictions"
"""The folder of these files."""

Array = NDArray[np.float64]


def _column(values: Any) -> Any:
    """Return a list of numbers as an array, NaN in the place of null."""
    return _array(values, 1)


def _blocks(values: Any) -> Any:
    """Return a list of one ``(n, 3)`` list a structure as arrays, None where there is none."""
    try:
        return tuple(None if block is None else _array(block, 2) for block in values)
    except TypeError as error:
        raise ValueError("it should be a list of one block a structure") from error


def _array(values: Any, dimensions: int) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("it should be a list of numbers") from error
    if array.ndim != dimensions or (dimensions == 2 and array.shape[1] != 3):
        raise ValueError("it should be " + ("a list of numbers" if dimensions == 1 else "three numbers an atom"))
    return array


Column = Annotated[SkipValidation[Array], BeforeValidator(_column)]
"""One number a structure, NaN where it is unknown: shape ``(S,)``."""

Blocks = Annotated[SkipValidation[tuple[Array | None, ...]], BeforeValidator(_blocks)]
"""One array of shape ``(n, 3)`` a structure of n atoms, None where it is unknown."""


class Predictions(Result):
    """Values, labels and error bars of every structure of a split, in one order."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fidelity: str
    """The fidelity of predictions and labels."""
    structure_ids: tuple[str, ...]
    """The name of each structure."""
    formulas: tuple[str, ...]
    """Its composition."""
    n_atoms: tuple[Atoms, ...]
    """How many atoms it has."""
    energy: Column
    """Predicted total energy, eV."""
    energy_stderr: Column
    """One-sigma error of the prediction against a label, posterior and model error together, eV: what all labels share
    is not in it. Null where it is not known."""
    energy_label: Column
    """The label, eV; null without one."""
    energy_stderr_label: Column
    """One-sigma statistical error of the label, eV; null without one."""
    energy_base: Column | None
    """The base's energy, its reference energies fitted to the training labels, eV; null without a base."""
    forces: Blocks
    """Predicted forces, three numbers an atom, eV/Å; null for a structure where they were not computed."""
    forces_stderr: Blocks | None
    """One-sigma error of each force component, eV/Å, likewise; null where none is known."""
    forces_label: Blocks
    """The labels, likewise; null for a structure without."""
    forces_base: Blocks | None
    """The base's forces, likewise; null without a base."""
    domain_distance: Column | None = None
    """The largest distance of an atom from the nearest training environment, in r.m.s. spreads of its element; null
    where the fit does not know."""
    outside: tuple[bool | None, ...] | None = None
    """Whether the structure is outside the domain of the fit, where error bars do not hold; likewise."""
    kind_key: str = ""
    """The entry of the frames that tells kinds apart, such as ``config_type``; empty where none does."""
    kinds: tuple[str, ...] | None = None
    """What ``kind_key`` says of each structure; null without one."""

    @model_validator(mode="after")
    def _one_entry_a_structure(self) -> Self:
        for name in type(self).model_fields:
            values = getattr(self, name)
            if name not in ("fidelity", "kind_key") and values is not None and len(values) != len(self.n_atoms):
                entries = counted(len(values), "entry", "entries")
                raise ValueError(f"{name} has {entries} for {counted(len(self.n_atoms), 'structure')}")
        for name in ("forces", "forces_stderr", "forces_label", "forces_base"):
            for block, count in zip(getattr(self, name) or (), self.n_atoms, strict=False):
                if block is not None and len(block) != count:
                    raise ValueError(
                        f"{name} has {counted(len(block), 'row')} for a structure of {counted(count, 'atom')}"
                    )
        return self

    @property
    def atoms(self) -> Array:
        """The numbers of atoms as an array, shape ``(S,)``."""
        return np.array(self.n_atoms, dtype=np.float64)

    def components(self, blocks: tuple[Array | None, ...] | None) -> Array | None:
        """Return all force components in one flat array, NaN where a structure has none; None without any list."""
        if blocks is None:
            return None
        parts = [
            np.full(3 * count, np.nan) if block is None else block.reshape(-1)
            for block, count in zip(blocks, self.n_atoms, strict=True)
        ]
        return np.concatenate([np.empty(0), *parts])
