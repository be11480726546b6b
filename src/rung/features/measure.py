"""What passes through a backbone cost, as measured on one structure: seconds, and the numbers that a pass keeps.

The count of numbers that a reverse pass needs is the same on every machine, so it may decide how a fit is made. Seconds
are of this machine: they choose between ways to the same numbers, and say what a build will take.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.structure import Structure
from rung.data.wrapping import near_origin
from rung.features.probes import moved_features
from rung.model.protocols import Backbone, LayeredFeatures

FULL_WORK = 3e10
"""Numbers that reverse passes read for full designs with forces up to which these are made where nothing else is asked
for: some ten minutes on one core, which reads 50 to 100 million a second (benchmarks/foundation.py)."""

REPEATS = 1
"""How often each pass is timed, after one that is not; the least time counts."""

WARM_UPS, CALLS, ENOUGH = 3, 5, 1.0
"""How often a call is made before it is timed, for torch compiles parts of a model in the first few; how often it is
timed; and the seconds after which neither goes on."""


@dataclass(frozen=True)
class PassCosts:
    """What passes cost for a structure of ``n_atoms`` atoms.

    Parameters
    ----------
    n_atoms
        Its atoms; costs of other structures are in proportion.
    n_features
        Features of each atom.
    n_bytes
        Memory of what a reverse pass needs, bytes.
    forward, reverse, jacobian, probe
        Seconds of a pass: for the features, for the forces of one basis function (the mean over layers), for one
        direction of the Jacobian, and for one forward-mode pass.
    """

    n_atoms: int
    n_features: int
    n_bytes: int
    forward: float
    reverse: float
    jacobian: float
    probe: float

    @property
    def ratio(self) -> float:
        """Cost of a pass of the Jacobian in units of a reverse pass."""
        return self.jacobian / self.reverse if self.reverse > 0 else 1.0


def held_numbers(structure: Structure, backbone: Backbone, fidelity: str) -> int:
    """Return how many numbers a reverse pass through the features of a structure needs."""
    batch = _batch(structure, backbone, fidelity)
    held = dict[tuple[int, int], int]()

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.data_ptr(), tensor.numel()] = tensor.numel()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layers = _layers(backbone, batch)  # kept until all are counted, so that no memory is used twice
    del layers
    return sum(held.values())


def full_work(structures: Sequence[Structure], backbone: Backbone, n_basis: int, fidelity: str) -> float:
    """Return how many numbers reverse passes read for the full designs of ``structures``, whatever the cache holds.

    Parameters
    ----------
    structures
        One of middle size is looked at.
    backbone, fidelity
        Whose features.
    n_basis
        Fitted weights: the passes of a summed design. A Jacobian takes three for each atom.
    """
    if not structures:
        return 0.0
    typical = sorted(structures, key=lambda one: (len(one), one.geometry_hash))[len(structures) // 2]
    an_atom = held_numbers(typical, backbone, fidelity) / len(typical)
    return an_atom * sum(len(one) * min(n_basis, 3 * len(one)) for one in structures)


def measured_costs(structure: Structure, backbone: Backbone, fidelity: str) -> PassCosts:
    """Return what each kind of pass costs on this machine, measured on one structure."""
    batch = _batch(structure, backbone, fidelity)
    still = replace(batch, positions=batch.positions.detach())
    layers = _layers(backbone, batch)
    features = torch.cat(layers, dim=1)
    cotangent = torch.zeros_like(features, requires_grad=True)
    direction = torch.ones_like(batch.positions)
    reverse = jacobian = 0.0
    if features.requires_grad:
        (gradient,) = torch.autograd.grad(features, batch.positions, cotangent, create_graph=True)

        def back(layer: Tensor) -> Callable[[], object]:
            return lambda: torch.autograd.grad(layer.sum(), batch.positions, retain_graph=True, allow_unused=True)

        times = [_seconds(back(layer), batch) for layer in layers if layer.requires_grad]
        reverse = sum(times) / len(times)
        jacobian = _seconds(lambda: torch.autograd.grad(gradient, cotangent, direction, retain_graph=True), batch)
    return PassCosts(
        n_atoms=len(structure),
        n_features=features.shape[1],
        n_bytes=held_numbers(structure, backbone, fidelity) * features.element_size(),
        forward=_seconds(lambda: backbone.features(still), batch),
        reverse=reverse,
        jacobian=jacobian,
        probe=_seconds(lambda: moved_features(backbone, still, direction), batch),
    )


def settled_seconds(work: Callable[[], object]) -> float:
    """Return the median time of a call, after those in which torch compiles."""
    _times(work, WARM_UPS)
    return median(_times(work, CALLS))


def _times(work: Callable[[], object], at_most: int) -> list[float]:
    times = list[float]()
    while len(times) < at_most and sum(times) < ENOUGH:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def _seconds(work: Callable[[], object], batch: Batch) -> float:
    """Return the least time of ``work``, after a call that is not counted."""
    work()
    times = [time.perf_counter()]
    for _ in range(REPEATS):
        work()
        if batch.positions.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter())
    return min(after - before for before, after in pairwise(times))


def _batch(structure: Structure, backbone: Backbone, fidelity: str) -> Batch:
    near = Structure(near_origin(structure.atoms), structure.structure_id, {})
    batch = collate([near], [fidelity], backbone.cutoff, dtype=backbone.dtype, device=backbone.device)
    return replace(batch, positions=batch.positions.detach().requires_grad_(True))


def _layers(backbone: Backbone, batch: Batch) -> tuple[Tensor, ...]:
    return backbone.feature_layers(batch) if isinstance(backbone, LayeredFeatures) else (backbone.features(batch),)
