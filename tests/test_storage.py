"""Files that are whole or absent, locks that end with their process, hashes that tell contents apart."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from ase.build import bulk
from ase.io import write
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rung.errors import StorageError
from rung.storage import (
    FolderLock,
    atomic_path,
    content_hash,
    file_hash,
    read_json,
    require_own,
    write_json,
    write_text,
)
from tests.full_disk import small_files


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["result.json"]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(self, content):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"No space left on device; nothing was left"):
        write_text(tmp_path / "result.txt", "x")
    assert list(tmp_path.iterdir()) == []


def savez(path):
    with path.open("wb") as file:
        np.savez(file, positions=np.random.default_rng(0).normal(size=5000))


WRITERS = {
    "torch": lambda path: torch.save({"weights": torch.randn(5000)}, path),
    "numpy": savez,
    "ase": lambda path: write(path, [bulk("Cu") * (6, 6, 6)] * 3, format="traj"),
    "extxyz": lambda path: write(path, [bulk("Cu") * (6, 6, 6)] * 3, format="extxyz"),
    "pyarrow": lambda path: parquet.write_table(pyarrow.table({"x": np.random.default_rng(0).normal(size=5000)}), path),
    "text": lambda path: path.write_text("x" * 50000),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_whatever_library_meets_a_full_disk_it_is_one_sentence_and_the_old_file_stays(tmp_path, writer):
    path = tmp_path / "result"
    path.write_text("old")
    with small_files(4096), pytest.raises(StorageError) as caught, atomic_path(path) as temporary:
        WRITERS[writer](temporary)
    assert str(caught.value) == f"Cannot write {path}: File too large; the file of before stands there."
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["result"]


def test_a_defect_of_a_writer_is_no_full_disk(tmp_path):
    with pytest.raises(NotImplementedError), atomic_path(tmp_path / "result"):
        raise NotImplementedError
    with (
        pytest.raises(StorageError, match="there is no such device; nothing was left"),
        atomic_path(tmp_path / "result"),
    ):
        raise RuntimeError("there is\n no such device.")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is a file, and what is written needs a folder"):
        write_text(tmp_path / "file" / "result.txt", "x")


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": np.float64("nan"), "b": np.arange(2), "c": (1, {"d": float("inf")}), "e": Path("f")})
    assert json.loads(path.read_text()) == {"a": None, "b": [0, 1], "c": [1, {"d": None}], "e": "f"}
    assert read_json(path)["b"] == [0, 1]


def test_broken_json_is_one_sentence(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StorageError, match="not readable JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(StorageError, match="There is no file"):
        read_json(tmp_path / "y.json")


def test_a_second_process_is_refused_until_the_first_ends(tmp_path):
    hold = (
        "import sys; from pathlib import Path; from rung.storage import FolderLock\n"
        "with FolderLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="Another process"), FolderLock(tmp_path):
            pass
        holder.kill()  # the kernel releases what a killed process held
        holder.wait()
    with FolderLock(tmp_path):
        assert (tmp_path / ".lock").exists()


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())


@given(scalars, scalars)
def test_different_parts_have_different_hashes(one, other):
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (content_hash(one) == content_hash(other)) == same
    assert content_hash(one, other) != content_hash((one, other))


def test_arrays_count_with_type_and_shape():
    array = np.arange(6.0)
    assert content_hash(array) == content_hash(array.copy())
    assert content_hash(array) != content_hash(array.reshape(2, 3))
    assert content_hash(array) != content_hash(array.view(np.int64))
    with pytest.raises(TypeError, match="object"):
        content_hash(object())


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(os.urandom(3 << 20))
    expected = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True).stdout[:32]
    assert file_hash(path) == expected


@pytest.mark.parametrize("name", ["there", "there/below", "there/below/it"])
def test_a_file_in_the_place_of_a_folder_is_said_to_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").write_text("mine")
    sentence = r"there is a file, and what is written needs a folder of its own"
    with pytest.raises(StorageError, match=sentence), FolderLock(tmp_path / name):
        pass
    with pytest.raises(StorageError, match=sentence):
        require_own(tmp_path / name, ())
    with pytest.raises(StorageError, match=sentence):
        write_text(tmp_path / name / "file.json", "new")
    assert (tmp_path / "there").read_text() == "mine"
