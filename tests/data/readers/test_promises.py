"""What the text of a frame promises is read, or the frame is refused with its line."""

from pathlib import Path

import pytest

from rung.data.readers.comment_keys import open_quote
from rung.data.readers.structures import read_structures
from rung.errors import DataError
from tests.data.readers.extxyz_files import CRYSTAL, WATER, put

GOOD = CRYSTAL + WATER
PLAIN = "2\n\nO 0 0 0\nH 0 0 1\n"


@pytest.mark.parametrize(
    ("comment", "rest"),
    [
        ('a="1 2" b=3', None),
        ('a="1 2 b=3', '"1 2 b=3'),
        ("a=[1, 2 b=3", "[1, 2 b=3"),
        ("note=it's dmc_energy=-3 other=Bob's", "'s dmc_energy=-3 other=Bob's"),
        ("note=it's fine=1", "'s fine=1"),
        ("info=\"{'energy': 1}\" b=3", None),
        (r'note="a \" b" c=3', None),
        ("a=rock'n'roll", None),
        ('kind="rattled pbc="F F F"', '"rattled pbc="F F F"'),
        ("", None),
    ],
)
def test_a_quote_that_hides_keys(comment: str, rest: str | None) -> None:
    assert open_quote(comment) == rest


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (
            WATER.replace("kind=rattled", 'kind="rattled'),
            'frame 1, line 6: a quote or bracket hides what follows it; close it: "rattled pbc=',
        ),
        (
            WATER.replace("kind=rattled", "kind=it's"),
            "frame 1, line 6: a quote or bracket hides what follows it; close it: 's pbc=",
        ),
        (WATER + "VEC1 5 0 0\nVEC2 0 5 0\nVEC3 0 0 5\n", "frame 1, line 6: pbe_energy, dmc_energy, dmc_energy_stderr"),
        (WATER.replace('"F F F"', "maybe"), "frame 1, line 6: pbc='maybe' says nothing of periodicity"),
        (WATER.replace('"F F F"', '"F F"'), "frame 1, line 6: pbc='F F' says nothing"),
        (
            WATER.replace("0.119", "*****"),
            r"frame 1, line 7: '\*\*\*\*\*' in the column 'pos' cannot be read as a number",
        ),
        (
            WATER.replace("-0.2\n", "1.0D-3\n"),
            "frame 1, line 9: '1.0D-3' in the column 'pbe_forces' cannot be read as a number",
        ),
        (
            WATER.replace("H  0.0  0.763", "D  0.0  0.763"),
            "frame 1, line 8: 'D' cannot be read as an element; deuterium is H",
        ),
        (WATER.replace("H  0.0  0.763", "Qq  0.0  0.763"), "frame 1, line 8: 'Qq' cannot be read as an element"),
        (PLAIN.replace("0 0 1", "0 0 **"), r"frame 1, line 8: '\*\*' in the column 'pos' cannot be read as a number"),
        (
            PLAIN.replace("H 0 0 1\n", "") + PLAIN,
            "line 9: a number of atoms should stand here, not a blank line; has frame 1 lost",
        ),
        ("\n".join(WATER.split("\n")[:3] + WATER.split("\n")[4:]) + WATER, "frame 1, line 9: 7 columns"),
    ],
)
def test_what_would_be_lost_is_named_by_file_frame_and_line(tmp_path: Path, second: str, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"frames\.extxyz, {sentence}"):
        read_structures(put(tmp_path, CRYSTAL + second))


@pytest.mark.parametrize("pbc", ['"T F T"', "T", "[T, F, T]", '"1 0 1"', '"true false true"'])
def test_every_way_to_write_periodicity_is_read(tmp_path: Path, pbc: str) -> None:
    (structure,) = read_structures(put(tmp_path, CRYSTAL.replace('"T T T"', pbc)))
    assert structure.atoms.pbc.tolist() == [True, pbc == "T", True]


def test_frames_are_counted_over_the_pieces_of_a_long_file(tmp_path: Path) -> None:
    count = 6000
    with pytest.raises(DataError, match=rf"frame {count}, line {5 * count + 2}: pbc='maybe'"):
        read_structures(put(tmp_path, WATER * count + WATER.replace('"F F F"', "maybe")))
