"""The data of twelve molecules: geometries, labels and reference values belong together, and the program makes them."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms

from rung.data.readers.structures import read_structures
from rung.data.splits import check_disjoint, formula, grouped_split
from rung.data.structure import Structure
from rung.demo_data import folder
from tests.examples.scripts import FOLDER, part

DATA = folder("molecules")
LEVELS = ("gfn2", "mp2", "ccsdt")
SCRIPTS = ("levels", "geometries", "labels", "assemble")


@pytest.fixture(scope="module")
def frames() -> list[Structure]:
    return read_structures(DATA / "frames.extxyz")


@pytest.fixture(scope="module")
def references() -> dict[str, dict[str, dict[str, object]]]:
    return json.loads((DATA / "references.json").read_text())


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """Yield the programs, which import each other by name."""
    monkeypatch.syspath_prepend(str(FOLDER / "molecules"))
    yield {name: part("molecules", name) for name in SCRIPTS}
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def test_every_frame_has_the_labels_that_the_readme_says(frames: list[Structure]) -> None:
    counts = Counter(str(one.info["molecule"]) for one in frames if one.info["part"] != "scan")
    assert len(frames) == 2926 and len(counts) == 12 and min(counts.values()) == 236
    for one in frames:
        gfn2, mp2, cluster = (one.labelled(level) for level in LEVELS)
        assert gfn2.has_forces and mp2.has_forces and cluster.has_energy
        for labels in (gfn2, mp2, cluster):
            assert not labels.has_forces or np.abs(labels.forces.sum(axis=0)).max() < 2e-3
        assert abs(mp2.energy - cluster.energy) < 1.5  # eV: the same basis
        assert 0.0 < float(one.info["t1_diagnostic"]) <= (0.0305 if one.info["part"] == "scan" else 0.03)
    tested = [one for one in frames if one.labelled("ccsdt").has_forces]
    assert len(tested) == 158 and {one.info["part"] for one in tested} == {"test"}


def test_forces_come_nearer_to_coupled_cluster_with_the_level(frames: list[Structure]) -> None:
    checked = [one for one in frames if one.labelled("ccsdt").has_forces]
    errors = {}
    for level in ("gfn2", "mp2"):
        differences = [(one.labelled(level).forces - one.labelled("ccsdt").forces).ravel() for one in checked]
        errors[level] = float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))
    assert errors["mp2"] < 0.2 < 0.8 < errors["gfn2"] < 2.0  # eV/Å


def test_parts_share_no_geometry_and_molecules_split_by_formula(frames: list[Structure]) -> None:
    parts = {name: [one for one in frames if one.info["part"] == name] for name in ("train", "valid", "test")}
    check_disjoint(parts)
    by_molecule = grouped_split(frames, {"train": 0.75, "test": 0.25}, 0, key=formula)
    names = {part: {one.info["molecule"] for one in members} for part, members in by_molecule.items()}
    assert names["train"] and names["test"] and not names["train"] & names["test"]
    assert len({one.formula for one in frames}) == 12


def test_minima_paths_and_atoms_are_those_of_their_levels(
    frames: list[Structure], references: dict[str, dict[str, dict[str, object]]]
) -> None:
    """CCSD(T) puts the top between HCN and HNC some 2 eV above HCN; small bases make the inversion of NH3 too high."""
    paths = references["paths"]
    assert set(paths) == {"NH3", "HCN", "H2O2", "HONO", "CH3OH"}
    barriers = {name: path["barrier"] for name, path in paths.items()}
    assert barriers["HCN"]["ccsdt"] == pytest.approx(2.05, abs=0.1)
    assert barriers["NH3"]["ccsdt"] == pytest.approx(0.38, abs=0.02)
    scan = [one for one in frames if one.info["part"] == "scan" and one.info["molecule"] == "HCN"]
    energies = [one.labelled("ccsdt").energy for one in scan]
    assert max(energies) - min(energies) == pytest.approx(barriers["HCN"]["ccsdt"], abs=1e-4)
    for by_molecule in references["equilibria"].values():
        assert all(min(one["wavenumbers"]) > 100 for minima in by_molecule.values() for one in minima)
    water = references["equilibria"]["mp2"]["H2O"][0]
    assert np.array(water["wavenumbers"]) == pytest.approx([1678, 3855, 3975], abs=3)
    lowest = min(one.labelled("mp2").energy for one in frames if one.info["molecule"] == "H2O")
    assert water["energy"] <= lowest + 1e-6
    atoms = references["atoms"]
    assert atoms["mp2"]["H"] == atoms["ccsdt"]["H"]
    assert atoms["ccsdt"]["N"] < atoms["mp2"]["N"]


def test_the_geometries_are_those_of_the_script(frames: list[Structure], scripts: dict[str, ModuleType]) -> None:
    """A minimum of GFN2 and a random geometry of it, made anew; the sign of a mode is LAPACK's choice on the day."""
    made: Atoms = scripts["geometries"].geometry("H2O", 3)
    (shipped,) = [one for one in frames if one.structure_id == made.info["structure_id"]]
    minimum, _, modes = scripts["geometries"].minima("H2O")[0]

    def amplitudes(positions: np.ndarray) -> np.ndarray:
        moved = (positions - minimum.positions) * np.sqrt(minimum.get_masses())[:, None]
        return np.abs(np.tensordot(modes, moved, axes=((1, 2), (0, 1))))

    found, due = amplitudes(made.positions), amplitudes(shipped.atoms.positions)
    assert due.max() > 0.05
    assert np.abs(found - due).max() < 2e-3


def test_later_frames_follow_those_of_their_molecule_and_replace_none(
    frames: list[Structure], scripts: dict[str, ModuleType]
) -> None:
    water, ammonia, path = (next(one for one in frames if one.structure_id.startswith(name))
                            for name in ("H2O_modes_000", "NH3_modes_000", "NH3_scan_00"))  # fmt: skip
    more = replace(water, structure_id="H2O_modes_241"), replace(ammonia, structure_id="NH3_path_241")
    other = replace(water, labels={})
    joined = scripts["assemble"].merged([water, ammonia, path], [other, *more])
    assert [one.structure_id for one in joined] == [
        water.structure_id, "H2O_modes_241", ammonia.structure_id, "NH3_path_241", path.structure_id,
    ]  # fmt: skip
    assert joined[0] is water


@pytest.mark.slow
def test_more_geometries_join_those_that_are_there(
    frames: list[Structure], scripts: dict[str, ModuleType], tmp_path: Path
) -> None:
    """Another machine labels numbers 241 and 242 alone, and every frame of before stays as it is."""
    pytest.importorskip("pyscf")
    labels, assemble = scripts["labels"], scripts["assemble"]
    assert list(labels.more(["H2O"], 241, 243, tmp_path)) == ["geometries 241 to 242 of H2O"]
    assemble.write(tmp_path, tmp_path / "out", DATA)
    written = read_structures(tmp_path / "out" / "frames.extxyz")
    known = {one.structure_id: one for one in frames}
    new = [one for one in written if one.structure_id not in known]
    assert [one.structure_id for one in new] == ["H2O_modes_241", "H2O_modes_242"]
    assert all(one.labelled(level).has_energy for one in new for level in LEVELS)
    assert written[-1].structure_id == frames[-1].structure_id and len(written) == len(frames) + 2
    for one in written:
        if one.structure_id in known:
            assert one.labelled("mp2").energy == known[one.structure_id].labelled("mp2").energy
    assert (tmp_path / "out" / "references.json").read_text() == (DATA / "references.json").read_text()


@pytest.mark.slow
def test_forces_of_coupled_cluster_are_slopes_of_its_energies(
    frames: list[Structure], scripts: dict[str, ModuleType]
) -> None:
    """One component of a molecule of each kind of label, by energies of a step of 0.002 Å."""
    pytest.importorskip("pyscf")
    for name in ("H2O", "HCN", "CH2O"):
        one = next(one for one in frames if one.info["molecule"] == name and one.labelled("ccsdt").has_forces)
        for level in ("mp2", "ccsdt"):
            ends = []
            for step in (-2e-3, 2e-3):
                atoms = one.atoms.copy()
                atoms.positions[-1, 0] += step
                atoms.calc = scripts["levels"].Level(level)
                ends.append(atoms.get_potential_energy())
            assert one.labelled(level).forces[-1, 0] == pytest.approx((ends[0] - ends[1]) / 4e-3, abs=2e-3)


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in Path(DATA).iterdir()) < 6_000_000
