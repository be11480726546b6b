"""``hop.json``: as rung 0.1 wrote it, and as it is written now."""

from math import isnan
from pathlib import Path

from rung.results.vacancies import HopInCell
from rung.storage import read_json, write_json

OF_0_1 = {
    "key": "0b1c",
    "size": [4, 3],
    "atoms": 34,
    "barrier": 0.8,
    "per_atom": 0.4,
    "stderr": None,
    "stderr_total": None,
    "reason": "",
}


def test_a_hop_of_rung_0_1_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    write_json(tmp_path / "hop.json", OF_0_1)
    hop = HopInCell.read(tmp_path / "hop.json")
    assert (hop.potential, hop.size, hop.barrier) == ("", (4, 3), 0.8)
    assert isnan(hop.stderr)
    hop.write(tmp_path / "again.json")
    assert read_json(tmp_path / "again.json") == OF_0_1
