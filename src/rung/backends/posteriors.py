"""Posteriors as plain data and tensors, which ``torch.load`` reads with ``weights_only=True``."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from ase import Atoms
from pydantic import Field, model_validator

from rung.backends import dump, restore
from rung.backends.parts import AtomicNumber, DomainPart, Matrix, Part, PosteriorPart, part_of
from rung.backends.plain import array_to_plain, domain_of, domain_to_plain
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.model.environments import EnvironmentKernel
from rung.model.posterior import Posterior
from rung.model.tangent import TangentPosterior, TangentRow, WeightGroup

TANGENT = "tangent"
"""The kind of a posterior over all weights; a posterior of a readout has none."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RowPart(Part):
    """A geometry whose energy, or force along a direction, gives a row of derivatives."""

    numbers: Annotated[list[AtomicNumber], Field(min_length=1)]
    positions: Matrix
    cell: Matrix
    pbc: Annotated[list[bool], Field(min_length=3, max_length=3)]
    direction: Matrix | None

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        shape = (len(self.numbers), 3)
        for name, value, wanted in (
            ("positions", self.positions, shape),
            ("cell", self.cell, (3, 3)),
            ("direction", self.direction, shape),
        ):
            if value is not None and value.shape != wanted:
                raise ValueError(f"{name} has the shape {value.shape} for {len(self.numbers)} atoms")
        return self


class GroupPart(Part):
    """Weights that have one prior width."""

    layer: str
    combination: Matrix
    size: Positive
    variance: NotNegative


class TangentPart(Part):
    """What a tangent fit knows of all weights."""

    coordinates: PosteriorPart
    base: dict[str, Any]
    fidelity: str
    tensors: Annotated[list[str], Field(min_length=1)]
    rows: Annotated[list[RowPart], Field(min_length=1)]
    groups: Annotated[list[GroupPart], Field(min_length=1)]
    absorbed: Matrix
    own_variance: NotNegative
    domain: DomainPart | None = None

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        matrices = [*(group.combination for group in self.groups), self.absorbed]
        if {matrix.shape[1] for matrix in matrices} != {len(self.rows)}:
            raise ValueError(f"its bases are not of {len(self.rows)} rows")
        if sum(len(matrix) for matrix in matrices) != len(self.coordinates.parameters):
            raise ValueError(f"its bases are not of {len(self.coordinates.parameters)} coordinates")
        return self


def posterior_to_plain(posterior: Posterior | TangentPosterior) -> dict[str, Any]:
    """Return a posterior as dictionaries, lists, numbers and float64 tensors."""
    if isinstance(posterior, TangentPosterior):
        return _tangent_to_plain(posterior)
    own = posterior.model_covariance
    return {
        "parameters": list(posterior.parameters),
        "mean": array_to_plain(posterior.mean),
        "covariance": array_to_plain(posterior.covariance),
        "unidentified": array_to_plain(posterior.unidentified),
        "model_error": float(posterior.model_error),
        "force_error": float(posterior.force_error),
        "model_covariance": None if own is None else array_to_plain(own),
        "shared": None if posterior.shared is None else array_to_plain(posterior.shared),
        "shared_stderr": float(posterior.shared_stderr),
        "rough_error": None if posterior.rough_error is None else float(posterior.rough_error),
        "environment_axes": None if posterior.environments is None else array_to_plain(posterior.environments.axes),
        "domain": None if posterior.domain is None else domain_to_plain(posterior.domain),
    }


def posterior_from_plain(
    data: Mapping[str, Any], where: str, *, dtype: str | None = None, device: str = "cpu"
) -> Posterior | TangentPosterior:
    """Return the posterior that :func:`posterior_to_plain` wrote.

    Parameters
    ----------
    data
        What stands in the file.
    where
        Its place there, for messages.
    dtype, device
        Of the base of a tangent fit.

    Raises
    ------
    ModelError
        When it does not hold what it should: one sentence with the place.
    """
    if data.get("kind") == TANGENT:
        return _tangent_of(part_of(TangentPart, data, where), where, dtype, device)
    return _posterior_of(part_of(PosteriorPart, data, where))


def _posterior_of(part: PosteriorPart) -> Posterior:
    axes = part.environment_axes  # fits of 0.1.0 do not know which environments are alike
    return Posterior(
        parameters=tuple(part.parameters),
        mean=part.mean,
        covariance=part.covariance,
        unidentified=part.unidentified,
        model_error=part.model_error,
        force_error=part.force_error,
        model_covariance=part.model_covariance,
        rough_error=part.rough_error,
        environments=None if axes is None else EnvironmentKernel(axes),
        domain=None if part.domain is None else domain_of(part.domain),
        shared=part.shared,
        shared_stderr=part.shared_stderr,
    )


def _tangent_to_plain(posterior: TangentPosterior) -> dict[str, Any]:
    return {
        "kind": TANGENT,
        "coordinates": posterior_to_plain(posterior.coordinates),
        "base": dump(posterior.base),
        "fidelity": posterior.fidelity,
        "tensors": list(posterior.tensors),
        "rows": [_row_to_plain(row) for row in posterior.rows],
        "groups": [
            {
                "layer": group.layer,
                "combination": array_to_plain(group.combination),
                "size": float(group.size),
                "variance": float(group.variance),
            }
            for group in posterior.groups
        ],
        "absorbed": array_to_plain(posterior.absorbed),
        "own_variance": float(posterior.own_variance),
        "domain": None if posterior.domain is None else domain_to_plain(posterior.domain),
    }


def _row_to_plain(row: TangentRow) -> dict[str, Any]:
    atoms = row.structure.atoms
    return {
        "numbers": [int(number) for number in atoms.numbers],
        "positions": array_to_plain(atoms.positions),
        "cell": array_to_plain(atoms.cell.array),
        "pbc": [bool(axis) for axis in atoms.pbc],
        "direction": None if row.direction is None else array_to_plain(row.direction),
    }


def _tangent_of(part: TangentPart, where: str, dtype: str | None, device: str) -> TangentPosterior:
    base = restore(part.base, dtype=dtype, device=device)
    if part.fidelity not in base.fidelities:
        raise ModelError(f"at {where + '.fidelity'!r} it names {part.fidelity[:40]!r}, which its base does not offer.")
    return TangentPosterior(
        coordinates=_posterior_of(part.coordinates),
        base=base,
        fidelity=part.fidelity,
        tensors=tuple(part.tensors),
        rows=tuple(_row_of(row) for row in part.rows),
        groups=tuple(WeightGroup(group.layer, group.combination, group.size, group.variance) for group in part.groups),
        absorbed=part.absorbed,
        own_variance=part.own_variance,
        domain=None if part.domain is None else domain_of(part.domain),
    )


def _row_of(part: RowPart) -> TangentRow:
    atoms = Atoms(part.numbers, positions=part.positions, cell=part.cell, pbc=part.pbc)
    return TangentRow(Structure(atoms, "", {}), part.direction)
