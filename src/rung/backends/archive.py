"""What can be said of a model file before anything in it is loaded."""

import zipfile
import zlib
from pathlib import Path

from rung.errors import ModelError, UntrustedError


def untrusted(path: Path, reason: str) -> str:
    """Return the sentence for a file that only trust would open."""
    return (
        f"{path} is a pickle that could run code on your machine, and rung cannot rebuild the model from its data "
        f"alone ({reason}); set trusted: true (on the command line --trusted) if you trust where it came from."
    )


def check_archive(path: Path) -> None:
    """Raise one sentence where ``path`` is not a file in which torch keeps a Python model.

    Raises
    ------
    ModelError
        When it is missing, truncated, another kind of file, or TorchScript.
    UntrustedError
        When it has the format of torch before 1.6, which cannot be read inertly.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.")
    with path.open("rb") as file:
        head = file.read(64)
    if not zipfile.is_zipfile(path):
        if head[:4] == b"PK\x03\x04":
            raise ModelError(f"{path} is truncated: copy or download it again.")
        if head[:1] == b"\x80":
            raise UntrustedError(untrusted(path, "it is a bare pickle, not the archive that torch writes since 1.6"))
        raise ModelError(f"{path} is not a MACE model: it is no file of torch at all.")
    names = _members(path)
    if "constants.pkl" in names:
        raise ModelError(
            f"{path} is compiled TorchScript (for LAMMPS, perhaps); give the .model file it was made from."
        )
    if "data.pkl" not in names:
        raise ModelError(f"{path} is not a MACE model: it is a zip archive without a model of torch.")


def _members(path: Path) -> set[str]:
    """Return the names in an archive, without its own folder; every member's checksum must be right."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.split("/", maxsplit=1)[-1] for name in archive.namelist()}
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error) as error:
        raise ModelError(f"{path} is truncated or damaged ({error}): copy or download it again.") from error
    if damaged is not None:
        raise ModelError(f"{path} is damaged at {damaged!r}: copy or download it again.")
    return names
