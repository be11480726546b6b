"""The base's own labels: what it predicts, where it is asked for, and nowhere else."""

import numpy as np
import pytest

from rung.data.batch import collate
from rung.errors import ConfigError, FitError
from rung.fit.fidelities.replay import Replay, predicted_labels, with_own_labels, with_replay
from rung.fit.fidelities.rows import FidelityLabels
from rung.fit.lift import Base, Context
from rung.model.potential import ReadoutPotential
from tests.fit.levels import two_levels
from tests.fit.toy_surface import toy_structures

OWN = {"low": FidelityLabels(absent="base")}
CONTEXT = Context(seed=2)


def test_they_are_the_base_s_energies_and_forces(tiny_potential: ReadoutPotential) -> None:
    frames = toy_structures(5)
    batch = collate(frames, ["low"] * 5, tiny_potential.cutoff)
    said = tiny_potential.predict(batch)
    labels = predicted_labels(frames, tiny_potential, "low")
    np.testing.assert_allclose([item.energy for item in labels], said.energy.numpy(), rtol=1e-13)
    np.testing.assert_allclose(np.concatenate([item.forces for item in labels]), said.forces.numpy(), atol=1e-12)
    assert not any(item.has_stress for item in labels)


def test_own_labels_stand_only_where_there_are_none(tiny_potential: ReadoutPotential) -> None:
    labelled, bare = toy_structures(3), toy_structures(3, seed=1, fidelity="high")
    base = Base(tiny_potential, "low")
    found = with_own_labels([*labelled, *bare], base, OWN)
    assert [item.labels["low"] is one.labels["low"] for item, one in zip(found, labelled, strict=False)] == [True] * 3
    own = predicted_labels(bare, tiny_potential, "low")
    assert [item.labels["low"].energy for item in found[3:]] == [item.energy for item in own]
    assert all(item.labels["high"] is one.labels["high"] for item, one in zip(found[3:], bare, strict=True))
    same = with_own_labels(bare, base, {"low": FidelityLabels()})
    assert same == bare


def test_own_labels_without_the_base_s_fidelity_are_refused(tiny_potential: ReadoutPotential) -> None:
    with pytest.raises(ConfigError, match="of a base, and there is none"):
        with_own_labels(toy_structures(2), None, OWN)
    with pytest.raises(ConfigError, match="of the base, 'low'"):
        with_own_labels(toy_structures(2), Base(tiny_potential, "low"), {"high": FidelityLabels(absent="base")})


@pytest.mark.parametrize("labels", ["base", "data"])
def test_replayed_frames_are_drawn_by_the_seed(tiny_potential: ReadoutPotential, labels: str) -> None:
    frames = two_levels(10, 4)
    replay = Replay(frames=3, labels=labels)

    def drawn(seed: int) -> list[str]:
        found = with_replay(frames, Base(tiny_potential, "low"), "high", replay, Context(seed=seed))
        assert [item.labels.get("high") for item in found] == [item.labels.get("high") for item in frames]
        return [item.structure_id for item in found if "low" in item.labels]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(drawn(1)) == 3


def test_replay_takes_the_labels_it_is_told_to(tiny_potential: ReadoutPotential) -> None:
    frames = two_levels(4, 4)
    start = Base(tiny_potential, "low")
    data = with_replay(frames, start, "high", Replay(labels="data"), CONTEXT)
    base = with_replay(frames, start, "high", Replay(labels="base"), CONTEXT)
    own = predicted_labels(frames, tiny_potential, "low")
    assert [item.labels["low"].energy for item in data] == [item.labels["low"].energy for item in frames]
    assert [item.labels["low"].energy for item in base] == [item.energy for item in own]


def test_what_cannot_be_replayed_is_refused(tiny_potential: ReadoutPotential) -> None:
    high = toy_structures(3, fidelity="high")
    with pytest.raises(FitError, match="use labels: base"):
        with_replay(high, Base(tiny_potential, "low"), "high", Replay(labels="data"), CONTEXT)
    with pytest.raises(ConfigError, match="both are 'low'"):
        with_replay(high, Base(tiny_potential, "low"), "low", Replay(), CONTEXT)
