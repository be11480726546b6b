"""Compressed files: which compression a file has, told by its first bytes (RFC 1952, bzip2, .xz), and its content."""

import zlib
from bz2 import BZ2Decompressor, BZ2File
from collections.abc import Callable, Mapping
from gzip import GzipFile
from io import BufferedIOBase
from lzma import LZMADecompressor, LZMAError, LZMAFile
from pathlib import Path
from typing import Protocol

SUFFIXES = (".gz", ".bz2", ".xz")
"""How names of compressed files end."""

DAMAGE = (OSError, EOFError, zlib.error, LZMAError)
"""What the libraries raise where a file is damaged or cut."""


class _Inflates(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


_FORMATS: Mapping[bytes, tuple[type[GzipFile | BZ2File | LZMAFile], Callable[[], _Inflates]]] = {
    b"\x1f\x8b": (GzipFile, lambda: zlib.decompressobj(wbits=31)),
    b"BZh": (BZ2File, BZ2Decompressor),
    b"\xfd7zXZ\x00": (LZMAFile, LZMADecompressor),
}
"""What opens a file, and what inflates a part of it, by the first bytes."""


def compressed(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Return suffixes with that of each compression behind them."""
    return tuple(f"{suffix}{packed}" for suffix in suffixes for packed in SUFFIXES)


def opened(path: Path) -> BufferedIOBase:
    """Open a file for its content, which may be compressed.

    Raises
    ------
    OSError
        When it cannot be opened; what :data:`DAMAGE` lists, while it is read.
    """
    with path.open("rb") as file:
        head = file.read(max(len(magic) for magic in _FORMATS))
    for magic, (packed, _) in _FORMATS.items():
        if head.startswith(magic):
            return packed(path)
    return path.open("rb")


def inflated(head: bytes) -> bytes:
    """Return what the first bytes of a compressed file hold; nothing where they are not compressed, or too few."""
    for magic, (_, inflate) in _FORMATS.items():
        if head.startswith(magic):
            try:
                return inflate().decompress(head)
            except DAMAGE:
                return b""
    return b""
