"""What a description of a MACE model may ask for before anything of that size is made.

MACE builds whatever it is told to. A file that states a million layers, or a radial network of 10¹² units, would fill
the memory long before a tensor is compared. So each number has a range, and the parts of the model that are made may
hold no more numbers than a few times those of the file, for each of them is in the file too.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from rung.backends.mace.describe import Description
from rung.errors import ModelError

_TIMES, _SPARE = 8, 1 << 20
"""How many numbers a part may have: so many times those of the file, and a few."""

_COUPLING, _SPARE_COUPLING = "U_matrix_", 4096
"""Coupling coefficients take long to make, so these are held against those of the file alone."""

_WHOLE: Mapping[str, tuple[int, int]] = {
    "max_ell": (0, 11),
    "num_interactions": (1, 50),
    "n_readouts": (1, 50),
    "num_bessel": (1, 4096),
    "mlp_units": (1, 65536),
}
_REAL: Mapping[str, tuple[float, float]] = {
    "r_max": (1e-3, 1e3),
    "num_polynomial_cutoff": (1, 1000),
    "avg_num_neighbors": (1e-12, 1e12),
}
_LISTS: Mapping[str, tuple[int, int, int]] = {
    "atomic_numbers": (1, 118, 118),
    "correlation": (1, 10, 50),
    "radial_mlp": (1, 65536, 50),
}
"""Least and largest entry, and how many entries there may be."""

_SHAPES = ("energies_shape", "scale_shape")
_IRREPS = ("hidden_irreps", "last_irreps", "edge_irreps")
_IRREP = re.compile(r"\s*(?:(\d{1,6})x)?(\d{1,2})([eo])\s*")
_MOST_HEADS, _MOST_TERMS, _MOST_LETTERS = 10_000, 50, 200


def check_bounds(description: Description, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a description that no model has, or that asks for more numbers than its file can hold.

    Raises
    ------
    ModelError
        Naming the entry.
    """
    for name, (low, high) in _WHOLE.items():
        _require(_is_whole(description[name], low, high), name, description[name])
    for name, (least, most) in _REAL.items():
        value = description[name]
        _require(isinstance(value, (int, float)) and least <= value <= most, name, value)
    for name, (low, high, longest) in _LISTS.items():
        values = description[name]
        fits = isinstance(values, Sequence) and len(values) <= longest
        _require(fits and all(_is_whole(value, low, high) for value in values), name, values)
    numbers, heads = description["atomic_numbers"], description["heads"]
    _require(len(set(numbers)) == len(numbers) > 0, "atomic_numbers", numbers)
    fits = isinstance(heads, Sequence) and not isinstance(heads, str) and 0 < len(heads) <= _MOST_HEADS
    _require(fits and all(isinstance(one, str) and len(one) <= _MOST_LETTERS for one in heads), "heads", heads)
    many, elements = len(heads), len(numbers)
    _require(description["energies_shape"] in ([elements], [1, elements], [many, elements]), "energies_shape", None)
    _require(description["scale_shape"] in (None, [], [1], [many]), "scale_shape", None)
    most = _SPARE + _TIMES * _numbers(tensors)
    coupling = _SPARE_COUPLING + _TIMES * _numbers({name: one for name, one in tensors.items() if _COUPLING in name})
    for name, size in _sizes(description).items():
        if size > (coupling if name == "correlation" else most):
            raise ModelError(f"its {name} would take {size:.3g} numbers, far more than the file holds")


def _numbers(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def _sizes(description: Description) -> Mapping[str, int]:
    """Return how many numbers the parts of the model take that grow with an entry."""
    widths = [description["num_bessel"], *description["radial_mlp"]]
    multiplicities = {name: _multiplicities(name, description[name]) for name in _IRREPS}
    channels = max(multiplicities["hidden_irreps"], default=0)
    ways = (description["max_ell"] + 1) ** 2
    return {
        **{name: math.prod(_shape(name, description[name])) for name in _SHAPES},
        **{name: sum(count**2 for count in counts) for name, counts in multiplicities.items()},
        "radial_mlp": sum(one * two for one, two in zip(widths, [*widths[1:], channels], strict=True)),
        "mlp_units": description["mlp_units"] * len(description["heads"]) * channels,
        "correlation": ways ** max(description["correlation"], default=1),
        "heads": len(description["heads"]) * len(description["atomic_numbers"]),
    }


def _multiplicities(name: str, irreps: Any) -> list[int]:
    if irreps is None and name == "edge_irreps":
        return []
    terms = irreps.split("+", _MOST_TERMS) if isinstance(irreps, str) else []
    matches = [_IRREP.fullmatch(term[:20]) for term in terms]
    if not 0 < len(terms) <= _MOST_TERMS or not all(matches):
        _require(False, name, irreps)
    return [int(match.group(1) or 1) for match in matches if match is not None]


def _shape(name: str, shape: Any) -> list[int]:
    if shape is None and name == "scale_shape":
        return []
    fits = isinstance(shape, Sequence) and len(shape) <= 4
    _require(fits and all(_is_whole(length, 0, 1 << 40) for length in shape), name, shape)
    return list(shape)


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _require(holds: bool, name: str, value: Any) -> None:
    if not holds:
        shown = f" ({value:.6g})" if isinstance(value, float) else ""
        raise ModelError(f"its {name} is nothing that a MACE model has{shown}")
