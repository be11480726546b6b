"""An evaluation of a file holds a part of its structures in memory, and says what one of all of them says."""

from collections.abc import Sequence

import pytest

from rung.checkpoint import open_model
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import DataError
from rung.model.potential import ReadoutPotential
from rung.run import files
from rung.run.evaluation import SplitPrediction, errors_of, predict
from rung.run.file_settings import EvaluationSettings
from rung.run.predictor import with_bars
from tests.run.small_world import SmallWorld


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
