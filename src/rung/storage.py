"""Files that are whole or absent: atomic writes, folder locks and content hashes."""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from rung.errors import StorageError

TEMPORARY = ".rung.tmp"
"""How the names of half-written files and folders end; they begin with a dot."""

DAMAGED = ".damaged"
"""What is added to the name of a file that was set aside."""

_PROBE = 1 << 16
"""Bytes that are written once more where a library does not say why it could not write."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, remove it otherwise.

    Raises
    ------
    StorageError
        When a file stands where the folder should, or the operating system refuses (no space, no permission), with one
        sentence that names the file; whichever library writes, and whatever it makes of the refusal.
    """
    path = Path(path)
    temporary: Path | None = None
    require_no_file(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except (NotImplementedError, RecursionError):
        raise  # defects, though Python counts them among the RuntimeErrors
    except (OSError, RuntimeError) as error:  # torch raises a RuntimeError where a disk is full
        left = "the file of before stands there" if path.exists() else "nothing was left under that name"
        raise StorageError(f"Cannot write {path}: {_reason(error, temporary)}; {left}.") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal of the operating system within the block into one sentence that names ``path``.

    Raises
    ------
    StorageError
        For any :class:`OSError`.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(f"Cannot write {path}: {error.strerror or error}.") from error


def _reason(error: OSError | RuntimeError, temporary: Path | None) -> str:
    """Return why a file could not be written: the system's own words, which a library may have swallowed."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)  # a library adds words of its own
    if temporary is not None:
        try:
            with temporary.open("ab") as file:
                file.write(bytes(_PROBE))
                os.fsync(file.fileno())
        except OSError as refused:
            return refused.strerror or str(refused)
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees all of it or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text to ``path`` so that a reader sees all of it or nothing."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON to ``path`` atomically; NaN and infinities become null, for they are not JSON."""
    write_text(path, json.dumps(jsonable(content), indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON from ``path``, or raise one sentence that says why not."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise StorageError(f"There is no file {path}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not readable JSON ({error}); delete it and run again.") from error


def jsonable(value: Any) -> Any:
    """Return ``value`` with numpy types, paths, tuples and non-finite numbers turned into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def content_hash(*parts: Any) -> str:
    """Return 32 hexadecimal digits that identify ``parts``: strings, numbers, bytes, None, arrays or tuples of them.

    Arrays count with their type and shape, so equal bytes of another shape differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:32]


def _feed(digest: Any, part: Any) -> None:
    if isinstance(part, np.ndarray):
        array = np.ascontiguousarray(part)
        digest.update(f"array:{array.dtype.str}:{array.shape}:".encode())
        digest.update(array.tobytes())
    elif isinstance(part, bytes):
        digest.update(f"bytes:{len(part)}:".encode())
        digest.update(part)
    elif isinstance(part, (list, tuple)):
        digest.update(f"tuple:{len(part)}:".encode())
        for item in part:
            _feed(digest, item)
    elif part is None or isinstance(part, (str, int, float, bool)):
        text = repr(part)
        digest.update(f"{type(part).__name__}:{len(text)}:{text}:".encode())
    else:
        raise TypeError(f"content_hash takes no {type(part).__name__}")


def file_hash(path: Path) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


class DamagedFileWarning(UserWarning):
    """A file is not what was written there; it is kept under another name and made again."""


def set_aside(path: Path, why: str) -> Path:
    """Give a damaged file another name, warn of it, and return where it is now; whoever calls makes it again."""
    path = Path(path)
    kept = path.with_name(path.name + DAMAGED)
    with writing(kept):
        path.replace(kept)
    warnings.warn(
        f"{path} is damaged ({' '.join(why.split()).rstrip('.')}); it is kept as {kept.name} and made again.",
        DamagedFileWarning,
        stacklevel=3,
    )
    return kept


def is_temporary(path: Path) -> bool:
    """Return whether a name is that of a file or folder that rung had not finished."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


def sweep(*folders: Path) -> None:
    """Delete what killed processes of rung left half written in ``folders``; call it while their lock is held."""
    for folder in folders:
        for path in Path(folder).glob(f".*{TEMPORARY}"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def require_written(
    out: Path, *, beside: Iterable[Path], inputs: Iterable[Path], hashes: Callable[[], Iterable[str]], command: str
) -> tuple[str, ...]:
    """Refuse to write over a file that ``command`` did not write, or that it reads; return the hash of what is there.

    Parameters
    ----------
    out
        The file to write.
    beside
        What is written beside it.
    inputs
        What is read.
    hashes
        Returns those that the record of earlier calls has; it is asked once ``out`` is known not to be read.
    command
        For the message.

    Returns
    -------
    tuple of str
        To be kept with the hash of the new file, so that a call that is killed between file and record leaves a file
        that is known; nothing where no file stands there.

    Raises
    ------
    StorageError
        One sentence that says what to do.
    """
    if {path.resolve() for path in inputs} & {path.resolve() for path in (out, *beside)}:
        raise StorageError(f"{out} is read, and would be written over; choose another --out.")
    known = tuple(hashes())
    if not out.exists():
        return ()
    if out.is_dir():
        raise StorageError(f"{out} is a folder; name a file.")
    now = file_hash(out)
    if now not in known:
        raise StorageError(
            f"{out} is there, and {command} did not write it, or it has changed since; choose another --out."
        )
    return (now,)


def require_own(folder: Path, markers: Iterable[str], *, beside: Iterable[str] = ()) -> None:
    """Refuse a folder that holds files and that rung did not make, before anything is written there.

    Parameters
    ----------
    folder
        It may be absent, or empty.
    markers
        Patterns of files, each of which says that rung made it.
    beside
        Names that do not count, such as that of a lock.

    Raises
    ------
    StorageError
        When it holds anything else, or is a file.
    """
    folder = Path(folder)
    require_no_file(folder)
    if not folder.is_dir() or any(next(folder.glob(marker), None) for marker in markers):
        return
    passed = {".lock", *beside}
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in passed and not is_temporary(path))
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise StorageError(
            f"{folder} holds files that rung did not make ({foreign[0]}{more}), so nothing is written there; choose "
            "another folder, one that is new or empty."
        )


def require_no_file(folder: Path) -> None:
    """Raise a :class:`~rung.errors.StorageError` where a file stands in the place of ``folder``, or of one above it."""
    for path in (folder, *folder.parents):
        if path.is_dir():
            return
        if path.exists():
            raise StorageError(
                f"{path} is a file, and what is written needs a folder of its own; name another, or move the file."
            )


class FolderLock:
    """An exclusive lock on a folder, held by the process and released by the kernel however the process ends.

    Use as a context manager; a second holder gets a :class:`~rung.errors.StorageError` at once, or waits where it says
    so.
    """

    def __init__(self, folder: Path, name: str = ".lock", *, wait: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / name
        self._wait = wait
        self._file: IO[str] | None = None

    def __enter__(self) -> "FolderLock":
        """Take the lock or raise."""
        require_no_file(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+")
        except OSError as error:
            raise StorageError(f"Cannot open {self.path}: {error.strerror}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX if self._wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            self._file = None
            raise StorageError(
                f"Another process is working in {self.folder}; wait for it or choose another folder."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock; the lock file stays, because removing it could race with the next holder."""
        if self._file is not None:
            self._file.close()
            self._file = None


def locked(folder: Path, name: str = ".lock") -> bool:
    """Return whether some process holds the lock of ``folder``; nothing is made or changed."""
    try:
        with (Path(folder) / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
