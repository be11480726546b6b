"""A tree of outputs to labels on structures: the numbers, what is said of them, and no foreign file touched."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from rung.collect.collecting import collect
from rung.collect.merging import merged, sidecar_of
from rung.collect.settings import CollectSettings
from rung.collect.statistics import mean_and_error
from rung.data.energy_table import read_energy_tables
from rung.data.labels import Labels, empty_labels
from rung.data.readers.structures import read_structures, structure_from, write_structures
from rung.errors import ConfigError, DataError, StorageError
from rung.results.collected import Collected, CollectedLabel
from rung.units import BOHR, HARTREE
from tests.collect.readers.test_pyscf import LOGS as PYSCF
from tests.collect.samples import run_of, write_input, write_scalar

NAMES = ("near", "bent", "far")
LOW = -31.5


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder of outputs of three structures, beside a file of these with labels of their own."""
    structures = []
    for place, name in enumerate(NAMES):
        atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.1 * place]])
        low = Labels(**{**vars(empty_labels(2)), "energy": LOW - place, "forces": np.full((2, 3), 0.25)})
        structures.append(structure_from(atoms, name, {"kind": "path"}, {"pbe": low}))
        write_scalar(tmp_path / "tree" / name / "c.s001.scalar.dat", run_of(place, mean=-1.0 - place))
    write_structures(tmp_path / "base.extxyz", structures)
    return tmp_path / "tree"


def settings(tree: Path, **more: Any) -> CollectSettings:
    folder = tree.parent
    chosen = {
        "paths": (tree,),
        "structures": (folder / "base.extxyz",),
        "fidelity": "dmc",
        "out": folder / "labels.extxyz",
        "equilibration": 0,
        **more,
    }
    return CollectSettings.read({name: value for name, value in chosen.items() if value is not None})


def test_energies_come_onto_their_structures_and_other_labels_stay(tree: Path) -> None:
    collected = collect(settings(tree, shared_stderr={"finite_size": 0.03, "time_step": 0.04}))
    read = read_structures(collected.out)
    assert [one.structure_id for one in read] == list(NAMES)
    for place, structure in enumerate(read):
        series = HARTREE * run_of(place, mean=-1.0 - place)
        label = structure.labelled("dmc")
        assert label.energy == pytest.approx(series.mean())
        assert label.energy_stderr == pytest.approx(mean_and_error(series, np.ones(60))[1])
        assert structure.labelled("pbe").energy == LOW - place
        assert (structure.labelled("pbe").forces == 0.25).all()
        assert structure.info["kind"] == "path"
        assert (structure.info["dmc_program"], structure.info["dmc_method"]) == ("QMCPACK", "DMC")
        assert structure.info["dmc_sources"].endswith(f"{structure.structure_id}/c.s001.scalar.dat")
        assert "dmc_correction_mpc" not in structure.info
    # what is shared is told beside the labels, and no label's own error knows of it
    assert collected.energy_shared_stderr == pytest.approx(0.05)
    alone = collect(settings(tree, out=tree.parent / "other.extxyz"))
    assert [one.energy_stderr for one in alone.labels] == [one.energy_stderr for one in collected.labels]
    assert Collected.read(sidecar_of(Path(collected.out))) == collected


def test_the_file_has_no_key_that_the_doctor_takes_for_a_label(tree: Path) -> None:
    collected = collect(settings(tree, mpc=True, correction={"kinetic": 0.5}))
    (near, *_) = read_structures(collected.out)
    assert set(near.labels) == {"pbe", "dmc"}
    assert near.info["rung_reading"].unread_keys == ()
    assert near.info["dmc_correction_kinetic"] == 0.5
    assert near.info["dmc_correction_mpc"] == 0.0


def test_bad_outputs_are_left_out_and_said(tree: Path) -> None:
    (tree / "near" / "c.s001.scalar.dat").write_text("")
    write_scalar(tree / "elsewhere" / "c.s001.scalar.dat", run_of(9))
    write_scalar(tree / "far" / "c.s002.scalar.dat", run_of(10))
    collected = collect(settings(tree))
    assert [label.structure_id for label in collected.labels] == ["bent"]
    assert collected.unlabelled == ("near", "far")
    sentences = {
        refused.sentence.split(":")[0].removeprefix(f"{tree}/"): refused.sentence for refused in collected.refused
    }
    assert "is empty" in sentences[next(key for key in sentences if key.startswith("near/"))]
    assert "no structure is called like" in sentences["elsewhere/c.s001.scalar.dat"]
    assert "2 runs" in sentences[next(key for key in sentences if key.startswith("far has"))]
    near, bent, _ = read_structures(collected.out)
    assert bent.labelled("dmc").has_energy
    assert not near.labelled("dmc").has_energy
    chosen = collect(settings(tree, series=(1,), out=tree.parent / "other.extxyz"))
    assert [label.structure_id for label in chosen.labels] == ["bent", "far"]


def test_nothing_is_written_where_there_is_no_label(tree: Path) -> None:
    for path in tree.rglob("*.dat"):
        path.write_text("")
    collected = collect(settings(tree))
    assert (collected.labels, collected.out) == ((), "")
    assert len(collected.refused) == 3
    assert sorted(path.name for path in tree.parent.iterdir()) == ["base.extxyz", "tree"]


def test_a_table_says_cells_and_weights(tree: Path) -> None:
    table = tree.parent / "table.csv"
    for twist in range(2):
        write_scalar(tree / "t" / f"c.g{twist:03d}.s001.scalar.dat", run_of(20 + twist, mean=-4.0 - twist))
    table.write_text(
        "path,structure_id,cells,weight\n"
        "tree/t/c.g000.s001.scalar.dat,near,4,1\ntree/t/c.g001.s001.scalar.dat,near,4,3\ntree/far,far,,\n"
    )
    collected = collect(settings(tree, table=table))
    by_id = {label.structure_id: label for label in collected.labels}
    means = [run_of(20 + twist, mean=-4.0 - twist).mean() for twist in range(2)]
    assert by_id["near"].energy == pytest.approx(HARTREE * (0.25 * means[0] + 0.75 * means[1]) / 4)
    assert by_id["far"].energy == pytest.approx(HARTREE * run_of(2, mean=-3.0).mean())
    assert "different numbers of twists (0, 2)" in collected.warnings[0]
    assert [one.sentence.endswith(f"stands in no row of {table}.") for one in collected.refused] == [True, True]


def test_a_mean_alone_leaves_no_number_of_samples(tree: Path) -> None:
    (tree / "far" / "c.s001.scalar.dat").unlink()
    (tree / "far" / "pip0_fn.d").write_text(" number of bins read = 100\n Energy = -1.5 0.25\n")
    collected = collect(settings(tree))
    far = read_structures(collected.out)[-1]
    assert far.labelled("dmc").energy_stderr == pytest.approx(0.25 * HARTREE)
    assert "dmc_n_independent" not in far.info
    assert Collected.read(sidecar_of(Path(collected.out))).labels[1].runs[0].rows == 100


def water(tmp_path: Path) -> CollectSettings:
    """Return settings for logs of PySCF in one folder, of water turned, water as it stands and H3."""
    turned = Atoms("OH2", [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]])
    turned.rotate(30.0, "z")
    h3 = Atoms("H3", [[0, 0, 0], [0, 0, 0.93], [0, 0, -0.93]])
    write_structures(tmp_path / "base.extxyz", [structure_from(turned, "water"), structure_from(h3, "h3")])
    return settings(tmp_path / "logs", fidelity="cc", equilibration=None)


def test_deterministic_outputs_are_matched_by_their_geometry(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("ccsdt", "uccsd", "unconverged-ccsd"):
        shutil.copy(PYSCF / f"{name}.log", tmp_path / "logs")
    several = collect(water(tmp_path))
    assert len(several.refused) == 3
    assert sum("name one by --level" in one.sentence for one in several.refused) == 2
    chosen = water(tmp_path).model_copy(update={"level": "ccsd", "stderr": 0.005})
    collected = collect(chosen)
    assert [one.sentence.split(": ")[1][:12] for one in collected.refused] == ["CCSD did not"]
    read_water, h3 = read_structures(collected.out)
    assert read_water.labelled("cc").energy == pytest.approx(-75.0124617127727 * HARTREE, abs=1e-9)
    assert h3.labelled("cc").energy == pytest.approx(-1.5710709762693078 * HARTREE, abs=1e-9)
    assert h3.labelled("cc").energy_stderr == 0.005
    assert not np.isfinite(collect(chosen.model_copy(update={"stderr": None})).labels[0].energy_stderr)


def test_forces_come_with_energies_of_their_level_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    shutil.copy(PYSCF / "pbe.log", tmp_path / "logs")
    told = water(tmp_path)
    atoms = Atoms("OH2", [[1, 0, 0.1173], [1, 0.7572, -0.4692], [1, -0.7572, -0.4692]])
    for structure, has_forces in ((None, False), (structure_from(atoms, "water"), True)):
        if structure is not None:
            write_structures(tmp_path / "base.extxyz", [structure])
        label = read_structures(collect(told).out)[0].labelled("cc")
        assert label.energy == pytest.approx(-75.22556669754537 * HARTREE, abs=1e-8)
        assert label.has_forces is has_forces  # none for a turned molecule: they would point elsewhere
    assert label.forces[0, 2] == pytest.approx(0.1196112163 * HARTREE / BOHR, rel=1e-8)


def test_outputs_that_hold_their_geometry_need_no_structures(tmp_path: Path) -> None:
    for name in ("pbe", "mp2"):
        (tmp_path / "logs" / name).mkdir(parents=True)
        shutil.copy(PYSCF / f"{name}.log", tmp_path / "logs" / name / "run.log")
    write_scalar(tmp_path / "logs" / "c.s001.scalar.dat", run_of(1))
    told = water(tmp_path).model_copy(update={"structures": ()})
    collected = collect(told)
    (pbe,) = read_structures(collected.out)
    assert pbe.structure_id == "pbe/run"
    assert pbe.formula == "H2O"
    assert pbe.labelled("cc").has_forces
    said = [one.sentence for one in collected.refused]
    assert "holds no geometry: give --structures" in said[0]
    assert "name one by --level" in said[1]
    both = collect(told.model_copy(update={"level": "scf"}))
    assert [one.structure_id for one in read_structures(both.out)] == ["mp2/run", "pbe/run"]
    assert both.unlabelled == ()


@pytest.mark.parametrize("named", ["files", "folders", "one folder"])
def test_outputs_of_one_name_keep_their_own_energies(tmp_path: Path, named: str) -> None:
    """Programs call every output alike, and a number after a dot is no ending: the last energy stood on all frames."""
    energies = {"h2_0.74": -75.1, "h2_0.90": -75.2, "h2_1.20": -75.3}
    text = (PYSCF / "pbe.log").read_text()
    for name, energy in energies.items():
        place = tmp_path / "logs" / (name if named == "one folder" else f"{name}/run.log")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.replace("-75.22556669754537", str(energy)).replace("-75.2255666975454", str(energy)))
    folder = tmp_path / "logs"
    paths = {"files": tuple(sorted(folder.glob("*/*.log"))), "folders": tuple(sorted(folder.iterdir()))}
    told = water(tmp_path).model_copy(update={"structures": (), "paths": paths.get(named, (folder,)), "level": "scf"})
    read = {one.structure_id: one.labelled("cc").energy / HARTREE for one in read_structures(collect(told).out)}
    ending = "" if named == "one folder" else "/run"
    assert read == {f"{name}{ending}": pytest.approx(energy, abs=1e-9) for name, energy in energies.items()}


def test_two_labels_of_one_structure_are_never_merged(tmp_path: Path) -> None:
    label = CollectedLabel.model_construct(structure_id="a", name="one")
    with pytest.raises(DataError, match="one and two are both labels of a; keep one of them"):
        merged([], [label, label.model_copy(update={"name": "two"})], "cc", {})


def test_several_deterministic_outputs_of_one_structure_are_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("ccsdt", "mp2"):
        shutil.copy(PYSCF / f"{name}.log", tmp_path / "logs")
    (refused,) = collect(water(tmp_path).model_copy(update={"level": "scf", "join": True})).refused
    assert refused.sentence == "water has 2 outputs (ccsdt.log, mp2.log), not all of them series; name one."


def test_energies_of_different_methods_are_said(tree: Path) -> None:
    write_scalar(tree / "far" / "c.s001.scalar.dat", run_of(3), weights=np.full(60, 5.0))
    assert "different methods (DMC, VMC)" in collect(settings(tree)).warnings[0]


def test_a_table_and_structures_of_one_name_do_not_share_a_record(tree: Path) -> None:
    """The later one took the record, and the earlier file counted as nobody's."""
    told = settings(tree)
    collect(told)
    table = told.out.with_suffix(".csv")
    with pytest.raises(StorageError, match=r"labels\.collected\.json is the record of .*labels\.extxyz; give "):
        collect(told.model_copy(update={"out": table}))
    assert not table.exists() and Collected.read(sidecar_of(told.out)).out == str(told.out)
    collect(told)  # goes on as before


def test_own_files_are_replaced_and_foreign_ones_are_not(tree: Path) -> None:
    first = collect(settings(tree))
    out = Path(first.out)
    again = collect(settings(tree, equilibration=10))
    assert again.out_hashes[1] == first.out_hashes[0]
    assert read_structures(out)[0].labelled("dmc").energy == again.labels[-1].energy
    changed = out.read_text().replace("kind=path", "kind=mine")
    out.write_text(changed)
    with pytest.raises(StorageError, match="did not write it, or it has changed since"):
        collect(settings(tree))
    assert out.read_text() == changed
    sidecar_of(out).unlink()
    with pytest.raises(StorageError, match="did not write it"):
        collect(settings(tree))


def test_a_call_that_was_killed_between_its_two_files_is_done_again(tree: Path) -> None:
    out = Path(collect(settings(tree)).out)
    before = out.read_bytes()
    collect(settings(tree, equilibration=10))
    out.write_bytes(before)  # as if the second call had written what stands beside, and been killed then
    again = collect(settings(tree, equilibration=20))
    assert read_structures(out)[0].labelled("dmc").energy == again.labels[-1].energy


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (lambda folder: {"fidelity": None}, ConfigError, "needs --fidelity"),
        (lambda folder: {"structures": None, "columns": {"energy": "E"}}, ConfigError, "A table holds no geometry"),
        (lambda folder: {"structures": None, "table": folder / "a.csv"}, ConfigError, "--table says which"),
        (lambda folder: {"fidelity": "d m c"}, ConfigError, "fidelity name"),
        (lambda folder: {"fidelity": "pbe"}, DataError, "near has an energy of pbe already"),
        (lambda folder: {"out": folder / "base.extxyz"}, StorageError, "is read, and would be written over"),
        (lambda folder: {"out": folder / "tree"}, StorageError, "is read"),
        (lambda folder: {"out": folder}, StorageError, "is a folder"),
        (lambda folder: {"structures": (folder / "absent.extxyz",)}, DataError, "There is no file"),
    ],
    ids=["no-fidelity", "table", "matches", "name", "labelled", "input", "tree", "folder", "absent"],
)
def test_what_cannot_be_is_refused_before_any_output_is_read(
    tree: Path, change: Callable[[Path], dict[str, Any]], error: type[Exception], sentence: str
) -> None:
    before = {path: path.read_bytes() for path in tree.parent.rglob("*") if path.is_file()}
    with pytest.raises(error, match=sentence):
        collect(settings(tree, **change(tree.parent)))
    assert {path: path.read_bytes() for path in tree.parent.rglob("*") if path.is_file()} == before


def test_a_table_of_energies_comes_onto_structures(tree: Path) -> None:
    table = tree.parent / "energies.csv"
    table.write_text("id,E,err\nnear,-1.0,0.001\nfar,-2.0,0.002\n")
    columns = {"structure_id": "id", "energy": "E", "stderr": "err"}
    told = settings(tree, paths=(table,), columns=columns, unit="hartree", equilibration=None)
    collected = collect(told)
    near, bent, far = read_structures(collected.out)
    assert near.labelled("dmc").energy == pytest.approx(-HARTREE)
    assert far.labelled("dmc").energy_stderr == pytest.approx(0.002 * HARTREE)
    assert collected.unlabelled == (bent.structure_id,)
    assert near.info["dmc_program"] == "table"
    with pytest.raises(ConfigError, match="--columns needs --unit"):
        collect(told.model_copy(update={"unit": None, "out": tree.parent / "b.extxyz"}))


def test_a_tiled_cell_that_nobody_divided_is_refused(tree: Path) -> None:
    """The energy of a supercell on a structure of one cell would be wrong by its whole size."""
    write_input(tree / "near" / "c.in.xml", "c", 8)
    write_input(tree / "bent" / "c.in.xml", "c", 2)
    write_input(tree / "far" / "c.in.xml", "c", 3)
    collected = collect(settings(tree))
    assert [label.structure_id for label in collected.labels] == ["bent"]
    sentences = sorted(one.sentence.split("c.s001.scalar.dat ")[1] for one in collected.refused)
    assert sentences == [
        "is of 3 atoms, and far has 2, in 1 cell: it is of another structure.",
        "is of 8 atoms, and near has 2, in 1 cell: give --cells 4.",
    ]
    four = collect(settings(tree, cells=4, out=tree.parent / "four.extxyz"))
    assert [label.structure_id for label in four.labels] == ["near"]
    assert four.labels[0].energy == pytest.approx(HARTREE * run_of(0).mean() / 4)


def _correlated(tree: Path, spread: float = 0.0005) -> Path:
    """Let the blocks of ``bent`` be those of ``near`` but for a constant and a little, and say so in a table."""
    rest = np.random.default_rng(3).normal(size=60)
    write_scalar(tree / "bent" / "c.s001.scalar.dat", run_of(0, mean=-1.0) + 0.2 + spread * rest)
    table = tree.parent / "table.csv"
    table.write_text("path,structure_id,minus\ntree/near,near,\ntree/bent,bent,near\ntree/far,far,\n")
    return table


def test_a_difference_of_the_same_walkers_has_the_error_of_its_blocks(tree: Path) -> None:
    table, out = _correlated(tree), tree.parent / "labels.csv"
    collected = collect(settings(tree, table=table, out=out))
    rows = {(row.structure_id, row.minus): row for row in read_energy_tables([out]).rows}
    assert set(rows) == {("near", ""), ("bent", "near"), ("far", "")}
    near = HARTREE * run_of(0)
    bent = near + HARTREE * (0.2 + 0.0005 * np.random.default_rng(3).normal(size=60))
    difference = rows["bent", "near"]
    assert difference.energy == pytest.approx((bent - near).mean(), abs=1e-9)
    assert difference.stderr == pytest.approx(mean_and_error(bent - near, np.ones(60))[1], rel=1e-6)
    assert difference.stderr < 0.1 * rows["near", ""].stderr
    assert rows["near", ""].energy == pytest.approx(near.mean())
    assert [label.name for label in collected.labels if label.minus_structure_id] == ["bent - near"]
    assert Collected.read(sidecar_of(out)) == collected
    # a constant that is added to both cancels; without structures, the names of the table are taken as they are
    free = collect(settings(tree, table=table, structures=None, out=out, correction={"kinetic": 0.5}))
    shifted = {(label.structure_id, label.minus_structure_id): label.energy for label in free.labels}
    assert shifted["bent", "near"] == difference.energy
    assert shifted["near", ""] == pytest.approx(rows["near", ""].energy + 0.5)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (run_of(1, rows=59), "59 rows"),
        (run_of(1), "their blocks do not|its blocks do not go with"),
        (None, "no output of near itself"),
    ],
)
def test_other_walkers_are_refused_or_said(tree: Path, blocks: np.ndarray | None, said: str) -> None:
    table = _correlated(tree)
    if blocks is None:
        shutil.rmtree(tree / "near")
        table.write_text("path,structure_id,minus\ntree/bent,bent,near\ntree/far,far,\n")
    else:
        write_scalar(tree / "bent" / "c.s001.scalar.dat", blocks)
    collected = collect(settings(tree, table=table, out=tree.parent / "labels.csv"))
    told = [one.sentence for one in collected.refused] + [text for one in collected.labels for text in one.warnings]
    assert any(re.search(said, sentence) for sentence in told)


def test_differences_do_not_go_onto_structures(tree: Path) -> None:
    with pytest.raises(ConfigError, match=r"bent - near is a label of no structure: --out needs .*\.csv"):
        collect(settings(tree, table=_correlated(tree)))
    assert not (tree.parent / "labels.extxyz").exists()


def test_outputs_without_a_structure_become_rows_named_after_their_files(tree: Path) -> None:
    out = tree.parent / "labels.csv"
    collect(settings(tree, structures=None, out=out))
    assert [row.structure_id for row in read_energy_tables([out]).rows] == [
        str(tree / name / "c.s001.scalar.dat") for name in sorted(NAMES)
    ]


def test_a_table_of_differences_becomes_a_table_of_labels(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("a,b,e,s\nnear,,-1.0,0.01\nbent,near,0.25,\nbent,near,0.3,\nnear,near,1,\n")
    chosen = settings(
        tmp_path / "e.csv",
        structures=None,
        columns={"structure_id": "a", "minus": "b", "energy": "e", "stderr": "s"},
        unit="hartree",
        out=tmp_path / "labels.csv",
        correction={"kinetic": 0.5},
        equilibration=None,
    )
    collected = collect(chosen)
    one, other = read_energy_tables([tmp_path / "labels.csv"]).rows
    assert (one.structure_id, one.minus, one.energy) == ("near", "", -HARTREE + 0.5)
    assert (other.structure_id, other.minus, other.energy) == ("bent", "near", 0.25 * HARTREE)
    assert np.isnan(other.stderr)
    assert [refused.sentence.split(": ", 1)[1] for refused in collected.refused] == [
        "bent - near stands in an earlier row already.",
        "near less itself is zero and says nothing.",
    ]
    with pytest.raises(ConfigError, match=r"ends in \.csv"):
        collect(chosen.model_copy(update={"out": tmp_path / "labels.extxyz"}))


def test_a_difference_and_the_energy_that_was_subtracted_share_errors(tree: Path) -> None:
    """Blocks of ``bent`` that follow those of ``near`` too strongly: the difference goes with ``near``, half of it."""
    table, out = _correlated(tree), tree.parent / "labels.csv"
    near, rest = run_of(0), 0.005 * np.random.default_rng(8).normal(size=60)
    write_scalar(tree / "bent" / "c.s001.scalar.dat", near + 0.5 * (near - near.mean()) + rest)
    collected = collect(settings(tree, table=table, out=out))
    rows = {row.structure_id: row for row in read_energy_tables([out]).rows}
    difference = 0.5 * (near - near.mean()) + rest
    correlation = np.corrcoef(difference, near)[0, 1]
    assert 0.5 < correlation < 0.9
    assert rows["near"].run == rows["bent"].run != ""
    assert rows["far"].run == ""
    assert rows["near"].shared_stderr == rows["near"].stderr
    assert rows["bent"].shared_stderr == pytest.approx(correlation * rows["bent"].stderr, rel=1e-6)
    assert [label.correlation for label in collected.labels if not label.minus_structure_id] == [0.0, 0.0]
