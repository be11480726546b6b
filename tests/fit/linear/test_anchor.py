"""Each transform of the anchor does what its sentence says, and transforms compose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from rung.errors import ConfigError
from rung.fit.linear.anchor import (
    AnchorForces,
    Clip,
    DropOutliers,
    MaskElements,
    MaskRegion,
    Scale,
    ScalePerElement,
    processed,
)


def anchor(seed: int = 0, n_frames: int = 3) -> AnchorForces:
    random = np.random.default_rng(seed)
    count = 5 * n_frames
    forces = random.normal(size=(count, 3))
    frame = np.repeat(np.arange(n_frames), 5)
    for k in range(n_frames):
        forces[frame == k] -= forces[frame == k].mean(axis=0)
    return AnchorForces(
        forces,
        forces,
        random.choice([16, 42], count),
        random.uniform(0, 10, (count, 3)),
        frame,
        np.ones(count, dtype=bool),
    )


def test_an_untouched_anchor_keeps_every_bit():
    start = anchor()
    assert processed(start, ()).forces.tobytes() == start.forces.tobytes()
    assert processed(start, (Scale(),)).forces.tobytes() == start.forces.tobytes()


def test_scale_multiplies_and_names_its_direction():
    start = anchor()
    found = processed(start, (Scale(value=0.8, stderr=0.2),))
    assert_allclose(found.forces, 0.8 * start.forces, atol=1e-14)
    (direction,) = found.directions
    assert direction.name == "scale"
    assert direction.stderr == 0.2
    assert_allclose(direction.forces, start.forces, atol=1e-14)
    assert processed(start, (Scale(stderr=0.0),)).directions == ()


def test_the_elements_directions_add_up_to_the_whole():
    start = anchor()
    found = processed(start, (ScalePerElement(),))
    assert [direction.name for direction in found.directions] == ["scale[16]", "scale[42]"]
    assert_allclose(sum(direction.forces for direction in found.directions), start.forces, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 3.0))
def test_clip_shortens_and_leaves_no_net_force(seed, norm):
    start = anchor(seed)
    clipped = Clip(norm=norm)(start)
    assert np.linalg.norm(clipped.forces, axis=1).max() <= norm * (1 + 1e-12)
    found = processed(start, (Clip(norm=norm),))
    for k in range(3):
        assert_allclose(found.forces[found.frame == k].sum(axis=0), 0.0, atol=1e-12)


def test_masks_remove_atoms_and_compose():
    start = anchor()
    found = processed(start, (MaskElements(numbers=(16,)), MaskRegion(axis="z", low=5.0)))
    assert_allclose(found.kept, (start.numbers == 42) & (start.positions[:, 2] < 5.0))
    with pytest.raises(ConfigError, match="mask every atom"):
        processed(start, (MaskElements(numbers=(16, 42)),))


def test_outliers_are_dropped():
    start = anchor()
    labels = start.forces.copy()
    labels[4] += 50.0
    noisy = AnchorForces(
        labels + 0.01 * np.random.default_rng(1).normal(size=labels.shape),
        start.base,
        *(start.numbers, start.positions, start.frame, start.kept),
    )
    kept = DropOutliers()(noisy).kept
    assert not kept[4]
    assert kept.sum() >= len(kept) - 2
