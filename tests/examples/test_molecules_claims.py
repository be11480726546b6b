"""The studies of the claims on molecules: what may be learnt, what is tested, and what the tables say."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import TypeAdapter

from rung.data.readers.structures import read_structures
from rung.data.splits import check_disjoint
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.fit.methods import MethodSettings
from rung.fit.methods.joint import JointSettings
from tests.examples.scripts import FOLDER, part

NAMES = ("claims_data", "claims_tables", "claims", "claims_modes")


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """Yield the programs, which import each other by name."""
    sys.path.insert(0, str(FOLDER / "molecules"))
    yield {name: part("molecules", name) for name in NAMES}
    sys.path.remove(str(FOLDER / "molecules"))
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("claims")


@pytest.fixture(scope="module")
def files(scripts: dict[str, ModuleType], place: Path) -> dict[str, list[Structure]]:
    paths = scripts["claims_data"].claim_files(folder("molecules"), place, ("gfn2", "mp2"))
    return {name: read_structures(path) for name, path in paths.items()}


def test_no_test_geometry_is_learnt_and_the_three_tests_are_all_there_are(files: dict[str, list[Structure]]) -> None:
    check_disjoint({name: files[name] for name in ("train", "valid", "test", "absent", "above", "NH3", "HONO")})
    assert sum(len(files[name]) for name in ("test", "absent", "above")) == len(files["low-test"]) == 192
    assert len(files["train"]) == 672 and len(files["valid"]) == 96


def test_labels_of_the_high_level_are_of_known_molecules_and_of_low_energy(
    files: dict[str, list[Structure]], scripts: dict[str, ModuleType]
) -> None:
    absent, highest = scripts["claims_data"].ABSENT, scripts["claims_data"].HIGHEST
    lowest = scripts["claims_data"].lowest_energies(read_structures(folder("molecules") / "frames.extxyz"))
    learnt = [one for one in files["train"] if one.labelled("mp2").has_energy]
    assert len(learnt) >= scripts["claims"].MOST
    for one in [*learnt, *files["test"]]:
        assert one.info["molecule"] not in absent
        assert one.labelled("mp2").energy - lowest[str(one.info["molecule"])] < highest
    for one in files["above"]:
        assert one.labelled("mp2").energy - lowest[str(one.info["molecule"])] >= highest
    assert {one.info["molecule"] for one in files["absent"]} == set(absent)


def test_lifts_see_energies_alone_and_the_base_its_own_level(files: dict[str, list[Structure]]) -> None:
    for name in ("train", "valid"):
        assert any(one.labelled("mp2").has_forces for one in files[name])
        assert not any(one.labelled("mp2").has_forces for one in files[f"{name}-energies"])
        energies = [[one.labelled("mp2").energy for one in files[name + ending]] for ending in ("", "-energies")]
        np.testing.assert_array_equal(*energies)
    assert all(set(one.labels) == {"gfn2"} for name in ("low", "low-valid", "low-test") for one in files[name])


def test_a_path_begins_at_its_lowest_image(files: dict[str, list[Structure]]) -> None:
    """So the highest image less the first is the barrier: 0.36 eV of MP2 for the inversion of ammonia."""
    barriers = {}
    for name in ("NH3", "HONO"):
        energies = [one.labelled("mp2").energy for one in files[name]]
        assert np.argmin(energies) == 0
        barriers[name] = max(energies) - energies[0]
    assert barriers == pytest.approx({"NH3": 0.355, "HONO": 0.586}, abs=2e-3)


def test_a_part_is_a_study_of_rows_with_three_settings_each(scripts: dict[str, ModuleType], place: Path) -> None:
    claims = scripts["claims"]
    part = claims.PARTS["matrix-gfn2-mp2"]
    config = claims.study_of(part.tuned, range(2), folder("molecules"), place)
    assert config.run.name == "matrix-gfn2-mp2-tuned" and config.seeds == (0, 1)
    assert len(config.methods()) == 4
    for row, settings in config.methods().items():
        assert len(config.trials(row)) == 3 and config.trials(row)[0] == settings
    given = claims.study_of(part, range(2), folder("molecules"), place)
    assert given.tune is None and given.methods() == config.methods()
    assert given.run.name == "matrix-gfn2-mp2"  # both stand beside each other


def test_a_larger_part_has_files_of_its_own(scripts: dict[str, ModuleType], place: Path) -> None:
    claims, data = scripts["claims"], scripts["claims_data"]
    config = claims.study_of(claims.PARTS["matrix-gfn2-mp2-240"], range(1), folder("molecules"), place)
    usual = claims.study_of(claims.PARTS["matrix-gfn2-mp2"], range(1), folder("molecules"), place)
    assert config.labels == claims.LARGE and config.methods() == usual.methods()
    assert config.data.train[0].parent.name == "gfn2-mp2-240" and usual.data.train[0].parent.name == "gfn2-mp2"
    learnt = [one for one in read_structures(config.data.train[0]) if one.labelled("mp2").has_energy]
    assert len(learnt) > max(claims.LARGE)  # draws of 800 differ
    first = {one.structure_id for one in read_structures(usual.data.train[0])}
    assert first < {one.structure_id for one in read_structures(config.data.train[0])}
    assert data.Pair("gfn2", "mp2", 240).title == "GFN2 → MP2, 240 geometries"


def test_trials_stand_in_a_table_and_the_least_is_bold(scripts: dict[str, ModuleType]) -> None:
    tables = scripts["claims_tables"]
    values = {
        ("HL-E", 50, "trial", "learning rate 0.02"): {0: 40.0},
        ("HL-E", 50, "trial", "learning rate 0.01"): {1: 30.0},
        ("HL-E", 50, "test", "force_rmse"): {0: 100.0},
    }
    assert list(tables.trials(values))[2:] == [
        "| HL-E | 40.0 (learning rate 0.02) | **30.0** (learning rate 0.01) | 25% |"
    ]
    assert tables.change_of({"training.loss.fidelity_weights": {"mp2": 10.0}}) == "weight of the target 10"


def test_a_row_whose_trials_chose_its_settings_as_given_has_the_draws_of_these(scripts: dict[str, ModuleType]) -> None:
    def errors(**draws: float) -> dict[int, float]:
        return {int(draw[1:]): value for draw, value in draws.items()}

    given = {(name, n, "test", "force_rmse"): errors(d0=1.0, d1=2.0) for name in ("HL-E", "HL-EF") for n in (50, 350)}
    tuned = {
        ("HL-E", 50, "trial", "learning rate 0.02"): {0: 30.0},
        ("HL-E", 50, "trial", "learning rate 0.01"): {1: 40.0},
        ("HL-EF", 50, "trial", "learning rate 0.02"): {0: 30.0},
        ("HL-EF", 50, "trial", "learning rate 0.01"): {1: 20.0},
        ("HL-E", 50, "test", "force_rmse"): errors(d0=3.0),
    }
    found = scripts["claims_tables"].as_given(tuned, given)
    assert found == {("HL-E", 50, "test", "force_rmse"): errors(d0=3.0, d1=2.0)}


def test_every_row_of_every_part_is_a_method(scripts: dict[str, ModuleType]) -> None:
    claims, adapter = scripts["claims"], TypeAdapter(MethodSettings)
    named = {key for key in scripts["claims_tables"].NAMES if key[1] != "base"}
    rows = {
        (one.kind, row): adapter.validate_python(said)
        for one in claims.PARTS.values()
        for row, said in one.rows.items()
    }
    assert set(rows) == named
    rates = {
        row.training.learning_rate
        for (kind, name), row in rows.items()
        if kind in ("lifts", "variants") and name != "delta"
    }
    assert len(rates) == 1


def test_an_epoch_has_as_many_steps_whatever_the_labels(scripts: dict[str, ModuleType]) -> None:
    claims = scripts["claims"]
    rows = claims.new_model(claims.TRAINING, mp2="energy"), claims.new_model(claims.BOTH, gfn2="all", mp2="energy")
    for counts, row in (
        ([50], rows[0]),
        ([350], rows[0]),
        ([672, 50], rows[1]),
        ([622, 50], rows[1]),
        ([50, 50], rows[1]),
    ):
        training = JointSettings.read(row).training
        steps = -(-training.sampling.length(np.array(counts)) // training.batch_size)
        assert 38 <= steps <= 60


def test_ratios_are_taken_draw_by_draw(scripts: dict[str, ModuleType]) -> None:
    tables = scripts["claims_tables"]
    values = {
        ("HL-E", 50, "test", "force_rmse"): {0: 100.0, 1: 200.0, 2: 400.0},
        ("LL-EF+HL-E", 50, "test", "force_rmse"): {0: 50.0, 1: 100.0},
        ("HL-EF", 50, "test", "force_rmse"): {1: 80.0},
    }
    assert tables.ratio(values, "LL-EF+HL-E", "HL-E", 50) == [0.5, 0.5]
    table = list(tables.ratios({"far": values}))
    assert table[2:] == [
        "| LL-EF+HL-E | HL-E | far | 0.50 ± 0.00 (2) |",
        "| LL-EF+HL-E | HL-EF | far | 1.25 (1) |",
    ]
    (line,) = [one for one in tables.rows(values) if one.startswith("| 50 | HL-E |")]
    assert line.startswith("| 50 | HL-E | 3 | – | – | 233 ± 153 |")


def test_draws_of_another_machine_stay_beside_the_page(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    """Where no study is at hand, the tables show what the file has; the pictures of trainings stay as they are."""
    tables = scripts["claims_tables"]
    kept = {("GFN2 → MP2", "HL-E", "50", str(draw), "test", "force_rmse"): 100.0 + draw for draw in (3, 4)}
    tables.keep_values(tmp_path / "claims.csv", tables.COLUMNS, kept)
    page = tmp_path / "claims.md"
    tables_of_page = ("ratios", "trials", "rows")
    page.write_text("".join(f"<!-- table: {name} -->\n<!-- end of table -->\n" for name in tables_of_page))
    claims = scripts["claims"]
    tables.write_page(tmp_path / "empty", (claims.FAR, claims.NEAR), page)
    assert "| 50 | HL-E | 2 | – | – | 104 ± 1 |" in page.read_text() and "**MP2 → CCSD(T)**" not in page.read_text()
    assert (tmp_path / "claims.svg").exists() and not (tmp_path / "claims-curves.svg").exists()


def test_modes_are_compared_in_their_order_and_other_numbers_of_them_are_counted(
    scripts: dict[str, ModuleType],
) -> None:
    truth = {"A": [{"wavenumbers": [100.0, 200.0]}], "B": [{"wavenumbers": [50.0]}]}
    found = scripts["claims_modes"].errors_of({"A": [[230.0, 60.0]], "B": [[10.0, 20.0]]}, truth)
    # errors of -40 and 30, and B has one mode too many
    assert found == {"all": pytest.approx(np.sqrt(1250.0)), "softest": pytest.approx(40.0), "other": 1.0}


def test_modes_of_each_draw_stay_beside_the_page(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    """Those of another machine are shown with those at hand, and the studies' tables leave them alone."""
    modes, tables, data = scripts["claims_modes"], scripts["claims_tables"], folder("molecules")
    minima = modes.minima_of(data)
    kept = {("GFN2 → MP2", "HL-E", "200", "3", "modes", metric): 100.0 for metric in modes.METRICS}
    tables.keep_values(tmp_path / "claims.csv", tables.COLUMNS, kept)
    exact = {name: [one["wavenumbers"] for one in places] for name, places in minima["mp2"].items()}
    file = modes.place_of("HL-E", 4, tmp_path).with_suffix(".json")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"name": "HL-E", "modes": exact}))
    errors = modes.every_error(data, tmp_path, tmp_path / "claims.csv")
    assert list(modes.table(errors, minima))[3:] == ["| HL-E | 2 | 50 ± 71 | 50 ± 71 | 100 |"]
    values = tables.every_value(tmp_path, (scripts["claims"].FAR,), tmp_path / "claims.csv")
    assert not list(tables.rows(values["GFN2 → MP2"]))[2:]


def test_the_rows_whose_modes_are_compared_are_those_of_the_studies(scripts: dict[str, ModuleType]) -> None:
    adapter = TypeAdapter(MethodSettings)
    rows = {name: adapter.validate_python(said) for name, said in scripts["claims_modes"].rows().items()}
    assert {name: row.name for name, row in rows.items() if row.name not in ("joint", "onehot")} == {
        "LL-EF": "offset",
        "LL-EF, then `readout`": "readout",
        "LL-EF, then `tangent`": "tangent",
        "`transfer`": "transfer",
        "`delta`": "delta",
    }
