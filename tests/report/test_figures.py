import numpy as np
import pytest

from rung.report import drawing, figures
from rung.report.axes import round_ticks
from rung.report.figures import Learning, Series
from rung.report.read import RunFiles
from rung.report.run.predictions import parity
from rung.results.barrier import Curve
from rung.results.predictions import Predictions

NAN = float("nan")


def trace(figure, name):
    return next(one for one in figure.data if one.name == name)


def test_parity_has_one_scale_and_a_diagonal():
    figure = figures.parity([Series("base", [0.0, 1.0], [0.5, 3.0], y_stderr=[0.1, np.inf])], x_title="x", y_title="y")
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    assert figure.layout.xaxis.range[0] < 0 < 3.0 < figure.layout.xaxis.range[1]
    assert figure.layout.yaxis.scaleanchor == "x"
    assert list(figure.data[0].x) == list(figure.data[0].y)
    assert list(trace(figure, "base").error_y.array) == [0.1, 0.0]


def test_band_shades_one_error_bar_to_each_side():
    curve = Curve(name="lifted", energies=(0.0, 1.0, 0.2), stderr=(0.0, 0.1, 0.05), stderr_total=(0, 0.3, 0.1))
    figure = figures.band([curve, Curve(name="truth", energies=(0.0, 1.2, 0.1))])
    wide, narrow = (one for one in figure.data if one.fill == "toself")
    assert list(wide.y) == pytest.approx([0.0, 1.3, 0.3, 0.1, 0.7, 0.0])
    assert list(narrow.y) == pytest.approx([0.0, 1.1, 0.25, 0.15, 0.9, 0.0])
    assert list(trace(figure, "lifted").x) == [0, 1, 2]
    assert trace(figure, "truth").line.dash == "dash"


def test_a_band_with_unknown_bars_is_drawn_without_them():
    figure = figures.band([Curve(name="lifted", energies=(0.0, 1.0), stderr=(None, 0.1), coordinate=(0.0, 2.5))])
    assert [one.fill for one in figure.data] == [None]
    assert list(figure.data[0].x) == [0.0, 2.5]


def test_learning_curve_shows_mean_and_spread():
    curves = [
        Learning("readout", [10, 100], [[4.0, 6.0, 8.0], [3.0]]),
        Learning("base", [0], [[12.0]]),
    ]
    figure = figures.learning_curve(curves, y_title="error", level=2.0)
    line = trace(figure, "readout")
    assert list(line.y) == [6.0, 3.0]
    assert list(line.error_y.array) == [2.0, 0.0]
    assert list(trace(figure, "base").x) == [10, 100]
    assert list(trace(figure, "base").y) == [12.0, 12.0]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert figure.layout.annotations[0].y == pytest.approx(np.log10(2.0))
    assert list(figure.layout.xaxis.tickvals) == [10, 100]


def test_a_base_that_depends_on_the_labels_is_a_curve():
    curve = Learning("base", [10, 100], [[14.0], [12.0]])
    assert list(trace(figures.learning_curve([curve], y_title="error"), "base").y) == [14.0, 12.0]


@pytest.mark.parametrize("values", [(5.2, 19.0), (250.0, 494.0), (1.01, 1.4), (0.002, 30.0), (7.0, 7.0)])
def test_a_logarithmic_axis_has_some_round_ticks_in_range(values):
    ticks = round_ticks(values)
    assert 1 <= len(ticks) <= 6
    assert len(ticks) >= 3 or values[1] / values[0] < 1.5
    assert min(values) / 1.2 <= min(ticks)
    assert max(ticks) <= max(values) * 1.2


def test_posterior_weights_sum_to_one():
    figure = figures.posterior_spread("tau", [0.1, 0.2, 0.4], [1.0, 2.0, 1.0], chosen=0.2)
    assert sum(figure.data[0].y) == pytest.approx(1.0)
    assert max(figure.data[0].y) == pytest.approx(0.5)
    assert figure.data[0].x[int(np.argmax(figure.data[0].y))] == pytest.approx(0.2, rel=0.1)


def test_training_draws_every_loss():
    epochs = [{"epoch": 1, "train_loss": 2.0, "valid_loss": 3.0, "rate": 0.1}, {"epoch": 2, "train_loss": 1.0}]
    figure = figures.training(epochs)
    assert [one.name for one in figure.data] == ["train loss", "valid loss"]
    assert list(trace(figure, "valid loss").y) == [3.0, None]


def test_thinning_keeps_pairs_together():
    x = np.arange(10 * drawing.MOST_POINTS, dtype=float)
    x[5] = NAN
    kept, double = drawing.thinned(x, 2 * x)
    assert len(kept) == drawing.MOST_POINTS
    assert (double == 2 * kept).all()
    assert np.isfinite(kept).all()
    few = drawing.thinned(np.array([1.0, NAN]), np.array([2.0, 3.0]))
    assert [list(one) for one in few] == [[1.0], [2.0]]


def test_names_from_files_are_escaped():
    figure = figures.band([Curve(name="<b>x</b>", energies=(0.0, 1.0))])
    assert figure.data[0].name == "&lt;b&gt;x&lt;/b&gt;"


def test_the_words_of_the_design_have_colours_of_their_own():
    names = ("base", "truth", "energies alone", "readout", "tangent", "transfer", "joint", "delta")
    assert len({drawing.colour(name) for name in names}) == len(names)
    assert drawing.colour("else", 1) != drawing.colour("else", 2)


class TestParityOfEnergies:
    content = Predictions.of(
        {
            "fidelity": "high",
            "n_atoms": [2, 2, 4],
            "formulas": ["A", "A", "B"],
            "structure_ids": ["a", "b", "c"],
            "energy": [1.02, 2.0, 9.0],
            "energy_stderr": [0.02, None, 0.04],
            "energy_label": [1.0, 2.0, 8.8],
            "energy_stderr_label": [None] * 3,
            "energy_base": [500.0, 501.2, 900.0],
            "forces": [None] * 3,
            "forces_stderr": None,
            "forces_label": [None] * 3,
            "forces_base": None,
        },
        "predictions/test.json",
    )

    def drawn(self, **change):
        drawn = []
        run = RunFiles(predictions={"test": self.content.model_copy(update=change)})
        parity(run, lambda figure, caption: drawn.append(figure) or "")
        return drawn

    def test_labels_lose_the_mean_of_their_composition_and_nothing_else(self):
        (figure,) = self.drawn()
        lifted = trace(figure, "lifted")
        assert list(lifted.x) == pytest.approx([-250.0, 250.0, 0.0])
        assert list(lifted.y) == pytest.approx([-240.0, 250.0, 50.0])
        assert list(lifted.error_y.array) == [10.0, 0.0, 10.0]

    def test_the_base_loses_a_mean_of_its_own(self):
        (figure,) = self.drawn()
        base = trace(figure, "base, one offset per composition")
        assert list(base.y) == pytest.approx([-300.0, 300.0, 0.0])

    def test_forces_without_labels_are_drawn_against_the_base(self):
        block = np.array([[1.0, 0.0, 0.0]] * 2)
        forces = {"forces": (block, None, None), "forces_base": (2 * block, None, None)}
        _, figure = self.drawn(**forces)
        assert figure.layout.xaxis.title.text == "Base, eV/Å"
        assert list(trace(figure, "lifted").x) == [2.0, 0.0, 0.0] * 2
