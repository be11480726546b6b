"""Designs and features of many structures: from the cache where it has them, else by the cheapest passes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix
from rung.features.cache import Arrays, DesignCache, EntryKind
from rung.features.cost import Kind, cheaper_kind
from rung.features.design import AtomFeatures, Design
from rung.features.entries import EntryMaker, check_columns, seen_structure
from rung.features.jacobian import MovePlan, forces_design
from rung.features.probes import Probe, probed_force
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
    probe: Probe | None = None,
    batch_size: int | None = None,
    keep_features: bool = False,
    builds: int = 1,
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
    probe
        Make forces along this random direction alone, whatever ``kind`` says; the entry serves any readout.
    batch_size
        Structures a batch; by default as many as make about 100 atoms on a CPU, 2,000 elsewhere.
    keep_features
        Whether the designs hold the features of their atoms, as error bars need them.
    builds
        How many builds of this cost the caller makes in all: what is said of the cost counts them.
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
        wanted = ("probed",) if probe is not None else ("jacobian", "summed") if kind == "auto" else (kind,)

    def choose(plan: MovePlan, pass_ratio: float) -> Kind:
        if kind != "auto":
            return kind
        itemsize = torch.finfo(backbone.dtype).bits // 8
        size = 3 * len(plan.pairs) * readout.n_features * itemsize
        return cheaper_kind(plan.n_colours, len(readout.weights), size, pass_ratio=pass_ratio)

    maker = EntryMaker(
        backbone, readout, fidelity, cache, wanted, choose if forces else None, batch_size, probe, builds
    )
    designs: dict[str, Design] = {}
    for structure, arrays in maker.collect(structures, progress):
        design = design_of(structure, backbone, readout, arrays, forces=forces, probe=probe)
        if keep_features:
            atoms = AtomFeatures(arrays["features"].astype(np.float32), structure.atoms.numbers)
            design = replace(design, atoms=atoms)
        designs[structure.geometry_hash] = design
    return [designs[structure.geometry_hash] for structure in structures]


def is_cached(
    structure: Structure,
    backbone: Backbone,
    readout: Readout,
    fidelity: str,
    cache: DesignCache | None,
    *,
    forces: bool,
    probe: Probe | None = None,
) -> bool:
    """Return whether the cache has a file of an entry that serves; nothing is read. Parameters as above."""
    if cache is None:
        return False
    kinds: tuple[EntryKind, ...] = ("jacobian", "summed") if forces else ("features", "jacobian", "summed")
    wanted: tuple[EntryKind, ...] = kinds if probe is None else ("probed",)
    maker = EntryMaker(backbone, readout, fidelity, cache, wanted, None, None, probe)
    return any(cache.path_of(maker.key(structure, kind)).exists() for kind in wanted)


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
    wanted: tuple[EntryKind, ...] = ("features", "jacobian")
    maker = EntryMaker(backbone, None, fidelity, cache, wanted, None, batch_size)
    features: dict[str, Array] = {}
    for structure, arrays in maker.collect(structures, progress):
        features[structure.geometry_hash] = np.asarray(arrays["features"], dtype=np.float64)
    return [features[structure.geometry_hash] for structure in structures]


def design_of(
    structure: Structure,
    backbone: Backbone,
    readout: Readout,
    arrays: Arrays,
    *,
    forces: bool,
    probe: Probe | None = None,
) -> Design:
    """Return the design of one structure from the arrays of an entry, of whichever kind serves."""
    features = arrays["features"]
    check_columns(readout, features.shape[1])
    with torch.no_grad():
        energy = readout.basis(torch.as_tensor(features).double()).sum(dim=0).numpy()
    design = Design(
        energy=energy,
        forces=np.zeros((0, len(energy))),
        composition=composition_matrix([structure], sorted(backbone.elements))[0],
        fixed_energy=float(arrays["fixed_energy"]),
        fixed_forces=np.zeros(0),
    )
    if not forces:
        return design
    fixed = arrays["fixed_forces"].astype(np.float64).reshape(-1)
    if probe is not None:
        sketch = probe.direction(seen_structure(structure)).reshape(1, -1)
        row = probed_force(readout, features, arrays["tangent"])[None]
        return replace(design, forces=row, fixed_forces=sketch @ fixed, sketch=sketch)
    if "summed" in arrays:
        return replace(design, forces=arrays["summed"].astype(np.float64), fixed_forces=fixed)
    matrix = forces_design(readout, features, arrays["pairs"], arrays["values"])
    return replace(design, forces=matrix, fixed_forces=fixed)
