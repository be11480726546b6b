"""Freed memory stays with the process: a second allocation of the same size asks the kernel for nothing."""

import subprocess
import sys

import pytest

from rung.memory import keep_freed_memory, kept_by_children

FAULTS = """
import resource, sys
import numpy as np
from rung.memory import keep_freed_memory

def faults():
    arrays = [np.zeros(1_000_000) + number for number in range(30)]  # 8 MB each, written to
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults()
before = faults()
print(faults() - before)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked")


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment say nothing of the allocator."""
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("LD_PRELOAD", raising=False)


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@linux
def test_pages_are_asked_for_once() -> None:
    assert page_faults("keep") < page_faults("default") / 10


@linux
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_a_user_says_of_the_allocator_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert not keep_freed_memory()
    assert kept_by_children() == {}


@linux
def test_processes_that_are_started_later_are_told_by_their_environment() -> None:
    assert set(kept_by_children()) == {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}


def test_another_system_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    assert kept_by_children() == {}
