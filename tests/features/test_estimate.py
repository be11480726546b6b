"""What a build will cost: passes times what each costs, atoms in proportion."""

import pytest

from rung.features.estimate import Estimate, Piece, estimate
from rung.features.measure import PassCosts
from rung.progress import duration, memory_size

COSTS = PassCosts(n_atoms=10, n_features=4, n_bytes=1000, forward=1.0, reverse=2.0, jacobian=3.0, probe=5.0)


@pytest.mark.parametrize(("kind", "seconds"), [("features", 1), ("summed", 1 + 14), ("jacobian", 22), ("probed", 36)])
def test_time_is_passes_times_their_cost(kind, seconds):
    piece = Piece(kind, 20, 0 if kind == "features" else 7, 100)
    found = estimate([piece, piece, piece], COSTS, 40)
    assert found.seconds == pytest.approx(3 * 2 * seconds)
    assert (found.n_structures, found.stored) == (3, 300)
    assert found.memory == pytest.approx(4000)


def test_memory_is_that_of_a_batch_or_of_the_largest_structure():
    assert estimate([Piece("summed", 90, 1)], COSTS, 40).memory == pytest.approx(9000)
    assert estimate([Piece("summed", 5, 1)] * 4, COSTS, 40).memory == pytest.approx(2000)


@pytest.mark.parametrize(("seconds", "text"), [(5.4, "5 s"), (89, "89 s"), (120, "2 min"), (7200, "2.0 h")])
def test_times_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 kB"),
        (3.2e4, "32 kB"),
        (999_499, "999 kB"),
        (999_700, "1.0 MB"),
        (1.6e6, "1.6 MB"),
        (4.1e7, "41 MB"),
        (999_400_000, "999 MB"),
        (999_700_000, "1.0 GB"),
        (3.0e9, "3.0 GB"),
        (8e14, "800000 GB"),
    ],
)
def test_memory_is_said_in_a_unit_of_which_there_is_one(n_bytes, text):
    assert memory_size(n_bytes) == text


def test_a_small_build_needs_some_memory():
    """A small base needs megabytes: "0.0 GB" would say that it needs none."""
    assert "up to 1.2 MB of memory, 80 kB to keep" in Estimate(4, 30.0, 1.2e6, 8.0e4).sentence
