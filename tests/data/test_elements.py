"""What is no element is named as one by every reader and setting; isotopes with what to write in their place."""

from pathlib import Path

import pytest

from rung.data.elements import hint, is_element, require_element, symbols
from rung.data.readers.lammps import dump_frames
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.evaluate.paths.vacancies import Monolayer
from rung.fit.methods.scratch import ScratchSettings

HEAD = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0 9\nITEM: ATOMS "

FILES = {
    "POSCAR": "{0}\n1.0\n9 0 0\n0 9 0\n0 0 9\n{0}\n1\nCartesian\n0 0 0\n",
    "a.xyz": "1\n\n{0} 0 0 0\n",
    "a.extxyz": "1\nProperties=species:S:1:pos:R:3 pbe_energy=-1.0\n{0} 0 0 0\n",
    "a.gen": "1  C\n {0}\n1 1 0 0 0\n",
    "a.pdb": "ATOM      1  {0:<2}  MOL     1       0.000   0.000   0.000  1.00  0.00          {0:>2}  \nEND\n",
    "a.dump": HEAD + "id element x y z\n1 {0} 1 1 1\n",
    "a.cif": (
        "data_a\n_cell_length_a 9\n_cell_length_b 9\n_cell_length_c 9\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'P 1'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
        "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{0}1 {0} 0 0 0\n"
    ),
}


def read(folder: Path, name: str, symbol: str) -> tuple[Structure, ...]:
    (folder / name).write_text(FILES[name].format(symbol))
    return read_structures(folder / name)


@pytest.mark.parametrize("name", FILES)
def test_every_reader_names_what_is_no_element(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name, "O")[0].formula == "O"
    with pytest.raises(DataError, match=rf"{name}.*'D'.*deuterium is H with a mass of its own: write H"):
        read(tmp_path, name, "D")
    with pytest.raises(DataError, match=rf"{name}.*'T'.*tritium is H with a mass of its own: write H"):
        read(tmp_path, name, "T")
    for symbol in ("X", "Q"):
        with pytest.raises(DataError, match=rf"{name}.*\b{symbol}\b.*(element|key)"):
            read(tmp_path, name, symbol)


@pytest.mark.parametrize(("symbol", "remedy"), [("D", "write H and a column masses"), ("X", "name an element")])
def test_types_and_settings_name_it_too(tmp_path: Path, symbol: str, remedy: str) -> None:
    (tmp_path / "a.dump").write_text(HEAD + "id type x y z\n1 1 1 1 1\n")
    assert next(iter(dump_frames(tmp_path / "a.dump", ["O"]))).atoms.symbols[0] == "O"
    with pytest.raises(DataError, match=rf"{symbol} of the types is no element; .*{remedy}"):
        next(iter(dump_frames(tmp_path / "a.dump", [symbol])))
    with pytest.raises(ConfigError, match=rf"'{symbol}' is not an element; .*{remedy}"):
        ScratchSettings.read({"reference_energies": {symbol: -1.0}}, where="method")
    with pytest.raises(ConfigError, match=rf"'{symbol}' is not an element; .*{remedy}"):
        Monolayer.read({"metal": symbol}, where="layer")


def test_symbols_and_hints() -> None:
    assert is_element("H") and is_element("Og")
    assert not any(is_element(word) for word in ("X", "D", "T", "h", "", "Xx"))
    assert require_element("He") == "He"
    assert hint("d").startswith("deuterium") and hint("Q").startswith("name an element")


def test_symbols_of_a_sentence() -> None:
    assert symbols([8, 1, 8]) == "H, O"
    assert symbols(range(1, 90)).endswith("K, Ca and 69 more")
