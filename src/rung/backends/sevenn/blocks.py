"""Which parameters of a SevenNet model belong to which of its parts."""

import re
from collections.abc import Mapping, Sequence

BLOCKS = {
    "readouts": "the map from features to energies, after the last layer",
    "last_layer": "readouts, and all of the last layer",
    "layers": "everything but the embedding of elements",
    "all": "everything",
}
"""The parts from the output inwards; each holds those before it."""

_LAYER = re.compile(r"(?:^|\.)(\d+)_\w+\.")
_READOUT = re.compile(r"(?:^|\.)reduce_|^readouts\.")
_EDGES = re.compile(r"(?:^|\.)edge_embedding\.")
_VECTOR = re.compile(r"^conditions\.\d+\.(\d+)_")


def layer_of(parameter: str) -> str:
    """Return the layer of a parameter: its number, ``readouts``, or the module that stands before all layers."""
    if _READOUT.search(parameter):
        return "readouts"
    found = _VECTOR.search(parameter) or _LAYER.search(parameter)
    if found:
        return f"layers.{found[1]}"
    return parameter.removeprefix("module.").split(".", maxsplit=1)[0]


def blocks_of(names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the parameters of each part, of all ``names`` of a model."""
    layers = {name: layer_of(name) for name in names}
    numbers = [int(layer.removeprefix("layers.")) for layer in layers.values() if layer.startswith("layers.")]
    last = f"layers.{max(numbers, default=-1)}"
    readouts = {name for name, layer in layers.items() if layer == "readouts"}
    inner = {name for name, layer in layers.items() if layer.startswith("layers.") or _EDGES.search(name)}
    chosen = {
        "readouts": readouts,
        "last_layer": readouts | {name for name, layer in layers.items() if layer == last},
        "layers": readouts | inner,
        "all": set(names),
    }
    return {part: tuple(name for name in names if name in members) for part, members in chosen.items()}
