"""The parts of a checkpoint as types: what stands in a file is held against them before it is used.

A file that ``torch.load`` reads may hold any dictionary. These types say of each entry what it is; the first that is
something else gives one sentence with its place.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Self, TypeVar

import numpy as np
import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationError,
    model_validator,
)

from rung.data.labels import Array
from rung.errors import ModelError
from rung.model.posterior import Posterior
from rung.model.readout import ACTIVATIONS
from rung.settings import PLAIN, is_plain

MOST_BLOCKS = 1000

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What engines and torch raise at parts of a model that do not fit, or are none."""


class Part(BaseModel):
    """A dictionary of a checkpoint. Keys of a newer version are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", arbitrary_types_allowed=True)


P = TypeVar("P", bound=Part)


def own_numbers(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has all its numbers in the file: a stride of zero repeats one for nothing."""
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _array(dimensions: int, value: Any) -> Array:
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.dim() != dimensions:
        raise ValueError(f"it should be a tensor of real numbers with {dimensions} dimension(s)")
    if value.layout != torch.strided or not own_numbers(value):
        raise ValueError("it should be a tensor that has all its numbers in the file")
    return np.array(value.detach().cpu().numpy(), dtype=np.float64)


def _tensor(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or not own_numbers(value):
        raise ValueError("it should be a tensor that has all its numbers in the file")
    return value


Vector = Annotated[SkipValidation[Array], BeforeValidator(partial(_array, 1))]
Matrix = Annotated[SkipValidation[Array], BeforeValidator(partial(_array, 2))]
Numbers = Annotated[SkipValidation[torch.Tensor], BeforeValidator(_tensor)]
"""A tensor of any type and shape."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
AtomicNumber = Annotated[int, Field(ge=1, le=118)]


def _known_activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f"it should be one of {', '.join(sorted(ACTIVATIONS))}")
    return name


def _plain_name(name: str) -> str:
    if not is_plain(name):
        raise ValueError(f"a fidelity is named by {PLAIN}")
    return name


class LayerPart(Part):
    """A frozen hidden layer."""

    weight: Matrix
    bias: Vector
    activation: Annotated[str, AfterValidator(_known_activation)]
    gain: Finite


class BlockPart(Part):
    """One readout of one layer of features."""

    name: str
    columns: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 31)]], Field(min_length=1)]
    layers: Annotated[list[LayerPart], Field(max_length=MOST_BLOCKS)]
    weights: Vector
    bias: Finite
    n_random: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        width = len(self.columns)
        for layer in self.layers:
            if len(layer.weight) != width or layer.weight.shape[1] != len(layer.bias):
                raise ValueError(f"a layer of shape {layer.weight.shape} does not follow on {width} numbers")
            width = len(layer.bias)
        if len(self.weights) != width or self.n_random > width:
            raise ValueError(f"{len(self.weights)} weights do not follow on {width} numbers")
        return self


class SurfacePart(Part):
    """What one fidelity adds to a backbone."""

    scale: Finite
    shift: Finite
    blocks: Annotated[list[BlockPart], Field(min_length=1, max_length=MOST_BLOCKS)]
    reference: dict[AtomicNumber, Finite]


class BackbonePart(Part):
    """A backbone: what its backend says, or two backbones."""

    backend: str
    backbone: dict[str, Any] | list[Any]


class PotentialPart(BackbonePart):
    """A potential."""

    surfaces: Annotated[dict[Annotated[str, AfterValidator(_plain_name)], SurfacePart], Field(min_length=1)]


class ElementDomainPart(Part):
    """The environments of one element in training."""

    centre: Vector
    axes: Matrix
    environments: Matrix

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if len(self.axes) != len(self.centre) or self.environments.shape[1] != self.axes.shape[1]:
            raise ValueError(f"axes of the shape {self.axes.shape} do not fit the centre or the environments")
        if not len(self.environments):
            raise ValueError("it should have an environment")
        return self


class DomainPart(Part):
    """Where the training structures of a fit lie."""

    elements: dict[AtomicNumber, ElementDomainPart]
    absorbed: Matrix
    row_axes: Matrix
    leverage_limit: float
    distance_limit: float


class PosteriorPart(Part):
    """What a fit knows of its parameters."""

    parameters: list[str]
    mean: Vector
    covariance: Matrix
    unidentified: Matrix
    model_error: float
    force_error: float
    model_covariance: Matrix | None
    rough_error: float | None = None
    environment_axes: Matrix | None = None
    domain: DomainPart | None = None
    shared: Vector | None = None
    shared_stderr: float = 0.0

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        count = len(self.parameters)
        shapes = {
            "mean": (count,),
            "covariance": (count, count),
            "model_covariance": (count, count),
            "shared": (count,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} has the shape {value.shape} for {count} parameters")
        weights = count - sum(1 for name in self.parameters if name.startswith("E0["))
        if self.domain is not None and {self.domain.absorbed.shape[1], len(self.domain.row_axes)} != {weights}:
            raise ValueError(f"its domain is not of {weights} weights")
        if self.unidentified.shape[1:] != (count,):
            raise ValueError(f"unidentified has the shape {self.unidentified.shape} for {count} parameters")
        return self


def part_of(kind: type[P], data: Any, where: str) -> P:
    """Return the part that ``data`` holds, which stands at ``where`` in a file.

    Raises
    ------
    ModelError
        When it does not hold what it should: one sentence with the place.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([where, *(str(part)[:40] for part in first["loc"])])
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise ModelError(f"at {place!r} it does not hold what it should ({reason}).") from error


def check_posterior(posterior: Posterior, potential: Mapping[str, int], target: object) -> None:
    """Raise a :class:`~rung.errors.ModelError` where a posterior has parameters that its potential has not.

    Parameters
    ----------
    posterior
        Its parameters are weights of a readout, then reference energies.
    potential
        How many weights each fidelity has.
    target
        The fidelity that the posterior belongs to, where the file names one.
    """
    weights = len(posterior.parameters) - len(posterior.elements)
    known = {potential[target]} if isinstance(target, str) and target in potential else set(potential.values())
    if weights not in known:
        raise ModelError(f"its posterior has {weights} weights, and its readout {sorted(known)}.")
