"""What draws can show: intervals and tests against simulation, and six equal methods of which none is worse."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from rung.evaluate.draws import FEWEST_DRAWS
from rung.study.statistics import Comparison, Difference, compare, holm, paired, sampling_stderr


def draws(values: np.ndarray) -> dict[tuple[int, int], float]:
    return {(seed, 0): float(value) for seed, value in enumerate(values)}


def test_a_paired_difference_is_that_of_scipy() -> None:
    random = np.random.default_rng(1)
    one, other = random.normal(10, 3, 8), random.normal(9, 3, 8)
    found = paired(draws(one), draws(other))
    expected = ttest_rel(one, other)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (found.mean, found.n) == (pytest.approx(np.mean(one - other)), 8)


def test_only_the_draws_that_both_have_count() -> None:
    one = {(0, 0): 11.0, (1, 0): 21.0, (2, 0): 32.0, (3, 0): 99.0}
    found = paired(one, {(0, 0): 10.0, (1, 0): 20.0, (2, 0): 30.0})
    assert (found.mean, found.n) == (pytest.approx(4 / 3), 3)
    assert paired(one, {(9, 0): 1.0}).n == 0


def test_draws_that_are_the_same_are_one_draw() -> None:
    same = draws(np.array([7.0, 7.0, 7.0]))
    twice = {(seed, fold): 5.0 + fold for seed in range(3) for fold in range(2)}
    assert paired({draw: 2.0 * value for draw, value in twice.items()}, twice).n == 2
    found = paired(same, draws(np.array([5.0, 5.0, 5.0])))
    assert (found.mean, found.n, found.p) == (2.0, 1, 1.0)
    assert found.interval() == (-np.inf, np.inf)
    assert paired(same, draws(np.array([5.0, 5.5, 5.0]))).n == 3


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@pytest.mark.parametrize("n_draws", [2, 3, 4, 5, 8, 20])
def test_of_six_equal_methods_none_is_called_worse_but_in_a_twentieth_of_tables(n_draws: int) -> None:
    random = np.random.default_rng(n_draws)
    tables = 400
    called = 0
    for _ in range(tables):
        shared = random.normal(0, 3, n_draws)  # a draw that is hard for one method is hard for all
        values = {f"m{k}": draws(50 + shared + random.normal(0, 1, n_draws)) for k in range(6)}
        called += any(one.worse for one in compare(values))
    assert called <= 0.05 * tables + 2 * np.sqrt(0.05 * 0.95 * tables)
    if n_draws < FEWEST_DRAWS:
        assert called == 0


def test_more_draws_find_a_true_difference_more_often() -> None:
    def power(n_draws: int) -> float:
        random = np.random.default_rng(7)
        found = []
        for _ in range(200):
            values = {f"m{k}": draws(random.normal(50, 1, n_draws)) for k in range(3)}
            values["bad"] = draws(random.normal(52, 1, n_draws))
            found.append(any(one.worse and one.method == "bad" for one in compare(values)))
        return float(np.mean(found))

    few, many = power(5), power(12)
    assert few < 0.6 < 0.95 < many


def test_the_smallest_difference_shown_is_found_in_four_of_five_cases() -> None:
    random = np.random.default_rng(3)
    n_draws = 10
    size = Difference(0.0, 1.0 / np.sqrt(n_draws), n_draws).detectable
    found = [paired(draws(random.normal(size, 1, n_draws)), draws(np.zeros(n_draws))).p < 0.05 for _ in range(600)]
    assert 0.74 < np.mean(found) < 0.88


def test_the_best_is_named_and_the_sign_is_the_others_excess() -> None:
    values = {"a": draws(np.arange(6) + 10.0), "b": draws(np.arange(6) + 10.0 + 5.0 + 0.01 * np.arange(6) ** 2)}
    (one,) = compare(values)
    assert isinstance(one, Comparison)
    assert (one.method, one.best, one.worse) == ("b", "a", True)
    assert one.difference.mean > 5.0
    assert compare({"a": values["a"]}) == []


def test_a_method_that_lacks_the_hard_draw_is_not_the_best() -> None:
    """Its mean is smaller than those of methods that beat it on every draw that it has."""
    values = {"a": {(0, 0): 1.0, (1, 0): 100.0}, "b": {(0, 0): 2.0, (1, 0): 101.0}, "lacks": {(0, 0): 3.0}}
    found = {one.method: (one.best, one.difference.mean, one.difference.n) for one in compare(values)}
    assert found == {"b": ("a", 1.0, 2), "lacks": ("a", 2.0, 1)}


def test_the_choice_of_test_structures_is_a_further_spread() -> None:
    """Against repeated test sets from the same population: the bootstrap of one tells how their differences scatter."""
    random = np.random.default_rng(11)
    n_structures, n_draws = 80, 4

    def squares() -> tuple[np.ndarray, np.ndarray]:
        hard = random.gamma(2.0, 1.0, n_structures)
        return tuple(
            np.array([(hard * random.normal(1.0, 0.2, n_structures) * size) ** 2 for _ in range(n_draws)])
            for size in (1.0, 1.3)
        )

    counts, names = np.ones(n_structures), [str(k) for k in range(n_structures)]
    differences = []
    for _ in range(200):
        one, other = squares()
        differences.append(np.mean(np.sqrt(one.mean(axis=1)) - np.sqrt(other.mean(axis=1))))
    estimates = [sampling_stderr(*squares(), counts, names) for _ in range(10)]
    assert np.median(estimates) == pytest.approx(np.std(differences), rel=0.3)
    assert sampling_stderr(*squares(), counts, ["one"] * n_structures) == 0.0
    wide = paired(draws(np.array([2.0, 3.0])), draws(np.array([1.0, 1.5])), test_stderr=4.0)
    assert wide.stderr > 4.0


def test_seeds_of_one_fold_share_its_test_structures_and_are_no_draws_of_their_own() -> None:
    """Of equal methods one is called worse in a twentieth of tables, however many seeds each fold has."""
    random, called = np.random.default_rng(0), 0
    for _ in range(400):
        folds = random.normal(size=(2, 5))
        one, other = (
            {(seed, fold): own[fold] + 0.5 * random.normal() for seed in range(5) for fold in range(5)} for own in folds
        )
        called += paired(one, other).p < 0.05
    assert called / 400 < 0.08
    assert paired(one, other).n == 5
