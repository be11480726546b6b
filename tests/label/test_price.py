"""What labels may cost is said by those that are done, and saying it computes and writes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.data.readers.structures import write_structures
from rung.label.labelling import label_files
from rung.label.price import Price, price_of, sentences_of
from rung.label.settings import LabelSettings
from tests.label.springs import molecules, springs


def settings(folder: Path, **more: Any) -> LabelSettings:
    write_structures(folder / "next.extxyz", molecules())
    given = {"structures": [folder / "next.extxyz"], "fidelity": "low", "engine": springs(), "out": folder / "labels"}
    return LabelSettings.model_validate({**given, **more})


def test_nothing_is_known_before_a_label_is_done(tmp_path: Path) -> None:
    price = price_of(settings(tmp_path))
    assert (price.done, price.left, price.basis) == (0, 3, 0)
    assert np.isnan(price.cpu_seconds)
    assert "--pilot 1" in " ".join(sentences_of(price))
    assert not (tmp_path / "labels").exists()


def test_a_pilot_makes_the_first_labels_alone(tmp_path: Path) -> None:
    made = label_files(settings(tmp_path), at_most=1)
    assert list(made.records) == ["H2O"]
    assert [entry.state for entry in made.labelled.entries] == ["labelled", "missing", "missing"]
    price = price_of(settings(tmp_path))
    assert (price.done, price.left, price.basis) == (1, 2, 1)
    assert np.isfinite(price.cpu_seconds)


def test_time_grows_with_the_electrons(tmp_path: Path) -> None:
    made = label_files(settings(tmp_path), at_most=1)
    each = made.records["H2O"].cpu_seconds
    write_structures(tmp_path / "large.extxyz", molecules("C6H6"))
    price = price_of(settings(tmp_path, structures=[tmp_path / "large.extxyz"]))
    assert price.power == 3.0
    assert price.cpu_seconds == pytest.approx(each * (42 / 10) ** 3)


def test_a_statistical_label_costs_by_its_error(tmp_path: Path) -> None:
    truth = label_files(settings(tmp_path)).file
    engine = {"name": "known", "files": [str(truth)], "key": "low", "noise": True}
    asked = [replace(one, info={"dmc_stderr_wanted": 0.1}) for one in molecules("H2O")]
    more = {"fidelity": "dmc", "engine": engine, "out": tmp_path / "dmc", "stderr": 0.2}
    told = settings(tmp_path, **more)
    label_files(told, at_most=1)
    write_structures(tmp_path / "fine.extxyz", asked)
    fine = settings(tmp_path, **{**more, "structures": [tmp_path / "fine.extxyz"]})
    one, two = price_of(told), price_of(fine)
    assert one.statistical
    assert (one.left, two.left) == (2, 1)
    assert two.cpu_seconds == pytest.approx(4.0 * one.cpu_seconds / 2.0)


def test_a_price_in_words() -> None:
    said = sentences_of(Price(2, 40, 1, 7500.0, 2, 7.0, False))
    assert said[0] == "Structures with a label: 2; to be computed: 40."
    assert "--retry" in said[1]
    assert "2.1 h of processor time: labels made so far (2), scaled by N^7 with" in said[2]
    assert "N^3/σ²" in sentences_of(Price(2, 40, 0, 600.0, 2, 3.0, True))[1]
    assert len(sentences_of(Price(3, 0, 0, 0.0, 3, 3.0, True))) == 1
    assert "run elsewhere" in sentences_of(Price(0, 3, 0, np.nan, 0, 1.0, False, elsewhere=True))[1]
