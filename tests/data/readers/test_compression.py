"""Files are read the same whichever way they are compressed, and refused where they are cut."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from rung.data.readers import extxyz, lammps, reader_of
from rung.data.readers.compression import compressed, inflated, opened
from rung.data.readers.structures import read_structures
from rung.errors import DataError
from tests.data.readers.dumps import dump, lithium
from tests.data.readers.extxyz_files import FILE

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
DUMP = dump(lithium(3), extra="element").encode()


@pytest.fixture(params=PACK)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_content_is_that_of_the_plain_file(suffix: str, tmp_path: Path) -> None:
    for name, content, reader in (("a.extxyz", FILE, extxyz.COMPRESSED), ("a.dump", DUMP, lammps.COMPRESSED)):
        plain, packed = tmp_path / name, tmp_path / f"{name}{suffix}"
        plain.write_bytes(content)
        packed.write_bytes(PACK[suffix](content))
        assert reader_of(packed) is reader
        with opened(packed) as file:
            assert file.read() == content
        one, two = read_structures(plain), read_structures(packed)
        assert [structure.geometry_hash for structure in one] == [structure.geometry_hash for structure in two]
        assert [set(structure.labels) for structure in one] == [set(structure.labels) for structure in two]


def test_what_other_readers_take_in_silence_is_refused(suffix: str, tmp_path: Path) -> None:
    """ASE reads these files too: it drops the energy behind the quote, and takes types for H and He."""
    quote = b'2\nProperties=species:S:1:pos:R:3 note="open dmc_energy=-3.0\nH 0 0 0\nH 0 0 0.7\n'
    (tmp_path / f"a.xyz{suffix}").write_bytes(PACK[suffix](quote))
    with pytest.raises(DataError, match="frame 0, line 2: a quote or bracket hides"):
        read_structures(tmp_path / f"a.xyz{suffix}")
    (tmp_path / f"a.lammpstrj{suffix}").write_bytes(PACK[suffix](dump(lithium(1)).encode()))
    with pytest.raises(DataError, match="says types and no elements"):
        read_structures(tmp_path / f"a.lammpstrj{suffix}")


def test_a_cut_file_is_refused(suffix: str, tmp_path: Path) -> None:
    for name, content in (("a.xyz", FILE), ("a.dump", DUMP)):
        (tmp_path / f"{name}{suffix}").write_bytes(PACK[suffix](content)[:-20])
        with pytest.raises(DataError, match=f"{name}{suffix}"):
            read_structures(tmp_path / f"{name}{suffix}")


def test_the_first_bytes_tell_and_damage_gives_nothing(suffix: str) -> None:
    packed = PACK[suffix](FILE)
    assert inflated(packed) == FILE
    assert inflated(FILE) == b""
    assert inflated(packed[:6] + b"damage" + packed[12:]) != FILE
    assert compressed((".xyz",)) == (".xyz.gz", ".xyz.bz2", ".xyz.xz")
