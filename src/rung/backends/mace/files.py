"""Opening MACE files: as data alone by default, as pickles where the user trusts them."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rung.backends.archive import check_archive, untrusted
from rung.backends.inert import Inert, read_inert
from rung.backends.mace.backbone import adopt
from rung.backends.mace.bounds import check_bounds
from rung.backends.mace.describe import children, class_name, describe, refuse_unknown, submodules
from rung.backends.mace.importing import compiled_parts_on_cpu, environment_restored
from rung.backends.mace.rebuild import build_like, load_scalars, load_tensors, scalars_of
from rung.backends.parts import DAMAGE
from rung.backends.precision import LostNumbersError, all_wide, smaller_type
from rung.backends.protocol import Heads
from rung.errors import ModelError, UntrustedError
from rung.model.potential import ReadoutPotential


def load(
    path: Path,
    *,
    fidelity: str,
    head: Heads = None,
    trusted: bool = False,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
) -> ReadoutPotential:
    """Return the potential of a ``.model`` file of MACE; see :func:`rung.backends.load_base`."""
    check_archive(path)
    model, stored = _unpickled(path) if trusted else _rebuilt(path)
    model = model.to(device=device, dtype=dtype)
    try:
        return adopt(model, fidelity, head, rebuilt=not trusted, stored=stored)
    except DAMAGE as error:
        raise ModelError(f"{path} has parts that do not fit each other: {_said(error)}.") from error


def _rebuilt(path: Path) -> tuple[torch.nn.Module, torch.dtype | None]:
    """Return the model of a file's data, in float32 at least, and the type of the data where it is a smaller one."""
    picture = read_inert(path)
    if isinstance(picture, dict) and picture.get("format") == "rung":
        raise ModelError(
            f"{path} is a checkpoint of rung, not a model of MACE: open it with rung.checkpoint.open_model."
        )
    if not isinstance(picture, Inert):
        raise ModelError(f"{path} is not a MACE model: it holds a {type(picture).__name__}.")
    try:
        refuse_unknown(picture)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except DAMAGE as error:
        raise UntrustedError(untrusted(path, f"a part of it is missing: {_said(error)}")) from error
    try:
        tensors = dict(_tensors(picture))
        description = describe(picture)
        check_bounds(description, tensors)
        stored = smaller_type(tensors.values())
        model = build_like(description, _type_of_constants(tensors), tensors)
        model = model.to(dtype=_floating_type(tensors) if stored is None else torch.float32)
        load_tensors(model, tensors if stored is None else all_wide(tensors))
        load_scalars(model, scalars_of(picture))
    except LostNumbersError as error:
        raise ModelError(f"{path}: {error}.") from error
    except (ModelError, *DAMAGE) as error:
        raise UntrustedError(untrusted(path, _said(error))) from error
    return model, stored


def _tensors(module: Inert) -> Iterator[tuple[str, Tensor]]:
    """Yield what ``state_dict`` of the live model would hold, but for what e3nn generates."""
    for path, one in submodules(module):
        transient = vars(one).get("_non_persistent_buffers_set", set())
        for group in ("_parameters", "_buffers"):
            for name, tensor in vars(one).get(group, {}).items():
                if isinstance(tensor, Tensor) and name not in transient:
                    yield path + name, tensor.detach()


def _said(error: Exception) -> str:
    """Return the sentence of an error of whatever length, as one that can stand within another."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def _floating_type(tensors: dict[str, Tensor]) -> torch.dtype:
    return tensors["node_embedding.linear.weight"].dtype


def _type_of_constants(tensors: dict[str, Tensor]) -> torch.dtype:
    """Return the type in which the model was first made.

    Coupling coefficients keep the rounding of that type when a model is converted, and those that e3nn generates are
    not among the file's tensors: the ones that are tell which type it was.
    """
    coupling = [tensor for name, tensor in tensors.items() if "U_matrix_" in name]
    rounded = all(torch.equal(tensor, tensor.float().to(tensor.dtype)) for tensor in coupling)
    return torch.float32 if rounded else torch.float64


def _unpickled(path: Path) -> tuple[torch.nn.Module, torch.dtype | None]:
    """Return the model of a file, in float32 at least, and the type of its numbers where it is a smaller one."""
    model = unpickle(path)
    tensors = model.state_dict()
    stored = smaller_type(tensors.values())
    if stored is None:
        return model, None
    try:
        all_wide(tensors)
    except ModelError as error:
        raise ModelError(f"{path}: {error}.") from error
    return model.to(dtype=torch.float32), stored


def unpickle(path: Path) -> torch.nn.Module:
    """Return the model of a trusted file.

    Raises
    ------
    ModelError
        When it does not unpickle, or is no module.
    """
    try:
        with environment_restored("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"), compiled_parts_on_cpu():
            model = torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError, pickle.UnpicklingError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(f"{path} does not unpickle ({error}); {_made_by(path)}.") from error
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"{path} is not a MACE model: it holds a {type(model).__name__}.")
    return model


def _made_by(path: Path) -> str:
    """Say which versions a file looks as if it was made by."""
    from importlib.metadata import version  # noqa: PLC0415 - only for the message

    here = f"here are mace-torch {version('mace-torch')} and e3nn {version('e3nn')}"
    picture: Any = read_inert(path)
    try:
        linear = children(picture.products)[0].linear
    except AttributeError:
        return f"{here}; it is {class_name(picture)!r}"
    made = "0.5 or later" if "irreps_in" not in vars(linear) or "__codegen__" not in vars(linear) else "0.4"
    return f"it looks made by e3nn {made}, {here}"
