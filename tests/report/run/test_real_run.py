"""The text of the report that a real run leaves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.config import load_config
from rung.data.readers.structures import read_structures, write_structures
from rung.report.tables import digits
from rung.run.stages import run_fit
from rung.storage import read_json
from tests.report.html import table_of, text_of
from tests.run.small_world import SmallWorld, build_world, frames, labelled

NOTICE = "Labels of a small model."
COLUMNS = (
    "energy_rmse",
    "energy_mae",
    "energy_rmse_rel",
    "force_rmse",
    "force_mae",
    "force_departure_rmse",
    "energy_z2",
    "energy_crps",
)
"""What these labels make known: without σ there is no χ²."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the method offset with two splits, on a base whose own forces look wrong to the doctor."""
    world = build_world(tmp_path_factory.mktemp("real"), n_train=8, n_test=4, n_labelled=8)
    noisy = [_with_noise(one, seed) for seed, one in enumerate(read_structures(world.folder / "train.extxyz"))]
    write_structures(world.folder / "train.extxyz", noisy)
    write_structures(world.folder / "far.extxyz", labelled(frames("far", 8, 700), world.low, world.high))
    data = {"train": "train.extxyz", "evaluate": {"test": "test.extxyz", "far": "far.extxyz"}}
    return run_fit(load_config(world.config(data=data, method={"name": "offset"})), notices=[NOTICE]).folder.path


def _with_noise(structure: Any, seed: int) -> Any:
    label = structure.labels["low"]
    noise = 0.1 * np.random.default_rng(seed).normal(size=label.forces.shape)
    return replace(structure, labels={**structure.labels, "low": replace(label, forces=label.forces + noise)})


def test_it_says_what_was_done_and_by_whom_it_was_labelled(folder: Path) -> None:
    text = text_of(folder / "report.html")
    assert "Lifted to high by the method offset" in text
    assert "Target high (the truth) · base low · run run" in text
    assert "The method offset went from the base low to high with 8 high energies." in text
    assert NOTICE in text


def test_every_sentence_of_the_doctor_stands_there(folder: Path) -> None:
    findings = read_json(folder / "findings.json")["findings"]
    assert {"base-poor", "net-force"} <= {finding["code"] for finding in findings}
    text = text_of(folder / "report.html")
    for finding in findings:
        assert f"{finding['severity']} {finding['code']} {finding['sentence']}" in text


def test_every_error_is_that_of_the_file_as_it_is_printed(folder: Path) -> None:
    metrics = read_json(folder / "metrics.json")
    assert {*metrics["splits"]} == {"test", "far"}
    expected = []
    for split, by_fidelity in metrics["splits"].items():
        assert [*by_fidelity] == ["high", "low"]
        for fidelity, after in by_fidelity.items():
            shown = split if fidelity == "high" else f"{split} (low)"
            before = {**metrics["base"][split][fidelity], "force_departure_rmse": None}
            expected.append([f"{shown} {after['n_structures']} structures", "base", *_printed(before)])
            expected.append(["", "offset", *_printed(after)])
    assert table_of(folder / "report.html", "errors") == expected
    assert any("–" not in row for row in expected)


def _printed(errors: dict[str, float | None]) -> list[str]:
    return [digits(errors[name]) for name in COLUMNS]


def test_warnings_of_the_fit_and_of_the_checks_stand_there(folder: Path) -> None:
    metrics = read_json(folder / "metrics.json")
    warnings = [*metrics["fit"]["warnings"], *metrics["checks"]["warnings"]]
    assert any(sentence.startswith("Only 8 energies") for sentence in warnings)
    text = text_of(folder / "report.html")
    assert all(sentence in text for sentence in warnings)


def test_what_was_chosen_and_what_it_was_made_of_stand_there(folder: Path) -> None:
    fit, provenance = read_json(folder / "fit.json"), read_json(folder / "provenance.json")
    text = text_of(folder / "report.html")
    for row in fit["details"]["hyperparameters"]:
        assert f"{row['meaning']} {digits(row['value'])}" in text
    base = provenance["files"]["base.file"]
    assert f"base.file {base['path']} {base['sha256_32']}" in text
    assert f"pip install rung=={provenance['rung']}" in text
    assert f"n_energies {fit['n_energies']}" in text


def test_a_fit_of_weights_shows_its_tables(original: SmallWorld) -> None:
    """Of a finished readout run, whose data the doctor finds nothing in."""
    folder = original.folder / "run"
    details = read_json(folder / "fit.json")["details"]
    text = text_of(folder / "report.html")
    assert "The checks of the data found nothing." in text
    assert "Lifted to high by the method readout" in text
    assert "What energies alone would have done" in text
    assert details["differences"]
    for row in details["differences"]:
        assert f"{row['first']} less {row['second']} {row['base']:.3f}".replace("-0.", "−0.") in text
    for row in details["alternatives"]:
        assert f"{row['name']} {digits(row['log_evidence'], 4)}" in text
