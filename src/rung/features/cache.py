"""A content-addressed cache of what a frozen backbone computes for structures.

An entry is one ``.npz`` file under ``<first two digits>/<key>.npz``, readable by ``numpy.load``, followed by the
SHA-256 of all that stands before it. It is written under a temporary name and then renamed, so any number of
processes may write one folder: two that build the same entry write the same content, and the last one's file stays.
"""

import hashlib
import io
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from rung.errors import ConfigError, StorageError
from rung.results.arrays import TEXT, ArrayKind, DamagedArraysError, read_arrays, wrong_array
from rung.storage import TEMPORARY, content_hash, require_own, write_bytes, write_text

FORMAT_VERSION = 1

EntryKind = Literal["features", "jacobian", "summed", "probed"]
Arrays = dict[str, np.ndarray[Any, Any]]

_ENTRIES = f"{'[0-9a-f]' * 2}/{'[0-9a-f]' * 32}.npz"
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# Designs of rung; rung cache list says what is here.\n"
_SEAL = 64  # hexadecimal digits of SHA-256
_ANOTHER = "it holds another entry"
_ABANDONED = 3600.0  # seconds after which nobody can still be writing a temporary file


class DamagedEntryWarning(UserWarning):
    """A file of the cache is not what was written; it is computed again."""


@dataclass(frozen=True)
class EntryKey:
    """All that the content of an entry depends on.

    Parameters
    ----------
    kind
        ``features`` (features and fixed energy), ``jacobian`` (the same, the features' sparse Jacobian and the fixed
        forces), ``summed`` (the same with ∂F/∂w of one frozen basis in the Jacobian's place) or ``probed`` (the same
        with the features' derivative along a random direction).
    backbone
        The backbone's fingerprint.
    fidelity
        Where the backbone is conditioned on it, else empty.
    readout
        Fingerprint of the readout's frozen basis for ``summed``, of the direction for ``probed``, else empty.
    structure
        The ``geometry_hash`` of the structure, near the origin (see :func:`~rung.data.wrapping.near_origin`).
    dtype
        The type in which the backbone ran, such as ``float32``.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    kind: EntryKind
    backbone: str
    fidelity: str
    readout: str
    structure: str
    dtype: str

    @cached_property
    def digest(self) -> str:
        """The name of the entry: 32 hexadecimal digits."""
        return content_hash("design-cache", FORMAT_VERSION, *asdict(self).values())


@dataclass(frozen=True)
class CacheEntry:
    """What ``rung cache list`` shows of an entry.

    Parameters
    ----------
    path
        Its file.
    key
        What it was made from; None where the file is too damaged to tell.
    size
        Bytes.
    modified
        Seconds since the epoch.
    """

    path: Path
    key: EntryKey | None
    size: int
    modified: float


@dataclass(frozen=True)
class DesignCache:
    """A folder of entries, safe under any number of readers and writers."""

    folder: Path

    def path_of(self, key: EntryKey) -> Path:
        """Return where the entry of ``key`` stands, whether or not it exists."""
        return Path(self.folder) / key.digest[:2] / f"{key.digest}.npz"

    def claim(self) -> None:
        """Mark the folder as a cache, so that programs that keep copies pass it over (https://bford.info/cachedir).

        Raises
        ------
        StorageError
            When it holds files, and is no cache of rung: nothing is written among files of somebody else.
        """
        folder = Path(self.folder)
        if not (folder / _TAG).exists():
            require_own(folder, (_ENTRIES,))
            write_text(folder / _TAG, _TAG_TEXT)

    def get(self, key: EntryKey) -> Arrays | None:
        """Return the arrays of an entry, or None where it is absent, or damaged: then it warns and deletes it.

        Raises
        ------
        StorageError
            When the file is there but the operating system does not let rung read it, or delete it where it is damaged.
        """
        path = self.path_of(key)
        try:
            return _unpack(path, path.read_bytes(), key)[1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"Cannot read {path}: {error.strerror or error}.") from error
        except ValueError as error:
            warnings.warn(f"{error}; it is computed again.", DamagedEntryWarning, stacklevel=2)
            _delete(path)
            return None

    def put(self, key: EntryKey, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Write an entry, whole or not at all.

        Raises
        ------
        StorageError
            When the operating system refuses (no space, no permission); no file is left then.
        """
        self.claim()
        named: dict[str, Any] = {"key": np.array(json.dumps(asdict(key))), **arrays}
        buffer = io.BytesIO()
        np.savez(buffer, **named)
        body = buffer.getvalue()
        write_bytes(self.path_of(key), body + hashlib.sha256(body).hexdigest().encode())

    def entries(self) -> Iterator[CacheEntry]:
        """Yield every entry in the order of file names, damaged ones too."""
        for path in sorted(Path(self.folder).glob(_ENTRIES)):
            try:
                status = path.stat()
                yield CacheEntry(path, _read_key(path), status.st_size, status.st_mtime)
            except FileNotFoundError:
                continue  # another process pruned it meanwhile

    def verify(self) -> Iterator[tuple[CacheEntry, str]]:
        """Read every entry whole; yield each with what is wrong with it, the empty string where nothing is."""
        for entry in self.entries():
            try:
                stored, _ = _unpack(entry.path, entry.path.read_bytes())
                misplaced = self.path_of(stored) != entry.path
                yield entry, f"The cache entry {entry.path} is damaged ({_ANOTHER})" if misplaced else ""
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                yield entry, str(error)

    def prune(
        self,
        *,
        older_than: float | None = None,
        keep_backbones: frozenset[str] | None = None,
        damaged: bool = True,
    ) -> list[CacheEntry]:
        """Delete entries and what killed processes left behind; return the entries deleted.

        Parameters
        ----------
        older_than
            Delete entries that were written more than so many seconds ago; None deletes none for its age.
        keep_backbones
            Delete entries of other backbones than these fingerprints; None deletes none for its backbone.
        damaged
            Whether to read every entry and delete the damaged ones.

        Raises
        ------
        ConfigError
            When an age is negative.
        StorageError
            When the operating system does not let rung delete a file.
        """
        if older_than is not None and not older_than >= 0:
            raise ConfigError(f"An entry is older than 0 s or more, not {older_than} s.")
        now = time.time()
        broken = {entry.path for entry, problem in self.verify() if problem} if damaged else set()
        removed = []
        for entry in self.entries():
            old = older_than is not None and now - entry.modified > older_than
            foreign = keep_backbones is not None and (entry.key is None or entry.key.backbone not in keep_backbones)
            if old or foreign or entry.path in broken:
                _delete(entry.path)
                removed.append(entry)
        for leftover in Path(self.folder).glob(f"??/.*{TEMPORARY}"):
            if _age(leftover, now) > _ABANDONED:
                _delete(leftover)
        return removed


def _unpack(path: Path, content: bytes, key: EntryKey | None = None) -> tuple[EntryKey, Arrays]:
    """Return the key and the arrays in ``content``; raise ValueError unless it is what was written (for ``key``)."""
    body, seal = content[:-_SEAL], content[-_SEAL:]
    if not body or hashlib.sha256(body).hexdigest().encode() != seal:
        raise ValueError(f"The cache entry {path} is damaged (its checksum does not fit)")
    try:
        arrays = read_arrays(body, {"key": TEXT}, str(path))
        stored = _key_in(str(arrays.pop("key")))
        reason = wrong_array(arrays, _KINDS[stored.kind])
    except DamagedArraysError as error:
        raise ValueError(f"The cache entry {path} is damaged ({error.reason})") from error
    except ValidationError as error:
        raise ValueError(f"The cache entry {path} is damaged (its key is not one that this rung writes)") from error
    if reason:
        raise ValueError(f"The cache entry {path} is damaged ({reason})")
    if key is not None and stored != key:
        raise ValueError(f"The cache entry {path} is damaged ({_ANOTHER})")
    return stored, arrays


_KEY = TypeAdapter(EntryKey)

_FEATURES = {"features": ArrayKind("f", ("n", "D")), "fixed_energy": ArrayKind("f")}
_FORCES = {**_FEATURES, "fixed_forces": ArrayKind("f", ("n", 3))}
_KINDS: Mapping[EntryKind, Mapping[str, ArrayKind]] = {
    "features": _FEATURES,
    "jacobian": {**_FORCES, "pairs": ArrayKind("iu", ("pairs", 2)), "values": ArrayKind("f", ("pairs", 3, "D"))},
    "summed": {**_FORCES, "summed": ArrayKind("f", ("3n", "P"))},
    "probed": {**_FORCES, "tangent": ArrayKind("f", ("n", "D"))},
}
"""What each kind of entry holds."""


def _key_in(text: str) -> EntryKey:
    return _KEY.validate_json(text, strict=True)


def _read_key(path: Path) -> EntryKey | None:
    """Return the key that stands in a file, reading little of it; None where the file is too damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _key_in(str(archive["key"]))
    except FileNotFoundError:
        raise
    except Exception:  # zip, npy and json each raise their own at damaged bytes; all mean the same here
        return None


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot delete {path}: {error.strerror or error}.") from error
