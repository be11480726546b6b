"""What the base knew, kept while another fidelity is learnt: labels of its fidelity, or its own predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from rung.data.batch import by_count
from rung.data.labels import Labels, empty_labels
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.fit.fidelities.heldout import has_label
from rung.fit.fidelities.rows import FidelityLabels
from rung.fit.lift import Base, Context
from rung.model.potential import ReadoutPotential
from rung.model.predictions import predict_structures
from rung.progress import SILENT, Progress
from rung.settings import Settings

_BATCH = 32


class Replay(Settings):
    """Rows of the base's fidelity beside those of the target, so that the base is not forgotten."""

    labels: Literal["base", "data"] = "base"
    """What they are labelled with: the base's own energies and forces, or the labels in the data."""
    through: Literal["own", "shared"] = "own"
    """Through which readout they go: the base's own, which trains beside the target's (as mace-torch's multi-head
    replay does), or the one that is trained on the target, so that they hold the target's surface near the base's."""
    frames: int | None = Field(default=None, ge=1)
    """At most so many training structures, drawn by the seed; null takes all that can be replayed."""


def with_replay(
    structures: Sequence[Structure], base: Base, target: str, replay: Replay, context: Context
) -> list[Structure]:
    """Return the structures with labels of the base's fidelity where they are replayed, and nowhere else.

    Raises
    ------
    ConfigError
        When the target is the base's own fidelity.
    FitError
        When no structure can be replayed.
    """
    name = base.fidelity
    if name == target:
        raise ConfigError(f"replay keeps the base's fidelity beside the target, but both are {target!r}.")
    able = [k for k, structure in enumerate(structures) if replay.labels == "base" or has_label(structure, name)]
    if not able:
        raise FitError(f"replay: no training structure has a label of {name!r}; use labels: base.")
    order = np.random.default_rng([context.seed, 0x4E94]).permutation(able)[: replay.frames]
    drawn = sorted(order.tolist())
    labels = {k: structures[k].labelled(name) for k in drawn}
    if replay.labels == "base":
        predictions = predicted_labels([structures[k] for k in drawn], base.plain, name, context.progress)
        labels = dict(zip(drawn, predictions, strict=True))
    replayed = []
    for k, structure in enumerate(structures):
        others = {fidelity: item for fidelity, item in structure.labels.items() if fidelity != name}
        replayed.append(replace(structure, labels={**others, name: labels[k]} if k in labels else others))
    return replayed


def predicted_labels(
    structures: Sequence[Structure], base: ReadoutPotential, fidelity: str, progress: Progress = SILENT
) -> list[Labels]:
    """Return the base's energy and forces of each structure as labels: no errors, no stress."""
    labels: list[Labels] = []
    with progress.task("the base's own labels", total=len(structures)) as task:
        for prediction in predict_structures(base, by_count(structures, _BATCH), fidelity):
            assert prediction.forces is not None  # noqa: S101 - they are predicted by default
            empty = empty_labels(len(prediction.forces))
            labels.append(replace(empty, energy=prediction.energy, forces=prediction.forces))
            task.advance()
    return labels


def with_own_labels(
    structures: Sequence[Structure],
    base: Base | None,
    chosen: Mapping[str, FidelityLabels],
    progress: Progress = SILENT,
) -> Sequence[Structure]:
    """Return the structures with the base's predictions where its fidelity has no label and ``chosen`` asks for them.

    Raises
    ------
    ConfigError
        When they are asked for without a base, or for a fidelity other than the base's.
    """
    asking = [name for name, labels in chosen.items() if labels.absent == "base"]
    if not asking:
        return structures
    if base is None or asking != [base.fidelity]:
        there = f"of the base, {base.fidelity!r}" if base is not None else "of a base, and there is none"
        raise ConfigError(f"absent: base stands at {', '.join(asking)}; it can only stand at the fidelity {there}.")
    missing = [place for place, structure in enumerate(structures) if not has_label(structure, base.fidelity)]
    absent = [structures[place] for place in missing]
    labelled = list(structures)
    # from the base as it is, for the training goes on from that
    predictions = predicted_labels(absent, base.potential, base.fidelity, progress)
    for place, prediction in zip(missing, predictions, strict=True):
        labelled[place] = replace(labelled[place], labels={**labelled[place].labels, base.fidelity: prediction})
    return labelled
