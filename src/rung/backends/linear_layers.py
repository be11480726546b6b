"""The part of an ``e3nn.o3.Linear`` that acts on even scalars, as dense matrices: several libraries build on it.

Nothing is imported of e3nn: these functions look at the attributes of its objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.data.labels import Array


def scalar_columns(irreps: Any) -> list[int]:
    """Return the columns of the even scalars of e3nn ``irreps``."""
    columns: list[int] = []
    start = 0
    for multiplicity, irrep in irreps:
        if irrep.l == 0 and irrep.p == 1:
            columns.extend(range(start, start + multiplicity))
        start += multiplicity * irrep.dim
    return columns


@dataclass(frozen=True)
class ScalarPath:
    """One path of an ``e3nn.o3.Linear`` between even scalars, or the bias of some.

    Parameters
    ----------
    flat
        Where its entries stand in the flat tensor.
    shape
        ``(inputs, outputs)``, or ``(outputs,)`` of a bias.
    rows, columns
        Its place in the dense matrix.
    factor
        The normalisation by which entries are multiplied.
    is_bias
        Whether it is a bias.
    """

    flat: slice
    shape: tuple[int, ...]
    rows: slice
    columns: slice
    factor: float
    is_bias: bool


def scalar_paths(linear: Any) -> Iterator[ScalarPath]:
    """Yield the paths that matter to even scalars.

    e3nn keeps one flat tensor of paths, each to be multiplied by its ``path_weight`` (Geiger and Smidt,
    arXiv:2207.09453, and the source of ``e3nn.o3.Linear`` 0.4.4).
    """
    rows, columns = scalar_starts(linear.irreps_in), scalar_starts(linear.irreps_out)
    used = {True: 0, False: 0}
    for path in linear.instructions:
        is_bias = path.i_in == -1
        size = int(np.prod(path.path_shape))
        flat = slice(used[is_bias], used[is_bias] + size)
        used[is_bias] += size
        if not _is_scalar(linear.irreps_out[path.i_out]):
            continue
        yield ScalarPath(
            flat=flat,
            shape=tuple(path.path_shape),
            rows=slice(0, 0) if is_bias else slice(rows[path.i_in], rows[path.i_in + 1]),
            columns=slice(columns[path.i_out], columns[path.i_out + 1]),
            factor=float(path.path_weight),
            is_bias=is_bias,
        )


def dense(linear: Any) -> tuple[Array, Array]:
    """Return weight ``(inputs, outputs)`` and bias ``(outputs,)`` of the even scalars of an ``e3nn.o3.Linear``."""
    weight = np.zeros((scalar_starts(linear.irreps_in)[-1], scalar_starts(linear.irreps_out)[-1]))
    bias = np.zeros(weight.shape[1])
    for path in scalar_paths(linear):
        source = linear.bias if path.is_bias else linear.weight
        values = path.factor * source.detach().double().cpu().numpy()[path.flat].reshape(path.shape)
        if path.is_bias:
            bias[path.columns] += values
        else:
            weight[path.rows, path.columns] += values
    return weight, bias


def _is_scalar(part: Any) -> bool:
    return bool(part.ir.l == 0 and part.ir.p == 1)


def scalar_starts(irreps: Any) -> list[int]:
    """Return where the even scalars of each part of ``irreps`` start among all even scalars."""
    starts = [0]
    for part in irreps:
        starts.append(starts[-1] + (part.mul if _is_scalar(part) else 0))
    return starts
