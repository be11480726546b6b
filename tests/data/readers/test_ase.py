"""Formats that ASE alone reads: every frame comes with its number, and what fails says so in one sentence."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.db import connect

from rung.data.readers.ase import READER, frames_through_ase
from rung.data.readers.structures import read_structures, reading_of
from rung.errors import DataError


def test_frames_are_numbered_in_the_order_of_the_file(tmp_path: Path) -> None:
    molecules = [molecule(name) for name in ("H2O", "CH4", "NH3")]
    ase.io.write(tmp_path / "frames.traj", molecules)
    frames = list(READER.frames(tmp_path / "frames.traj"))
    assert [frame.place for frame in frames] == [0, 1, 2]
    assert [frame.atoms for frame in frames] == molecules
    assert READER.finder is None


def test_an_empty_file_and_one_that_ase_cannot_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.cif").write_text("")
    with pytest.raises(DataError, match=r"empty\.cif is empty"):
        list(READER.frames(tmp_path / "empty.cif"))
    (tmp_path / "frames.json").write_text("not a spreadsheet")
    with pytest.raises(DataError, match=r"frames\.json cannot be read by ASE \(.*\); is it damaged, or another format"):
        frames_through_ase(tmp_path / "frames.json", tmp_path / "frames.json")


@pytest.mark.parametrize("name", ["postgres.vasp", "mysql-run.vasp", "mariadb.vasp", "a@0.vasp", "a@.vasp", "-"])
def test_a_name_is_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASE would call a database for some names, and cut others at the @."""
    monkeypatch.chdir(tmp_path)
    atoms = Atoms("LiH", positions=[[0, 0, 0], [1.6, 0, 0]], cell=[5, 5, 5], pbc=True)
    atoms.write("plain.vasp", format="vasp")
    Path("plain.vasp").rename(name)
    if name == "-":
        with pytest.raises(DataError, match="cannot be read by ASE"):
            list(READER.frames(Path(name)))
        return
    (frame,) = READER.frames(Path(name))
    assert frame.atoms.get_chemical_formula() == "HLi"


@pytest.mark.parametrize("name", ["frames.db", "frames.json"])
def test_labels_in_a_database_of_ase_are_not_lost_in_silence(name: str, tmp_path: Path) -> None:
    """ASE's reader leaves the keys of a row out: they are read as those of a comment line, and data are refused."""
    with connect(tmp_path / name) as database:
        database.write(molecule("H2O"), relaxed=True)
        database.write(molecule("CH4"), dmc_energy=-3.0, energy_above_hull=0.1)
    plain, labelled = read_structures(tmp_path / name)
    assert not plain.labels and labelled.labelled("dmc").energy == -3.0
    assert reading_of(labelled).unread_keys == ("energy_above_hull",)
    with connect(tmp_path / name) as database:
        database.write(molecule("CH4"), data={"dmc_forces": np.zeros((5, 3))})
    with pytest.raises(DataError, match=rf"{name}, row 3: dmc_forces in the data of a database is not read"):
        read_structures(tmp_path / name)
