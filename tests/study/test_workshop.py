"""The fits of one study: what each method takes of a base of several fidelities."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read, write

from rung.errors import DataError
from rung.fit.fidelities import several
from rung.results.fits import StudyFit
from rung.study import load_study_config
from rung.study.workshop import Workshop
from tests.run.small_world import SmallWorld, build_conditioned_world

METHODS: dict[str, dict[str, Any]] = {
    "onehot": {"name": "onehot", "training": {"epochs": 1, "batch_size": 16, "valid_fraction": 0.0}},
    "readout": {"name": "readout", "terms": [{"kind": "energies"}, {"kind": "weights"}], "average": 1},
}


def rows_of(world: SmallWorld, main: str, other: str) -> dict[str, dict[str, float]]:
    """Return the errors at the target of both methods and of the base, in a study whose main method is ``main``."""
    path = world.config(
        f"{main}.yaml",
        run=main,
        base={"file": "base.rung", "fidelity": "low"},
        fidelities={"low": {}, "best": {"key": "high"}},
        target="best",
        method=METHODS[main],
        compare={other: METHODS[other]},
        labels=[6],
        seeds=[0],
        force_structures=2,
    )
    workshop = Workshop(load_study_config(path))
    rows = {}
    for row, settings in {"base": {"name": "offset"}, **METHODS}.items():
        fit = workshop.fit(
            world.folder / main / row, row=row, settings=settings, n_labels=6, seed=0, fold=0, trial=False
        )
        assert isinstance(fit, StudyFit)
        errors = fit.splits["test"]["best"].as_json()
        rows[row] = {name: value for name, value in errors.items() if np.isfinite(value)}
    return rows


def test_each_method_decides_what_it_takes_of_a_base_of_several_fidelities(tmp_path: Path) -> None:
    """Whichever method is the main one, the rows are the same."""
    world = build_conditioned_world(tmp_path)
    one, other = rows_of(world, "onehot", "readout"), rows_of(world, "readout", "onehot")
    for row, errors in one.items():
        assert errors == pytest.approx(other[row], abs=1e-7), row
        assert errors["force_rmse"] > 0.0


def test_a_band_that_no_matter_has_is_refused_before_any_fit(world: SmallWorld) -> None:
    frames = read(world.folder / "test.extxyz", ":")
    frames[2].positions[1] = frames[2].positions[0]
    write(world.folder / "band.extxyz", frames, format="extxyz")
    path = world.config("study.yaml", bands={"hop": "band.extxyz"}, labels=[6], seeds=[0])
    with pytest.raises(DataError, match=r"band.extxyz, frame 2: the structure .* at one place"):
        Workshop(load_study_config(path)).check()


NEW: dict[str, dict[str, Any]] = {
    "scratch": {"name": "scratch", "architecture": {"channels": 2, "max_l": 0}, "training": {"epochs": 1}},
    "joint": {"name": "joint", "start": "new", "architecture": {"channels": 2, "max_l": 0}, "training": {"epochs": 1}},
}


@pytest.mark.parametrize("row", NEW)
def test_elements_that_a_new_model_never_sees_are_refused_before_its_training(
    row: str, world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fit of a study looks at its own draw, and at every split that it is judged on."""
    frames = read(world.folder / "test.extxyz", ":")
    frames[3].symbols[0] = "N"
    write(world.folder / "strange.extxyz", frames[3], format="extxyz")
    path = world.config(
        "study.yaml",
        data={"train": "train.extxyz", "evaluate": {"test": "test.extxyz", "strange": "strange.extxyz"}},
        method=NEW[row],
        base=None,
        labels=[6],
        seeds=[0],
    )
    workshop = Workshop(load_study_config(path))

    def trained(*_: Any, **__: Any) -> None:
        raise AssertionError("a training began")

    monkeypatch.setattr(several, "build_trainable", trained)
    with pytest.raises(DataError, match="No structure that trains the new model holds N, which structures to evaluate"):
        workshop.fit(world.folder / "fit", row=row, settings=NEW[row], n_labels=6, seed=0, fold=0, trial=False)
