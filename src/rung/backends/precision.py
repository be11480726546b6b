"""How exact the numbers of a model file are: half precision is cast and said, and so are coarse total energies."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from rung.errors import ModelError
from rung.model.delta import SummedBackbone
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Backbone
from rung.units import MILLI

COMPUTED = (torch.float32, torch.float64)
"""The types in which potentials are computed."""

REFERENCE_ENERGY = "reference_energy"
"""Key of a checkpoint's metadata: the largest sum of reference energies among the fitted structures, eV."""

COARSE = 0.1
"""meV: steps of total energies below it are lost in any label's error."""


class LostNumbersError(ModelError):
    """A file of half precision whose numbers were too large for it."""


class HalfPrecisionWarning(UserWarning):
    """A file held numbers of a smaller type than any that rung computes in."""


@runtime_checkable
class Stored(Protocol):
    """A backbone that knows of which type the numbers of its file were."""

    @property
    def stored(self) -> torch.dtype | None:
        """The type, where it is a smaller one than rung computes in; else None."""


def smaller_type(tensors: Iterable[Tensor]) -> torch.dtype | None:
    """Return the coarsest type of real numbers that rung does not compute in, None where there is none."""
    small = {tensor.dtype for tensor in tensors if tensor.is_floating_point() and tensor.dtype not in COMPUTED}
    return max(small, key=lambda one: torch.finfo(one).eps, default=None)


def all_wide(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of half precision as float32, the others as they are.

    Raises
    ------
    ModelError
        When a number of half precision is infinite, or none: float16 ends at 65,504.
    """
    wide = {}
    for name, tensor in tensors.items():
        small = tensor.is_floating_point() and tensor.dtype not in COMPUTED
        wide[name] = tensor.to(torch.float32) if small else tensor
        if small and not bool(torch.isfinite(wide[name]).all()):
            raise LostNumbersError(
                f"the tensor {name} has infinite numbers: they were too large for {_name(tensor.dtype)}; export the "
                "model in float32 or float64"
            )
    return wide


def stored_type(backbone: Backbone) -> torch.dtype | None:
    """Return the type of a file's numbers where it is a smaller one than rung computes in; of a sum, the coarser."""
    if isinstance(backbone, SummedBackbone):
        found = [stored_type(part) for part in (backbone.first, backbone.second)]
        return max((one for one in found if one), key=lambda one: torch.finfo(one).eps, default=None)
    return backbone.stored if isinstance(backbone, Stored) else None


def precision_sentence(potential: ReadoutPotential, file: Path | str) -> str:
    """Return what is lost where a file's numbers are of half precision; nothing where they are not."""
    stored = stored_type(potential.backbone)
    if stored is None:
        return ""
    references = [surface.reference.energies.values() for surface in potential.surfaces.values()]
    largest = max((abs(energy) for energies in references for energy in energies), default=0.0)
    rounding = MILLI * 0.5 * torch.finfo(stored).eps * largest
    return (
        f"{file} holds numbers in {_name(stored)}; they are taken as {_name(potential.dtype)}, but what was rounded "
        f"away stays lost: a reference energy of {largest:,.1f} eV may be off by {rounding:,.2g} meV, and all weights "
        "by as large a share. Use a file in float32 or float64 where there is one."
    )


def say_precision(potential: ReadoutPotential, file: Path | str) -> ReadoutPotential:
    """Warn where a file's numbers are of half precision, and return the potential, which is computed in a larger type.

    Raises
    ------
    ModelError
        When the potential itself is of a type that rung does not compute in.
    """
    if potential.dtype not in COMPUTED:
        raise ModelError(
            f"{file} is loaded in {_name(potential.dtype)}, in which rung does not compute; give dtype: float32."
        )
    if sentence := precision_sentence(potential, file):
        warnings.warn(sentence, HalfPrecisionWarning, stacklevel=3)
    return potential


def energy_step(energy: float, dtype: torch.dtype) -> float:
    """Return by how much two total energies of about ``energy`` eV differ at least in ``dtype``, in meV."""
    kind = np.float32 if dtype == torch.float32 else np.float64
    return MILLI * float(np.spacing(kind(abs(energy))))


def step_sentence(
    potential: ReadoutPotential, energy: float, file: Path | str, *, runs_in: torch.dtype | None = None
) -> str:
    """Return what a file loses that adds up total energies of about ``energy`` eV; nothing where that is little.

    Parameters
    ----------
    potential
        What the file holds.
    energy
        eV.
    file
        Its name.
    runs_in
        The type in which its library computes whatever type the file has; None where it is that of the file.
    """
    dtype = runs_in or potential.dtype
    step = energy_step(energy, dtype)
    if step < COARSE:
        return ""
    remedy = (
        "export in float64 for a file that does so too (rung export --dtype float64)."
        if runs_in is None
        else "its library has no other type, so take differences of such energies with rung (RungCalculator)."
    )
    return (
        f"{file} adds up energies in {_name(dtype)}: those near {energy:,.0f} eV, as its reference energies "
        f"make them, come in steps of {step:.2g} meV. rung itself adds in float64; {remedy}"
    )


def largest_reference_energy(potential: ReadoutPotential, fidelity: str) -> float:
    """Return the reference energy of the atom whose is largest, eV."""
    return max(potential.surface(fidelity).reference.energies.values(), key=abs, default=0.0)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
