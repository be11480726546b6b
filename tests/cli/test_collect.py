"""``rung collect``: what it prints, what it returns, and that one bad file does not stop the rest."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rung.cli import main
from rung.data.readers.structures import read_structures
from rung.results.collected import Collected
from rung.units import HARTREE
from tests.collect.samples import DIAMOND


def test_files_are_averaged_and_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(DIAMOND / f"dmc.s00{series}.scalar.dat") for series in (2, 3)]
    assert main(["collect", *files, "--equilibration", "10", "--json"]) == 0
    collected = Collected.of(json.loads(capsys.readouterr().out), "stdout")
    assert [label.name for label in collected.labels] == files
    assert [f"{label.energy / HARTREE:.6f}" for label in collected.labels] == ["-10.530522", "-10.529191"]
    (run,) = collected.labels[0].runs
    assert (run.rows, run.equilibration, run.series, run.method) == (50, 10, 2, "DMC")
    assert collected.refused == ()


def test_one_bad_file_is_one_sentence_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(DIAMOND / "dmc.s003.scalar.dat", tmp_path)
    glued = (DIAMOND / "dmc.s001.scalar.dat").read_text()
    (tmp_path / "dmc.s001.scalar.dat").write_text(glued + glued)
    (tmp_path / "dmc.s002.scalar.dat").touch()
    assert main(["collect", str(tmp_path), "--shared-stderr", "finite_size=0.03", "time_step=0.04"]) == 1
    said = capsys.readouterr()
    assert "dmc.s003.scalar.dat" in said.out
    assert "1 energy; 2 refused" in said.out
    assert "energy_shared_stderr: 0.05" in said.out
    sentences = [line for line in said.err.splitlines() if line.startswith("rung: ")]
    assert len(sentences) == 2
    assert "a second run begins there" in sentences[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "No output was named"),
        (["absent.dat"], "There is no file absent.dat"),
        (["x", "--cells", "0"], "cells"),
        (["x", "--correction", "kinetic"], "--correction is written as name=eV"),
        (["x", "--correction", "kinetic=much"], "correction.kinetic"),
    ],
)
def test_what_is_mistyped_is_said(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", *words]) in (1, 2)
    assert sentence in capsys.readouterr().err


def test_a_tree_becomes_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs" / "diamond").mkdir(parents=True)
    for series in (1, 2):
        shutil.copy(DIAMOND / f"dmc.s00{series}.scalar.dat", tmp_path / "runs" / "diamond")
    structures, out = tmp_path / "base.extxyz", tmp_path / "labels.extxyz"
    structures.write_text('2\nProperties=species:S:1:pos:R:3 structure_id=diamond pbc="F F F"\nC 0 0 0\nC 0 0 1.5\n')
    words = ["collect", str(tmp_path / "runs"), "--structures", str(structures), "--fidelity", "dmc", "--out", str(out)]
    assert main(words) == 1
    assert "diamond has 2 runs" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--series", "2", "--equilibration", "20", "--mpc"]) == 0
    assert f"Wrote {out}." in capsys.readouterr().out
    (frame,) = read_structures(out)
    label = frame.labelled("dmc")
    assert label.energy == pytest.approx(-10.530513 * HARTREE + frame.info["dmc_correction_mpc"], abs=2e-5)
    assert main(["doctor", str(out)]) == 0


def test_arrays_are_converted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", z=[1, 1], R=[[[0, 0, 0], [0, 0, 1.4]]], E=[-1.17])
    words = ["convert", str(tmp_path / "a.npz"), "--out", str(tmp_path / "a.extxyz"), "--fidelity", "cc"]
    assert main([*words, "--keys", "numbers=z", "positions=R", "energy=E"]) == 2
    assert "--keys needs --energy-unit and --length-unit" in capsys.readouterr().err
    units = ["--energy-unit", "hartree", "--length-unit", "bohr"]
    assert main([*words, "--keys", "numbers=z", "positions=R", "energy=E", *units]) == 0
    assert "1 structure, 1 energy, 0 with forces" in capsys.readouterr().err
    assert read_structures(tmp_path / "a.extxyz")[0].labelled("cc").energy == pytest.approx(-1.17 * HARTREE)
