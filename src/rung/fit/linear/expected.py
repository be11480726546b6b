"""What a fit in closed form will take, before it starts: passes are timed on one training frame, nothing is kept."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from rung.backends.training import trainable
from rung.data.batch import by_atoms
from rung.data.structure import Structure
from rung.errors import ModelError, counted
from rung.features.cost import ATOMS_A_BATCH
from rung.features.estimate import Estimate, Piece, estimate
from rung.features.measure import PassCosts, measured_costs, settled_seconds
from rung.features.passes import is_cached
from rung.features.probes import Probe
from rung.features.weights import energy_row, moving_tensors
from rung.fit.lift import Base, Context, Lift
from rung.fit.linear.course import ATOMS_AT_ONCE
from rung.fit.linear.landing import LOOKED_AT
from rung.fit.linear.probing import LEAST, ForceDesigns, directions_for
from rung.fit.linear.terms import Band
from rung.fit.linear.walk import STEPS
from rung.fit.method import DesignWork, Expected
from rung.model.predictions import collated, predict_rows

ITEMSIZE = 4

A_PROBE, A_FORCE = 3, 3
"""Passes of a probe in units of a row of an energy, and of forces in units of an energy."""

VECTORS = 4
"""Vectors of the size of the weights that a fit of all layers holds beside its rows."""


def n_weights_of(base: Base) -> int | None:
    """Return how many weights the base's model has; None where its backend cannot tell."""
    try:
        model = trainable(base.plain, {base.fidelity: base.fidelity})
    except ModelError:
        return None
    return sum(parameter.numel() for parameter in model.parameters())


def expected_readout(
    lift: Lift, frames: Sequence[Structure], band: Band | None, n_more: int, context: Context
) -> Expected:
    """Return what a fit of the readout takes.

    Parameters
    ----------
    lift
        What is fitted.
    frames
        Those whose forces are looked at.
    band
        How; None where they tell the size of force errors alone.
    n_more
        Random units that widen the readout.
    context
        Its cache: what is there costs nothing.
    """
    base = lift.require_base("readout")
    backbone, readout = base.plain.backbone, base.surface.readout
    costs = measured_costs(typical(lift.train), backbone, base.fidelity)
    n_basis, fidelity = len(readout.weights) + n_more, base.fidelity
    makes = ForceDesigns(backbone, readout, fidelity)
    count = 0
    if band is None:
        count = LEAST
    elif band.probes == "auto":
        count = directions_for(n_basis, len(frames)) if not band.sees_atoms and makes.are_dear(frames) else 0
    else:
        count = band.probes
    works = list[DesignWork]()
    if count:
        missing = [
            one
            for index in range(count)
            for one in frames
            if not is_cached(one, backbone, readout, fidelity, context.cache, probe=Probe(0, index), forces=True)
        ]
        took = _time([Piece("probed", len(one), 1) for one in missing], costs)
        works.append(
            DesignWork(f"forces along {counted(count, 'random direction')}", len(frames), len(frames) * count, took)
        )
    elif frames:
        missing = [one for one in frames if not is_cached(one, backbone, readout, fidelity, context.cache, forces=True)]
        took = _time([_full(one, n_basis, costs) for one in missing], costs)
        works.append(DesignWork("all components of forces", len(frames), len(frames), took))
    known = {one.geometry_hash for one in frames}
    rest = [one for one in lift.train if one.geometry_hash not in known]
    missing = [one for one in rest if not is_cached(one, backbone, readout, fidelity, context.cache, forces=False)]
    works.append(DesignWork("energies alone", len(rest), len(rest), _time([_alone(one) for one in missing], costs)))
    total = n_weights_of(base)
    return Expected(
        n_fitted=n_basis,
        n_frozen=None if total is None else max(total - len(readout.weights), 0),
        designs=tuple(works),
        seconds=sum(one.cost.seconds for one in works),
        memory=max(one.cost.memory for one in works),
    )


def expected_offset(lift: Lift, context: Context) -> Expected:
    """Return what a fit of reference energies takes: one forward pass of each labelled structure."""
    base, labelled = lift.require_base("offset"), lift.require_labelled()
    backbone, readout, cache = base.plain.backbone, base.surface.readout, context.cache
    costs = measured_costs(typical(labelled), backbone, base.fidelity)
    missing = [one for one in labelled if not is_cached(one, backbone, readout, base.fidelity, cache, forces=False)]
    work = DesignWork("energies alone", len(labelled), len(labelled), _time([_alone(one) for one in missing], costs))
    elements = {int(number) for one in labelled for number in one.atoms.numbers}
    return Expected(
        n_fitted=0,
        n_frozen=n_weights_of(base),
        designs=(work,),
        seconds=work.cost.seconds,
        memory=work.cost.memory,
        sentences=(f"Only the reference energies of {counted(len(elements), 'element')} move.",),
    )


def expected_tangent(lift: Lift, layers: str, n_probes: int, n_inspected: int) -> Expected:
    """Return what a fit of all layers takes: rows of derivatives, then one walk; both are timed on some structures.

    Parameters
    ----------
    lift
        What is fitted.
    layers
        Which tensors move.
    n_probes, n_inspected
        Random directions, and structures beside the labelled ones.
    """
    base, labelled = lift.require_base("tangent"), lift.require_labelled()
    model = trainable(base.plain, {lift.target: base.fidelity})
    tensors = [*moving_tensors(model, layers).values()]
    model.train()
    row = _mean_seconds(lambda frame: energy_row(model, frame, lift.target, tensors), labelled)
    part = next(by_atoms(labelled, ATOMS_AT_ONCE))
    batches = [*collated(model, [part], lift.target)]
    energy = settled_seconds(lambda: [*predict_rows(model, batches, forces=False)]) / len(part)
    n_rows, p = len(labelled) + n_inspected + n_probes, sum(tensor.numel() for tensor in tensors)
    rows = len(labelled) + n_inspected + A_PROBE * n_probes
    energies = (STEPS + 3) * len(labelled) + 2 * n_inspected + 2 * A_FORCE * LOOKED_AT
    total = sum(parameter.numel() for parameter in model.parameters())
    return Expected(
        n_fitted=p,
        n_frozen=total - p,
        seconds=rows * row + energies * energy,
        memory=8.0 * p * (n_rows + VECTORS),
        sentences=("The time is that of a network that follows the linear fit; one that does not is fitted again.",),
    )


def _mean_seconds(work: Callable[[Structure], object], structures: Sequence[Structure]) -> float:
    """Return the mean time of a call for ``structures``, from calls for the smallest, the middle and the largest."""
    by_size = sorted(structures, key=lambda one: (len(one), one.geometry_hash))
    timed = {len(one): one for one in (by_size[0], by_size[len(by_size) // 2], by_size[-1])}
    seconds = [settled_seconds(partial(work, one)) for one in timed.values()]
    return float(np.mean(np.interp([len(one) for one in structures], list(timed), seconds)))


def typical(structures: Sequence[Structure]) -> Structure:
    """Return the structure of middle size."""
    return sorted(structures, key=lambda one: (len(one), one.geometry_hash))[len(structures) // 2]


def _full(structure: Structure, n_basis: int, costs: PassCosts) -> Piece:
    n_atoms = len(structure)
    if 3 * n_atoms * costs.ratio <= n_basis:
        return Piece("jacobian", n_atoms, 3 * n_atoms, ITEMSIZE * 3 * n_atoms**2 * costs.n_features)
    return Piece("summed", n_atoms, n_basis, ITEMSIZE * 3 * n_atoms * n_basis)


def _alone(structure: Structure) -> Piece:
    return Piece("features", len(structure), 0)


def _time(pieces: Sequence[Piece], costs: PassCosts) -> Estimate:
    return estimate(pieces, costs, ATOMS_A_BATCH) if pieces else Estimate(0, 0.0, 0.0, 0.0)
