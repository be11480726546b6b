"""Designs of many structures: what the cache lacks is computed in batches, each kind by its cheapest passes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix
from rung.errors import DataError, ModelError
from rung.features.cache import Arrays, DesignCache, EntryKey, EntryKind
from rung.features.cost import Kind, batches, cheaper_kind
from rung.features.design import Design
from rung.features.jacobian import MovePlan, forces_design, jacobian_blocks, plan_moves
from rung.model.protocols import Backbone
from rung.model.readout import Readout
from rung.progress import SILENT, Progress


def build_designs(
    structures: Sequence[Structure],
    backbone: Backbone,
    readout: Readout,
    *,
    forces: bool,
    fidelity: str,
    cache: DesignCache | None = None,
    kind: Literal["auto", "jacobian", "summed"] = "auto",
    batch_size: int | None = None,
    progress: Progress = SILENT,
) -> list[Design]:
    """Return the design of each structure, in the order given; equal geometries are computed once.

    Features run in the backbone's type and are kept so; designs are float64. What a batch finishes is in the cache
    before the next begins, so a build that was stopped goes on where it was.

    Parameters
    ----------
    structures
        Geometries; their labels are not looked at.
    backbone
        Makes the features. ``Design.composition`` counts its elements in ascending order.
    readout
        The basis whose weights are fitted; the weights themselves do not matter.
    forces
        Whether to differentiate; without, one forward pass a structure does.
    fidelity
        At which features are computed; it matters only where the backbone is conditioned on it.
    cache
        Where to find and keep entries; None computes everything afresh.
    kind
        How to make forces: ``jacobian`` (its entry serves any readout of this backbone), ``summed`` (serves this basis
        alone), or ``auto``: what the cache has, else the cheaper.
    batch_size
        Structures a batch; by default as many as make about 300 atoms.
    progress
        Advances by one for each structure.

    Raises
    ------
    ModelError
        When the backbone lacks an element, or the readout asks for more features than there are.
    DataError
        When features are not finite, as where two atoms coincide.
    StorageError
        When the cache cannot be read or written.
    """
    wanted: tuple[EntryKind, ...] = ("features", "jacobian", "summed")
    if forces:
        wanted = ("jacobian", "summed") if kind == "auto" else (kind,)
    engine = _Engine(backbone, readout, fidelity, cache)
    choose = (lambda plan: engine.choose(plan, kind)) if forces else None
    found: dict[str, Design] = {}
    for structure, arrays in engine.collect(structures, wanted, choose, batch_size, progress):
        found[structure.geometry_hash] = design_of(structure, backbone, readout, arrays, forces=forces)
    return [found[structure.geometry_hash] for structure in structures]


def features_of(
    structures: Sequence[Structure],
    backbone: Backbone,
    *,
    fidelity: str,
    cache: DesignCache | None = None,
    batch_size: int | None = None,
    progress: Progress = SILENT,
) -> list[Array]:
    """Return the features of each structure, shape ``(n, D)``, float64, in the order given.

    Parameters, errors and cache as for :func:`build_designs`; a Jacobian in the cache serves too.
    """
    engine = _Engine(backbone, None, fidelity, cache)
    found: dict[str, Array] = {}
    for structure, arrays in engine.collect(structures, ("features", "jacobian"), None, batch_size, progress):
        found[structure.geometry_hash] = np.asarray(arrays["features"], dtype=np.float64)
    return [found[structure.geometry_hash] for structure in structures]


def design_of(structure: Structure, backbone: Backbone, readout: Readout, arrays: Arrays, *, forces: bool) -> Design:
    """Return the design of one structure from the arrays of an entry, of whichever kind."""
    features = arrays["features"]
    _check_columns(readout, features.shape[1])
    with torch.no_grad():
        energy = readout.basis(torch.as_tensor(features).double()).sum(dim=0).numpy()
    matrix, fixed = np.zeros((0, len(energy))), np.zeros(0)
    if forces:
        fixed = arrays["fixed_forces"].astype(np.float64).reshape(-1)
        if "summed" in arrays:
            matrix = arrays["summed"].astype(np.float64)
        else:
            matrix = forces_design(readout, features, arrays["pairs"], arrays["values"])
    return Design(
        energy=energy,
        forces=matrix,
        composition=composition_matrix([structure], sorted(backbone.elements))[0],
        fixed_energy=float(arrays["fixed_energy"]),
        fixed_forces=fixed,
    )


@dataclass(frozen=True)
class _Work:
    """A structure to compute, the kind of its entry, and its groups of atoms that move at once."""

    structure: Structure
    kind: EntryKind
    n_colours: int = 0


_Choice = Callable[[MovePlan], Kind]


@dataclass(frozen=True)
class _Engine:
    """Finds entries in the cache or computes them; one backbone at one fidelity, and the readout of summed entries."""

    backbone: Backbone
    readout: Readout | None
    fidelity: str
    cache: DesignCache | None

    def collect(
        self,
        structures: Sequence[Structure],
        wanted: Sequence[EntryKind],
        choose: _Choice | None,
        batch_size: int | None,
        progress: Progress,
    ) -> Iterator[tuple[Structure, Arrays]]:
        """Yield each distinct geometry with an entry of a wanted kind; nothing yielded is kept here."""
        distinct = {structure.geometry_hash: structure for structure in structures}
        self._check_elements(distinct.values())
        missing = []
        with progress.task("Features of the frozen backbone", len(distinct)) as task:
            for structure in distinct.values():
                arrays = self._find(structure, wanted)
                if arrays is None:
                    missing.append(self._plan(structure, choose))
                    continue
                yield structure, arrays
                task.advance()
            for batch in self._batches(missing, batch_size):
                for work, arrays in zip(batch, self._compute(batch), strict=True):
                    if self.cache is not None:
                        self.cache.put(self.key(work.structure, work.kind), arrays)
                    yield work.structure, arrays
                    task.advance()

    def key(self, structure: Structure, kind: EntryKind) -> EntryKey:
        """Return the key of an entry."""
        return EntryKey(
            kind=kind,
            backbone=self.backbone.fingerprint,
            fidelity=self.fidelity if self.backbone.conditioned else "",
            readout=self.readout.fingerprint if kind == "summed" and self.readout is not None else "",
            structure=structure.geometry_hash,
            dtype=str(self.backbone.dtype).removeprefix("torch."),
        )

    def choose(self, plan: MovePlan, kind: Literal["auto", "jacobian", "summed"]) -> Kind:
        """Return the kind asked for, or the cheaper one."""
        if kind != "auto" or self.readout is None:
            return "jacobian" if kind == "auto" else kind
        itemsize = torch.finfo(self.backbone.dtype).bits // 8
        return cheaper_kind(
            plan.n_colours, len(self.readout.weights), 3 * len(plan.pairs) * self.readout.n_features * itemsize
        )

    def _find(self, structure: Structure, wanted: Sequence[EntryKind]) -> Arrays | None:
        if self.cache is None:
            return None
        for kind in wanted:
            arrays = self.cache.get(self.key(structure, kind))
            if arrays is not None:
                return arrays
        return None

    def _plan(self, structure: Structure, choose: _Choice | None) -> _Work:
        if choose is None:
            return _Work(structure, "features")
        plan = plan_moves(structure.atoms, self.backbone.receptive_field)
        return _Work(structure, choose(plan), plan.n_colours)  # a plan is made again when due: n² of each would add up

    def _batches(self, missing: Sequence[_Work], batch_size: int | None) -> Iterator[list[_Work]]:
        for kind in ("features", "jacobian", "summed"):
            works = [work for work in missing if work.kind == kind]
            sizes = [len(work.structure) for work in works]
            costs = [work.n_colours if kind == "jacobian" else 0 for work in works]
            for chosen in batches(sizes, costs, batch_size):
                yield [works[index] for index in chosen]

    def _compute(self, works: Sequence[_Work]) -> list[Arrays]:
        """Run the passes of one batch of works of one kind."""
        structures = [work.structure for work in works]
        batch = collate(
            structures,
            [self.fidelity] * len(structures),
            self.backbone.cutoff,
            dtype=self.backbone.dtype,
            device=self.backbone.device,
        )
        sizes = [len(structure) for structure in structures]
        kind = works[0].kind
        with torch.set_grad_enabled(kind != "features"):
            batch = replace(batch, positions=batch.positions.detach().requires_grad_(kind != "features"))
            features = self.backbone.features(batch)
            fixed = self.backbone.fixed_energy(batch)
        if self.readout is not None:
            _check_columns(self.readout, features.shape[1])
        results: list[Arrays] = [
            {"features": block, "fixed_energy": np.array(energy)}
            for block, energy in zip(_split(features, sizes), fixed.detach().double().cpu().numpy(), strict=True)
        ]
        if kind != "features":
            _add(results, "fixed_forces", _split(-_position_gradient(fixed, batch), sizes))
        if kind == "jacobian":
            plans = [plan_moves(structure.atoms, self.backbone.receptive_field) for structure in structures]
            _add(results, "pairs", [plan.pairs for plan in plans])
            _add(results, "values", jacobian_blocks(features, batch.positions, plans))
        if kind == "summed" and self.readout is not None:
            _add(results, "summed", _summed_blocks(features, batch, self.readout, sizes))
        for structure, arrays in zip(structures, results, strict=True):
            _check_finite(structure, arrays)
        return results

    def _check_elements(self, structures: Iterable[Structure]) -> None:
        for structure in structures:
            unknown = sorted({int(number) for number in structure.atoms.numbers} - self.backbone.elements)
            if unknown:
                raise ModelError(
                    f"The base does not know the atomic numbers {unknown} of structure {structure.structure_id!r}."
                )


def _summed_blocks(
    features: Tensor, batch: Batch, readout: Readout, sizes: Sequence[int]
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.floating]]]:
    """Return ∂F/∂w of each structure, shapes ``(3n, P)``: one reverse pass a basis function serves the whole batch."""
    with torch.enable_grad():
        totals = readout.basis(features).sum(dim=0)
        columns = [-_position_gradient(total, batch) for total in totals]
    return [block.reshape(3 * len(block), -1) for block in _split(torch.stack(columns, dim=2), sizes)]


def _position_gradient(energy: Tensor, batch: Batch) -> Tensor:
    """Return ∂(Σ energy)/∂positions, zero where nothing depends on them (single atoms)."""
    if not energy.requires_grad:
        return torch.zeros_like(batch.positions)
    (gradient,) = torch.autograd.grad(energy.sum(), batch.positions, retain_graph=True, allow_unused=True)
    return torch.zeros_like(batch.positions) if gradient is None else gradient


def _split(values: Tensor, sizes: Sequence[int]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.floating]]]:
    return [block.numpy() for block in values.detach().cpu().split(list(sizes))]


def _add(
    results: Sequence[Arrays], name: str, blocks: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]
) -> None:
    for arrays, block in zip(results, blocks, strict=True):
        arrays[name] = block


def _check_columns(readout: Readout, n_features: int) -> None:
    if readout.n_features > n_features:
        raise ModelError(f"The readout reads feature {readout.n_features - 1}, but the base has {n_features} features.")


def _check_finite(structure: Structure, arrays: Arrays) -> None:
    for array in arrays.values():
        if not np.isfinite(array).all():
            raise DataError(
                f"The base's features of structure {structure.structure_id!r} are not finite; "
                "look for atoms on one place or positions that are not numbers."
            )
