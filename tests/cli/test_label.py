"""``rung label``: a file of settings or options, what it prints, what it returns."""

import json
from pathlib import Path

import pytest
import yaml

from rung.cli import main
from rung.data.readers.structures import read_structures, write_structures
from rung.results.label import Labelled
from tests.label.springs import molecules

SPRINGS = {"name": "ase", "calculator": "tests.label.springs:Springs", "trusted": True}


SAID = ("--fidelity", "low", "--engine", "ase", "--set", "calculator=tests.label.springs:Springs", "trusted=true")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_structures(tmp_path / "next.extxyz", molecules())
    return tmp_path


def settings(folder: Path, **changes: object) -> str:
    content = {"structures": "next.extxyz", "fidelity": "low", "engine": SPRINGS, "out": "low", **changes}
    (folder / "label.yaml").write_text(yaml.dump(content))
    return str(folder / "label.yaml")


def test_a_file_of_settings_makes_labels_beside_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", settings(folder)]) == 0
    said = capsys.readouterr().out
    assert "3 labelled, 3 of them now" in said
    assert [frame.structure_id for frame in read_structures(folder / "low" / "labels.extxyz")] == ["H2O", "CH4", "NH3"]
    assert main(["label", settings(folder), "--json"]) == 0
    told = Labelled.of(json.loads(capsys.readouterr().out), "stdout")
    assert [entry.state for entry in told.entries] == ["labelled"] * 3
    assert main(["doctor", str(folder / "low" / "labels.extxyz")]) == 0


def test_options_alone_do_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    words = ["label", "next.extxyz", "--fidelity", "low", "--engine", "ase", "--out", "other"]
    assert main([*words, "--set", "calculator=tests.label.springs:Springs", "trusted=true"]) == 0
    assert len(read_structures("other/labels.extxyz")) == 3
    assert "Wrote" in capsys.readouterr().out


def test_a_structure_without_a_label_is_one_sentence_and_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = {**SPRINGS, "arguments": {"hates": "C"}}
    assert main(["label", settings(folder, engine=engine)]) == 1
    said = capsys.readouterr()
    assert "2 labelled" in said.out
    assert "1 failed" in said.out
    assert [line for line in said.err.splitlines() if line.startswith("rung:")] == [
        "rung: CH4: tests.label.springs:Springs failed: no C here."
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Give a YAML file of settings"),
        (["next.extxyz", "--engine", "ase"], "--fidelity is missing"),
        (["next.extxyz"], "--fidelity and --engine are missing"),
        (["next.extxyz", "--fidelity", "low", "--engine", "as"], "ase, "),
        (["next.extxyz", "--fidelity", "low", "--engine", "ase", "--set", "calculator=x:Y"], "trusted: true"),
        (["next.extxyz", "--fidelity", "low", "--engine", "ase", "--set", "calculater=x:Y"], "Did you mean"),
        (["next.extxyz", "--fidelity", "low", "--engine", "ase", "--set", "calculator=x:Y", "trusted=true"], "'x'"),
        (["absent.yaml"], "There is no file absent.yaml"),
        (["next.extxyz", "--fidelity", "low", "--engine", "ase", "--set", "arguments=[1"], "is no value of YAML"),
        (["next.extxyz", "--fidelity", "low", "--engine", "ase", "--set", "calculator"], "written as name=value"),
        (["absent.extxyz", *SAID], "There is no file"),
        (["next.extxyz", *SAID, "--out", "next.extxyz"], "is a file; name a folder"),
        (["next.extxyz", "--fidelity", "a b", *SAID[2:]], "The fidelity name 'a b'"),
        (["a.yaml", "next.extxyz"], "Give one file of settings"),
    ],
)
def test_what_is_mistyped_is_one_sentence(
    words: list[str],
    sentence: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(["label", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not (folder / "labels").exists()


def test_a_dry_run_and_a_pilot_say_what_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", settings(folder), "--dry-run"]) == 0
    assert "to be computed: 3" in capsys.readouterr().out
    assert not (folder / "low").exists()
    assert main(["label", settings(folder), "--pilot", "1"]) == 0
    assert "Structures with a label: 1; to be computed: 2." in capsys.readouterr().out
    assert main(["label", settings(folder), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == 2


def test_the_settings_of_an_engine_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "--settings-of", "pyscf"]) == 0
    said = capsys.readouterr().out
    assert "must be given" in said
    assert "numerical_forces" in said
    assert main(["label", "--settings-of", "pyscff"]) == 2
    assert "Did you mean 'pyscf'?" in capsys.readouterr().err
