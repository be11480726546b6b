"""An evaluation of a file holds a part of its structures in memory, and says what one of all of them says."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.io import read, write

from rung import RungCalculator
from rung.checkpoint import open_model
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import DataError, ModelError
from rung.model.potential import ReadoutPotential
from rung.results.metrics import Metrics
from rung.results.predictions import Predictions
from rung.run import files
from rung.run.evaluation import SplitPrediction, errors_of, predict
from rung.run.file_settings import EvaluationSettings
from rung.run.folder import RunFolder
from rung.run.predictor import with_bars
from rung.tasks.opened import Source, open_calculator
from rung.tasks.prediction import PredictionTask, predict_file
from tests.report.html import text_of
from tests.run.small_world import SmallWorld, labelled


def test_a_state_that_the_labels_did_not_have_is_refused_as_by_a_prediction(
    finished: SmallWorld, tmp_path: Path
) -> None:
    frames = read(finished.folder / "test.extxyz", ":")
    frames[2].info["charge"] = 1
    write(tmp_path / "ions.extxyz", frames, format="extxyz")
    model = finished.folder / "run" / "model.rung"
    settings = EvaluationSettings(model=model, files=(tmp_path / "ions.extxyz",), fidelity="high")
    sentence = r" has charge=1, and .*model.rung sees geometries alone: .* say --ignore-state"
    with pytest.raises(DataError, match="test-002" + sentence):
        files.evaluate_files(settings)
    potential = open_calculator(Source(model=model), "high")
    with pytest.raises(DataError, match="The structure" + sentence):
        predict_file(potential, PredictionTask(structures=(tmp_path / "ions.extxyz",), out=tmp_path / "out.extxyz"))
    ignored = files.evaluate_files(settings.model_copy(update={"ignore_state": True}))
    plain = files.evaluate_files(settings.model_copy(update={"files": (finished.folder / "test.extxyz",)}))
    due = plain.splits["test"]["high"].energy_rmse
    assert ignored.splits["ions"]["high"].energy_rmse == pytest.approx(due, rel=1e-5)


def test_errors_of_a_file_that_is_read_in_parts_are_those_of_all(
    original: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, model = original.folder / "test.extxyz", original.folder / "run" / "model.rung"
    structures = read_structures(file)
    opened = open_model(model, fidelity="high")
    assert opened.posterior is not None
    due = with_bars(
        predict(opened.potential, structures, "high"), opened.potential, opened.posterior, structures, "high"
    )
    settings = EvaluationSettings(
        model=model, files=(file,), fidelity="high", base=original.folder / "base.model", base_fidelity="low"
    )
    at_once = files.evaluate_files(settings)
    sizes = []

    def spied(
        potential: ReadoutPotential, part: Sequence[Structure], fidelity: str, *, stress: bool
    ) -> SplitPrediction:
        sizes.append(sum(len(one) for one in part))
        return predict(potential, part, fidelity, stress=stress)

    monkeypatch.setattr(files, "predict", spied)
    monkeypatch.setattr(files, "ATOMS_PER_PART", 7)
    in_parts = files.evaluate_files(settings)
    assert max(sizes) <= 7 and len(sizes) > 1 and sum(sizes) == 2 * sum(len(one) for one in structures)
    assert in_parts.base is not None and at_once.base is not None
    expected = errors_of(due, structures, "high").as_json()
    for one, other in (
        (in_parts.splits["test"]["high"].as_json(), at_once.splits["test"]["high"].as_json()),
        (in_parts.base["test"]["high"].as_json(), at_once.base["test"]["high"].as_json()),
    ):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6, nan_ok=True)
    for name in ("energy_rmse", "energy_rmse_rel", "force_mae", "force_rmse", "energy_z2", "n_forces"):
        assert in_parts.splits["test"]["high"].as_json()[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-6)


def test_a_fidelity_that_no_frame_labels_is_refused_before_any_work(original: SmallWorld) -> None:
    file = original.folder / "test.extxyz"
    settings = EvaluationSettings(model=original.folder / "run" / "model.rung", files=(file,), fidelity="hihg")
    with pytest.raises(DataError, match="Did you mean 'high'"):
        files.evaluate_files(settings)


@pytest.mark.parametrize("suffix", ["extxyz", "extxyz.gz"])
@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("high_energy", np.inf, "is infinite"),
        ("high_energy_stderr", -0.01, "is negative"),
        ("high_energy_stderr", 0.0, "is 0"),
        ("high_stress", [1.0, 0.0, 0.0, 0.0, 0.0, np.nan], "has NaN among its numbers"),
        ("high_forces", np.nan, "has NaN among its numbers"),
    ],
)
def test_a_label_that_nothing_can_be_measured_against_is_refused_before_the_model_is_opened(
    original: SmallWorld, tmp_path: Path, suffix: str, key: str, value: object, fault: str
) -> None:
    """They were dropped, and the errors of the rest were printed."""
    frames = read(original.folder / "test.extxyz", ":")
    if key == "high_forces":
        frames[2].arrays[key] = np.where(np.arange(3) == 1, np.nan, np.ones((len(frames[2]), 3)))
    else:
        frames[2].info[key] = value
    write(tmp_path / f"bad.{suffix}", frames, format="extxyz")
    settings = EvaluationSettings(model=tmp_path / "absent", files=(tmp_path / f"bad.{suffix}",), fidelity="high")
    with pytest.raises(DataError, match=rf"^bad.{suffix}, frame 2: {key} {fault}.* rung doctor lists"):
        files.evaluate_files(settings)
    other = settings.model_copy(update={"fidelity": "low"})
    with pytest.raises(ModelError, match="absent"):  # what is wrong with another level is none of its business
        files.evaluate_files(other)


def test_an_infinite_energy_in_hdf5_is_refused_by_its_group(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "ani.h5", "w") as file:
        group = file.create_group("H2")
        group["atomic_numbers"], group["coordinates"] = [1, 1], np.arange(12.0).reshape(2, 2, 3)
        group["dz.energy"] = [-1.0, np.inf]
    settings = EvaluationSettings(model=tmp_path / "absent", files=(tmp_path / "ani.h5",), fidelity="dz")
    with pytest.raises(DataError, match=r"ani.h5, frame 1: dz_energy is infinite"):
        files.evaluate_files(settings)


@pytest.mark.parametrize("suffix", ["extxyz", "extxyz.gz"])
@pytest.mark.parametrize(("cell", "sentence"), [(None, "at one place"), (0.02, "repeats within 0.02 Å")])
def test_a_geometry_that_no_matter_has_is_refused_before_the_model_is_opened(
    original: SmallWorld, tmp_path: Path, suffix: str, cell: float | None, sentence: str
) -> None:
    """A cell of 0.02 Å kept ``evaluate`` busy for minutes."""
    frames = read(original.folder / "test.extxyz", ":")
    if cell is None:
        frames[1].positions[2] = frames[1].positions[0]
    else:
        frames[1].set_cell([cell, 5.0, 5.0])
        frames[1].pbc = True
    write(tmp_path / f"bad.{suffix}", frames, format="extxyz")
    settings = EvaluationSettings(model=tmp_path / "absent", files=(tmp_path / f"bad.{suffix}",), fidelity="high")
    with pytest.raises(DataError, match=rf"^bad.{suffix}, frame 1: the structure .* {sentence}"):
        files.evaluate_files(settings)


def test_a_frame_whose_label_is_misspelt_does_not_drop_out_of_the_errors(original: SmallWorld, tmp_path: Path) -> None:
    frames = read(original.folder / "test.extxyz", ":")
    frames[4].info["High_energy"] = frames[4].info.pop("high_energy")
    write(tmp_path / "test.extxyz", frames, format="extxyz")
    settings = EvaluationSettings(model=tmp_path / "absent", files=(tmp_path / "test.extxyz",), fidelity="high")
    with pytest.raises(
        DataError, match=r"test.extxyz, frame 4: High_energy is no label of 'high'; call it high_energy"
    ):
        files.evaluate_files(settings)


@pytest.fixture
def far(original: SmallWorld, tmp_path: Path) -> Path:
    """The test structures, the last two of them pressed by a quarter, as no training structure is."""
    structures = list(read_structures(original.folder / "test.extxyz"))
    for index in (-2, -1):
        atoms = structures[index].atoms.copy()
        atoms.positions *= 0.75
        structures[index] = replace(structures[index], atoms=atoms, structure_id=f"pressed{index}")
    write_structures(tmp_path / "test.extxyz", labelled(structures, original.low, original.high))
    return tmp_path / "test.extxyz"


def test_structures_outside_the_domain_are_counted_and_scored_apart(original: SmallWorld, far: Path) -> None:
    model = original.folder / "run" / "model.rung"
    evaluation = files.evaluate_files(EvaluationSettings(model=model, files=(far,), fidelity="high"))
    found, structures = evaluation.domain["test"], read_structures(far)
    calculator = RungCalculator(model, fidelity="high")
    places = calculator.places([one.atoms for one in structures])
    away = np.array([place.outside for place in places])
    assert away[-2:].all() and 0 < away.sum() < len(away)
    assert (found.domain, found.n_structures, found.n_outside) == ("outside", len(away), away.sum())
    assert found.first == structures[int(np.flatnonzero(away)[0])].structure_id and found.first in found.verdict
    assert found.distance == pytest.approx(max(place.distance for place in places))
    error = np.array([calculator.get_potential_energy(one.atoms) - one.labelled("high").energy for one in structures])
    bars = np.array([calculator.get_energy_stderr(one.atoms) for one in structures])
    for part, mask in ((found.inside, ~away), (found.outside, away)):
        assert part.n == mask.sum()
        assert part.z2 == pytest.approx(np.mean((error[mask] / bars[mask]) ** 2), rel=1e-4)
    assert f"z² is {found.inside.z2:.2f}" in found.verdict and f"there z² is {found.outside.z2:.2f}" in found.verdict


def test_a_model_without_error_bars_has_no_domain(original: SmallWorld) -> None:
    settings = EvaluationSettings(
        model=original.folder / "base.model", files=(original.folder / "test.extxyz",), fidelity="low", trusted=True
    )
    assert files.evaluate_files(settings).domain == {}


def test_predictions_of_a_run_say_what_is_outside(original: SmallWorld) -> None:
    run = RunFolder(original.folder / "run")
    content, domain = Predictions.read(run.predictions("test")), Metrics.read(run.metrics).domain["test"]
    assert content.outside is not None and content.domain_distance is not None
    assert sum(bool(one) for one in content.outside) == domain.n_outside
    assert content.domain_distance.max() == pytest.approx(domain.distance)
    page = text_of(run.report)
    assert domain.verdict in page and "CRPS" in page


def test_the_page_of_a_run_draws_its_calibration(original: SmallWorld) -> None:
    page = (original.folder / "run" / "report.html").read_text()
    assert "Share found, %" in page and "Shares of labels within central intervals" in page


def test_the_error_bars_of_the_target_are_none_of_its_base(original: SmallWorld) -> None:
    """They were quoted for it, with a z² of millions."""
    model = original.folder / "run" / "model.rung"
    evaluation = files.evaluate_files(
        EvaluationSettings(model=model, files=(original.folder / "test.extxyz",), fidelity="low")
    )
    errors = evaluation.splits["test"]["low"]
    assert errors.n_energy_bars == 0 and np.isnan(errors.energy_z2) and evaluation.domain == {}


def test_a_stress_of_what_has_no_volume_is_no_label(original: SmallWorld) -> None:
    """It ended an evaluation, and a fit after all its work."""
    structures = read_structures(original.folder / "test.extxyz")
    told = [
        replace(one, labels={**one.labels, "high": replace(one.labelled("high"), stress=np.zeros(6))})
        for one in structures
    ]
    prediction = predict(original.high, told, "high", stress=True)
    assert errors_of(prediction, told, "high").n_stresses == 0
