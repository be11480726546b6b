import gzip
import string

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixedLine, FixedPlane, FixScaled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.data.held import Held
from rung.data.labels import Labels, empty_labels
from rung.data.readers.structures import (
    READING,
    Reading,
    complete_atoms,
    read_structures,
    reading_of,
    structure_from,
    write_structures,
)
from rung.data.structure import Structure
from rung.errors import DataError, StorageError
from tests.data.readers.extxyz_files import CRYSTAL, WATER, put


def test_reads_what_the_file_says(tmp_path):
    water, crystal = read_structures(put(tmp_path, WATER + CRYSTAL))
    assert water.structure_id == "007"
    assert set(water.labels) == {"pbe", "dmc"}
    assert water.labels["pbe"].energy == -14.25
    assert water.labels["dmc"].energy_stderr == 0.02
    assert np.isnan(water.labels["dmc"].forces).all()
    np.testing.assert_array_equal(water.labels["pbe"].forces[1], [-0.1, 0.0, -0.1])
    assert {key: value for key, value in water.info.items() if key != READING} == {"kind": "rattled"}
    assert set(water.atoms.arrays) == {"numbers", "positions"}
    assert water.atoms.calc is None and not water.atoms.info and not water.atoms.constraints
    assert crystal.structure_id == f"geometry-{crystal.geometry_hash[:16]}"
    np.testing.assert_array_equal(crystal.labels["pbe"].stress, [0.01, 0.02, 0.03, 0.004, 0.005, 0.006])
    assert crystal.atoms.pbc.all() and crystal.atoms.cell.volume == pytest.approx(2 * 2.7**3)
    assert reading_of(crystal).source == "frames.extxyz#1"


def test_several_files_and_compressed_ones_are_read_in_order(tmp_path):
    one = put(tmp_path, WATER, "one.xyz")
    two = put(tmp_path, gzip.compress(CRYSTAL.encode()), "two.extxyz.gz")
    assert [s.formula for s in read_structures([two, str(one)])] == ["Si2", "H2O"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (WATER[:-60], "cut short"),
        (WATER.replace("3\nProp", "4\nProp"), "cut short"),
        ("\ufeff" + WATER, "begins with a byte order mark"),
        (WATER.replace("3\nProp", "2\nProp"), "a number of atoms should stand here"),
        (WATER.replace("3\nProp", "three\nProp"), "'three'"),
        (WATER + "\n" + CRYSTAL, "a blank line"),
        (WATER.replace("0.119  0.1", "0.119  0. 1"), "line 3: 7 columns are announced, 8 found"),
        (WATER.replace("0.119  0.1", "0.119"), "line 3: 7 columns are announced, 6 found"),
        (WATER.replace("0.119", "0.1x9"), "cannot be read"),
        (WATER.replace("O  0.0", "Qq 0.0"), "cannot be read"),
        (WATER.replace("O  0.0", "X  0.0"), "no element"),
        (WATER.replace("0.119", "nan"), "not a number"),
        (WATER.replace("0.119", "1e9"), "beyond"),
        ("0\npbe_energy=1.0\n", "no atoms"),
        (WATER.replace("pbe_energy=-14.25", "pbe_energy=low"), "pbe_energy is not a number"),
        (WATER.replace("pbe_energy=-14.25", "pbe_energy"), "pbe_energy is not a number"),
        (WATER.replace("pbe_energy=-14.25", 'pbe_energy="-14.25 1.0"'), "pbe_energy has shape (2,), not ()"),
        (WATER.replace("pos:R:3:pbe_forces:R:3", "pos:R:3:pbe_forces:R:2:x:R:1"), "pbe_forces has shape"),
        (WATER.replace("kind=rattled", 'dmc_forces="1 2 3"'), "belongs in the columns"),
        (CRYSTAL.replace("0.006", ""), "pbe_stress has shape (5,)"),
        (CRYSTAL.replace("2.7 0.0 2.7", "0.0 2.7 2.7"), "one plane or line"),
        (CRYSTAL.replace('Lattice="0.0 2.7 2.7 2.7 0.0 2.7 2.7 2.7 0.0"', ""), "without a cell vector"),
        (WATER + WATER.replace("0.119", "0.120"), "#1; give each its own, or leave the key out"),
        (b"\xff\xfe" + WATER.encode(), "is not text"),
    ],
)
def test_refuses_bad_files_in_one_sentence(tmp_path, text, sentence):
    path = put(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_structures(path)
    message = str(caught.value)
    assert sentence in message
    assert "frames.extxyz" in message
    assert "\n" not in message


def test_refuses_a_missing_file_a_folder_and_broken_compression(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*absent\.extxyz"):
        read_structures(tmp_path / "absent.extxyz")
    with pytest.raises(DataError, match="is a folder"):
        read_structures(tmp_path)
    whole = gzip.compress(WATER.encode())
    with pytest.raises(DataError, match="cannot be read"):
        read_structures(put(tmp_path, whole[:-20], "cut.extxyz.gz"))
    with pytest.raises(DataError, match="cannot be read"):
        read_structures(put(tmp_path, "not a spreadsheet", "frames.json"))


def test_an_unknown_fidelity_lists_what_there_is(tmp_path):
    path = put(tmp_path, WATER)
    with pytest.raises(DataError, match=r"Unknown fidelity 'pbee'; there is: dmc, pbe. Did you mean 'pbe'\?"):
        read_structures(path, fidelities=["dmc", "pbee"])
    assert set(read_structures(path, fidelities=["dmc"])[0].labels) == {"dmc", "pbe"}


def test_labels_of_another_name_are_answered_with_how_to_rename_them(tmp_path):
    path = put(tmp_path, CRYSTAL.replace("pbe", "REF"))
    with pytest.raises(DataError, match=r"is: REF\. .* rung convert --keys energy=REF_energy --fidelity cc, .*cc.key"):
        read_structures(path, fidelities=["cc"])


def test_bare_keys_are_recorded_and_never_become_labels(tmp_path):
    text = WATER.replace("pbe_energy=-14.25", 'energy=-14.25 stress="1 2 3 4 5 6 7 8 9"').replace(
        "pbe_forces", "forces"
    )
    structure = read_structures(put(tmp_path, text))[0]
    assert reading_of(structure).bare_keys == ("energy", "forces", "stress")
    assert set(structure.labels) == {"dmc"}


def test_bare_keys_of_another_format_are_recorded(tmp_path):
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.ones((3, 3)))
    ase.io.write(tmp_path / "frames.json", atoms)
    structure = read_structures(tmp_path / "frames.json")[0]
    assert reading_of(structure).bare_keys == ("energy", "forces")
    assert not structure.labels


def test_keys_that_look_like_labels_are_recorded(tmp_path):
    structure = read_structures(put(tmp_path, WATER.replace("kind=rattled", "energy_ccsd=-1.0 Forces_note=x")))[0]
    assert reading_of(structure).unread_keys == ("Forces_note", "energy_ccsd")


def test_forces_of_fixed_atoms_stay_as_written(tmp_path):
    atoms = molecule("H2O")
    atoms.set_constraint(FixAtoms([0]))
    forces = np.arange(9.0).reshape(3, 3) + 1.0
    atoms.arrays["pbe_forces"] = forces
    ase.io.write(tmp_path / "fixed.extxyz", atoms)
    structure = read_structures(tmp_path / "fixed.extxyz")[0]
    assert reading_of(structure).fixed_atoms == (0,)
    np.testing.assert_array_equal(structure.labels["pbe"].forces, forces)


def test_partly_absent_forces_are_kept(tmp_path):
    structure = read_structures(put(tmp_path, WATER.replace("0.1  0.2  0.3", "nan  0.2  0.3")))[0]
    assert np.isnan(structure.labels["pbe"].forces).sum() == 1
    assert not structure.labels["pbe"].has_forces


finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: value + 0.0)
words = st.text(string.printable, min_size=1, max_size=12)
values = st.one_of(
    words, st.booleans(), st.integers(-(10**9), 10**9), finite, st.lists(words, max_size=3), st.just("a\\b\"c'd\ne=f")
)
info_keys = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,8}\Z").filter(
    lambda key: key not in {"pbc", "uid", "stress", "virial"} and not key.lower().endswith(("energy", "forces", "rr"))
)


@st.composite
def structures(draw):
    n_atoms = draw(st.integers(1, 4))
    positions = np.array(draw(st.lists(finite, min_size=3 * n_atoms, max_size=3 * n_atoms))).reshape(n_atoms, 3)
    periodic = draw(st.booleans())
    cell = np.diag(draw(st.lists(st.floats(1.0, 50.0), min_size=3, max_size=3))) if periodic else np.zeros((3, 3))
    numbers = draw(st.lists(st.integers(1, 94), min_size=n_atoms, max_size=n_atoms))
    forces = np.array(draw(st.lists(finite, min_size=3 * n_atoms, max_size=3 * n_atoms))).reshape(n_atoms, 3)
    labels = {
        "pbe": Labels(draw(finite), np.nan, forces, np.full((n_atoms, 3), np.nan), np.array([draw(finite)] * 6)),
        "ccsd-t": Labels(draw(finite), draw(st.floats(1e-6, 1.0)), *_absent(n_atoms)),
    }
    info = draw(st.dictionaries(info_keys, values, max_size=3))
    fixed = tuple(sorted(draw(st.sets(st.integers(0, n_atoms - 1)))))
    name = draw(st.from_regex(r"\A[A-Za-z0-9_.-]{1,10}\Z"))
    atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=periodic)
    return Structure(atoms, name, labels, {**info, READING: Reading(fixed_atoms=fixed)})


def _absent(n_atoms):
    empty = empty_labels(n_atoms)
    return empty.forces, empty.forces_stderr, empty.stress


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(structures())
def test_writing_and_reading_gives_every_bit_back(tmp_path, structure):
    path = tmp_path / "round.extxyz"
    write_structures(path, [structure])
    again = read_structures(path)[0]
    assert again.geometry_hash == structure.geometry_hash
    assert again.structure_id == structure.structure_id
    assert set(again.labels) == set(structure.labels)
    for name, labels in structure.labels.items():
        for field in ("energy", "energy_stderr", "forces", "forces_stderr", "stress"):
            np.testing.assert_array_equal(getattr(again.labels[name], field), getattr(labels, field), err_msg=field)
    assert reading_of(again).fixed_atoms == reading_of(structure).fixed_atoms
    ours = {key: value for key, value in structure.info.items() if key != READING}
    theirs = {key: value for key, value in again.info.items() if key != READING}
    assert set(theirs) == set(ours)
    for key, value in ours.items():
        np.testing.assert_array_equal(theirs[key], value)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    structure = Structure(Atoms("H"), "h", {})
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="taken is a file, and what is written needs a folder"):
        write_structures(tmp_path / "taken" / "frames.extxyz", [structure])
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("constraint", "mask"),
    [
        (FixAtoms([1]), [True, False, True]),
        (FixCartesian(2, (False, True, True)), [[True] * 3, [True] * 3, [True, False, False]]),
        (FixedLine(0, (0, 0, 1)), [[False, False, True], [True] * 3, [True] * 3]),
        (FixedPlane(0, (0, 1, 1)), None),
        (FixScaled([0, 1], (True, True, True)), [False, False, True]),
        (FixScaled([0], (False, True, False)), None),
        (FixBondLengths([[0, 1]]), None),
    ],
)
def test_what_is_held_is_written_and_read_again(tmp_path, constraint, mask):
    water = molecule("H2O", cell=[[8, 1, 0], [0, 8, 0], [0, 2, 8]], pbc=True)
    water.set_constraint(constraint)
    write_structures(tmp_path / "held.extxyz", [structure_from(water, "w")])
    again = complete_atoms(read_structures(tmp_path / "held.extxyz")[0])
    if isinstance(constraint, FixBondLengths):
        with pytest.raises(DataError, match="FixBondLength"):
            Held.of(again)
        return
    np.testing.assert_allclose(Held.of(again).free, Held.of(water).free, atol=1e-14)
    plain = ase.io.read(tmp_path / "held.extxyz")  # what other programs see: never more freedom than there is
    np.testing.assert_array_equal(Held.of(plain).move_mask(), [True] * 3 if mask is None else mask)
    if not isinstance(constraint, (FixAtoms, FixCartesian)):
        assert [type(one) for one in again.constraints] == [type(constraint)], "a fraction stays a fraction"


def test_masks_that_let_all_axes_move_hold_nothing(tmp_path):
    text = "2\nProperties=species:S:1:pos:R:3:move_mask:L:3\nH 0 0 0 T T T\nH 0 0 1 F F F\n"
    structure = read_structures(put(tmp_path, text))[0]
    assert reading_of(structure).fixed_atoms == (1,)
    assert Held.of(complete_atoms(structure)).dimensions.tolist() == [3, 0]


def test_selective_dynamics_of_a_poscar_are_held(tmp_path):
    cell = [[3, 0, 0], [1, 3, 0], [0, 0, 9]]
    text = ["x", "1.0", *(" ".join(map(str, row)) for row in cell), "Cu", "3", "Selective dynamics", "Direct"]
    text += ["0 0 0 F F F", "0.5 0.5 0.2 F T T", "0.5 0.5 0.4 T T T", ""]
    (tmp_path / "POSCAR").write_text("\n".join(text))
    atoms = complete_atoms(read_structures(tmp_path / "POSCAR")[0])
    held = Held.of(atoms)
    assert held.dimensions.tolist() == [0, 2, 3]
    assert abs(atoms.cell.scaled_positions(held.project(np.ones((3, 3))))[1, 0]) < 1e-15


def test_masses_charges_and_moments_are_read_and_written_again(tmp_path):
    water = molecule("H2O")
    water.set_masses([16, 2.014, 1.008])
    water.set_initial_charges([-1.0, 0.5, 0.25])
    water.set_initial_magnetic_moments([0, 1, -1])
    water.info.update(charge=-1, spin=2)
    ase.io.write(tmp_path / "ase.extxyz", water)
    write_structures(tmp_path / "rung.extxyz", read_structures(tmp_path / "ase.extxyz"))
    for name in ("ase.extxyz", "rung.extxyz"):
        again = complete_atoms(read_structures(tmp_path / name)[0])
        assert (again.info["charge"], again.info["spin"]) == (-1, 2)
        for key in ("masses", "initial_charges", "initial_magmoms"):
            np.testing.assert_array_equal(again.arrays[key], water.arrays[key])
