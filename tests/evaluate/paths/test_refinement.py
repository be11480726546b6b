"""More images until the barrier stands still; the spread over potentials that differ in a known way."""

from dataclasses import replace

import numpy as np
import pytest

from rung.errors import DataError
from rung.evaluate.paths import refinement
from rung.evaluate.paths.barrier import BarrierSettings, relaxed_barrier
from rung.evaluate.paths.refinement import RefinementSettings, converged_barrier, draw_steps, refined, relaxed_draws
from tests.evaluate.paths.wells import DoubleWell, at

TIGHT = BarrierSettings(fmax=0.01, endpoint_fmax=0.002, interpolation="linear", max_steps=400)


def test_images_are_added_until_the_barrier_stands_still(tmp_path):
    straight = TIGHT.model_copy(update={"climb": False})
    found, history = converged_barrier(
        at(-0.9), at(1.1), DoubleWell(), straight, RefinementSettings(first=4, tolerance=0.02), folder=tmp_path
    )
    barrier = DoubleWell().truth()[0]
    counts = [count for count, _ in history]
    assert counts[:2] == [4, 7]
    assert len(found.images) == counts[-1]
    assert found.converged
    assert abs(history[0][1] - barrier) > 0.03
    assert found.barrier == pytest.approx(barrier, abs=0.02)
    once = DoubleWell()
    again, repeated = converged_barrier(
        at(-0.9), at(1.1), once, straight, RefinementSettings(first=4, tolerance=0.02), folder=tmp_path
    )
    assert again.steps == found.steps
    assert once.calls == sum(counts), "no step is taken: each image of each band is looked at once"
    assert repeated == history


def test_too_few_images_are_no_barrier():
    found, history = converged_barrier(
        at(-0.9),
        at(1.1),
        DoubleWell(),
        TIGHT.model_copy(update={"climb": False}),
        RefinementSettings(first=4, tolerance=1e-9, most=7),
    )
    assert [count for count, _ in history] == [4, 7]
    assert not found.converged
    assert np.isnan(found.barrier)
    assert "with 7 images" in found.reason


def test_refined_band_has_an_image_halfway():
    band = refined([at(0.0), at(1.0, 2.0), at(3.0)])
    assert [image.positions[0, 0] for image in band] == [0.0, 0.5, 1.0, 2.0, 3.0]
    assert band[1].positions[0, 1] == 1.0


def test_spread_over_draws_is_that_of_the_analytic_barriers(tmp_path):
    heights = np.array([0.7, 0.75, 0.8, 0.85, 0.9])
    band = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT)
    makers = [lambda height=height: DoubleWell(height=height) for height in heights]
    found = relaxed_draws(band.images, makers, TIGHT, folder=tmp_path)
    truths = [DoubleWell(height=height).truth() for height in heights]
    assert found.n_converged == 5
    assert found.barriers == pytest.approx([barrier for barrier, _ in truths], abs=1e-4)
    assert found.stderr == pytest.approx(np.std([barrier for barrier, _ in truths], ddof=1), abs=1e-4)
    assert found.reactions == pytest.approx([reaction for _, reaction in truths], abs=1e-4)
    again = relaxed_draws(band.images, makers, TIGHT, folder=tmp_path)
    assert again.barriers == pytest.approx(found.barriers, abs=1e-9)


def test_draws_that_do_not_relax_are_left_out_and_counted():
    class Broken(DoubleWell):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            self.results["forces"] = np.full((1, 3), np.nan)

    band = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT)
    found = relaxed_draws(band.images, [DoubleWell, DoubleWell, DoubleWell, Broken], TIGHT)
    assert found.n_converged == 3
    assert found.stderr == pytest.approx(0.0, abs=1e-9)
    assert found.entry().reasons[0].startswith("draw 3: ")
    half = relaxed_draws(band.images, [DoubleWell, Broken], TIGHT)
    assert np.isnan(half.stderr)
    with pytest.raises(DataError, match="two draws"):
        relaxed_draws(band.images, [DoubleWell], TIGHT)


class Counted:
    """Makes wells and counts them; those of ``broken`` never relax."""

    def __init__(self, *broken):
        self.broken, self.made = broken, 0

    def makers(self, count):
        return [lambda index=index: self._make(index) for index in range(count)]

    def _make(self, index):
        self.made += 1
        return DoubleWell(height=0.4 if index in self.broken else 0.8)


def test_draws_that_can_give_no_spread_any_more_are_left_out(monkeypatch):
    def band_of(initial, final, calculator, settings, **_):  # a relaxation by the height of the well alone
        done = calculator.height > 0.5
        found = relaxed_barrier(initial, final, DoubleWell(), TIGHT)
        return found if done else replace(found, converged=False, barrier=float("nan"), reason="not relaxed")

    band = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT)
    monkeypatch.setattr(refinement, "relaxed_barrier", band_of)
    first = Counted(0, 1, 2, 3)
    found = relaxed_draws(band.images, first.makers(16), TIGHT)
    assert first.made == 4
    assert (found.n_converged, len(found.barriers)) == (0, 16)
    assert found.reasons[4:] == ("left out, for none of the first 4 relaxed",) * 12
    half = Counted(1, 2, 3, 4)
    found = relaxed_draws(band.images, half.makers(8), TIGHT)
    assert half.made == 5
    assert "4 of 8 did not relax" in found.reasons[-1]
    assert np.isnan(found.stderr)
    some = Counted(0, 1, 2)
    assert relaxed_draws(band.images, some.makers(8), TIGHT).n_converged == 5
    assert some.made == 8


def test_a_draw_may_take_twice_the_steps_of_the_band_and_never_more_than_asked_for():
    assert [draw_steps(BarrierSettings(max_steps=500), steps) for steps in (3, 80, 400)] == [100, 160, 500]
    assert draw_steps(BarrierSettings(max_steps=50), 3) == 50
