"""Other files to rung's keys: units are stated and applied, signs are turned, and no label is lost or doubled."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from rung.collect.convert_settings import ConvertSettings
from rung.collect.converting import Converted, convert
from rung.collect.units import ENERGY, LENGTH
from rung.data.labels import Labels
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, RungError, StorageError
from rung.units import BOHR, HARTREE

NUMBERS = np.array([[8, 1, 1], [1, 1, 0]])
POSITIONS = np.random.default_rng(1).normal(size=(2, 3, 3)) * 2.0
ENERGIES = np.array([-76.0, -1.0])
FORCES = np.random.default_rng(2).normal(size=(2, 3, 3))
KEYS = {"numbers": "z", "positions": "R", "energy": "E"}


def told(tmp_path: Path, *paths: Path, **more: Any) -> ConvertSettings:
    return ConvertSettings.read({"paths": paths, "out": tmp_path / "out.extxyz", "fidelity": "cc", **more})


def made(tmp_path: Path, *paths: Path, **more: Any) -> tuple[Converted, tuple[Structure, ...]]:
    done = convert(told(tmp_path, *paths, **more))
    return done, read_structures(done.out)


def arrays(tmp_path: Path, name: str = "a.npz", **more: Any) -> Path:
    path, content = tmp_path / name, {"z": NUMBERS, "R": POSITIONS, "E": ENERGIES, "F": FORCES, **more}
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        with h5py.File(path, "w") as file:
            for key, values in content.items():
                file[key] = values
    return path


def labels_of(structure: Structure) -> Labels:
    return structure.labelled("cc")


@pytest.mark.parametrize("name", ["a.npz", "a.hdf5"])
@pytest.mark.parametrize(("energy", "length"), [("hartree", "bohr"), ("kcal/mol", "angstrom"), ("kJ/mol", "nm")])
def test_arrays_come_out_in_rung_s_units(tmp_path: Path, name: str, energy: Any, length: Any) -> None:
    path = arrays(tmp_path, name)
    done, (water, hydrogen) = made(tmp_path, path, keys={**KEYS, "forces": "F"}, energy_unit=energy, length_unit=length)
    assert (done.structures, done.energies, done.forces, done.stresses) == (2, 2, 2, 0)
    assert water.formula == "H2O"
    assert hydrogen.formula == "H2"  # a zero fills the place of an atom that is not there
    assert water.atoms.positions == pytest.approx(LENGTH[length] * POSITIONS[0])
    assert labels_of(water).energy == pytest.approx(-76.0 * ENERGY[energy])
    assert labels_of(hydrogen).forces == pytest.approx(FORCES[1, :2] * ENERGY[energy] / LENGTH[length])
    assert not water.atoms.pbc.any()


def test_units_are_codata_s() -> None:
    assert ENERGY["hartree"] == HARTREE == pytest.approx(27.211386, abs=1e-6)
    assert ENERGY["rydberg"] == HARTREE / 2
    assert ENERGY["kcal/mol"] == pytest.approx(HARTREE / 627.5094740, rel=1e-8)
    assert ENERGY["kJ/mol"] == pytest.approx(0.010364269, rel=1e-6)
    assert LENGTH["bohr"] == BOHR == pytest.approx(0.529177210, abs=1e-8)


def test_a_gradient_is_less_the_forces(tmp_path: Path) -> None:
    path = arrays(tmp_path)
    _, structures = made(tmp_path, path, keys={**KEYS, "gradient": "F"}, energy_unit="eV", length_unit="angstrom")
    assert labels_of(structures[0]).forces == pytest.approx(-FORCES[0])


def test_one_cell_and_one_list_of_elements_may_stand_for_all(tmp_path: Path) -> None:
    path = arrays(tmp_path, z=np.array([8, 1, 1]), L=10.0 * np.eye(3), id=np.array(["one", "two"]))
    keys = {**KEYS, "cell": "L", "structure_id": "id"}
    _, structures = made(tmp_path, path, keys=keys, energy_unit="eV", length_unit="bohr")
    assert [one.structure_id for one in structures] == ["one", "two"]
    for structure in structures:
        assert structure.atoms.pbc.all()
        assert structure.atoms.cell.array == pytest.approx(10.0 * BOHR * np.eye(3))


def frame(**info: Any) -> Atoms:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.75]], cell=5.0 * np.eye(3), pbc=True)
    atoms.info.update(info)
    return atoms


def test_what_ase_reads_is_in_its_units_already(tmp_path: Path) -> None:
    atoms, path = frame(structure_id="a"), tmp_path / "a.traj"
    forces, stress = [[0, 0, 0.5], [0, 0, -0.5]], [0.1, 0.2, 0.3, 0.0, 0.0, 0.4]
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=forces, stress=stress)
    write(path, atoms)
    done, (structure,) = made(tmp_path, path)
    assert (done.energies, done.forces, done.stresses) == (1, 1, 1)
    assert labels_of(structure).energy == -3.0
    assert labels_of(structure).forces == pytest.approx(np.array(forces))
    assert labels_of(structure).stress == pytest.approx(stress)


def test_keys_of_a_frame_are_taken_once_and_in_their_unit(tmp_path: Path) -> None:
    """``REF_energy`` in Hartree looks like a label of a fidelity REF in eV; it must not stay beside the right one."""
    atoms, path = frame(REF_energy=-1.5, pbe_energy=-31.0), tmp_path / "a.extxyz"
    atoms.arrays["REF_forces"] = np.array([[0, 0, 0.5], [0, 0, -0.5]])
    write(path, atoms)
    keys = {"energy": "REF_energy", "forces": "REF_forces"}
    _, (structure,) = made(tmp_path, path, keys=keys, energy_unit="hartree", length_unit="bohr")
    assert set(structure.labels) == {"cc", "pbe"}
    assert structure.labelled("pbe").energy == -31.0
    assert labels_of(structure).energy == pytest.approx(-1.5 * HARTREE)
    assert labels_of(structure).forces[0, 2] == pytest.approx(0.5 * HARTREE / BOHR)
    assert structure.atoms.positions[1, 2] == 0.75  # the reader of the format knows its unit


STATED = {"energy_unit": "eV", "length_unit": "angstrom"}

TENSOR = np.array([[1.0, 0.4, 0.3], [0.4, 2.0, 0.2], [0.3, 0.2, -3.0]])
VOIGT = np.array([1.0, 2.0, -3.0, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("meaning", "units", "scale"),
    [
        ("stress", {"stress_unit": "GPa"}, 1 / 160.21766),
        ("stress", {"stress_unit": "kbar"}, 1 / 1602.1766),
        ("stress", {"stress_unit": "eV/angstrom^3"}, 1.0),
        ("pressure", {"stress_unit": "kbar"}, -1 / 1602.1766),
        ("pressure", {"stress_unit": "hartree/bohr^3"}, -HARTREE / BOHR**3),
        ("virial", {}, -HARTREE / 125.0),
    ],
)
@pytest.mark.parametrize("values", [VOIGT, TENSOR])
def test_a_stress_has_its_own_unit_sign_and_volume(
    tmp_path: Path, meaning: str, units: dict[str, str], scale: float, values: Any
) -> None:
    """The unit of energies does not touch a stress; a virial is less the stress times the volume, 125 Å³ here."""
    path = tmp_path / "a.extxyz"
    write(path, frame(E=-2.0, S=values))
    keys = {"energy": "E", meaning: "S"}
    done, (structure,) = made(tmp_path, path, keys=keys, energy_unit="hartree", length_unit="angstrom", **units)
    assert done.stresses == 1
    assert labels_of(structure).stress == pytest.approx(scale * VOIGT, rel=1e-6)
    assert labels_of(structure).energy == pytest.approx(-2.0 * HARTREE)


def test_virials_of_arrays_take_the_volume_of_their_frame(tmp_path: Path) -> None:
    cells = np.array([2.0 * np.eye(3), 4.0 * np.eye(3)])
    path = arrays(tmp_path, L=cells, W=np.array([VOIGT, VOIGT]))
    keys = {**KEYS, "cell": "L", "virial": "W"}
    _, (first, second) = made(tmp_path, path, keys=keys, energy_unit="eV", length_unit="angstrom")
    assert labels_of(first).stress == pytest.approx(-VOIGT / 8)
    assert labels_of(second).stress == pytest.approx(-VOIGT / 64)


@pytest.mark.parametrize(
    ("info", "more", "error", "sentence"),
    [
        ({}, {"keys": {"stress": "S"}}, ConfigError, "--keys with stress needs --stress-unit: no file says its own"),
        ({}, {"keys": {"pressure": "S"}}, ConfigError, "--keys with pressure needs --stress-unit"),
        ({}, {"keys": {"virial": "S"}, "stress_unit": "GPa"}, ConfigError, "a virial is in --energy-unit"),
        (
            {},
            {"keys": {"stress": "S", "virial": "S"}, "stress_unit": "GPa"},
            ConfigError,
            "stress and virial, which are",
        ),
        (
            {"pbc": False, "cell": None},
            {"keys": {"virial": "S"}},
            DataError,
            "frame 0: a virial is less the stress times",
        ),
        (
            {"S": np.arange(9.0)},
            {"keys": {"virial": "S"}},
            DataError,
            "frame 0: virial is no symmetric tensor; give xx",
        ),
    ],
)
def test_stresses_that_cannot_be_are_one_sentence(
    tmp_path: Path, info: dict[str, Any], more: dict[str, Any], error: type[RungError], sentence: str
) -> None:
    atoms = frame(S=info.pop("S", VOIGT))
    if "cell" in info:
        atoms.set_cell(None)
        atoms.set_pbc(False)
    write(tmp_path / "a.extxyz", atoms)
    with pytest.raises(error, match=sentence):
        convert(told(tmp_path, tmp_path / "a.extxyz", **STATED, **more))
    assert not (tmp_path / "out.extxyz").exists()


def test_bare_keys_that_ase_moved_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.extxyz"
    path.write_text(
        '2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="F F F"\nH 0 0 0 0 0 1\nH 0 0 1 0 0 -1\n'
    )
    keys = {"energy": "energy", "forces": "forces"}
    _, (structure,) = made(tmp_path, path, keys=keys, energy_unit="rydberg", length_unit="angstrom")
    assert labels_of(structure).energy == pytest.approx(-0.75 * HARTREE)
    assert labels_of(structure).forces[0, 2] == pytest.approx(HARTREE / 2)


@pytest.mark.parametrize(
    ("more", "error", "sentence"),
    [
        ({"keys": KEYS}, ConfigError, "no file says its own units"),
        ({"keys": KEYS, "energy_unit": "eV"}, ConfigError, "no file says its own units"),
        (STATED, ConfigError, "in eV and Å already"),
        ({"keys": {**KEYS, "force": "F"}, **STATED}, ConfigError, "Did you mean 'forces'"),
        ({"keys": {**KEYS, "forces": "F", "gradient": "F"}, **STATED}, ConfigError, "so name one"),
        (
            {"keys": {"energy": "E"}, **STATED},
            ConfigError,
            "must name .* of numbers .* is: E, F, R, heavy, z",
        ),
        ({"keys": {**KEYS, "energy": "e"}, **STATED}, DataError, "Unknown column 'e'"),
        ({"keys": {**KEYS, "positions": "E"}, **STATED}, DataError, "should be frames × atoms × 3"),
        ({"keys": {**KEYS, "numbers": "heavy"}, **STATED}, DataError, "frame 0: 200 or 1 is no atomic number"),
        ({"keys": {**KEYS, "numbers": "F"}, **STATED}, DataError, "should be whole numbers|frame 0"),
        ({"keys": {**KEYS, "forces": "E"}, **STATED}, DataError, r"frame 0: forces has shape \(\), not \(3, 3\)"),
        ({"fidelity": "c c"}, ConfigError, "fidelity name"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    tmp_path: Path, more: dict[str, Any], error: type[RungError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        convert(told(tmp_path, arrays(tmp_path, heavy=np.array([[200, 1, 1], [1, 1, 0]])), **more))
    assert not (tmp_path / "out.extxyz").exists()


def test_files_and_labels_that_are_there_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.extxyz"
    write(path, frame(cc_energy=-1.0, E=-2.0))
    with pytest.raises(DataError, match="frame 0 has labels of cc already"):
        convert(told(tmp_path, path, keys={"energy": "E"}, **STATED))
    with pytest.raises(DataError, match="No frame has a label"):
        convert(told(tmp_path, path, fidelity="other"))
    with pytest.raises(DataError, match=r"key 'e'; there is: E, cc_energy.* Did you mean 'E'"):
        convert(told(tmp_path, path, fidelity="other", keys={"energy": "e"}, **STATED))
    (tmp_path / "out.extxyz").write_text("mine")
    with pytest.raises(StorageError, match="is there already"):
        convert(told(tmp_path, path, fidelity="other", keys={"energy": "E"}, **STATED))
    assert (tmp_path / "out.extxyz").read_text() == "mine"


def test_a_key_that_no_frame_has_is_told_although_another_is_there(tmp_path: Path) -> None:
    atoms, path = frame(E=-2.0), tmp_path / "a.extxyz"
    atoms.arrays["my_forces"] = np.zeros((2, 3))
    write(path, atoms)
    with pytest.raises(DataError, match=r"No frame has a label \(my_force\), so nothing is written; .*'my_forces'"):
        convert(told(tmp_path, path, keys={"energy": "E", "forces": "my_force"}, **STATED))
    assert not (tmp_path / "out.extxyz").exists()


UNITS = {"energy_unit": "hartree", "length_unit": "angstrom"}


def test_a_word_of_the_comment_line_is_no_energy(tmp_path: Path) -> None:
    """ASE takes the E of "Coordinates from ORCA-job run E -76.3" for a flag, and true is the number one."""
    path = tmp_path / "orca.xyz"
    path.write_text("1\nCoordinates from ORCA-job run E -76.3\nH 0 0 0\n")
    with pytest.raises(DataError, match="energy is a word without a value"):
        made(tmp_path, path, keys={"energy": "E"}, **UNITS)
    assert not (tmp_path / "out.extxyz").exists()


def test_errors_are_converted_and_labels_beside_them_are_named(tmp_path: Path) -> None:
    atoms = frame(dmc_energy=-1.0, dmc_energy_stderr=0.001)
    atoms.set_array("dmc_forces", np.ones((len(atoms), 3)))
    write(tmp_path / "a.extxyz", atoms)
    keys = {"energy": "dmc_energy", "energy_stderr": "dmc_energy_stderr"}
    done, (structure,) = made(tmp_path, tmp_path / "a.extxyz", keys=keys, **UNITS)
    assert labels_of(structure).energy_stderr == pytest.approx(0.001 * HARTREE)
    assert done.left_out == ("dmc_forces",)
    (tmp_path / "out.extxyz").unlink()
    done, _ = made(tmp_path, tmp_path / "a.extxyz", keys={"energy": "dmc_energy"}, **UNITS)
    assert done.left_out == ("dmc_energy_stderr", "dmc_forces")


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 3, 4)])
def test_forces_of_another_shape_than_the_positions_are_one_sentence(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = arrays(tmp_path, F=np.zeros(shape))
    with pytest.raises(DataError, match=r"forces has shape .*, not \(3, 3\), as the positions"):
        made(tmp_path, path, keys={**KEYS, "forces": "F"}, **UNITS)
