"""Opening SevenNet checkpoints, as data alone."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rung.backends.archive import check_archive
from rung.backends.fidelity_vectors import Vectors, moved_to
from rung.backends.inert import Inert, read_inert
from rung.backends.parts import DAMAGE
from rung.backends.precision import LostNumbersError, all_wide, smaller_type
from rung.backends.protocol import Heads
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.conditioned import ConditionedSevenNetBackbone
from rung.backends.sevenn.description import Description, check_bounds, description_of, elements_of
from rung.backends.sevenn.engine import backward_compatibility, checkpoint
from rung.backends.sevenn.fold import folded
from rung.backends.sevenn.modalities import modality, without_modalities
from rung.backends.sevenn.readouts import readout_of, weights_of
from rung.backends.sevenn.rebuild import HIDDEN, OUT, SURFACE, build_config, coupling, freeze, load_tensors, new_model
from rung.data.labels import Array
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.model.potential import ReadoutPotential, Surface
from rung.model.reference import ReferenceEnergies

SIGN = 0.01
"""Coupling coefficients that differ by less, all between -1 and 1, differ in rounding and not in sign."""


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds, apart from what modalities add.

    Parameters
    ----------
    description
        The architecture without modalities.
    module
        The model without modalities, in float64.
    modalities
        The place of each modality in the file; empty where it has none.
    vectors
        What each modality adds, by site.
    constants
        What each adds to the readout of every atom.
    scale, shift
        By modality (one row where it makes no difference) and element, shapes ``(m, Z)``.
    dtype
        The type in which the file is computed.
    stored
        The type of the file's numbers where it is a smaller one than that; else None.
    """

    description: Description
    module: torch.nn.Module
    modalities: Mapping[str, int]
    vectors: Mapping[str, Vectors]
    constants: Mapping[str, float]
    scale: Array
    shift: Array
    dtype: torch.dtype
    stored: torch.dtype | None

    def of(self, table: Array, head: str | None) -> Array:
        """Return the row of a modality in a table of scale or shift, shape ``(Z,)``."""
        return table[0 if len(table) == 1 or head is None else self.modalities[head]]


def load(
    path: Path,
    *,
    fidelity: str,
    head: Heads = None,
    trusted: bool = False,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
) -> ReadoutPotential:
    """Return the potential of a checkpoint of SevenNet; see :func:`rung.backends.load_base`.

    Of a file with modalities, one that is named as ``head`` is folded into the model at once; several share it.
    """
    del trusted  # nothing in the file is run in either case
    check_archive(path)
    named = head if isinstance(head, Mapping) else {fidelity: head}
    require_fidelity(fidelity, named)
    try:
        contents = _contents(path)
        heads = {name: modality(contents.modalities, one) for name, one in named.items()}
        return _potential(contents, heads, dtype, device)
    except LostNumbersError as error:
        raise ModelError(f"{path}: {error}.") from error
    except ModelError as error:
        raise ModelError(f"{path}: {str(error).rstrip('.')}.") from error
    except DAMAGE as error:
        said = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise ModelError(f"{path} has parts that do not fit each other: {said}.") from error


def _contents(path: Path) -> Contents:
    picture = read_inert(path)
    config, state = (picture.get(name) for name in ("config", "model_state_dict"))
    if not isinstance(config, dict) or not isinstance(state, dict):
        raise ModelError("it has no config or no model_state_dict, which a checkpoint of SevenNet has")
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()):
        raise ModelError("its model_state_dict holds something that is no tensor")
    elements_of(config)
    stored = smaller_type(state.values())
    config = _present(config)
    description = description_of(config)
    check_bounds(description, state)
    modalities = _modalities(config)
    full = build_config(_without_accelerator(config)) if modalities else new_model(description)
    _fill(full, config, all_wide(state))  # in which nothing is rounded before modalities are apart
    module = full
    vectors: Mapping[str, Vectors] = {}
    constants: Mapping[str, float] = {}
    if modalities:
        module, vectors, constants = without_modalities(full, description, modalities)
    rescale = full.get_submodule(SURFACE.rstrip("."))
    scale, shift = (
        _by_element(getattr(rescale, name), len(description.elements), len(modalities)) for name in ("scale", "shift")
    )
    kind = torch.float32 if stored is not None else next(iter(state.values())).dtype
    return Contents(description, module, modalities, vectors, constants, scale, shift, kind, stored)


def _present(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as the installed sevenn would write it."""
    plain = {name: value for name, value in config.items() if not isinstance(value, Inert)}
    if not isinstance(plain.get("version"), str):
        raise ModelError("its config names no version of SevenNet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        present: dict[str, Any] = checkpoint._config_cp_routine(plain)
    return present


def _modalities(config: Mapping[str, Any]) -> dict[str, int]:
    """Return the place of each modality; none where the model knows none."""
    if not config.get("use_modality"):
        return {}
    places = config.get("_modal_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) and name for name in places):
        raise ModelError("its config has no map of modalities")
    if sorted(places.values()) != list(range(len(places))) or not 1 < len(places) <= 1000:
        raise ModelError("its map of modalities does not count them from zero")
    return dict(places)


def _without_accelerator(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "cuequivariance_config": {}, "use_flash_tp": False, "use_oeq": False}


def _fill(model: torch.nn.Module, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Put the tensors of a file into its model, which e3nn alone computes, whatever accelerator the file was of."""
    tensors = backward_compatibility.patch_state_dict_if_old(dict(state), dict(config), model)
    cueq = bool((config.get("cuequivariance_config") or {}).get("use"))
    if cueq or config.get("use_flash_tp") or config.get("use_oeq"):
        tensors = checkpoint._convert_e3nn_and_cueq(tensors, model.state_dict(), dict(config), from_cueq=cueq)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(SURFACE)}
    _require_coupling(coupling(model), kept)
    load_tensors(model, kept)
    rescale = model.get_submodule(SURFACE.rstrip("."))
    for name in ("scale", "shift"):
        setattr(rescale, name, torch.nn.Parameter(tensors[f"{SURFACE}{name}"].double()))


def _require_coupling(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Refuse coupling coefficients of another convention of signs."""
    for name in own.keys() & tensors.keys():
        if own[name].shape != tensors[name].shape or not torch.allclose(own[name], tensors[name].double(), atol=SIGN):
            raise ModelError(f"the coupling coefficients {name} are not those of the installed e3nn")


def _by_element(tensor: Tensor, n_elements: int, n_modalities: int) -> Array:
    """Return scale or shift, one row for each modality or one for all."""
    values = tensor.detach().double().numpy()
    if values.size == 1:
        return np.full((1, n_elements), float(values.reshape(-1)[0]))
    rows = np.atleast_2d(values)
    if rows.shape[1] != n_elements or len(rows) not in (1, n_modalities):
        raise ModelError(f"its scale or shift has the shape {values.shape}")
    return rows.copy()


def _potential(
    contents: Contents, heads: Mapping[str, str | None], dtype: torch.dtype | None, device: str
) -> ReadoutPotential:
    kind, description = dtype or contents.dtype, contents.description
    module = contents.module
    if kind == torch.float64:  # those of a file in float32 change energies by 1e-8 eV when a structure is turned
        module.load_state_dict(coupling(new_model(description)), strict=False)
    module = freeze(module).to(device=device, dtype=kind)
    surfaces = {name: _surface(contents, module, head) for name, head in heads.items()}
    first, *others = (_relative(contents.of(contents.scale, head)) for head in dict.fromkeys(heads.values()))
    if any(other != first for other in others):
        raise ModelError("its modalities scale elements differently: open the file once for each")
    factors = () if set(first) == {1.0} else first
    backbone = SevenNetBackbone(module, description, factors, contents.stored)
    added = {name: contents.vectors[head] for name, head in heads.items() if head is not None}
    conditions = moved_to(added, dtype=kind, device=device)
    if len(set(heads.values())) == 1 and conditions:
        (vectors, *_) = conditions.values()
        module, description = folded(module, description, vectors)
        backbone = SevenNetBackbone(module, description, factors, contents.stored)
    elif conditions:
        backbone = ConditionedSevenNetBackbone(module, description, factors, contents.stored, conditions)
    return ReadoutPotential(backbone, surfaces)


def _relative(scale: Array) -> tuple[float, ...]:
    if not np.all(np.isfinite(scale)) or scale[0] == 0.0:
        raise ModelError("its scale is zero or no number")
    return tuple((scale / scale[0]).tolist())


def _surface(contents: Contents, module: torch.nn.Module, head: str | None) -> Surface:
    weights, constant = weights_of(module.get_submodule(HIDDEN), module.get_submodule(OUT))
    if head is not None:
        constant += contents.constants.get(head, 0.0)
    scale = contents.of(contents.scale, head)
    energies = contents.of(contents.shift, head) + scale * constant
    reference = ReferenceEnergies(dict(zip(contents.description.elements, energies.tolist(), strict=True)))
    return Surface(readout_of(weights, float(scale[0])), reference)
