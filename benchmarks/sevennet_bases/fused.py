"""SevenNet's convolutions without messages in memory, for dynamics on a processor: a fifth of the time of a step.

A convolution of SevenNet writes a message of each edge (3,136 numbers in SevenNet-MF-0) and sums them at the atoms.
On a processor that traffic takes most of a step. ``fused.cpp`` adds each message where it belongs while it is made.
It takes float32 and degrees up to two, and gives first derivatives only, so that it serves forces and no fit.

:func:`fused` compares forces with those of SevenNet's own code before it is used.
"""

import ctypes
import shutil
import subprocess
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from e3nn.o3 import wigner_3j
from torch import Tensor

from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.data.labels import Array
from rung.storage import content_hash
from rung.tasks.opened import Opened

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")
MOST_DEGREE = 2
TOLERANCE = 1e-5
"""eV/Å: what float32 leaves between the two codes is ten times less."""


class Edges(ctypes.Structure):
    """What the library is told of the edges of a batch and of the paths of a convolution."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("n_edges", "n_paths", "n_features", "n_sums", "n_weights")),
        *((name, ctypes.c_void_p) for name in ("paths", "coefficients", "to", "from_")),
    )


def library(folder: Path) -> ctypes.CDLL:
    """Compile ``fused.cpp`` into ``folder`` for this machine, once, and load it."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise SystemExit("--fused needs g++ or clang++; install one, or leave it out.")
    path = folder / f"fused-{content_hash(SOURCE.read_text())[:12]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        subprocess.run([compiler, *FLAGS, "-o", str(unfinished), str(SOURCE)], check=True)
        unfinished.replace(path)
    return ctypes.CDLL(str(path))


class Convolution:
    """One of SevenNet's convolutions, with its own network of weights.

    Parameters
    ----------
    module
        SevenNet's module.
    code
        The library.
    """

    def __init__(self, module: Any, code: ctypes.CDLL) -> None:
        product = module.convolution
        self.weights, self.code = module.weight_nn, code
        self.inputs = [(block.mul, block.ir.l) for block in product.irreps_in1]
        self.outputs = [(block.mul, block.ir.l) for block in product.irreps_out]
        if max(degree for _, degree in self.inputs + self.outputs) > MOST_DEGREE:
            raise SystemExit(f"--fused takes degrees up to {MOST_DEGREE}; leave it out for this model.")
        starts, ends = _offsets(self.inputs), _offsets(self.outputs)
        self.n_features, self.n_sums = starts[-1], ends[-1]
        rows, tables, place, weight = [], [], 0, 0
        for path in product.instructions:
            multiplicity, a_degree = self.inputs[path.i_in1]
            b_degree, k_degree = product.irreps_in2[path.i_in2].ir.l, self.outputs[path.i_out][1]
            table = wigner_3j(a_degree, b_degree, k_degree) * path.path_weight / float(module.denominator)
            rows.append(
                (starts[path.i_in1], multiplicity, a_degree, b_degree, ends[path.i_out], k_degree, weight, place)
            )
            tables.append(table.float().flatten())
            place, weight = place + table.numel(), weight + multiplicity
        self.n_weights = weight
        self.paths, self.coefficients = torch.tensor(rows, dtype=torch.int64), torch.cat(tables)

    def __call__(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        """Do what SevenNet's module does."""
        to, source = data["edge_index"]
        features = _turned(data["x"], [(multiplicity, 2 * degree + 1) for multiplicity, degree in self.inputs])
        weights = self.weights(data["edge_embedding"])
        summed = _Sums.apply(features, data["edge_attr"], weights, to.contiguous(), source.contiguous(), self)
        return {**data, "x": _turned(summed, [(2 * degree + 1, multiplicity) for multiplicity, degree in self.outputs])}

    def edges(self, to: Tensor, source: Tensor) -> Edges:
        """Return what the library is told."""
        sizes = (len(to), len(self.paths), self.n_features, self.n_sums, self.n_weights)
        return Edges(*sizes, *(one.data_ptr() for one in (self.paths, self.coefficients, to, source)))


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *tensors, to, source, owner = given
        features, harmonics, weights = (one.contiguous() for one in tensors)
        out = features.new_zeros(len(features), owner.n_sums)
        owner.code.sums(ctypes.byref(owner.edges(to, source)), *_pointers(features, harmonics, weights, out))
        ctx.save_for_backward(features, harmonics, weights, to, source)
        ctx.owner = owner
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        features, harmonics, weights, to, source = ctx.saved_tensors
        found = torch.zeros_like(features), torch.zeros_like(harmonics), torch.empty_like(weights)
        given = (features, harmonics, weights, upstream[0].contiguous())
        ctx.owner.code.gradients(ctypes.byref(ctx.owner.edges(to, source)), *_pointers(*given, *found))
        return (*found, None, None, None)


def _pointers(*tensors: Tensor) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(one.data_ptr()) for one in tensors]


def _offsets(blocks: list[tuple[int, int]]) -> list[int]:
    return [0, *(int(end) for end in np.cumsum([multiplicity * (2 * degree + 1) for multiplicity, degree in blocks]))]


def _turned(values: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
    """Return each block of columns, a matrix of one of ``shapes``, transposed."""
    blocks = values.split([rows * columns for rows, columns in shapes], dim=1)
    return torch.cat([one.unflatten(1, shape).mT.flatten(1) for one, shape in zip(blocks, shapes, strict=True)], dim=1)


@dataclass(frozen=True, eq=False)
class FusedBackbone(SevenNetBackbone):
    """A SevenNet model whose convolutions are fused; ``code`` is the library."""

    code: Any = None

    @cached_property
    def parts(self) -> dict[str, Any]:
        """SevenNet's modules before the readout, with fused convolutions in place of its own."""
        return {
            name: Convolution(part, self.code) if name.endswith("_convolution") else part
            for name, part in super().parts.items()
        }


def fused(opened: Opened, atoms: Atoms, folder: Path) -> Opened:
    """Let an opened SevenNet potential run fused convolutions, once its forces on ``atoms`` have been compared."""
    calculator = opened.calculator
    own = _forces(calculator, atoms)
    potential = calculator.potential
    given = {one.name: getattr(potential.backbone, one.name) for one in fields(SevenNetBackbone)}
    calculator.potential = replace(potential, backbone=FusedBackbone(**given, code=library(folder)))
    gap = float(np.abs(_forces(calculator, atoms) - own).max())
    print(f"forces of fused convolutions differ by at most {gap:.1e} eV/Å", flush=True)
    if gap > TOLERANCE:
        raise SystemExit(f"That is more than {TOLERANCE:g}: leave --fused out.")
    return opened


def _forces(calculator: Any, atoms: Atoms) -> Array:
    copied = atoms.copy()
    calculator.reset()
    copied.calc = calculator
    found: Array = copied.get_forces()
    return found
