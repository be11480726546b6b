"""The designs of a study are made by a job on the workers, once each, and neither by the driver nor by any fit."""

from collections import Counter
from pathlib import Path

import pytest

from rung.features.cache import DesignCache
from rung.features.entries import EntryMaker
from rung.jobs import Processes
from rung.results.fits import StudyDesigns
from rung.study import compare, load_study_config
from tests.run.small_world import build_world

pytestmark = pytest.mark.slow


def test_each_design_is_made_once_by_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build_world(tmp_path, n_train=10, n_labelled=10)
    changes = {"run": "study", "labels": [4, 8], "seeds": [0, 1], "compare": {"offset": None}}
    path = world.config("study.yaml", **changes)

    def refused(*_: object) -> None:
        raise AssertionError("the driver computes a design")

    monkeypatch.setattr(EntryMaker, "_compute", refused)
    study = compare(load_study_config(path), executor=Processes(workers=2))
    assert not study.failures and study.n_new == 3 * 2 * 2
    result = tmp_path / "study" / "designs" / "metrics.json"
    assert StudyDesigns.read(result).seconds > 0
    entries = [entry for entry in DesignCache(tmp_path / "rung-cache").entries() if entry.key is not None]
    made = Counter((entry.key.kind, entry.key.structure) for entry in entries if entry.key is not None)
    assert made and set(made.values()) == {1}
    assert max(entry.modified for entry in entries) <= result.stat().st_mtime  # no fit made one after the job
    before = {entry.path: entry.modified for entry in entries}
    result.unlink()
    (tmp_path / "study" / "fits" / "readout-n4-s0" / "metrics.json").unlink()
    with pytest.warns(UserWarning, match="it is missing, so the fit is done again"):
        compare(load_study_config(path), executor=Processes(workers=2))
    after = {entry.path: entry.modified for entry in DesignCache(tmp_path / "rung-cache").entries()}
    assert after == before  # a study that goes on reads them
