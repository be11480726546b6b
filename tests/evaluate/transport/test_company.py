"""How many independent walkers atoms are worth, and that the tracer's error from one run counts their company."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.data.labels import Array
from rung.evaluate.transport.analysis import transport
from rung.evaluate.transport.company import independent_walkers
from rung.evaluate.transport.regime import Run, TransportSettings
from tests.evaluate.transport.walks import FRAME_FS, brownian, hops, walk

RUNS = 200
LOW, HIGH = 60, 76
"""Of 200 runs, 68 % are expected within one error; the standard deviation of that share is 3.3 %."""

SETTINGS = TransportSettings(species="Li", frame_fs=FRAME_FS, start_fs=FRAME_FS)


def alone(seed: int) -> Array:
    return brownian(2e-4, frames=200, atoms=8, seed=seed)


def as_one(seed: int) -> Array:
    return np.repeat(brownian(2e-4, frames=200, atoms=1, seed=seed), 8, axis=1)


def in_pairs(seed: int) -> Array:
    return np.repeat(brownian(2e-4, frames=200, atoms=4, seed=seed), 2, axis=1)


def half_together(seed: int) -> Array:
    common = brownian(2e-4, frames=200, atoms=1, seed=seed + 10**6)
    return np.sqrt(0.5) * (alone(seed) + common)


def hopping_as_one(seed: int) -> Array:
    """3 % of the frames see a hop of √2 Å: D = 0.03 · 2 / (6 · 50)."""
    return np.repeat(hops(0.03, np.sqrt(2.0), frames=400, atoms=1, seed=seed), 8, axis=1)


def worth(make: Callable[[int], Array], seeds: int = 40) -> float:
    paths = [np.concatenate([np.zeros((1, 8, 3)), np.cumsum(make(seed), axis=0)]) for seed in range(seeds)]
    return float(np.mean([independent_walkers(path, (0, 1, 2)) for path in paths]))


def test_walkers_count_as_what_their_squared_displacements_share() -> None:
    assert worth(alone) == pytest.approx(8.0, rel=0.06)
    assert worth(as_one) == pytest.approx(1.0)
    assert worth(in_pairs) == pytest.approx(4.0, rel=0.06)
    # each pair has correlation 1/2, so 8 count as 8 / (1 + 7/4)
    assert worth(half_together) == pytest.approx(8.0 / 2.75, rel=0.1)


def test_atoms_that_stand_still_and_one_alone_are_counted() -> None:
    path = np.cumsum(alone(0), axis=0)
    still = np.concatenate([path, np.zeros_like(path)], axis=1)
    assert independent_walkers(still, (0, 1, 2)) > 8.0
    assert independent_walkers(np.zeros((5, 3, 3)), (0,)) == 3.0
    assert independent_walkers(path[:, :1], (0, 1, 2)) == 1.0


def test_company_is_said_and_widens_the_error() -> None:
    (found,) = transport([Run("run", walk(as_one(3), seed=3), 600.0)], SETTINGS)
    (apart,) = transport([Run("run", walk(alone(3), seed=3), 600.0)], SETTINGS)
    assert found.runs[0].n_independent == pytest.approx(1.0)
    relative = [one.tracer_diffusivity.stderr / one.tracer_diffusivity.value for one in (found, apart)]
    assert relative[0] > 2 * relative[1]
    assert any("Li atoms move together: 8 of them tell as much as 1.0 that move alone" in one for one in found.warnings)
    assert not any("move together" in one for one in apart.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("make", [alone, as_one, in_pairs, half_together, hopping_as_one])
def test_the_error_from_one_run_covers_the_truth_whether_atoms_move_alone_or_together(
    make: Callable[[int], Array],
) -> None:
    values, errors = np.array(
        [
            (one.tracer_diffusivity.value, one.tracer_diffusivity.stderr)
            for seed in range(RUNS)
            for one in transport([Run("run", walk(make(seed), seed=seed), 600.0)], SETTINGS)
            if one.window.diffusive
        ]
    ).T
    assert len(values) >= 0.9 * RUNS
    assert LOW <= 100 * np.mean(np.abs(values - 2e-5) <= errors) <= HIGH
    assert errors.mean() == pytest.approx(values.std(), rel=0.2)
