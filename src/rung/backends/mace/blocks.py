"""Which parameters of a MACE model belong to which of its parts."""

import re
from collections.abc import Mapping, Sequence

BLOCKS = {
    "readouts": "the maps from features to energies, one after each layer",
    "products": "readouts, and what makes features of each layer's messages",
    "last_layer": "readouts, and all of the last layer",
    "layers": "everything but the embedding of elements",
    "all": "everything",
}
"""The parts from the output inwards; each holds those before it but for ``last_layer``, which stands beside
``products``."""

_LAYER = re.compile(r"(?:^|\.)(?:interactions|products)\.(\d+)\.")
_READOUT = re.compile(r"(?:^|\.)readouts\.")
_PRODUCT = re.compile(r"(?:^|\.)products\.")


def blocks_of(names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the parameters of each part, of all ``names`` of a model."""
    layers = {name: int(found[1]) for name in names if (found := _LAYER.search(name))}
    last = max(layers.values(), default=-1)
    readouts = {name for name in names if _READOUT.search(name)}
    chosen = {
        "readouts": readouts,
        "products": readouts | {name for name in names if _PRODUCT.search(name)},
        "last_layer": readouts | {name for name, layer in layers.items() if layer == last},
        "layers": readouts | set(layers),
        "all": set(names),
    }
    return {part: tuple(name for name in names if name in members) for part, members in chosen.items()}
