"""Readers of outputs, and the one place that chooses among them.

A kind of output is one file here with an :class:`~rung.collect.readers.reader.OutputReader`, and an entry in
``READERS``.
"""

from collections.abc import Sequence
from pathlib import Path

from rung.collect.readers import (
    aims,
    ase_codes,
    casino,
    casino_status,
    cfour,
    cp2k,
    molpro,
    mrcc,
    pyqmc,
    pyscf,
    qmcpack,
    turborvb,
)
from rung.collect.readers.reader import OutputReader
from rung.data.readers.compression import inflated
from rung.errors import DataError

READERS: tuple[OutputReader, ...] = (
    qmcpack.SCALAR,
    qmcpack.DMC,
    pyqmc.READER,
    casino.READER,
    casino_status.READER,
    turborvb.READER,
    pyscf.READER,
    molpro.READER,
    cfour.READER,
    mrcc.READER,
    cp2k.READER,
    aims.READER,
    *ase_codes.READERS,
)
"""Kinds of output that are read."""

_HEAD = 8192


def reader_of(path: Path, readers: Sequence[OutputReader] = READERS) -> OutputReader | None:
    """Return the reader of an output by its content, whatever its name; None where the file is no output.

    Raises
    ------
    DataError
        When the file cannot be read, is a compressed output, or has the name of an output and holds something else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    for reader in readers:
        if reader.recognises(path, head):
            return reader
    if (content := inflated(head)) and (
        packed := next((one for one in readers if one.recognises(path, content)), None)
    ):
        raise DataError(f"{path} is a compressed {packed.kind}; unpack it, for outputs are read as they were written.")
    named = next((reader for reader in readers if path.name.endswith(reader.suffixes)), None)
    if named is not None:
        what = "is empty: the run has not begun, or it failed" if not head.strip() else "holds something else"
        raise DataError(f"{path} has the name of {named.kind} and {what}.")
    return None
