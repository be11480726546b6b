"""What can be said of a model file before anything in it is loaded."""

import lzma
import pickletools
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rung.errors import ModelError, UntrustedError
from rung.results.fit import MODEL_FILE

CHECKPOINT = ("format", "rung")
"""How the mapping in a checkpoint of rung begins, in every version."""

_HEAD = 1 << 16
"""Bytes of a pickle that are looked at."""

_EMPTY = {"EMPTY_DICT": "dict", "EMPTY_LIST": "list", "EMPTY_TUPLE": "tuple"}
MEMBER_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
"""What ``zipfile`` raises at an archive that is damaged, or none."""


@dataclass(frozen=True)
class PickleStart:
    """How the pickle in a file that ``torch.save`` wrote begins, read without running it.

    Parameters
    ----------
    kind
        What it holds: ``dict``, ``list``, or the full name of the class of the object.
    strings
        The strings of the first 64 kB in order; those of a mapping begin with its first key.
    """

    kind: str
    strings: tuple[str, ...]


def pickle_start(path: Path) -> PickleStart | None:
    """Return how a file begins; None where it is not readable as an archive of torch."""
    head = _head_of_pickle(Path(path))
    if head is None:
        return None
    kind = ""
    strings: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(head):
            if code.name == "GLOBAL" and not kind:
                kind = str(argument).replace(" ", ".")
            elif code.name == "STACK_GLOBAL" and not kind:
                kind = ".".join(strings[-2:])
            elif code.name in _EMPTY and not kind:
                kind = _EMPTY[code.name]
            elif isinstance(argument, str) and "UNICODE" in code.name:
                strings.append(argument)
    except ValueError:  # the head of a longer pickle ends in the middle of an operation
        pass
    return PickleStart(kind, tuple(strings))


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins as a checkpoint of rung does."""
    begins = pickle_start(path)
    return begins is not None and begins.kind == "dict" and begins.strings[:2] == CHECKPOINT


def content_of(path: Path) -> str:
    """Return a phrase that says what a file holds, as far as its first bytes tell."""
    begins = pickle_start(path)
    if begins is not None:
        return f"it holds a {begins.kind or 'pickle'}"
    if zipfile.is_zipfile(path):
        return "it is a zip archive without a model of torch"
    return "it is no file of torch at all"


def untrusted(path: Path, reason: str) -> str:
    """Return the sentence for a file that only trust would open."""
    return (
        f"{path} is a pickle that could run code on your machine, and rung cannot rebuild the model from its data "
        f"alone ({reason}); set trusted: true (on the command line --trusted) if you trust where it came from."
    )


def model_within(folder: Path) -> str:
    """Return which file to name in place of ``folder``: the model of a run, where it is one that has fitted."""
    model = folder / MODEL_FILE
    return f"give the model of the run, {model}" if model.is_file() else "give a file"


def require_file(path: Path) -> None:
    """Raise a :class:`~rung.errors.ModelError` unless ``path`` is a file."""
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder and no model file; {model_within(path)}.")
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.")


def refuse_damaged(path: Path) -> None:
    """Raise one sentence where a file is broken, or a kind of model file that no backend could read.

    Raises
    ------
    ModelError
        When it is truncated, damaged, or TorchScript.
    UntrustedError
        When it has the format of torch before 1.6, which cannot be read inertly.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not zipfile.is_zipfile(path):
        if head[:4] == b"PK\x03\x04":
            raise ModelError(f"{path} is truncated: copy or download it again.")
        if head[:1] == b"\x80":
            raise UntrustedError(untrusted(path, "it is a bare pickle, not the archive that torch writes since 1.6"))
        return
    if "constants.pkl" in _members(path):
        raise ModelError(f"{path} is compiled TorchScript (for LAMMPS, perhaps); give the model that it was made from.")


def check_archive(path: Path) -> None:
    """Raise one sentence where ``path`` is not a file in which torch keeps a Python object.

    Raises
    ------
    ModelError
        When it is missing, truncated, another kind of file, or TorchScript.
    UntrustedError
        When it has the format of torch before 1.6, which cannot be read inertly.
    """
    path = Path(path)
    require_file(path)
    refuse_damaged(path)
    if pickle_start(path) is None:
        raise ModelError(f"{path} is no model file: {content_of(path)}.")


@dataclass(frozen=True)
class TorchArchive:
    """The members of a file that torch wrote, without the folder that it puts around all.

    Parameters
    ----------
    path
        The file.
    sizes
        Bytes of each member; together they are no more than the file, so that a small file cannot fill the memory.
    total
        Bytes of the file.
    folder
        The folder around all, with the slash; empty where there is none.
    """

    path: Path
    sizes: Mapping[str, int]
    total: int
    folder: str

    @classmethod
    def open(cls, path: Path) -> "TorchArchive":
        """Look at the list of members.

        Raises
        ------
        ModelError
            When the file is no such archive, is packed by another program, or is of a machine of another byte order.
        """
        path = Path(path)
        total = path.stat().st_size
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except MEMBER_ERRORS as error:
            raise ModelError(f"{path} is truncated or damaged ({error}): copy or download it again.") from error
        pickles = [one.filename for one in members if _inside(one.filename) == "data.pkl"]
        if len(pickles) != 1 or len({one.filename for one in members}) != len(members):
            raise ModelError(f"{path} is no archive as torch writes it; save the model with torch.save.")
        if sum(one.file_size for one in members) > total:
            raise ModelError(f"{path} holds more bytes than it has, so it was packed again; save it with torch.save.")
        folder = pickles[0].removesuffix("data.pkl")
        sizes = {one.filename.removeprefix(folder): one.file_size for one in members}
        made = cls(path, sizes, total, folder)
        if "byteorder" in sizes and made.record("byteorder") != sys.byteorder.encode():
            raise ModelError(f"{path} is of a machine of another byte order; save the model on one like this.")
        return made

    def record(self, name: str) -> bytes:
        """Return the content of a member.

        Raises
        ------
        ModelError
            When there is none, or its checksum is wrong.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.folder + name)
        except (*MEMBER_ERRORS, KeyError) as error:
            raise ModelError(f"{self.path} is damaged at {name!r} ({error}): copy or download it again.") from error


def _head_of_pickle(path: Path) -> bytes | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = (name for name in archive.namelist() if _inside(name) == "data.pkl")
            member = next(members, None)
            if member is None:
                return None
            with archive.open(member) as file:
                return file.read(_HEAD)
    except MEMBER_ERRORS:
        return None


def _inside(member: str) -> str:
    """Return the name of a member without the folder that torch puts around all."""
    return member.split("/", maxsplit=1)[-1]


def _members(path: Path) -> set[str]:
    """Return the names in an archive, without its own folder; every member's checksum must be right."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {_inside(name) for name in archive.namelist()}
            damaged = archive.testzip()
    except MEMBER_ERRORS as error:
        raise ModelError(f"{path} is truncated or damaged ({error}): copy or download it again.") from error
    if damaged is not None:
        raise ModelError(f"{path} is damaged at {damaged!r}: copy or download it again.")
    return names
