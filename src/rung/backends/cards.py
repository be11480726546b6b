"""The card in an exported file: plain JSON that says what the file is, and that the file's own library passes over.

An archive of torch, compiled or not, holds it as a member ``extra/rung.json`` (torch keeps extra files of TorchScript
there); a model that is one JSON object holds it under the key ``rung``. Reading it runs nothing.
"""

import json
import shutil
import zipfile
from pathlib import Path

from ase.data import chemical_symbols

from rung import __version__
from rung.backends.archive import MEMBER_ERRORS
from rung.errors import StorageError
from rung.model.potential import ReadoutPotential
from rung.results.origin import Card, Origin
from rung.storage import atomic_path, jsonable

MEMBER = "extra/rung.json"
KEY = "rung"
MOST_BYTES = 1 << 22
"""Of a card; one of a hundred fidelities and files has 20 kB."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""The same card makes the same file, whenever it is written."""


def card_of(potential: ReadoutPotential, fidelity: str, origin: Origin | None = None) -> Card:
    """Return what a file of one fidelity says of itself."""
    energies = potential.surface(fidelity).reference.energies
    return Card(
        rung=__version__,
        fidelity=fidelity,
        reference_energies={chemical_symbols[number]: float(energy) for number, energy in sorted(energies.items())},
        origin=origin,
    )


def attach(path: Path, card: Card) -> None:
    """Add a card to a file, whole or not at all; a file that is neither an archive of torch nor JSON stays as it is.

    Raises
    ------
    StorageError
        When the file cannot be written.
    """
    text = json.dumps(jsonable(card.as_json()), indent=1, sort_keys=True)
    if zipfile.is_zipfile(path):
        with atomic_path(path) as temporary:
            _without_card(path, temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                folder = archive.namelist()[0].split("/", maxsplit=1)[0]
                archive.writestr(zipfile.ZipInfo(f"{folder}/{MEMBER}", _DATE), text)
    elif _is_json(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({**content, KEY: json.loads(text)}), encoding="utf-8")


def _without_card(path: Path, out: Path) -> None:
    """Copy an archive, byte for byte where it has no card."""
    with zipfile.ZipFile(path) as archive:
        cards = [one for one in archive.namelist() if one.partition("/")[2] == MEMBER]
        if not cards:
            shutil.copyfile(path, out)
            return
        with zipfile.ZipFile(out, "w") as copy:
            for member in archive.infolist():
                if member.filename not in cards:
                    copy.writestr(member, archive.read(member))


def card_in(path: Path) -> Card | None:
    """Return the card of a file; None where it has none.

    Raises
    ------
    StorageError
        When it has one that cannot be read.
    """
    text = _card_text(path)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise StorageError(f"The card {MEMBER} in {path} is damaged ({error}); export the file again.") from error
    return Card.of(content, f"{path} ({MEMBER})")


def _card_text(path: Path) -> str | None:
    if _is_json(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        return json.dumps(content[KEY]) if isinstance(content, dict) and KEY in content else None
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((one for one in archive.infolist() if one.filename.partition("/")[2] == MEMBER), None)
            if member is None:
                return None
            if member.file_size > MOST_BYTES:
                raise StorageError(f"The card {MEMBER} in {path} has {member.file_size} bytes, which no card has.")
            return archive.read(member).decode("utf-8", "replace")
    except MEMBER_ERRORS:  # no archive, or a damaged one: whoever loads the model says so
        return None


def _is_json(path: Path) -> bool:
    """Whether a file is one JSON object, by its content."""
    with path.open("rb") as file:
        if not file.read(64).lstrip().startswith(b"{"):
            return False
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
