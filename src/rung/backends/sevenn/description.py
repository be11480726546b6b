"""The architecture of a SevenNet model as plain data, each entry held against bounds before anything is built.

A description says nothing of modalities (SevenNet's name for fidelities): what a modality adds is kept beside the
model (:mod:`rung.backends.fidelity_vectors`). Nor does it say reference energies and scales, which belong to a surface.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from torch import Tensor

from rung.backends.parts import Part, part_of
from rung.errors import ModelError

_TIMES, _SPARE = 8, 1 << 20
"""How many numbers a part may have: so many times those of the file, and a few."""

_IRREP = re.compile(r"\s*(?:(\d{1,6})x)?(\d{1,2})([eo])\s*")
_MOST_TERMS = 50
_LAYER = re.compile(r"(\d{1,3})[_ ]convolution\.")  # with a blank before version 0.9.3


def multiplicities(irreps: str) -> list[tuple[int, int]]:
    """Return multiplicity and order of each term of irreps in e3nn's notation.

    Raises
    ------
    ValueError
        When they are none.
    """
    matches = [_IRREP.fullmatch(term[:20]) for term in irreps.split("+", _MOST_TERMS)]
    if len(matches) > _MOST_TERMS or not all(matches):
        raise ValueError("it should be irreps in e3nn's notation")
    return [(int(match.group(1) or 1), int(match.group(2))) for match in matches if match is not None]


def _is_irreps(text: str) -> str:
    multiplicities(text)
    return text


def _distinct(numbers: list[int]) -> list[int]:
    if len(set(numbers)) != len(numbers):
        raise ValueError("it names an element twice")
    return numbers


Word = Annotated[str, Field(max_length=40)]
Units = Annotated[int, Field(ge=1, le=65536)]
Irreps = Annotated[str, Field(max_length=2000), AfterValidator(_is_irreps)]
Order = Annotated[int, Field(ge=-1, le=11)]


class Closed(Part):
    """A part of a config all of whose entries are known: an unknown one might change what the model says."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class RadialBasis(Closed):
    """The functions of the distance."""

    radial_basis_name: Literal["bessel"]
    bessel_basis_num: Annotated[int, Field(ge=1, le=4096)] = 8
    trainable_coeff: bool = True


class CutoffFunction(Closed):
    """The function that takes messages to zero at the cutoff."""

    cutoff_function_name: Literal["poly_cut", "XPLOR"]
    poly_cut_p_value: Annotated[int, Field(ge=2, le=1000)] | None = None
    cutoff_on: Annotated[float, Field(gt=0, le=1e3)] | None = None


class Description(Part):
    """The architecture, by the names that SevenNet's own config has for it."""

    elements: Annotated[list[Annotated[int, Field(ge=1, le=118)]], Field(min_length=1), AfterValidator(_distinct)]
    """Atomic numbers in the model's own order."""
    cutoff: Annotated[float, Field(ge=1e-3, le=1e3)]
    channel: Units
    irreps_manual: list[Irreps] | Literal[False]
    lmax: Annotated[int, Field(ge=0, le=11)]
    lmax_edge: Order
    lmax_node: Order
    is_parity: bool
    num_convolution_layer: Annotated[int, Field(ge=1, le=50)]
    radial_basis: RadialBasis
    cutoff_function: CutoffFunction
    act_radial: Word
    act_scalar: dict[Word, Word]
    act_gate: dict[Word, Word]
    weight_nn_hidden_neurons: Annotated[list[Units], Field(max_length=50)]
    self_connection_type: Word | Annotated[list[Word], Field(max_length=50)]
    interaction_type: Literal["nequip"]
    use_bias_in_linear: bool
    normalize_sph: bool
    """SevenNet's ``_normalize_sph``: whether spherical harmonics are those of the direction alone."""

    @property
    def highest_order(self) -> int:
        """The highest rotation order of features or harmonics."""
        named = [order for term in self.irreps_manual or [] for _, order in multiplicities(term)]
        return max(self.lmax, self.lmax_edge, self.lmax_node, *named, 0)

    @property
    def widest(self) -> int:
        """The most numbers that an atom has in a layer."""
        if not self.irreps_manual:
            return self.channel * (self.highest_order + 1) ** 2
        return max(sum(count * (2 * order + 1) for count, order in multiplicities(term)) for term in self.irreps_manual)

    def config(self) -> dict[str, Any]:
        """Return the part of SevenNet's config from which it builds this model, without accelerators.

        Reference energies of zero and a scale of one stand in it, for they belong to a surface.
        """
        config = self.model_dump(mode="python", exclude={"elements", "normalize_sph"})
        config["cutoff_function"] = {k: v for k, v in config["cutoff_function"].items() if v is not None}
        return {
            **config,
            "_normalize_sph": self.normalize_sph,
            "_model_type": "E3_equivariant_model",
            "_type_map": {number: index for index, number in enumerate(self.elements)},
            "_number_of_species": len(self.elements),
            "conv_denominator": [1.0] * self.num_convolution_layer,
            "train_denominator": False,
            "train_shift_scale": False,
            "readout_as_fcn": False,
            "use_modality": False,
            "use_modal_node_embedding": False,
            "use_modal_self_inter_intro": False,
            "use_modal_self_inter_outro": False,
            "use_modal_output_block": False,
            "cuequivariance_config": {},
            "use_flash_tp": False,
            "use_oeq": False,
            "shift": [0.0] * len(self.elements),
            "scale": [1.0] * len(self.elements),
        }


def elements_of(config: Mapping[str, Any]) -> list[int]:
    """Return the atomic numbers that a config names, in the model's order.

    Raises
    ------
    ModelError
        When it does not say where each stands.
    """
    places = config.get("_type_map")
    if not isinstance(places, Mapping) or set(places.values()) != set(range(len(places))):
        raise ModelError("its config has no map of elements")
    return sorted(places, key=lambda number: places[number])


def description_of(config: Mapping[str, Any]) -> Description:
    """Return the description of a model from SevenNet's own config, brought up to its present version.

    Raises
    ------
    ModelError
        When the model has a part that rung does not know.
    """
    if config.get("readout_as_fcn"):
        raise ModelError(
            "its readout is a network (readout_as_fcn: true); rung reads SevenNet models of linear readout"
        )
    told = {name: config[name] for name in Description.model_fields if name in config}
    return part_of(
        Description,
        {**told, "elements": elements_of(config), "normalize_sph": config.get("_normalize_sph", True)},
        "config",
    )


def check_bounds(description: Description, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a description that asks for other layers, or far more numbers, than its file holds.

    Raises
    ------
    ModelError
        Naming what is too large.
    """
    layers = {found[1] for name in tensors if (found := _LAYER.match(name))}
    if len(layers) != description.num_convolution_layer:
        raise ModelError(
            f"its config has {description.num_convolution_layer} layers and its tensors are those of {len(layers)}"
        )
    most = _SPARE + _TIMES * sum(tensor.numel() for tensor in tensors.values())
    hidden = [description.radial_basis.bessel_basis_num, *description.weight_nn_hidden_neurons]
    orders = (description.highest_order + 1) ** 3
    sizes = {
        "elements": len(description.elements) * description.widest,
        "weight_nn_hidden_neurons": sum(_products(hidden)) + hidden[-1] * description.widest,
        "channel": description.channel**2,
        "irreps": description.widest * max(description.highest_order, 1),
        "lmax": orders**2,
    }
    for name, size in sizes.items():
        if size > most:
            raise ModelError(f"its {name} would take {size:.3g} numbers, far more than the file holds")


def _products(widths: Sequence[int]) -> list[int]:
    return [one * two for one, two in pairwise(widths)]
