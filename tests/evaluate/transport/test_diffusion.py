"""Lines through squared displacements: sums by hand, published covariances, and walks of known diffusivity."""

import numpy as np
import pytest

from rung.evaluate.transport.diffusion import chosen_lags, combined, fit_line, log_slope, walk_covariance
from rung.evaluate.transport.displacement import Moments, squared_displacements
from tests.evaluate.transport.walks import FRAME_FS, brownian


def by_hand(lags, n_frames, rattle, excess):
    """The covariance by its definition: every pair of windows, every step in them, every jitter at their ends."""

    def window(start, lag):
        steps, jitter = np.zeros(n_frames - 1), np.zeros(n_frames)
        steps[start : start + lag] = 1.0
        jitter[start], jitter[start + lag] = -1.0, 1.0
        return steps, jitter

    found = np.zeros((len(lags), len(lags)))
    for a, n in enumerate(lags):
        for b, m in enumerate(lags):
            values = []
            for i in range(n_frames - n):
                for j in range(n_frames - m):
                    (first, one), (second, other) = window(i, n), window(j, m)
                    joint = first @ second + rattle * (one @ other)
                    values.append(2 * joint**2 + excess * (first @ second))
            found[a, b] = np.mean(values)
    return found


def test_the_covariance_is_the_sum_over_all_pairs_of_windows():
    lags = [1, 2, 5, 8]
    np.testing.assert_allclose(
        walk_covariance(lags, 14, rattle=0.7, excess=1.3), by_hand(lags, 14, 0.7, 1.3), rtol=1e-12
    )


def test_the_variance_at_one_lag_is_that_of_qian_sheetz_and_elson():
    # Biophys. J. 60, 910 (1991): in a plane the relative variance at lag n over K = N − n + 1 ≥ n windows of N steps is
    # (4 n² K + 2 K + n − n³)/(6 n K²); along one axis it is twice that
    for n, steps in ((1, 20), (4, 20), (10, 20)):
        windows = steps - n + 1
        relative = 2.0 * (4 * n**2 * windows + 2 * windows + n - n**3) / (6 * n * windows**2)
        assert walk_covariance([n], steps + 1)[0, 0] / n**2 == pytest.approx(relative, rel=1e-12)


def test_an_exact_line_gives_its_slope_whatever_the_weights():
    lags = chosen_lags(3, 400)
    moments = Moments(lags, 6 * 2e-4 * FRAME_FS * lags + 0.3, np.full(len(lags), 0.1))
    line = fit_line(moments, n_frames=1000, frame_fs=FRAME_FS, n_walkers=7, dimensions=3)
    assert line.diffusivity == pytest.approx(2e-4, rel=1e-9)
    assert line.intercept == pytest.approx(0.3, rel=1e-6)
    pure = Moments(lags, 0.1 * lags**0.5, np.zeros(len(lags)))
    slope = log_slope(pure, line.walk, n_frames=1000, n_walkers=7, dimensions=3)
    assert slope.value == pytest.approx(0.5, abs=1e-9)


def test_four_times_the_walkers_halve_the_error():
    lags = chosen_lags(1, 100)
    moments = Moments(lags, 0.02 * lags, np.full(len(lags), 0.0))
    errors = [fit_line(moments, n_frames=200, frame_fs=1.0, n_walkers=count, dimensions=3).stderr for count in (4, 16)]
    assert errors[0] / errors[1] == pytest.approx(2.0)


def test_single_steps_alone_reach_the_error_that_theory_allows():
    # all that a Brownian walk says of D is in its d (T − 1) n steps: relative error √(2 / (d (T − 1) n)), reached when
    # no intercept takes part; with one it cannot be smaller
    lags = chosen_lags(1, 50)
    moments = Moments(lags, 0.06 * lags, 2 * 3 * (0.02 * lags) ** 2)
    line = fit_line(moments, n_frames=101, frame_fs=1.0, n_walkers=5, dimensions=3)
    least = np.sqrt(2 / (3 * 100 * 5))
    assert least < line.stderr / line.diffusivity < 2 * least


def test_runs_are_weighed_by_length_and_widened_by_their_scatter():
    mean, stderr, scale = combined([1.0, 2.0], [0.1, 0.1], [1.0, 1.0])
    assert (mean, scale) == pytest.approx((1.5, np.sqrt(50.0)))
    assert stderr == pytest.approx(0.5)  # what two values half a unit from their mean say by themselves
    assert combined([1.0, 2.0], [1.0, 1.0], [3.0, 1.0])[0] == pytest.approx(1.25)
    assert combined([1.0, 1.01], [0.1, 0.1], [1.0, 1.0])[1:] == pytest.approx((0.1 / np.sqrt(2), 1.0))
    assert combined([2.0], [0.3], [5.0]) == (2.0, pytest.approx(0.3), 1.0)


@pytest.mark.slow
def test_the_error_of_the_fit_is_the_spread_over_walks():
    lags, truth = chosen_lags(5, 150), 2e-4
    found = []
    for seed in range(300):
        path = np.concatenate([np.zeros((1, 4, 3)), brownian(truth, frames=300, atoms=4, seed=seed).cumsum(axis=0)])
        moments = squared_displacements(path, lags)
        line = fit_line(moments, n_frames=300, frame_fs=FRAME_FS, n_walkers=4, dimensions=3)
        slope = log_slope(moments, line.walk, n_frames=300, n_walkers=4, dimensions=3)
        found.append((line.diffusivity, line.stderr, slope.value, slope.stderr))
    values, errors, slopes, slope_errors = np.array(found).T
    assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(300))
    assert errors.mean() == pytest.approx(values.std(), rel=0.12)  # a standard deviation of 300 is known to 4 %
    assert slope_errors.mean() == pytest.approx(slopes.std(), rel=0.12)
