"""The cache: whole entries or none, whoever writes, dies, damages or fills the disk."""

import errno
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from rung.errors import StorageError
from rung.features.cache import DamagedEntryWarning, DesignCache, EntryKey
from rung.features.passes import build_designs
from rung.storage import TEMPORARY
from tests.pair_backbone import PairBackbone, pair_readout, pair_structures

KEY = EntryKey("features", "backbone", "", "", "structure", "float32")
ARRAYS = {
    "features": np.arange(12, dtype=np.float32).reshape(3, 4) / 7,
    "fixed_energy": np.array(-0.1),
    "pairs": np.zeros((0, 2), dtype=np.int64),
}


@pytest.fixture
def cache(tmp_path: Path) -> DesignCache:
    return DesignCache(tmp_path / "cache")


def files(cache: DesignCache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]


def test_an_entry_comes_back_bit_for_bit(cache):
    cache.put(KEY, ARRAYS)
    found = cache.get(KEY)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_numpy_reads_an_entry_by_itself(cache):
    cache.put(KEY, ARRAYS)
    with np.load(cache.path_of(KEY), allow_pickle=False) as archive:
        assert_array_equal(archive["features"], ARRAYS["features"])


@pytest.mark.parametrize("field", ["kind", "backbone", "fidelity", "readout", "structure", "dtype"])
def test_every_part_of_the_key_counts(cache, field):
    cache.put(KEY, ARRAYS)
    assert cache.get(replace(KEY, **{field: "summed"})) is None


def test_parts_of_the_key_do_not_run_together():
    assert replace(KEY, backbone="ab", fidelity="c").digest != replace(KEY, backbone="a", fidelity="bc").digest


def test_an_empty_cache_has_nothing(cache):
    assert cache.get(KEY) is None
    assert list(cache.entries()) == []
    assert cache.prune() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.data())
def test_damage_anywhere_is_noticed_and_never_used(cache, data):
    cache.put(KEY, ARRAYS)
    path = cache.path_of(KEY)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert [bool(problem) for _, problem in cache.verify()] == [True]
    with pytest.warns(DamagedEntryWarning, match="computed again"):
        assert cache.get(KEY) is None
    assert not path.exists()


def test_an_entry_under_another_name_is_not_used(cache):
    other = replace(KEY, structure="another")
    cache.put(KEY, ARRAYS)
    cache.path_of(other).parent.mkdir(parents=True, exist_ok=True)
    cache.path_of(KEY).rename(cache.path_of(other))
    assert "another entry" in next(cache.verify())[1]
    with pytest.warns(DamagedEntryWarning, match="another entry"):
        assert cache.get(other) is None


def test_entries_say_what_they_hold(cache):
    keys = [KEY, replace(KEY, kind="jacobian"), replace(KEY, kind="summed", readout="basis")]
    forces = {**ARRAYS, "fixed_forces": np.zeros((3, 3)), "values": np.zeros((0, 3, 4)), "summed": np.zeros((9, 2))}
    for key in keys:
        cache.put(key, forces)
    entries = list(cache.entries())
    assert {entry.key for entry in entries} == set(keys)
    assert all(entry.size == entry.path.stat().st_size for entry in entries)
    assert [problem for _, problem in cache.verify()] == [""] * 3
    entries[0].path.write_bytes(b"not an entry")
    assert next(cache.entries()).key is None


def test_pruning_takes_what_is_old_foreign_damaged_or_left_behind(cache):
    old, foreign, damaged = (replace(KEY, structure="old"), replace(KEY, backbone="x"), replace(KEY, structure="bad"))
    for key in (KEY, old, foreign, damaged):
        cache.put(key, ARRAYS)
    long_ago = time.time() - 10 * 86400
    os.utime(cache.path_of(old), (long_ago, long_ago))
    cache.path_of(damaged).write_bytes(cache.path_of(damaged).read_bytes()[:-1])
    abandoned = cache.path_of(KEY).parent / f".{KEY.digest}.npz.abcd{TEMPORARY}"
    being_written = abandoned.with_name(f".{KEY.digest}.npz.efgh{TEMPORARY}")
    abandoned.write_bytes(b"half")
    being_written.write_bytes(b"half")
    os.utime(abandoned, (long_ago, long_ago))
    removed = cache.prune(older_than=86400, keep_backbones=frozenset({"backbone"}))
    assert {entry.path for entry in removed} == {cache.path_of(key) for key in (old, foreign, damaged)}
    assert set(files(cache)) == {cache.path_of(KEY), being_written}
    assert cache.get(KEY) is not None


def test_what_is_no_entry_is_never_deleted_and_a_folder_of_other_files_is_no_cache(cache):
    mine = cache.folder / "ab" / "data.npz"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(StorageError, match=r"holds files that rung did not make \(ab\)"):
        cache.put(KEY, ARRAYS)
    assert cache.prune(older_than=0.0) == [] and mine.read_bytes() == b"mine"
    assert list(cache.folder.rglob("*")) == [mine.parent, mine]


def test_a_cache_says_that_it_is_one_and_one_of_an_older_rung_is_taken(cache):
    cache.put(KEY, ARRAYS)
    tag = cache.folder / "CACHEDIR.TAG"
    assert tag.read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    tag.unlink()
    cache.put(replace(KEY, structure="other"), ARRAYS)
    assert tag.exists() and len(list(cache.entries())) == 2


def test_pruning_without_limits_takes_only_what_is_damaged(cache):
    cache.put(KEY, ARRAYS)
    assert cache.prune() == []
    assert cache.get(KEY) is not None


def test_a_full_disk_leaves_nothing_and_says_so(cache, monkeypatch):
    def full(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        cache.put(KEY, ARRAYS)
    assert files(cache) == []


def test_a_full_disk_in_the_middle_of_a_build_keeps_what_was_written(cache, monkeypatch):
    arguments, keywords = problem()
    expected = build_designs(*arguments, **keywords)
    written = 0
    write = Path.write_bytes

    def full(self, content):
        nonlocal written
        written += 1
        if written > 4:  # the first is the tag of the folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match="No space left"):
            build_designs(*arguments, **keywords, cache=cache)
    assert len(files(cache)) == 3
    assert_same(build_designs(*arguments, **keywords, cache=cache), expected)


def test_a_file_where_the_folder_should_be_is_an_error_in_one_sentence(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(StorageError, match="Cannot read"):
        DesignCache(tmp_path / "cache").get(KEY)
    with pytest.raises(StorageError, match="is a file, and what is written needs a folder"):
        DesignCache(tmp_path / "cache").put(KEY, ARRAYS)


def problem():
    backbone = PairBackbone()
    return (pair_structures(backbone), backbone, pair_readout(backbone)), {"forces": True, "fidelity": "low"}


def assert_same(found, expected):
    for left, right in zip(found, expected, strict=True):
        for name in ("energy", "forces", "composition", "fixed_energy", "fixed_forces"):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-12, atol=1e-12)


def test_a_damaged_entry_is_made_again(cache):
    arguments, keywords = problem()
    expected = build_designs(*arguments, **keywords, cache=cache)
    for path in files(cache)[:2]:
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(DamagedEntryWarning):
        assert_same(build_designs(*arguments, **keywords, cache=cache), expected)
    assert all(problem == "" for _, problem in cache.verify())


def test_an_interrupted_build_keeps_its_batches_and_goes_on(cache):
    arguments, keywords = problem()
    expected = build_designs(*arguments, **keywords)

    class Interrupted(PairBackbone):
        calls = 0

        def feature_layers(self, batch):
            type(self).calls += 1
            if type(self).calls == 3:
                raise KeyboardInterrupt
            return super().feature_layers(batch)

    with pytest.raises(KeyboardInterrupt):
        build_designs(arguments[0], Interrupted(), arguments[2], **keywords, cache=cache, batch_size=1)
    assert len(files(cache)) == 2
    assert_same(build_designs(*arguments, **keywords, cache=cache), expected)


WORKER = """
import sys
sys.path.insert(0, {root!r})
from rung.features.cache import DesignCache
from rung.features.passes import build_designs
from tests.features.test_cache import many
arguments, keywords = many({count})
print("ready", flush=True)
build_designs(*arguments, **keywords, cache=DesignCache(sys.argv[1]), batch_size=2, kind="jacobian")
"""


def many(count: int):
    """Return a build of ``count`` structures that differ."""
    backbone = PairBackbone()
    structures = [structure for seed in range(-(-count // 6)) for structure in pair_structures(backbone, seed)]
    return (structures[:count], backbone, pair_readout(backbone)), {"forces": True, "fidelity": "low"}


def start(cache: DesignCache, count: int) -> subprocess.Popen:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", WORKER.format(root=root, count=count), str(cache.folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.slow
def test_two_processes_build_the_same_set_at_once(cache):
    workers = [start(cache, 60) for _ in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    for worker in workers:
        worker.stdout.close()
    arguments, keywords = many(60)
    assert len(list(cache.entries())) == len({structure.geometry_hash for structure in arguments[0]})
    assert all(problem == "" for _, problem in cache.verify())
    assert not [path for path in files(cache) if path.suffix == ".tmp"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = build_designs(*arguments, **keywords, cache=cache)
    assert_same(found, build_designs(*arguments, **keywords))


@pytest.mark.slow
def test_a_build_killed_at_twenty_random_moments_ends_with_the_same_result(cache):
    rng = np.random.default_rng(0)
    count, partial = 600, 0
    arguments, keywords = many(count)
    distinct = len({structure.geometry_hash for structure in arguments[0]})
    for _ in range(20):
        worker = start(cache, count)
        assert worker.stdout.readline() == b"ready\n"
        enough = len(list(cache.entries())) + rng.integers(0, 8)
        while len(list(cache.entries())) < enough and worker.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.03))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        assert all(problem == "" for _, problem in cache.verify())
        partial += 0 < len(list(cache.entries())) < distinct
    assert partial >= 10  # else the kills came too early or too late to show anything
    worker = start(cache, count)
    assert worker.wait(timeout=120) == 0
    worker.stdout.close()
    assert len(list(cache.entries())) == distinct
    assert_same(build_designs(*arguments, **keywords, cache=cache), build_designs(*arguments, **keywords))
