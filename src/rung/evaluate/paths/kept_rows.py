"""Rows of a Hessian that outlive their process: each costs two calls of forces."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rung.data.labels import Array
from rung.results.arrays import COUNT, TEXT, ArrayKind, DamagedArraysError, read_arrays
from rung.storage import atomic_path, set_aside

SAVE_EVERY = 10.0
"""Seconds from one file to the next."""

_KINDS = {"key": TEXT, "done": COUNT, "rows": ArrayKind("f", ("k", "k"), finite=True)}


@dataclass
class KeptRows:
    """The rows of a ``(k, k)`` Hessian, in their order.

    Parameters
    ----------
    file
        Where they are kept; None keeps them in memory alone.
    key
        Of all that decides them.
    rows
        Shape ``(k, k)``, zero where they are not known yet.
    done
        How many are known.
    """

    file: Path | None
    key: str
    rows: Array
    done: int = 0
    _saved: float = field(default_factory=time.monotonic, repr=False)

    @classmethod
    def open(cls, file: Path | None, key: str, size: int) -> "KeptRows":
        """Return what ``file`` holds of this key, or no rows; a damaged file is set aside with a warning."""
        fresh = cls(file, key, np.zeros((size, size)))
        if file is None or not file.exists():
            return fresh
        try:
            stored = read_arrays(file, _KINDS)
        except DamagedArraysError as error:
            set_aside(file, error.reason)
            return fresh
        if str(stored["key"]) != key or stored["rows"].shape != fresh.rows.shape:
            return fresh
        return cls(file, key, stored["rows"], int(stored["done"]))

    def add(self, row: Array) -> None:
        """Take the next row, and write the file where the last one is some time ago."""
        self.rows[self.done] = row
        self.done += 1
        if self.file is None or not np.isfinite(row).all() or time.monotonic() - self._saved < SAVE_EVERY:
            return
        with atomic_path(self.file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, key=np.array(self.key), done=self.done, rows=self.rows)
        self._saved = time.monotonic()

    def forget(self) -> None:
        """Start again: what is kept is of another potential."""
        self.rows[:] = 0.0
        self.done = 0

    def close(self) -> None:
        """Delete the file: all that it holds is in the result."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)
