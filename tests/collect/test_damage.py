"""Outputs damaged at random: an energy or one sentence, and never anything else."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from rung.collect.arrays import read_columns
from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.finding import find_outputs
from rung.collect.output import Total
from rung.errors import DataError
from tests.collect.readers import test_aims, test_ase_codes, test_casino_status, test_cp2k, test_levels, test_turborvb

DATA = Path(__file__).parent / "data"
WORDS = (b"nan", b"inf", b"*****", b"", b"1e400", b"-1", b"x" * 40)
TEXTS = {
    "dmc.status": test_casino_status.TEXT,
    "pip0.d": test_turborvb.TEXT,
    "cp2k.out": test_cp2k.OLD,
    "aims.out": test_aims.TEXT,
    "molpro.out": test_levels.MOLPRO,
    "cfour.out": test_levels.CFOUR,
    "mrcc.out": test_levels.MRCC,
    "orca.out": test_ase_codes.ORCA,
    "pw.out": test_ase_codes.ESPRESSO,
    "vasprun.xml": test_ase_codes.vasprun(5),
}
"""Outputs that stand in tests as texts."""


def samples() -> dict[str, bytes]:
    files = {
        path.name: path.read_bytes() for path in sorted(DATA.rglob("*")) if path.suffix in (".dat", ".log", ".hdf5")
    }
    return files | {name: text.encode() for name, text in TEXTS.items()}


def damaged(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield a file cut, with bytes changed, with a piece lost or doubled, and with a word replaced or a line lost."""
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.randrange(1, 2000))
    yield content[:start]
    flipped = bytearray(content)
    for _ in range(chance.randrange(1, 20)):
        flipped[chance.randrange(len(content))] = chance.randrange(256)
    yield bytes(flipped)
    yield content[:start] + content[end:]
    yield content[:end] + content[start:]
    lines = content.split(b"\n")
    place = chance.randrange(len(lines))
    words = lines[place].split() or [b""]
    words[chance.randrange(len(words))] = chance.choice(WORDS)
    yield b"\n".join([*lines[:place], b" ".join(words), *lines[place + 1 :]])
    yield b"\n".join(lines[:place] + lines[place + 1 :])


def outcome(path: Path) -> str:
    found = find_outputs([path])
    for candidate in found.outputs:
        try:
            content = candidate.reader.read(path)
            level = list(content.energies)[-1] if isinstance(content, Total) else None
            label = average("a", "", [ReadOutput(candidate, content)], Averaging(level=level), 1)
        except DataError as error:
            assert len(str(error).splitlines()) == 1
            return "refused"
        assert abs(label.energy) < float("inf")
        return "energy"
    assert len(found.refused) == 1
    return "refused"


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".json", ".csv", ".dat"])
def test_damaged_arrays_are_read_or_one_sentence(tmp_path: Path, suffix: str) -> None:
    columns = {"id": ["a", "b"] * 40, "E": list(range(80))}
    path, chance = tmp_path / f"a{suffix}", random.Random(suffix)
    if suffix == ".npz":
        np.savez_compressed(path, **columns)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                file[name] = values
    elif suffix == ".json":
        path.write_text(json.dumps(columns))
    else:
        sign = "," if suffix == ".csv" else " "
        path.write_text(f"id{sign}E\n" + "".join(f"{a}{sign}{b}\n" for a, b in zip(*columns.values(), strict=True)))
    content, refused = path.read_bytes(), 0
    for _ in range(20):
        for version in damaged(content, chance):
            path.write_bytes(version)
            try:
                read_columns(path)
            except DataError as error:
                assert len(str(error).splitlines()) == 1
                refused += 1
    assert refused


@pytest.mark.parametrize("name", samples())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what numpy says of numbers that damage made huge
def test_damage_is_an_energy_or_one_sentence(tmp_path: Path, name: str) -> None:
    chance, content, path = random.Random(name), samples()[name], tmp_path / name
    path.write_bytes(content)
    whole = outcome(path)
    no_label = name.startswith(("unconverged", "unread")) or name == "dmc.s000.scalar.dat"
    assert whole == ("refused" if no_label else "energy")
    outcomes = set()
    for _ in range(4):
        for version in damaged(content, chance):
            path.write_bytes(version)
            outcomes.add(outcome(path))
    assert "refused" in outcomes
