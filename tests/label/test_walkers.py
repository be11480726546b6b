"""A walk that was killed gives the numbers of one that was not, and one that diverges gives none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung.errors import UnconvergedError
from rung.label.walkers import Block, Sampler, Walkers, seeded
from rung.storage import DamagedFileWarning


def wander(walkers: Walkers) -> Block:
    """Move walkers at random in a harmonic well, as PyQMC would: by numpy's global stream."""
    positions = 0.9 * walkers.positions + np.random.normal(size=walkers.positions.shape)
    energies = 0.5 * (positions**2).sum(axis=(1, 2))
    weights = walkers.weights * np.exp(-0.01 * (energies - walkers.trial))
    return Block(positions, weights, float(np.average(energies, weights=weights)), float(weights.mean()), 0.9)


def start() -> Walkers:
    return Walkers.start(np.ones((20, 2, 3)), 3.0, 1.0)


def sampler(path: Path, advance: Callable[[Walkers], Block] = wander, seed: int = 1) -> Sampler:
    return Sampler(advance, True, path, seed, iter(range(0, 10_000, 7)).__next__)


class Killed(BaseException):
    pass


def test_a_walk_that_was_killed_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    whole = sampler(tmp_path / "whole.npz").run(start(), 30)

    def dies(walkers: Walkers) -> Block:
        if walkers.blocks == 17:
            raise Killed
        return wander(walkers)

    path = tmp_path / "killed.npz"
    with pytest.raises(Killed):
        sampler(path, dies).run(start(), 30)
    found = Walkers.read(path)
    assert found is not None
    assert 10 <= found.blocks < 17
    ended = sampler(path).run(found, 30)
    np.testing.assert_array_equal(ended.energies, whole.energies)
    np.testing.assert_array_equal(ended.positions, whole.positions)
    assert ended.trial == whole.trial


def test_the_length_of_a_walk_does_not_change_its_beginning(tmp_path: Path) -> None:
    short = sampler(tmp_path / "a.npz").run(start(), 10)
    long = sampler(tmp_path / "b.npz").run(start(), 25)
    np.testing.assert_array_equal(long.energies[:10], short.energies)
    assert not np.array_equal(sampler(tmp_path / "c.npz", seed=2).run(start(), 10).energies, short.energies)


def test_the_state_comes_back_to_the_last_bit_and_time_adds_up(tmp_path: Path) -> None:
    ended = sampler(tmp_path / "a.npz").run(replace(start(), cpu_seconds=100.0), 5)
    assert ended.cpu_seconds > 100.0
    found = Walkers.read(tmp_path / "a.npz")
    assert found is not None
    for name in ("positions", "weights", "energies", "block_weights", "acceptance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(ended, name))
    assert (found.trial, found.reference, found.spread, found.cpu_seconds) == (
        ended.trial,
        ended.reference,
        ended.spread,
        ended.cpu_seconds,
    )


def test_a_damaged_state_is_set_aside_and_the_walk_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    sampler(path).run(start(), 5)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.warns(DamagedFileWarning, match=r"a\.npz"):
        assert Walkers.read(path) is None
    assert Walkers.read(tmp_path / "absent.npz") is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"energy": float("nan")}, "Block 0 has an energy that is not finite"),
        ({"weight": 7.0}, "population is out of control"),
        ({"weight": 0.1}, "population is out of control"),
        ({"positions": np.full((20, 2, 3), np.inf)}, "not finite"),
    ],
)
def test_a_walk_that_diverges_stops(change: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UnconvergedError, match=sentence):
        sampler(tmp_path / "a.npz", lambda walkers: replace(wander(walkers), **change)).run(start(), 3)


def test_the_stream_of_others_is_left_alone() -> None:
    np.random.seed(5)
    expected = np.random.random(2)
    np.random.seed(5)
    first = np.random.random()
    with seeded(1, 2):
        inside = np.random.random()
    assert (first, np.random.random()) == tuple(expected)
    with seeded(1, 2):
        assert np.random.random() == inside
