"""A MACE file of which any value is replaced by another, opened in a process of its own with a limit of memory.

``python -m tests.backends.changed_models MODEL COUNT SEED`` opens ``COUNT`` such files and says what became of them.
"""

import pickletools
import random
import resource
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rung.backends import load_base
from rung.errors import ModelError
from tests.backends.pickles import MEMORY, integer, text

VALUES = [
    *(integer(value) for value in (0, 1, 2, 7, 200, 10**4, 10**6, 10**12, -1, 1 << 70)),
    *(text(value) for value in ("", "0", "1000000x0e", "cpu", "0e", "mace.modules.models")),
    *(b"N", b"\x88", b"\x89", b")", b"]", b"}", b"Fnan\n", b"Finf\n", b"F1e300\n", b"h\x01", b"h\x10", b"h\x40"),
]
"""What may stand in the place of a value."""

REPLACED = ("BININT", "BININT1", "BININT2", "BINFLOAT", "NEWTRUE", "NEWFALSE", "NONE", "BINUNICODE", "BINGET")


def changed(content: bytes, rng: random.Random) -> bytes:
    """Return a pickle with one to three of its values replaced."""
    operations = list(pickletools.genops(content))
    places = [k for k, (code, _, _) in enumerate(operations) if code.name in REPLACED]
    chosen = set(rng.sample(places, rng.randint(1, 3)))
    ends = [place for _, _, place in operations[1:]] + [len(content)]
    parts = []
    for k, (_, _, place) in enumerate(operations):
        parts.append(rng.choice(VALUES) if k in chosen else content[place : ends[k]])
    return b"".join(parts)


def files(model: Path, count: int, start: int) -> Iterator[Path]:
    """Yield the path of each changed file; one is there at a time."""
    rng = random.Random(start)
    path = model.with_name("changed.model")
    with zipfile.ZipFile(model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = (name for name in members if name.endswith("/data.pkl"))
    for _ in range(count):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, changed(content, rng) if name == pickled else content)
        yield path


def open_all(model: Path, count: int, start: int) -> subprocess.CompletedProcess[str]:
    """Open changed files in a child process, which ends with 0 where each ended in an error of rung's or a model."""
    command = [sys.executable, "-m", "tests.backends.changed_models", str(model), str(count), str(start)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)


def main(model: Path, count: int, start: int) -> None:
    """Open ``count`` files and print what became of them, with the longest time that one took."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    ends: Counter[str] = Counter()
    longest = 0.0
    for path in files(model, count, start):
        began = time.monotonic()
        try:
            load_base(path, fidelity="low")
            ends["a model"] += 1
        except ModelError as error:
            ends["an error of rung"] += 1
            assert "\n" not in str(error), error
            assert len(str(error)) < 1000, error
        longest = max(longest, time.monotonic() - began)
    print(dict(ends), f"{longest:.1f} s at most")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
