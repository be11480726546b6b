"""``msd.csv``: what is written is read again to the last digit, and damage is one sentence."""

from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.results.transport import Displacement, read_displacements, write_displacements
from rung.storage import write_text

ROWS = (
    Displacement(600.0, "a, b.extxyz", None, 0.05, 0.1 + 0.2, 1e-17),
    Displacement(800.0, "runs/800K-draw1-0/trajectory.extxyz", 1, 0.1, 3.0, 4.0),
)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_displacements(tmp_path / "msd.csv", ROWS)
    assert read_displacements(tmp_path / "msd.csv") == ROWS
    first = (tmp_path / "msd.csv").read_text().splitlines()[:2]
    assert first[0] == "temperature,run,draw,time_ps,msd,collective_msd"
    assert first[1] == '600.0,"a, b.extxyz",,0.05,0.30000000000000004,1e-17'


@pytest.mark.parametrize(
    "text", ["temperature,run\n600,a\n", "temperature,run,draw,time_ps,msd,collective_msd\n6,a,x,1,1,1\n"]
)
def test_damage_is_named(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "msd.csv", text)
    with pytest.raises(StorageError, match=r"msd\.csv is damaged"):
        read_displacements(tmp_path / "msd.csv")
    with pytest.raises(StorageError, match=r"Cannot read .*absent\.csv"):
        read_displacements(tmp_path / "absent.csv")
