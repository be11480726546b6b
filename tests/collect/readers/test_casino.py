"""CASINO's files, in the layout of files that CASINO 2 wrote (which are not ours to ship)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.finding import find_outputs
from rung.collect.readers import reader_of
from rung.collect.readers.casino import READER, read
from rung.data.labels import Array
from rung.errors import DataError
from rung.units import HARTREE

VMC_ITEMS = ("ETOT", "KEI", "TI", "FISQ", "EWALD", "LOCAL")
DMC_ITEMS = ("WEIGHT", "NCONF", "ETOT", "EREF", "EBEST", "ACC", "TEFF", "KEI", "TI", "FISQ", "EWALD", "LOCAL")
PER_LINE = 25


def header(method: str, items: Sequence[str], *, periodic: int = 0, cells: int = 1, atoms: int = 3) -> str:
    pairs = {
        "Title": "CASINO raw data.",
        "File version number": "1",
        "QMC method (VMC, DMC, PIMC, AFMC or RMC)": method,
        "Electron-electron interaction type (interaction keyword)": "coulomb",
        "Constant energy contributions": "    9.1571159962298996E+00",
        "Number of electrons (and other particles) in simulation": "10",
        "Number of atoms per primitive cell": str(atoms),
        "Number of primitive cells": str(cells),
        "Basis type (atom_basis_type keyword)": "gaussian",
        "Periodic (0=NO; 1=YES)": str(periodic),
        "Number of data columns (excluding iteration number)": str(len(items)),
    }
    lines = [text for pair in pairs.items() for text in pair]
    return "".join(f"# {text}\n" for text in (*lines, "Data items (in order)", *items, "Raw QMC data"))


def row(iteration: int, values: Sequence[float]) -> str:
    words = [str(iteration), *(f"{value:.12f}" for value in values)]
    return "".join(" ".join(words[k : k + PER_LINE]) + "\n" for k in range(0, len(words), PER_LINE))


def vmc(energies: Array, extra: int = 0) -> str:
    items = (*VMC_ITEMS, *(f"FUTURE{k}" for k in range(extra)))
    rows = [row(k + 1, [energy, *np.arange(len(items) - 1.0)]) for k, energy in enumerate(energies)]
    return header("VMC", items) + "".join(rows)


def dmc(energies: Array, weights: Array, settled: int | None, **told: int) -> str:
    rows = [
        row(k + 1, [weight, 100, energy, *np.zeros(9)])
        for k, (energy, weight) in enumerate(zip(energies, weights, strict=True))
    ]
    if settled is not None:
        rows.insert(settled, "#### START STATS\n")
    return header("DMC", DMC_ITEMS, **told) + "".join(rows)


@pytest.fixture
def energies() -> Array:
    return -76.0 + 0.1 * np.random.default_rng(1).normal(size=60)


@pytest.fixture
def weights() -> Array:
    return 1000.0 + 30.0 * np.random.default_rng(2).normal(size=60)


def test_energies_hold_the_ions_already_and_are_hartree(tmp_path: Path, energies: Array) -> None:
    path = tmp_path / "renamed"
    path.write_text(vmc(energies))
    assert reader_of(path) is READER
    series = read(path)
    assert (series.program, series.method, series.equilibration) == ("CASINO", "VMC", 0)
    assert series.energies == pytest.approx(HARTREE * energies)
    assert (series.weights == 1).all()


def test_a_row_goes_on_in_the_next_line(tmp_path: Path, energies: Array) -> None:
    path = tmp_path / "vmc.hist"
    for extra in (18, 19, 20, 45):  # 25, 26, 27 and 52 items with the iteration
        path.write_text(vmc(energies, extra))
        assert read(path).energies == pytest.approx(HARTREE * energies)


def test_dmc_is_weighted_and_its_equilibration_left_out(tmp_path: Path, energies: Array, weights: Array) -> None:
    path = tmp_path / "dmc.hist"
    path.write_text(dmc(energies, weights, 20))
    series = read(path)
    assert (series.method, series.equilibration) == ("DMC", 20)
    assert series.weights == pytest.approx(weights)
    (candidate,) = find_outputs([path]).outputs
    label = average("a", "", [ReadOutput(candidate, series)], Averaging(equilibration=5), 1)
    expected = np.average(energies[25:], weights=weights[25:])
    assert label.energy == pytest.approx(HARTREE * expected, abs=1e-9)
    (run,) = label.runs
    assert (run.rows, run.equilibration) == (60, 25)


def test_a_crystal_s_energies_are_of_a_primitive_cell(tmp_path: Path, energies: Array, weights: Array) -> None:
    path = tmp_path / "dmc.hist"
    path.write_text(dmc(energies, weights, 20, periodic=1, cells=8))
    assert read(path).energies == pytest.approx(8 * HARTREE * energies)
    assert read(path).n_atoms == 24
    path.write_text(dmc(energies, weights, 20, periodic=0, cells=8))
    assert read(path).energies == pytest.approx(HARTREE * energies)
    path.write_text(dmc(energies, weights, 20, periodic=1, atoms=0))
    with pytest.raises(DataError, match="electron gas"):
        read(path)


def test_damage_is_one_sentence_with_the_line(tmp_path: Path, energies: Array, weights: Array) -> None:
    whole, head = dmc(energies, weights, 20), len(header("DMC", DMC_ITEMS).splitlines())
    lines = whole.splitlines(keepends=True)
    crystal = dmc(energies, weights, 20, periodic=1)
    gone = weights.copy()
    gone[5] = 0.0
    cases = {
        f"line {head + 62}: a second header begins, so two runs": whole + whole,
        f"line {head + 62}: row 1 follows row 60, so two runs": whole + "".join(lines[head : head + 20]),
        "statistics begin a second time": whole.replace("#### START STATS\n", "#### START STATS\n" * 2),
        "60 rows are all equilibration": dmc(energies, weights, None),
        "of version 2": whole.replace("number\n# 1\n", "number\n# 2\n"),
        "ends within its header": "".join(lines[:30]),
        "a line is missing in its header": "".join(lines[:3] + lines[4:]),
        "no 'Number of primitive cells'": crystal.replace("Number of primitive cells", "Numbr of primitive cells"),
        "no column ETOT; there is: WEIGHT, NCONF, EREF": whole.replace("# ETOT\n", ""),
        f"line {head + 6}: WEIGHT is not above zero": dmc(energies, gone, 20),
        f"line {head + 4}: the row has": "".join([*lines[: head + 3], lines[head + 3][:40] + "\n", *lines[head + 4 :]]),
        "ETOT is nan": whole.replace(lines[head + 2].split()[3], "nan"),
        "holds no rows yet": "".join(lines[:head]),
    }  # fmt: skip
    path = tmp_path / "dmc.hist"
    for sentence, text in cases.items():
        path.write_text(text)
        with pytest.raises(DataError, match=sentence.replace("(", r"\(")) as error:
            read(path)
        assert str(error.value).startswith(str(path))


def test_a_run_that_goes_on_loses_its_cut_row(tmp_path: Path, energies: Array, weights: Array) -> None:
    path = tmp_path / "dmc.hist"
    path.write_text(dmc(energies, weights, 20)[:-30])
    series = read(path)
    assert len(series) == 59
    assert "the last row is cut" in series.notes[0]
