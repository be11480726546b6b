"""Entries of structures: found in the cache or computed in batches of one kind."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.elements import symbols
from rung.data.structure import Structure
from rung.data.wrapping import near_origin
from rung.errors import DataError, ModelError
from rung.features.cache import Arrays, DesignCache, EntryKey, EntryKind
from rung.features.cost import ATOMS_A_BATCH, ATOMS_A_BATCH_ACCELERATOR, Kind, batches
from rung.features.estimate import WORTH_MEASURING, WORTH_SAYING, Estimate, Piece, estimate
from rung.features.jacobian import MovePlan, jacobian_blocks, plan_moves
from rung.features.measure import PassCosts, held_numbers, measured_costs
from rung.features.probes import Probe, moved_features
from rung.features.summed import position_gradient, summed_forces
from rung.model.protocols import Backbone, LayeredFeatures
from rung.model.readout import Readout
from rung.progress import Progress


@dataclass(frozen=True)
class _Work:
    """A structure to compute, the kind of its entry, and its groups of atoms that move at once."""

    structure: Structure
    kind: EntryKind
    n_colours: int = 0
    n_pairs: int = 0

    def piece(self, n_basis: int, n_features: int, itemsize: int) -> Piece:
        """Return what computing it takes."""
        n_atoms = len(self.structure)
        own = n_atoms * n_features
        passes, more = {
            "features": (0, 0),
            "summed": (n_basis, 3 * n_atoms * n_basis),
            "jacobian": (3 * self.n_colours, 3 * self.n_pairs * n_features),
            "probed": (1, own),
        }[self.kind]
        return Piece(self.kind, n_atoms, passes, itemsize * (own + more))


@dataclass(frozen=True)
class EntryMaker:
    """Finds or computes entries of one backbone.

    Parameters
    ----------
    backbone
        Makes the features.
    readout
        The basis of ``summed`` entries; None where none is asked for.
    fidelity
        At which features are computed.
    cache
        Where entries are found and kept; None keeps none.
    wanted
        Kinds of entry that serve, in the order of preference.
    choose
        The kind to compute where the cache has none, from how a structure's atoms can move and the cost of a pass of
        the Jacobian in units of a reverse pass; None for ``features``.
    batch_size
        Structures a batch; None goes by atoms.
    probe
        The direction of ``probed`` entries; None where none is asked for.
    builds
        How many builds of this cost the caller makes in all: what is said of it counts them. 0 says nothing.
    """

    backbone: Backbone
    readout: Readout | None
    fidelity: str
    cache: DesignCache | None
    wanted: Sequence[EntryKind]
    choose: Callable[[MovePlan, float], Kind] | None
    batch_size: int | None
    probe: Probe | None = None
    builds: int = 1

    def collect(self, structures: Sequence[Structure], progress: Progress) -> Iterator[tuple[Structure, Arrays]]:
        """Yield each distinct geometry with its entry, those in the cache first; nothing yielded is kept here."""
        distinct = {structure.geometry_hash: structure for structure in structures}
        self._check_elements(distinct.values())
        with progress.task("Features of the frozen backbone", len(distinct)) as task:
            for entry in self._entries(distinct.values(), progress):
                yield entry
                task.advance()

    def key(self, structure: Structure, kind: EntryKind) -> EntryKey:
        """Return the key of an entry."""
        return EntryKey(
            kind=kind,
            backbone=self.backbone.fingerprint,
            fidelity=self.fidelity if self.backbone.conditioned else "",
            readout=self._seen_along(kind),
            structure=seen_structure(structure).geometry_hash,
            dtype=str(self.backbone.dtype).removeprefix("torch."),
        )

    def _seen_along(self, kind: EntryKind) -> str:
        """Return what the forces of an entry were differentiated by, or along."""
        if kind == "summed" and self.readout is not None:
            return self.readout.fingerprint
        return self.probe.fingerprint if kind == "probed" and self.probe is not None else ""

    def _entries(self, structures: Iterable[Structure], progress: Progress) -> Iterator[tuple[Structure, Arrays]]:
        absent = []
        for structure in structures:
            arrays = self._find(structure)
            if arrays is None:
                absent.append(structure)
            else:
                yield structure, arrays
        works, started, kept = self._planned(absent, progress), time.monotonic(), 0
        for number, planned in enumerate(self._batches(works)):
            if number == 1 and works[0].kind in ("features", "probed"):  # how others cost was measured before
                self._say(self._after_first(works, time.monotonic() - started, kept), progress)
            batch = []
            for work in planned:
                arrays = self._find(work.structure)  # another process may have made it meanwhile
                if arrays is None:
                    batch.append(work)
                else:
                    yield work.structure, arrays
            for work, arrays in zip(batch, self._compute(batch), strict=True):
                kept += sum(array.nbytes for array in arrays.values())
                if self.cache is not None:
                    self.cache.put(self.key(work.structure, work.kind), arrays)
                yield work.structure, arrays

    def _find(self, structure: Structure) -> Arrays | None:
        if self.cache is None:
            return None
        for kind in self.wanted:
            arrays = self.cache.get(self.key(structure, kind))
            if arrays is not None:
                return arrays
        return None

    def _planned(self, absent: Sequence[Structure], progress: Progress) -> list[_Work]:
        """Return how each structure is computed, and say what a large build will cost before it starts."""
        # where there is but one way, its first batch tells its cost
        alone = not absent or self.choose is None or self.probe is not None
        if alone or self._n_basis * sum(len(structure) for structure in absent) < WORTH_MEASURING:
            return [self._plan(structure, self.backbone.pass_ratio) for structure in absent]
        costs = measured_costs(absent[len(absent) // 2], self.backbone, self.fidelity)
        works = [self._plan(structure, costs.ratio) for structure in absent]
        self._say(self.estimate(works, costs), progress)
        return works

    def _after_first(self, works: Sequence[_Work], seconds: float, kept: int) -> Estimate:
        """Return what a build takes in all, from the time of its first batch and the bytes of its entries."""
        done = sum(len(work.structure) for work in next(iter(self._batches(works))))
        share = sum(len(work.structure) for work in works) / done
        # no pass of these kinds keeps as many numbers as a reverse pass
        first = works[0].structure
        held = held_numbers(first, self.backbone, self.fidelity) / len(first)
        memory = held * self._itemsize * max(self._atoms_a_batch, done)
        return Estimate(len(works), self.builds * share * seconds, memory, self.builds * share * kept)

    def _say(self, expected: Estimate, progress: Progress) -> None:
        """Say what a build takes, before the most of it."""
        if expected.seconds > WORTH_SAYING:
            along = f" along {self.builds} directions" if self.probe is not None and self.builds > 1 else ""
            progress.say(f"Designs{along} of {expected.sentence}; a build that is stopped goes on where it was.")

    def estimate(self, works: Sequence[_Work], costs: PassCosts) -> Estimate:
        """Return what computing ``works`` will take."""
        pieces = [work.piece(self._n_basis, costs.n_features, self._itemsize) for work in works]
        return estimate(pieces, costs, self._atoms_a_batch)

    @property
    def _itemsize(self) -> int:
        return torch.finfo(self.backbone.dtype).bits // 8

    @property
    def _n_basis(self) -> int:
        return 1 if self.readout is None else len(self.readout.weights)

    @property
    def _atoms_a_batch(self) -> int:
        return ATOMS_A_BATCH if self.backbone.device.type == "cpu" else ATOMS_A_BATCH_ACCELERATOR

    def _plan(self, structure: Structure, pass_ratio: float) -> _Work:
        if self.choose is None:
            return _Work(structure, "features")
        if self.probe is not None:
            return _Work(structure, "probed")
        plan = plan_moves(structure.atoms, self.backbone.receptive_field)
        # plans of all structures at once would add up
        return _Work(structure, self.choose(plan, pass_ratio), plan.n_colours, len(plan.pairs))

    def _batches(self, missing: Sequence[_Work]) -> Iterator[list[_Work]]:
        for kind in ("features", "jacobian", "summed", "probed"):
            works = [work for work in missing if work.kind == kind]
            sizes = [len(work.structure) for work in works]
            costs = [work.n_colours if kind == "jacobian" else 0 for work in works]
            for chosen in batches(sizes, costs, self.batch_size, atoms_a_batch=self._atoms_a_batch):
                yield [works[index] for index in chosen]

    def _compute(self, works: Sequence[_Work]) -> list[Arrays]:
        """Run the passes of one batch of works of one kind."""
        if not works:
            return []
        structures = [work.structure for work in works]
        sizes = [len(structure) for structure in structures]
        kind = works[0].kind
        columns: dict[str, Sequence[np.ndarray[Any, Any]]] = {}
        batch = self._batch(structures, differentiable=kind != "features")
        if self.probe is not None and kind == "probed":
            seen = [seen_structure(structure) for structure in structures]
            direction = torch.as_tensor(np.concatenate([self.probe.direction(one) for one in seen]))
            features, tangent = moved_features(self.backbone, batch, direction.to(batch.positions))
            layers: tuple[Tensor, ...] = (features,)
            columns = {"tangent": _split(tangent, sizes)}
        else:
            with torch.set_grad_enabled(kind != "features"):
                layers = self._layers(batch)
                features = torch.cat(layers, dim=1)
        with torch.set_grad_enabled(kind != "features"):
            fixed = self.backbone.fixed_energy(batch)
        check_columns(self.readout, features.shape[1])
        columns["features"] = _split(features, sizes)
        columns["fixed_energy"] = [np.array(energy) for energy in fixed.detach().double().cpu().numpy()]
        if kind != "features":
            columns["fixed_forces"] = _split(-position_gradient(fixed, batch), sizes)
        if kind == "jacobian":
            plans = [plan_moves(structure.atoms, self.backbone.receptive_field) for structure in structures]
            columns["pairs"] = [plan.pairs for plan in plans]
            columns["values"] = jacobian_blocks(features, batch.positions, plans)
        if kind == "summed" and self.readout is not None:
            forces = summed_forces(layers, batch, self.readout)
            columns["summed"] = [block.reshape(3 * len(block), -1) for block in _split(forces, sizes)]
        return [_finite(structure, columns, row) for row, structure in enumerate(structures)]

    def _batch(self, structures: Sequence[Structure], *, differentiable: bool) -> Batch:
        fidelities = [self.fidelity] * len(structures)
        backbone = self.backbone
        batch = collate(structures, fidelities, backbone.cutoff, dtype=backbone.dtype, device=backbone.device)
        return replace(batch, positions=batch.positions.detach().requires_grad_(differentiable))

    def _layers(self, batch: Batch) -> tuple[Tensor, ...]:
        if isinstance(self.backbone, LayeredFeatures):
            return self.backbone.feature_layers(batch)
        return (self.backbone.features(batch),)

    def _check_elements(self, structures: Iterable[Structure]) -> None:
        for structure in structures:
            unknown = sorted({int(number) for number in structure.atoms.numbers} - self.backbone.elements)
            if unknown:
                raise ModelError(
                    f"The base does not know {symbols(unknown)} of structure {structure.structure_id!r}; it knows "
                    f"{symbols(self.backbone.elements)}."
                )


def seen_structure(structure: Structure) -> Structure:
    """Return the structure as the backbone sees it; what was kept of atoms far away is of no use."""
    near = near_origin(structure.atoms)
    return structure if near is structure.atoms else Structure(near, structure.structure_id, {})


def check_columns(readout: Readout | None, n_features: int) -> None:
    """Refuse a readout that reads features which are not there."""
    if readout is not None and readout.n_features > n_features:
        raise ModelError(f"The readout reads feature {readout.n_features - 1}, but the base has {n_features} features.")


def _split(values: Tensor, sizes: Sequence[int]) -> list[np.ndarray[Any, Any]]:
    return [block.numpy() for block in values.detach().cpu().split(list(sizes))]


def _finite(structure: Structure, columns: dict[str, Sequence[np.ndarray[Any, Any]]], row: int) -> Arrays:
    """Return one row of ``columns``; refuse numbers that would spoil the cache and every fit that reads it."""
    arrays = {name: values[row] for name, values in columns.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise DataError(
            f"The base's features of structure {structure.structure_id!r} are not finite; "
            "look for atoms on one place or positions that are not numbers."
        )
    return arrays
