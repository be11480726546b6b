"""Posterior draws of a band: none where there is no barrier, and their cost is said before they begin."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rung.evaluate.error_bars import Bar
from rung.evaluate.paths.barrier import BarrierSettings, relaxed_barrier
from rung.progress import SILENT
from rung.tasks import band_draws
from rung.tasks.band_draws import NO_BARRIER, band_on_draws
from tests.evaluate.paths.wells import DoubleWell, at

KEPT = BarrierSettings(images=5, relax_endpoints=False, interpolation="linear")


class Wells:
    """Error bars whose draws are wells of other heights; they count the draws."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, index: int, *, seed: int = 0) -> DoubleWell:
        self.drawn += 1
        return DoubleWell(height=0.7 + 0.05 * index + seed)

    def difference(self, image: object, reference: object) -> Bar:
        return Bar(0.01, 0.02)


class Said:
    """Progress that keeps what was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    @contextmanager
    def task(self, description: str, total: int):  # type: ignore[no-untyped-def]
        with SILENT.task(description, total) as task:
            yield task

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def on_the_floor(x: float):  # type: ignore[no-untyped-def]
    return at(x, 0.5 * (1 - x**2))


@pytest.mark.parametrize("ends", [(-0.9, -0.4), (-0.4, -0.9)])
def test_a_band_without_a_barrier_is_relaxed_on_no_draw(ends: tuple[float, float], tmp_path: Path) -> None:
    settings, wells = KEPT.model_copy(update={"climb": False}), Wells()
    band = relaxed_barrier(*map(on_the_floor, ends), DoubleWell(), settings)
    assert band.converged and band.at_end
    options = {"count": 16, "seed": 0, "folder": tmp_path, "progress": SILENT}
    draws, notes = band_on_draws(band, settings, DoubleWell(), wells, **options)  # type: ignore[arg-type]
    assert draws is None and wells.drawn == 0
    assert notes == (NO_BARRIER,)


def test_draws_say_their_cost_where_it_is_more_than_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    band = relaxed_barrier(on_the_floor(-0.9), on_the_floor(0.9), DoubleWell(), KEPT)
    wells, said = Wells(), Said()
    options = {"count": 3, "seed": 0, "progress": said}
    draws, notes = band_on_draws(band, KEPT, DoubleWell(), wells, folder=tmp_path / "a", **options)  # type: ignore[arg-type]
    assert (said.sentences, notes, wells.drawn) == ([], (), 3)
    assert draws is not None and np.isfinite(draws.stderr)
    monkeypatch.setattr(band_draws, "_step_seconds", lambda *_: 2.0)
    band_on_draws(band, KEPT, DoubleWell(), wells, folder=tmp_path / "b", **options)  # type: ignore[arg-type]
    (sentence,) = said.sentences
    assert sentence.startswith(f"3 posterior draws of the band take about {3 * band.steps * 2 / 60:.0f} min")
    assert "10 min at most; --draws 0 leaves them out" in sentence
