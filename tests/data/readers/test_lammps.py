"""Dumps of LAMMPS: ASE's reader is the reference where it is right, and what it guesses is refused."""

import gzip
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from rung.data.readers.lammps import dump_frames
from rung.data.readers.structures import complete_atoms, read_structures, reading_of
from rung.errors import DataError
from tests.data.readers.dumps import dump, lithium


def put(folder: Path, text: str, name: str = "run.lammpstrj") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("tilt", [(0, 0, 0), (1.5, 0.5, 2.0)])
@pytest.mark.parametrize("columns", ["x y z", "xs ys zs", "xu yu zu"])
def test_frames_are_those_of_ase(tmp_path: Path, tilt: tuple[float, ...], columns: str) -> None:
    path = put(tmp_path, dump(lithium(3, tilt), columns=columns, extra="element"))
    theirs = ase.io.read(path, ":", format="lammps-dump-text")
    ours = [complete_atoms(structure) for structure in read_structures(path)]
    assert len(ours) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.symbols.get_chemical_formula() == other.symbols.get_chemical_formula()
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_allclose(one.cell.array, other.cell.array, atol=1e-9)
        np.testing.assert_array_equal(one.pbc, other.pbc)
        # ASE leaves the origin of the box out of fractions
        origin = other.get_celldisp().ravel() if columns == "xs ys zs" else 0.0
        np.testing.assert_allclose(one.positions, other.positions + origin, atol=1e-9)
        np.testing.assert_allclose(one.positions, lithium(3, tilt)[theirs.index(other)].positions, atol=1e-9)
    assert [atoms.info["step"] for atoms in ours] == [0, 100, 200]


def test_a_box_that_leans_both_ways_has_its_vectors(tmp_path: Path) -> None:
    """ASE adds |xy| and |xz|, and the manual has min and max of 0, xy, xz and xy + xz."""
    frames = lithium(2, (1.5, -0.5, 2.0))
    (first, _) = read_structures(put(tmp_path, dump(frames, extra="element")))
    np.testing.assert_allclose(first.atoms.cell.array, frames[0].cell.array, atol=1e-9)


def test_types_alone_are_no_elements(tmp_path: Path) -> None:
    path = put(tmp_path, dump(lithium(2)))
    with pytest.raises(DataError, match=r"says types and no elements, and type 1 is not hydrogen.*--types Li P S"):
        read_structures(path)
    frames = [frame.atoms for frame in dump_frames(path, ["Li", "S"])]
    assert set(frames[0].symbols) == {"Li", "S"}
    with pytest.raises(DataError, match="has atoms of type 2 and 1 type is named"):
        list(dump_frames(path, ["Li"]))
    with pytest.raises(DataError, match="Lx of the types is no element"):
        list(dump_frames(path, ["Li", "Lx"]))


def test_masses_tell_elements_and_are_kept(tmp_path: Path) -> None:
    path = put(tmp_path, dump(lithium(2), extra="mass q"))
    atoms = complete_atoms(read_structures(path)[0])
    assert set(atoms.symbols) == {"Li", "S"}
    np.testing.assert_allclose(atoms.get_masses(), lithium(1)[0].get_masses(), atol=1e-3)
    heavy = lithium(2)
    for frame in heavy:
        frame.set_masses([2.5 if symbol == "Li" else None for symbol in frame.symbols])
    with pytest.raises(DataError, match=r"no single element has the mass 2\.5"):
        read_structures(put(tmp_path, dump(heavy, extra="mass")))


def test_atoms_are_followed_by_their_ids(tmp_path: Path) -> None:
    frames = lithium(3)
    mixed = [structure.atoms for structure in read_structures(put(tmp_path, dump(frames, extra="element", mix=True)))]
    for one, other in zip(mixed, frames, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)
    lines = dump(frames, extra="element").replace("ITEM: ATOMS id", "ITEM: ATOMS number")
    with pytest.raises(DataError, match="has no column id, so its atoms cannot be followed"):
        read_structures(put(tmp_path, lines))


def test_a_compressed_dump_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.dat").write_bytes(gzip.compress(dump(lithium(2), extra="element").encode()))
    assert len(read_structures(tmp_path / "run.dat")) == 2


DAMAGES = {
    "cut": (lambda text: text[: 2 * len(text) // 3].rsplit("\n", 1)[0] + "\n", "is cut short"),
    "cut in a row": (lambda text: text.rstrip().rsplit(" ", 1)[0], "columns are announced"),
    "words": (lambda text: text.replace("ITEM: TIMESTEP\n100", "ITEM: TIMESTEP\nlate"), "numbers should stand here"),
    "an element": (lambda text: text.replace(" Li", " Lx"), "the element 'Lx' of this frame is none"),
    "no place": (lambda text: text.replace(" x y z", " vx vy vz"), "the atoms have no positions"),
    "two ids": (lambda text: text.replace("\n2 ", "\n1 "), "two atoms of the frame have one id"),
    "units": (lambda text: "ITEM: UNITS\nlj\n" + text, "lengths in units of lj are not Å"),
    "an item": (lambda text: text.replace("ITEM: BOX", "ITEM: SPHERE"), "is no item of a dump"),
    "a number": (lambda text: text.replace("1 1 ", "1 1 nope", 1).replace("nope", "nope "), "columns are announced"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_sentence(tmp_path: Path, name: str) -> None:
    change, said = DAMAGES[name]
    with pytest.raises(DataError, match=said):
        read_structures(put(tmp_path, change(dump(lithium(2), extra="element"))))


def test_image_flags_are_kept_and_never_written(tmp_path: Path) -> None:
    structure = read_structures(put(tmp_path, dump(lithium(2), extra="element ix iy iz")))[0]
    flags = complete_atoms(structure).arrays["image_flags"]
    assert flags.shape == (len(structure), 3) and flags.dtype.kind == "i"
    from rung.data.readers.structures import write_structures

    write_structures(tmp_path / "again.extxyz", [structure])
    assert "image_flags" not in (tmp_path / "again.extxyz").read_text()
    assert isinstance(structure.atoms, Atoms)


@pytest.mark.parametrize(
    ("more", "unread", "bare"),
    [
        ("fx fy fz", (), ("forces",)),
        ("fx fy", ("fx", "fy"), ()),
        ("c_energy c_stress[1] vx", ("c_energy", "c_stress[1]"), ()),
    ],
)
def test_columns_that_look_like_labels_and_are_not_read_are_named(
    tmp_path: Path, more: str, unread: tuple[str, ...], bare: tuple[str, ...]
) -> None:
    lines = dump(lithium(1), extra="element").splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("ITEM: ATOMS"))
    lines[start] += f" {more}"
    lines[start + 1 :] = [line + " 0.5" * len(more.split()) for line in lines[start + 1 :]]
    (tmp_path / "run.dump").write_text("\n".join(lines) + "\n")
    reading = reading_of(read_structures(tmp_path / "run.dump")[0])
    assert (reading.unread_keys, reading.bare_keys) == (unread, bare)
