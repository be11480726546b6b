"""Rows packed into files, one structure at a time: neither structures nor rows are ever all in memory."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rung.data.batch import neighbours
from rung.data.frames import StreamedStructures
from rung.data.labels import Labels
from rung.data.stream import ARRAYS, HASHED, PackedRows, open_rows, pack
from rung.data.structure import Structure
from rung.data.wrapping import near_origin
from rung.errors import StorageError
from rung.fidelity import require_fidelity
from rung.progress import SILENT, Progress
from rung.results.rows import ROWS_FILE
from rung.storage import TEMPORARY, content_hash, file_hash, write_json, writing

VERSION = 2
"""Of what rows hold, in the layout of 1 too: since 2, atoms far away are near the origin. Others are packed again."""


def pack_rows(
    structures: Sequence[Structure],
    fidelities: Sequence[str],
    cutoff: float,
    *,
    names: Sequence[str],
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> PackedRows:
    """Pack rows in memory, or, where the structures are streamed from files and there is a folder, into files there.

    Parameters
    ----------
    structures, fidelities
        The rows; one name per structure.
    cutoff
        Å, within which atoms are neighbours.
    names
        The names that ``Batch.fidelity`` indexes.
    folder
        Gets a folder of rows, named after what it was packed from; rows that are there already are taken.
    progress
        Advances by one for each neighbour list.
    """
    if folder is None or not isinstance(structures, StreamedStructures):
        return pack(structures, fidelities, cutoff, names=names, progress=progress)
    source = content_hash(VERSION, structures.fingerprint, tuple(fidelities), float(cutoff), tuple(names))
    place = folder / f"rows-{source}"
    if (place / ROWS_FILE).exists():
        return open_rows(place)
    pairs = zip(structures, fidelities, strict=True)
    return write_rows(pairs, cutoff, place, names=names, progress=progress, total=len(structures))


def write_rows(
    rows: Iterable[tuple[Structure, str]],
    cutoff: float,
    folder: Path,
    *,
    names: Sequence[str],
    progress: Progress = SILENT,
    total: int = 0,
) -> PackedRows:
    """Pack rows, each a structure and the fidelity that labels it, into files of ``folder``; whole or not at all.

    One structure is in memory at a time. The files hold the bare numbers of one array each, and ``rows.json`` lists
    their types and shapes. ``total`` is how many rows there are, for the progress alone.

    Raises
    ------
    ConfigError
        When a row names a fidelity that is not among ``names``.
    StorageError
        When the files cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(mkdtemp(prefix=f".{folder.name}.", suffix=TEMPORARY, dir=folder.parent))
    try:
        shapes = _write(rows, cutoff, temporary, tuple(names), progress, total)
        hashes = tuple((name, file_hash(temporary / f"{name}.raw")) for name in ("atom_start", "fidelity", *HASHED))
        layout = {"version": VERSION, "fidelities": list(names), "cutoff": float(cutoff), "arrays": shapes}
        fingerprint = content_hash(tuple(names), float(cutoff), hashes)
        write_json(temporary / ROWS_FILE, {**layout, "fingerprint": fingerprint})
        if folder.exists():
            shutil.rmtree(folder)  # of an older layout, or what another process packed meanwhile
        temporary.replace(folder)
    except OSError as error:
        raise StorageError(f"Cannot write {folder}: {error.strerror or error}; nothing was left there.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return open_rows(folder)


def _write(
    rows: Iterable[tuple[Structure, str]],
    cutoff: float,
    folder: Path,
    names: tuple[str, ...],
    progress: Progress,
    total: int,
) -> dict[str, tuple[str, list[int]]]:
    """Write every array and return its type and shape."""
    counts = dict.fromkeys(ARRAYS, 0)
    with ExitStack() as stack, progress.task("neighbours", total=total) as task:
        files: dict[str, IO[bytes]] = {
            name: stack.enter_context((folder / f"{name}.raw").open("wb", buffering=1 << 18)) for name in ARRAYS
        }

        def put(name: str, values: Any) -> None:
            kind, entry = ARRAYS[name]
            array: NDArray[Any] = np.asarray(values).astype(kind).reshape(-1, *entry)
            files[name].write(array.tobytes())
            counts[name] += len(array)

        put("atom_start", 0)
        put("edge_start", 0)
        for structure, fidelity in rows:
            index = names.index(require_fidelity(fidelity, names))
            for name, values in _row(structure, structure.labelled(fidelity), cutoff):
                put(name, values)
            put("fidelity", index)
            put("atom_start", counts["numbers"])
            put("edge_start", counts["edges"])
            task.advance()
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    return {name: (kind, [counts[name], *entry]) for name, (kind, entry) in ARRAYS.items()}


def _row(structure: Structure, labels: Labels, cutoff: float) -> Iterator[tuple[str, Any]]:
    atoms = near_origin(structure.atoms)
    pairs, translations = neighbours(atoms, cutoff)
    yield from (("energy", labels.energy), ("energy_stderr", labels.energy_stderr), ("stress", labels.stress))
    yield from (("cell", atoms.cell.array), ("pbc", atoms.pbc), ("numbers", atoms.numbers))
    yield from (("positions", atoms.positions), ("forces", labels.forces), ("forces_stderr", labels.forces_stderr))
    yield from (("edges", pairs.T), ("edge_cells", translations))
