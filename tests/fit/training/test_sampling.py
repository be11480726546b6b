"""Which rows stand in which batch: what is balanced, what is drawn how often, and that nothing depends on the past."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.stream import shuffled
from rung.fit.training.sampling import Balanced, Proportional

COUNTS = st.lists(st.integers(1, 13), min_size=1, max_size=4)


def fidelities(counts: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)


@given(counts=COUNTS, batch_size=st.integers(1, 9), epoch=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_balanced_batches_hold_equally_many_of_each(counts: list[int], batch_size: int, epoch: int) -> None:
    fidelity = fidelities(counts)
    batches = Balanced().batches(fidelity, batch_size, seed=3, epoch=epoch)
    for batch in batches:
        held = np.bincount(fidelity[batch], minlength=len(counts))
        assert held.max() - held.min() <= 1
    drawn = np.bincount(np.concatenate(batches), minlength=len(fidelity))
    for index, count in enumerate(counts):
        times = drawn[fidelity == index]
        assert times.sum() == max(counts)
        assert set(times) <= {max(counts) // count, -(-max(counts) // count)}


@given(counts=COUNTS, batch_size=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_length_and_shares_are_those_of_the_epoch(counts: list[int], batch_size: int) -> None:
    fidelity = fidelities(counts)
    for sampling in (Balanced(), Proportional()):
        drawn = np.concatenate(sampling.batches(fidelity, batch_size, seed=1, epoch=0))
        assert len(drawn) == sampling.length(np.array(counts))
        held = np.bincount(fidelity[drawn], minlength=len(counts))
        np.testing.assert_allclose(sampling.shares(np.array(counts)), held / len(drawn), rtol=1e-14)


@pytest.mark.parametrize("sampling", [Balanced(), Proportional()])
def test_a_function_of_seed_and_epoch(sampling: Balanced | Proportional) -> None:
    fidelity = fidelities([17, 5])

    def order(seed: int, epoch: int) -> np.ndarray:
        return np.concatenate(sampling.batches(fidelity, 4, seed, epoch))

    np.testing.assert_array_equal(order(2, 3), order(2, 3))
    assert not np.array_equal(order(2, 3), order(2, 4))
    assert not np.array_equal(order(2, 3), order(3, 3))


@pytest.mark.parametrize("sampling", [Balanced(), Proportional()])
def test_one_fidelity_is_shuffled_as_ever(sampling: Balanced | Proportional) -> None:
    for found, expected in zip(sampling.batches(np.ones(11, np.int64), 4, 7, 2), shuffled(11, 4, 7, 2), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_repeated_rows_come_in_another_order_each_time() -> None:
    fidelity = fidelities([30, 10])
    drawn = np.concatenate(Balanced().batches(fidelity, 8, 0, 0))
    few = drawn[fidelity[drawn] == 1].reshape(3, 10)
    assert all(sorted(one) == sorted(few[0]) for one in few)
    assert not np.array_equal(few[0], few[1])


@pytest.mark.parametrize("counts", [[5, 3], [9], [4, 1, 2]])
@pytest.mark.parametrize("sampling", [Balanced(least_rows=40), Proportional(least_rows=40)])
def test_few_rows_are_gone_through_until_an_epoch_is_long(sampling: Balanced | Proportional, counts: list[int]) -> None:
    fidelity = fidelities(counts)
    batches = sampling.batches(fidelity, 8, seed=1, epoch=2)
    drawn = np.concatenate(batches)
    assert 40 <= len(drawn) == sampling.length(np.array(counts)) < 40 + len(counts) * max(counts)
    assert {len(batch) for batch in batches[:-1]} == {8}
    held = np.bincount(fidelity[drawn], minlength=len(counts)) / len(drawn)
    np.testing.assert_allclose(sampling.shares(np.array(counts)), held, rtol=1e-14)
    assert np.ptp(np.bincount(drawn)[fidelity == 0]) <= 1  # no row more often than another of its fidelity


@pytest.mark.parametrize("sampling", [Balanced, Proportional])
def test_enough_rows_are_drawn_as_ever(sampling: type[Balanced] | type[Proportional]) -> None:
    fidelity = fidelities([17, 5])
    batches = zip(
        sampling(least_rows=20).batches(fidelity, 4, 2, 3), sampling().batches(fidelity, 4, 2, 3), strict=True
    )
    assert all(np.array_equal(one, other) for one, other in batches)


def test_the_passes_of_an_epoch_differ() -> None:
    first, second = Proportional(least_rows=24).batches(np.zeros(12, np.int64), 12, 0, 0)
    assert sorted(first) == sorted(second) == list(range(12))
    assert not np.array_equal(first, second)
