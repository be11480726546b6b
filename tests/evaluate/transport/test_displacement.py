"""Unwrapping and drift: exact identities on positions that binary numbers hold exactly."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from rung.errors import DataError
from rung.evaluate.transport.displacement import collective, displacements, squared_displacements, unwrap
from rung.evaluate.transport.regime import Run, TransportSettings, measured_run
from tests.evaluate.transport.walks import CELL, walk

DYADIC = 1 / 64
"""Å: sums of multiples of it carry no rounding."""


def path(frames=200, atoms=5, reach=2.0, seed=0):
    """A walk whose steps are short beside the cell and whose numbers are sums of powers of two."""
    random = np.random.default_rng(seed)
    steps = np.round(random.uniform(-reach, reach, size=(frames, atoms, 3)) / DYADIC) * DYADIC
    return np.cumsum(steps, axis=0)


@pytest.mark.parametrize(
    "cell", [16.0 * np.eye(3), np.array([[16.0, 0, 0], [8.0, 16.0, 0], [0, 8.0, 32.0]])], ids=["cube", "triclinic"]
)
def test_unwrapping_undoes_wrapping_exactly(cell):
    free = path()
    inside = free - np.floor(free @ np.linalg.inv(cell)) @ cell
    assert np.abs(free - inside).max() > 16
    moved = unwrap(inside, cell, [True, True, True])
    np.testing.assert_array_equal(moved - moved[0], free - free[0])


def test_positions_that_were_never_wrapped_come_back_bit_for_bit():
    free = path(seed=1) + 1 / 3
    np.testing.assert_array_equal(unwrap(free, 16.0 * np.eye(3), [True] * 3), free)
    np.testing.assert_array_equal(unwrap(free * 100, 16.0 * np.eye(3), [False] * 3), free * 100)


def test_only_periodic_directions_are_joined():
    slab = np.zeros((3, 1, 3))
    slab[:, 0, 2] = [1.0, 19.0, 1.0]
    slab[:, 0, 0] = [1.0, 7.0, 1.0]
    moved = unwrap(slab, np.diag([8.0, 8.0, 20.0]), [True, True, False])
    np.testing.assert_array_equal(moved[:, 0, 2], [1.0, 19.0, 1.0])
    np.testing.assert_array_equal(moved[:, 0, 0], [1.0, -1.0, 1.0])
    # a slab without a third vector is joined in its plane all the same
    np.testing.assert_array_equal(
        unwrap(slab, np.diag([8.0, 8.0, 0.0]), [True, True, False])[:, 0, 0], [1.0, -1.0, 1.0]
    )


def test_a_jump_of_nearly_half_a_cell_is_refused_by_name():
    far = np.zeros((3, 2, 3))
    far[1:, 1, 2] = 0.45 * CELL
    with pytest.raises(
        DataError, match=r"Atom 1 moves by 0\.45 of the cell along lattice vector 3 between frames 0 and 1"
    ):
        unwrap(far, CELL * np.eye(3), [True] * 3)
    far[1:, 1, 2] = (1 + 0.35) * CELL
    assert unwrap(far, CELL * np.eye(3), [True] * 3)[1, 1, 2] == pytest.approx(0.35 * CELL)


def test_the_drift_of_the_framework_is_taken_out_of_every_atom():
    steps = np.round(np.random.default_rng(2).normal(size=(50, 3, 3)) / DYADIC) * DYADIC
    drift = np.concatenate([np.zeros((1, 3)), np.cumsum(np.full((50, 3), 4 * DYADIC), axis=0)])
    still = displacements(walk(steps), "Li")
    carried = displacements(walk(steps, framework=drift), "Li")
    np.testing.assert_allclose(carried.drift, drift, atol=1e-12)
    np.testing.assert_allclose(carried.mobile, still.mobile, atol=1e-12)
    np.testing.assert_allclose(carried.mobile[-1], steps.sum(axis=0), atol=1e-12)
    assert np.abs(carried.framework).max() < 1e-12
    assert carried.volume == pytest.approx(CELL**3)


def test_the_centre_of_mass_counts_masses():
    frames = [Atoms("LiPbH", positions=[[0, 0, 0], [4, 0, 0], [8 + x, 0, 0]]) for x in (0.0, 0.5, 1.0)]
    moved = displacements(frames, "Li", unwrapped=True)
    masses = frames[0].get_masses()
    np.testing.assert_allclose(moved.drift[:, 0], masses[2] * np.array([0, 0.5, 1.0]) / masses[1:].sum())
    assert np.isnan(moved.volume)


def test_what_stands_still_is_named():
    frames = [Atoms("LiPb", positions=[[0, 0, 0], [4 + x, 0, 0]], cell=[9] * 3, pbc=True) for x in (0.0, 0.5, 1.0)]
    with pytest.raises(DataError, match="lead: no Li moves, and other atoms do; is it held"):
        measured_run(Run("lead", frames, 600.0), TransportSettings(species="Li", frame_fs=50.0))
    with pytest.raises(DataError, match="Nothing moves: all 3 frames have the same positions"):
        displacements([frames[0]] * 3, "Li")


def test_squared_displacements_are_those_of_a_loop():
    moved = np.random.default_rng(3).normal(size=(20, 4, 3)).cumsum(axis=0)
    found = squared_displacements(moved, [1, 7], axes=(0, 2))
    for lag, mean, variance in zip((1, 7), found.mean, found.variance, strict=True):
        squares = [
            (moved[start + lag, atom, 0] - moved[start, atom, 0]) ** 2
            + (moved[start + lag, atom, 2] - moved[start, atom, 2]) ** 2
            for start in range(20 - lag)
            for atom in range(4)
        ]
        assert mean == pytest.approx(np.mean(squares))
        assert variance == pytest.approx(np.var(squares))


def test_the_collective_displacement_of_atoms_in_step_is_that_of_one_times_root_n():
    one = np.random.default_rng(4).normal(size=(10, 1, 3))
    np.testing.assert_allclose(collective(np.repeat(one, 9, axis=1)), 3.0 * one)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frames: frames[:2], "at least 3 frames, not 2"),
        (lambda frames: [*frames[:3], frames[3][::-1]], "Frame 3 has other atoms than the first, or in another order"),
        (lambda frames: [*frames[:3], frames[3][:-1]], "Frame 3 has other atoms"),
    ],
)
def test_frames_that_are_no_run_are_refused(change, sentence):
    frames = walk(np.zeros((5, 2, 3)))
    with pytest.raises(DataError, match=sentence):
        displacements(change(frames), "Li")


def test_a_species_that_is_absent_is_refused_with_what_there_is():
    with pytest.raises(DataError, match="There is no Na in the run; there is: Li, S"):
        displacements(walk(np.zeros((5, 2, 3))), "Na")
    with pytest.raises(DataError, match="'Lithium'"):
        displacements(walk(np.zeros((5, 2, 3))), "Lithium")


def test_a_cell_that_changes_is_refused():
    frames = [bulk("Cu", cubic=True) for _ in range(4)]
    frames[2].set_cell(frames[2].cell * 1.01)
    with pytest.raises(DataError, match="The cell of frame 2 is not that of the first"):
        displacements(frames, "Cu")
    frames[2].set_cell(frames[0].cell)
    frames[1].positions[0, 0] = np.nan
    with pytest.raises(DataError, match="Frame 1 has positions that are not finite"):
        displacements(frames, "Cu")
