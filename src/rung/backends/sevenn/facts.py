"""What a SevenNet model is, for people: read off a live model or off a file, of which nothing is run or built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from torch import Tensor

from rung.backends.archive import check_archive
from rung.backends.inert import read_inert
from rung.backends.parts import DAMAGE
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.errors import ModelError
from rung.results.inspection import ModelFacts

_NO_WEIGHTS = ("output_mask", "denominator", "._w3j_", "rescale_atomic_energy.")
_SHOWN = {
    "num_convolution_layer": "layers",
    "channel": "channel",
    "lmax": "lmax",
    "irreps_manual": "irreps",
    "self_connection_type": "self_connection_type",
    "version": "version",
}
_KIND = "E3_equivariant_model"


def facts_of_backbone(backbone: SevenNetBackbone) -> ModelFacts:
    """Return what a backbone is."""
    description = backbone.description
    return ModelFacts(
        backend="sevenn",
        kind=_KIND,
        elements=tuple(chemical_symbols[number] for number in description.elements),
        cutoff=backbone.cutoff,
        receptive_field=backbone.receptive_field,
        dtype=str(backbone.dtype).removeprefix("torch."),
        n_weights=_count(backbone.module.state_dict()),
        details={**_details(description.model_dump()), "symmetry": _symmetry(description.is_parity)},
    )


def facts_of_file(path: Path) -> ModelFacts:
    """Return what a checkpoint is; what rung cannot use is described as far as it goes.

    Raises
    ------
    ModelError
        When the file is damaged.
    UntrustedError
        When it cannot be read without running it.
    """
    check_archive(path)
    picture = read_inert(path)
    try:
        return _facts(picture["config"], picture["model_state_dict"])
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"{path} lacks a part that every checkpoint of SevenNet has ({reason}).") from error


def _facts(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> ModelFacts:
    types: Mapping[int, int] = config["_type_map"]
    symbols = tuple(chemical_symbols[number] for number in sorted(types, key=lambda number: types[number]))
    places = config["_modal_map"] if config.get("use_modality") else {}
    heads = tuple(sorted(places, key=lambda name: places[name]))
    shift = next(tensor for name, tensor in state.items() if name.endswith(".shift")).double().numpy()
    rows = np.broadcast_to(np.atleast_2d(shift), (max(len(heads), 1), len(symbols)))
    cutoff, layers = float(config["cutoff"]), int(config["num_convolution_layer"])
    network = bool(config.get("readout_as_fcn"))
    return ModelFacts(
        backend="sevenn",
        kind=str(config.get("_model_type", _KIND)),
        heads=heads,
        elements=symbols,
        cutoff=cutoff,
        receptive_field=layers * cutoff,
        dtype=str(next(iter(state.values())).dtype).removeprefix("torch."),
        n_weights=_count(state),
        reference_energies={
            head: dict(zip(symbols, row.tolist(), strict=True))
            for head, row in zip(heads or ("shift",), rows, strict=True)
        },
        details={**_details(config), "symmetry": _symmetry(bool(config["is_parity"]))},
        trouble="its readout is a network (readout_as_fcn: true), which rung does not read" if network else "",
    )


def _details(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[key] for key, name in _SHOWN.items() if config.get(key)}


def _symmetry(parity: bool) -> str:
    return "rotations and reflections, O(3)" if parity else "rotations, SO(3): mirror images differ"


def _count(state: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for name, tensor in state.items() if not any(part in name for part in _NO_WEIGHTS))
