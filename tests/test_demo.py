"""The demos: their configs are sound, their folders are their own, and the whole job says what it should."""

import json
from pathlib import Path

import numpy as np
import pytest

from rung import demo_data
from rung.cli import main
from rung.config import RunConfig
from rung.data.readers.structures import read_structures
from rung.data.splits import check_disjoint
from rung.data.structure import Structure
from rung.demo import configs, job, run_demo
from rung.demo.exchange import LEVELS, exchange_files
from rung.demo.labelled import labelled_barriers, labelled_curves
from rung.demo.molecules import LEVELS as MOLECULE_LEVELS
from rung.demo.molecules import TITLES, molecule_files
from rung.errors import ConfigError, StorageError
from rung.results.barrier import read_panels
from rung.study import StudyConfig

TRUE_STATIC, TRUE_RELAXED = 1.454, 1.147
"""Barriers of the hop in eV, along the pbe path and along the target's own, from the testbed's labels."""


@pytest.mark.parametrize(
    "values",
    [
        configs.MOS2,
        configs.PM6_BASE,
        configs.PM6_LIFT,
        configs.H3_BASE,
        configs.H3_LIFT,
        configs.MOLECULES_BASE,
        configs.MOLECULES_LIFT,
    ],
)
def test_the_settings_of_the_demos_are_settings(values: dict[str, object], tmp_path: Path) -> None:
    base = {"file": "base.model"}
    base["fidelity"] = next(iter(values["fidelities"]))  # type: ignore[call-overload]
    common = {**values, "run": "run", "data": {"train": "train.extxyz"}}
    if values not in (configs.PM6_BASE, configs.H3_BASE, configs.MOLECULES_BASE):
        common["base"] = base
        StudyConfig.read({**common, **configs.LEARNING_CURVE, "compare": {"energies alone": configs.ENERGIES_ONLY}})
    assert RunConfig.read(common).resolved(tmp_path).threads == 1


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="is not empty and holds no demo"):
        run_demo("mos2", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "demo.json").write_text(json.dumps({"data": "pm6-dft"}))
    with pytest.raises(StorageError, match="holds the demo 'pm6-dft'"):
        run_demo("mos2", other)


def test_an_unknown_demo_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mos2, pm6-dft"):
        run_demo("mos3", tmp_path / "new")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_molecules_are_split_by_formula_and_target_forces_stay_hidden(tmp_path: Path) -> None:
    files = job._pm6_files(demo_data.folder("pm6-dft"), tmp_path)
    splits = {name: read_structures(path) for name, path in files.items()}
    formulas = {name: {one.formula for one in splits[name]} for name in ("base", "valid", "test")}
    assert not formulas["base"] & formulas["test"]
    assert not formulas["base"] & formulas["valid"]
    assert not formulas["valid"] & formulas["test"]
    assert not any("dft" in one.labels for name in ("base", "valid") for one in splits[name])
    assert not any(one.labelled("dft").has_forces for name in ("train", "few") for one in splits[name])
    assert sum(one.labelled("dft").has_energy for one in splits["few"]) == configs.PM6_ENERGIES
    assert all(one.labelled("dft").has_forces for one in splits["test"])
    assert sum(len(splits[name]) for name in ("base", "valid", "test")) == 1408
    written = {name: path.stat().st_mtime_ns for name, path in files.items()}
    again = job._pm6_files(demo_data.folder("pm6-dft"), tmp_path)
    assert {name: path.stat().st_mtime_ns for name, path in again.items()} == written


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Structure]]:
    files = exchange_files(demo_data.folder("h3"), tmp_path_factory.mktemp("h3"))
    return {name: read_structures(path) for name, path in files.items()}


def test_no_energy_of_the_path_but_that_of_its_end_is_fitted(exchange: dict[str, list[Structure]]) -> None:
    check_disjoint({name: exchange[name] for name in ("train", "test")})
    check_disjoint({name: exchange[name] for name in ("learnt", "base_test")})
    path = {one.structure_id for one in exchange["path"]} - {"path_far"}
    for name in ("learnt", "base_test", "pool", "train", "few"):
        assert not path & {one.structure_id for one in exchange[name]}
    counts = {name: sum(one.labelled("dmc").has_energy for one in members) for name, members in exchange.items()}
    assert {name: count for name, count in counts.items() if count} == {"train": 44, "few": 40, "test": 16, "path": 7}
    assert len(exchange["pool"]) == 54


def test_the_guess_leads_from_one_end_to_the_other_and_is_its_own_mirror_image(
    exchange: dict[str, list[Structure]],
) -> None:
    places = [one.atoms.positions for one in exchange["guess"]]
    np.testing.assert_array_equal(places[0], exchange["initial"][0].atoms.positions)
    np.testing.assert_array_equal(places[-1], exchange["final"][0].atoms.positions)
    for one, other in zip(places, reversed(places), strict=True):
        np.testing.assert_allclose(one, -other[::-1], atol=1e-12)
    first = [np.linalg.norm(one[1] - one[0]) for one in places]
    assert first == sorted(first)


def test_labels_along_the_path_have_errors_where_their_level_has(exchange: dict[str, list[Structure]]) -> None:
    curves = {curve.name: curve for curve in labelled_curves(exchange["path"], LEVELS, None)}
    barriers = {entry.name: entry for entry in labelled_barriers(exchange["path"], LEVELS)}
    assert curves["PBE labels"].stderr_total is None and np.isnan(barriers["PBE labels"].stderr_total)
    for name, value in (("PBE labels", 0.161), ("UCCSD(T) labels", 0.436), ("DMC labels", 0.403)):
        assert barriers[name].value == pytest.approx(value, abs=5e-4)
        assert curves[name].energies[0] == 0.0
        assert curves[name].energies[-1] == barriers[name].value
    errors = curves["DMC labels"].stderr_total
    assert errors is not None and errors[0] == 0.0
    assert errors[-1] == barriers["DMC labels"].stderr_total == pytest.approx(0.0247, abs=1e-4)


@pytest.fixture(scope="module")
def molecules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Structure]]:
    files = molecule_files(demo_data.folder("molecules"), tmp_path_factory.mktemp("molecules"))
    return {name: read_structures(path) for name, path in files.items()}


def test_the_base_of_the_molecules_sees_gfn2_alone_and_fits_no_path(molecules: dict[str, list[Structure]]) -> None:
    check_disjoint({name: molecules[name] for name in ("train", "valid", "test")})
    assert {tuple(one.labels) for name in ("learnt", "valid") for one in molecules[name]} == {("gfn2",)}
    assert not any(one.labelled("ccsdt").has_forces for one in molecules["train"])
    assert all(one.labelled("ccsdt").has_energy for one in molecules["train"])
    assert sum(one.labelled("ccsdt").has_energy for one in molecules["few"]) == configs.MOLECULES_ENERGIES
    assert sum(one.labelled("ccsdt").has_forces for one in molecules["test"]) >= 40
    fitted = {one.structure_id for name in ("learnt", "valid", "train", "few") for one in molecules[name]}
    assert not fitted & {one.structure_id for name in TITLES for one in molecules[name]}


def test_paths_of_molecules_begin_at_their_lowest_image(molecules: dict[str, list[Structure]]) -> None:
    data = json.loads((demo_data.folder("molecules") / "references.json").read_text())
    for name in TITLES:
        energies = np.array([one.labelled("ccsdt").energy for one in molecules[name]])
        assert energies.argmin() == 0
        assert energies.max() - energies[0] == pytest.approx(data["paths"][name]["barrier"]["ccsdt"], abs=1e-4)
        top = int(energies.argmax())
        barriers = {entry.name: entry.value for entry in labelled_barriers(molecules[name], MOLECULE_LEVELS, top)}
        assert barriers["CCSD(T) labels"] == pytest.approx(energies[top] - energies[0], abs=1e-9)


@pytest.mark.slow
def test_the_whole_job_on_molecules(tmp_path: Path) -> None:
    """A hundred energies of CCSD(T) bring energies, forces and the path of HCN from GFN2 nearer to CCSD(T)."""
    finished = run_demo("molecules", tmp_path / "demo")
    metrics = finished.run.metrics
    assert metrics.base is not None
    errors, base = metrics.splits["test"]["ccsdt"], metrics.base["test"]["ccsdt"]
    assert errors.energy_rmse < 0.8 * base.energy_rmse
    assert errors.force_rmse < base.force_rmse
    rows = {row.name: row for row in finished.barriers if "HNC" in row.path}
    truth = rows["CCSD(T) labels"].value
    assert abs(rows["ccsdt"].value - truth) < abs(rows["gfn2"].value - truth)
    assert "CCSD(T)/cc-pVDZ" in finished.report.read_text()


@pytest.mark.slow
def test_the_whole_job_on_h3(tmp_path: Path) -> None:
    """Forty energies of Monte Carlo, of which one is on the path, bring the barrier from PBE to Monte Carlo."""
    finished = run_demo("h3", tmp_path / "demo")
    metrics = finished.run.metrics
    assert metrics.base is not None
    assert metrics.splits["test"]["dmc"].energy_rmse < 10.0 < 15.0 < metrics.base["test"]["dmc"].energy_rmse
    relaxed = {row.name: row for row in finished.barriers if "Relaxed" in row.path}
    labels, lifted = relaxed["DMC labels"], relaxed["dmc"]
    assert abs(lifted.value - labels.value) < 2 * np.hypot(lifted.stderr_total, labels.stderr_total)
    assert relaxed["pbe"].value < 0.27 < 0.35 < lifted.value
    assert lifted.stderr_total < 0.06
    (panel,) = (panel for panel in read_panels(tmp_path / "demo" / "barrier.json") if "Relaxed" in panel.title)
    (entry,) = (entry for entry in panel.barriers if entry.name == "dmc")
    assert any("exactly one imaginary mode" in note for note in entry.notes)
    assert any("symmetric" in note for note in entry.notes)
    assert "Inside the domain" in panel.notice
    assert "fixed-node DMC" in finished.report.read_text()


@pytest.mark.slow
def test_the_whole_job_on_mos2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The errors fall to what the readout can reach, the barrier moves towards the truth."""
    finished = run_demo("mos2", tmp_path / "demo")
    metrics = finished.run.metrics
    assert metrics.base is not None
    errors, base = metrics.splits["test"]["r2scan"], metrics.base["test"]["r2scan"]
    assert errors.energy_rmse < 8.0 < 18.0 < base.energy_rmse
    assert errors.force_rmse < 330.0 < 480.0 < base.force_rmse
    barriers = {(row.path, row.name): row for row in finished.barriers}
    static, relaxed = ([row for row in finished.barriers if word in row.path] for word in ("as they are", "relaxed"))
    assert len(barriers) == 6
    for rows, truth in ((static, TRUE_STATIC), (relaxed, TRUE_RELAXED)):
        values = {row.name: row for row in rows}
        assert values["truth"].value == pytest.approx(truth, abs=1e-3)
        assert abs(values["lifted"].value - truth) < abs(values["base"].value - truth)
        assert 0.0 < values["lifted"].stderr_total < 0.5
    curve = finished.study.summary("test", "force_rmse")["readout"]
    assert set(curve) == {12, 25, 50, 100}
    assert curve[100][0] < curve[12][0]
    page = finished.report.read_text()
    assert "model-made, not ab initio" in page
    made = [tmp_path / "demo" / "model.rung", *(tmp_path / "demo").rglob("metrics.json")]
    written = {path: path.stat().st_mtime_ns for path in made}
    assert main(["demo", "--folder", str(tmp_path / "demo")]) == 0
    assert len(made) > 36 and {path: path.stat().st_mtime_ns for path in made} == written  # nothing is done twice
    said = capsys.readouterr()
    assert "model-made, not ab initio" in " ".join(said.out.split())
