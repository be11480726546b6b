"""The shape of a new MACE model, as a user writes it."""

from typing import Annotated, Literal

from pydantic import Field

from rung.model.architecture import Architecture


class MaceArchitecture(Architecture):
    """The shape of a MACE model (Batatia et al., NeurIPS 2022, arXiv:2206.07697).

    The first layer has no residual connection, so the readouts of an isolated atom give zero and its energy is its
    reference energy plus ``shift``.
    """

    kind: Literal["mace"] = "mace"
    """Which backend builds it."""
    channels: int = Field(default=32, ge=1, le=4096)
    """Copies of each irreducible representation in the hidden features."""
    max_l: int = Field(default=1, ge=0, le=3)
    """Highest rotation order of the hidden features: 0 passes scalars between layers, 1 vectors too."""
    max_harmonic: int = Field(default=2, ge=1, le=6)
    """Highest order of the spherical harmonics of an edge; mace-torch builds no model of order 0."""
    cutoff: float = Field(default=5.0, gt=0)
    """Å; the range of one edge."""
    layers: int = Field(default=2, ge=1, le=5)
    """Number of interaction layers."""
    correlation: int = Field(default=3, ge=1, le=4)
    """Body order of a message less one."""
    readout_units: int = Field(default=16, ge=1, le=4096)
    """Hidden units of the last, non-linear readout."""
    activation: Literal["silu", "tanh", "abs"] = "silu"
    """Activation of the hidden units of the last readout."""
    radial_basis: Literal["bessel", "gaussian", "chebyshev"] = "bessel"
    """Functions of the distance."""
    radial_functions: int = Field(default=8, ge=1, le=1024)
    """How many of them."""
    radial_units: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(default=(64, 64, 64), min_length=1)
    """Hidden units of the network from radial functions to the weights of a message."""
    cutoff_power: int = Field(default=5, ge=2)
    """Power of the polynomial that takes the radial functions to zero at the cutoff."""
    distance_transform: Literal["none", "agnesi", "soft"] = "none"
    """A map of distances that resolves short bonds better."""
    pair_repulsion: bool = False
    """Whether the Ziegler-Biersack-Littmark repulsion is added."""


class SmallMaceArchitecture(MaceArchitecture):
    """The shape of a model beside the base: small where nothing is said, for few labels teach it and every call pays.

    With a hundred energies and no forces a larger one learnt them by heart and was best before it had learnt anything.
    """

    channels: int = Field(default=8, ge=1, le=4096)
    """Copies of each irreducible representation in the hidden features."""
    max_l: int = Field(default=0, ge=0, le=3)
    """Highest rotation order of the hidden features: 0 passes scalars between layers, 1 vectors too."""
    max_harmonic: int = Field(default=1, ge=1, le=6)
    """Highest order of the spherical harmonics of an edge."""
    cutoff: float = Field(default=3.5, gt=0)
    """Å; the range of one edge."""
    layers: int = Field(default=1, ge=1, le=5)
    """Number of interaction layers."""
    correlation: int = Field(default=1, ge=1, le=4)
    """Body order of a message less one."""
    radial_units: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(default=(16,), min_length=1)
    """Hidden units of the network from radial functions to the weights of a message."""
