"""Rows in files are the rows in memory, and memory does not grow with their number."""

import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from rung.data import packing
from rung.data.frames import stream_structures
from rung.data.labels import Labels
from rung.data.packing import pack_rows, write_rows
from rung.data.readers.structures import read_structures, write_structures
from rung.data.stream import PackedRows, in_order, open_rows, pack
from rung.data.structure import Structure
from rung.errors import ConfigError, StorageError


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    generator = np.random.default_rng(5)
    found = []
    for index, atoms in enumerate([molecule("H2O"), bulk("NaCl", "rocksalt", a=5.6), molecule("CH4"), Atoms("H")]):
        shape = (len(atoms), 3)
        low = Labels(
            generator.normal(), 0.1, generator.normal(size=shape), np.full(shape, 0.2), generator.normal(size=6)
        )
        high = Labels(generator.normal(), np.nan, np.full(shape, np.nan), np.full(shape, np.nan), np.full(6, np.nan))
        found.append(Structure(atoms, f"s{index}", {"low": low, "high": high}))
    return found


NAMES = ["low", "high", "high", "low"]
OTHERS = ["low", "high", "low", "low"]


def same(one: PackedRows, two: PackedRows) -> None:
    for item in fields(PackedRows):
        left, right = getattr(one, item.name), getattr(two, item.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, item.name
            np.testing.assert_array_equal(left, right, err_msg=item.name)
        elif item.name != "folder":
            assert left == right, item.name


def test_rows_in_files_are_the_rows_in_memory(structures: list[Structure], tmp_path: Path) -> None:
    expected = pack(structures, NAMES, 4.0, names=("low", "high"))
    written = write_rows(zip(structures, NAMES, strict=True), 4.0, tmp_path / "rows", names=("low", "high"))
    same(written, expected)
    same(open_rows(tmp_path / "rows"), expected)
    for chosen in in_order(4, 3):
        one, two = written.batch(chosen, dtype=torch.float32), expected.batch(chosen, dtype=torch.float32)
        assert torch.equal(one.edges, two.edges) and torch.equal(one.positions, two.positions)
        torch.testing.assert_close(one.forces, two.forces, rtol=0, atol=0, equal_nan=True)
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_another_process_gets_the_folder_and_not_the_arrays(structures: list[Structure], tmp_path: Path) -> None:
    many = [(structures[k % 4], "low") for k in range(200)]
    written = write_rows(many, 4.0, tmp_path / "rows", names=("low",))
    handed = pickle.dumps(written)
    assert len(handed) < 1000
    same(pickle.loads(handed), written)
    kept = pack(structures, NAMES, 4.0)
    same(pickle.loads(pickle.dumps(kept)), kept)


def test_no_rows_and_no_edges_can_be_opened(tmp_path: Path) -> None:
    lonely = Structure(Atoms("H"), "h", {})
    same(write_rows([(lonely, "low")], 4.0, tmp_path / "one", names=("low",)), pack([lonely], ["low"], 4.0))
    assert len(write_rows([], 4.0, tmp_path / "none", names=("low",))) == 0


def test_what_fails_leaves_nothing(structures: list[Structure], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'low'"):
        write_rows([(structures[0], "lwo")], 4.0, tmp_path / "rows", names=("low",))
    assert not list(tmp_path.iterdir())
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="Cannot write"):
        write_rows([], 4.0, tmp_path / "taken" / "rows", names=("low",))


def test_streamed_structures_are_packed_into_files_once(structures: list[Structure], tmp_path: Path) -> None:
    write_structures(tmp_path / "frames.extxyz", structures)
    streamed = stream_structures(tmp_path / "frames.extxyz")
    expected = pack(read_structures(tmp_path / "frames.extxyz"), NAMES, 4.0, names=("low", "high"))
    first = pack_rows(streamed, NAMES, 4.0, names=("low", "high"), folder=tmp_path / "kept")
    same(first, expected)
    (tmp_path / "frames.extxyz").unlink()  # so that packing again would fail
    again = pack_rows(streamed, NAMES, 4.0, names=("low", "high"), folder=tmp_path / "kept")
    same(again, expected)
    assert first.folder is not None and first.folder == again.folder
    assert pack_rows(structures, NAMES, 4.0, names=("low", "high"), folder=tmp_path / "kept").folder is None


def test_rows_that_were_packed_before_atoms_far_away_were_wrapped_are_packed_again(
    structures: list[Structure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = structures[1].atoms.copy()
    far.positions[0] += 3000 * far.cell.array[0]
    write_structures(tmp_path / "frames.extxyz", [Structure(far, "far", structures[1].labels)])
    streamed = stream_structures(tmp_path / "frames.extxyz")

    def packed() -> PackedRows:
        return pack_rows(streamed, ["low"], 4.0, names=("low",), folder=tmp_path / "kept")

    with monkeypatch.context() as before:
        before.setattr(packing, "VERSION", 1)
        before.setattr(packing, "near_origin", lambda atoms: atoms)
        assert np.abs(packed().positions).max() > 1000
    assert np.abs(packed().positions).max() < 10


def test_other_labels_have_another_fingerprint(structures: list[Structure], tmp_path: Path) -> None:
    found = [pack(structures, names, 4.0, names=("low", "high")).fingerprint for names in (NAMES, OTHERS)]
    for number, names in enumerate((NAMES, OTHERS, NAMES)):
        rows = zip(structures, names, strict=True)
        found.append(write_rows(rows, 4.0, tmp_path / str(number), names=("low", "high")).fingerprint)
    assert found[0] != found[1] and found[2] != found[3] and found[2] == found[4]


MEASURE = """
import sys
from pathlib import Path
import numpy as np
from ase import Atoms
from rung.data.labels import Labels
from rung.data.packing import write_rows
from rung.data.stream import pack, shuffled
from rung.data.structure import Structure

count, n_atoms, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def frames():
    generator = np.random.default_rng(0)
    side = 2.2 * n_atoms ** (1 / 3)
    for k in range(count):
        atoms = Atoms(["C"] * n_atoms, positions=generator.uniform(0, side, (n_atoms, 3)))
        forces, absent = generator.normal(size=(n_atoms, 3)), np.full((n_atoms, 3), np.nan)
        yield Structure(atoms, str(k), {"low": Labels(1.0, np.nan, forces, absent, np.full(6, np.nan))}), "low"

if folder == "memory":
    held = list(frames())
    rows = pack([structure for structure, _ in held], ["low"] * count, 5.0)
else:
    rows = write_rows(frames(), 5.0, Path(folder), names=("low",))
atoms = sum(len(rows.batch(chosen).numbers) for chosen in shuffled(len(rows), 32, 0, 0))
assert atoms == count * n_atoms
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024)
"""


def anonymous_memory(count: int, n_atoms: int, folder: Path | str) -> float:
    """Return the anonymous memory, MB, of a process that packed ``count`` frames and went through all batches."""
    command = [sys.executable, "-c", MEASURE, str(count), str(n_atoms), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.mark.slow
def test_memory_is_flat_from_a_thousand_to_a_hundred_thousand_frames(tmp_path: Path) -> None:
    few, many = (anonymous_memory(count, 8, tmp_path / str(count)) for count in (1_000, 100_000))
    assert many - few < 50.0, f"{few:.0f} MB for 1,000 frames, {many:.0f} MB for 100,000"


@pytest.mark.slow
def test_the_measure_sees_rows_that_are_in_memory() -> None:
    # the same measure must fail where rows are kept, or it could not fail at all
    few, many = (anonymous_memory(count, 40, "memory") for count in (100, 4_000))
    assert many - few > 50.0
