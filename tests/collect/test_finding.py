"""Which files are outputs: by content, in folders, without copies."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from rung.collect.finding import find_outputs
from rung.errors import DataError
from tests.collect.samples import DIAMOND, DMC_HEAD, run_of, write_scalar


def test_a_folder_is_looked_through(tmp_path: Path) -> None:
    names = ("b/x.s001.scalar.dat", "a/x.s001.scalar.dat", ".hidden/x.s001.scalar.dat", "a/.x.scalar.dat")
    for seed, name in enumerate(names):
        write_scalar(tmp_path / name, run_of(seed))
    (tmp_path / "notes.txt").write_text("not an output")
    (tmp_path / "a" / "empty.scalar.dat").touch()
    found = find_outputs([tmp_path])
    assert [str(one.path.relative_to(tmp_path)) for one in found.outputs] == [
        "a/x.s001.scalar.dat",
        "b/x.s001.scalar.dat",
    ]
    assert {one.root for one in found.outputs} == {tmp_path}
    (refused,) = found.refused
    assert refused.file.endswith("empty.scalar.dat")
    assert found.passed_over == 1


def test_a_series_is_chosen() -> None:
    found = find_outputs([DIAMOND], series=[2, 3])
    assert [one.path.name for one in found.outputs] == ["dmc.s002.scalar.dat", "dmc.s003.scalar.dat"]
    assert found.passed_over == 6  # three outputs, their input, a licence and a page


def test_steps_give_way_to_blocks_of_the_same_run(tmp_path: Path) -> None:
    blocks = write_scalar(tmp_path / "x.s001.scalar.dat", run_of(1))
    steps = tmp_path / "x.s001.dmc.dat"
    steps.write_text(DMC_HEAD + "0 -1 0.1 100 100 0 -1 1 1\n")
    assert [one.path for one in find_outputs([tmp_path]).outputs] == [blocks]
    assert [one.path for one in find_outputs([steps]).outputs] == [steps]
    blocks.unlink()
    assert [one.path for one in find_outputs([tmp_path]).outputs] == [steps]


def test_a_copy_does_not_count_twice(tmp_path: Path) -> None:
    one = write_scalar(tmp_path / "a" / "x.s001.scalar.dat", run_of(1))
    two = write_scalar(tmp_path / "b" / "x.s001.scalar.dat", run_of(1))
    found = find_outputs([tmp_path])
    assert [candidate.path for candidate in found.outputs] == [one]
    assert found.refused[0].sentence.startswith(f"{two} holds the same as {one}")


def test_a_named_file_that_is_no_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an output")
    found = find_outputs([tmp_path / "notes.txt", tmp_path / "absent.dat"])
    assert [one.sentence for one in found.refused] == [
        f"{tmp_path / 'notes.txt'} is no output that rung reads.",
        f"There is no file {tmp_path / 'absent.dat'}.",
    ]


def test_a_named_folder_without_an_output_is_refused(tmp_path: Path) -> None:
    for name in ("empty", "notes", "runs/a", "bad"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "notes" / "notes.txt").write_text("not an output")
    (tmp_path / "bad" / "x.scalar.dat").touch()
    write_scalar(tmp_path / "runs" / "a" / "x.s001.scalar.dat", run_of(1))
    found = find_outputs([tmp_path / name for name in ("empty", "notes", "runs", "bad")])
    assert len(found.outputs) == 1
    assert [one.sentence for one in found.refused if "holds no output" in one.sentence] == [
        f"{tmp_path / name} holds no output that rung reads." for name in ("empty", "notes")
    ]
    assert len(found.refused) == 3, "what is wrong in a folder is said once"
    found = find_outputs([tmp_path / "runs"], series=[2, 3])
    assert [one.sentence for one in found.refused] == [
        f"{tmp_path / 'runs'} holds no output that rung reads of series 2, 3."
    ]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_output_is_said(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    whole = write_scalar(tmp_path / "x.s001.scalar.dat", run_of(1))
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "x.gz").write_bytes(pack(whole.read_bytes()))
    (tmp_path / "packed" / "notes.gz").write_bytes(pack(b"not an output"))
    (refused,) = find_outputs([tmp_path / "packed"]).refused
    assert refused.sentence.startswith(f"{tmp_path / 'packed' / 'x.gz'} is a compressed QMCPACK")


def test_nothing_named_is_an_error() -> None:
    with pytest.raises(DataError, match="No output was named"):
        find_outputs([])
