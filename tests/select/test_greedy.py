"""The choice of labels: near the best set, within the budget, each candidate once, the right error for its price."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.select.gaussian import Knowledge, Label
from rung.select.greedy import Offer, farthest_first, greedy, in_order, spent
from tests.select.test_gaussian import made


def offer(n: int, *stderrs: float, power: float = 0.0, sizes: np.ndarray | None = None) -> Offer:
    return Offer(np.full(n, 10.0) if sizes is None else sizes, stderrs or (0.2,), power)


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_near_the_best_of_all_sets(seed: int) -> None:
    _, _, knowledge = made(seed, n=9, q=2)
    steps = list(greedy(knowledge, offer(9), 3))
    best = min(knowledge.after([Label(k, 0.2, 1.0) for k in chosen]).loss for chosen in combinations(range(9), 3))
    assert knowledge.after(steps[-1]).loss <= best + 0.05 * (knowledge.loss - best)


def test_an_exchange_mends_a_first_choice_that_later_ones_make_useless() -> None:
    """One candidate knows a little of both quantities; two know one each exactly: the first is best alone only."""
    rows, asked = np.array([[0.9, 0.9], [1.0, 0.0], [0.0, 1.0]]), np.eye(2)
    knowledge = Knowledge(rows @ rows.T, asked @ rows.T, np.ones(2), np.ones(2))
    first, second = greedy(knowledge, offer(3, 0.01), 2)
    assert [label.candidate for label in first] == [0]
    assert knowledge.after(second).loss < 1e-3
    for steps in (first, second):
        assert len({label.candidate for label in steps}) == len(steps)


def test_the_budget_holds_and_large_structures_cost_more() -> None:
    _, _, knowledge = made(3)
    sizes = np.array([1, 1, 1, 1, 20, 20, 20], dtype=float)
    chosen = list(greedy(knowledge, offer(7, 0.2, power=3.0, sizes=sizes), 2.0))[-1]
    assert spent(chosen) <= 2.0 + 1e-9
    assert all(label.candidate < 4 for label in chosen)
    assert_allclose(offer(7, 0.2, power=3.0, sizes=sizes).label(4, 0.2).cost, (20 / sizes.mean()) ** 3)


def test_of_several_errors_the_best_for_its_price_is_taken() -> None:
    """Where the model's own error is large, ten rough labels tell more than one precise one; where small, not."""
    n = 30
    for own, wanted in ((1.0, 0.5), (0.0, 0.05)):
        rows = np.ones((n, 1))
        knowledge = Knowledge(rows @ rows.T + own * np.eye(n), np.ones((1, n)), np.ones(1), np.ones(1))
        found = offer(n, 0.5, 0.05)
        assert found.label(0, 0.05).cost == pytest.approx(100.0)
        steps = list(greedy(knowledge, found, 100.0))
        assert steps[0][0].stderr == 0.5  # the first rough label is the best buy
        precise = knowledge.after([found.label(0, 0.05)]).loss
        rough = knowledge.after(steps[-1]).loss
        assert (rough < precise) == (wanted == 0.5)


def test_nothing_more_is_chosen_where_nothing_helps() -> None:
    knowledge = Knowledge(np.eye(3), np.array([[1.0, 0.0, 0.0]]), np.ones(1), np.ones(1))
    steps = list(greedy(knowledge, offer(3), 3))
    assert [[label.candidate for label in step] for step in steps] == [[0]]


def test_orders_stop_at_the_budget() -> None:
    assert [[label.candidate for label in step] for step in in_order([2, 0, 1], offer(3), 2)] == [[2], [2, 0]]


def test_farthest_points_cover_a_line_from_its_middle() -> None:
    points = np.linspace(0.0, 1.0, 11)[:, None]
    order = farthest_first(points, 5)
    assert order[0] == 5
    assert set(order[1:3]) == {0, 10}
    assert len(farthest_first(points, 99)) == 11


def test_copies_of_a_point_come_last_and_each_comes_once() -> None:
    points = np.array([[0.0], [0.0], [0.0], [0.0], [1.0], [1.0], [2.0], [2.0]])
    order = farthest_first(points, 8)
    assert sorted(order) == list(range(8))
    assert {points[k, 0] for k in order[:3]} == {0.0, 1.0, 2.0}
