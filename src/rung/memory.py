"""How glibc gives memory back: not between the steps of numerical work.

By default glibc returns freed memory to the kernel at once, so that every step of a training or of dynamics asks for
the same pages again, and the kernel clears them again. Both settings are documented in mallopt(3).
"""

import ctypes
import os
import sys

KEPT = 2**31 - 1
"""Bytes at the top of the heap that are kept, the most that mallopt takes."""
MAPPED = 32 * 2**20
"""Bytes from which an allocation has a mapping of its own, which is given back: the most that glibc takes, and what it
would come to by itself. It must be said, for naming the other one ends that."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_VARIABLES = {"MALLOC_TRIM_THRESHOLD_": KEPT, "MALLOC_MMAP_THRESHOLD_": MAPPED}
_BY_USERS = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for its next allocation, and say whether the C library does so.

    Nothing is changed where the environment tells the allocator what to do already, or where there is no glibc.
    """
    if not _ours():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, MAPPED)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))


def kept_by_children() -> dict[str, str]:
    """Return the environment variables by which processes that are started later do the same; empty as above."""
    return {name: str(value) for name, value in _VARIABLES.items()} if _ours() else {}


def _ours() -> bool:
    return sys.platform == "linux" and not any(name.startswith(_BY_USERS) for name in os.environ)
