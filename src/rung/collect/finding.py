"""Which files are outputs: those that are named, and those in folders that are known by their content."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.collect.readers import reader_of
from rung.collect.readers.reader import OutputReader, RunName
from rung.errors import DataError, MissingExtraError
from rung.progress import SILENT, Progress
from rung.results.collected import RefusedOutput
from rung.storage import file_hash


@dataclass(frozen=True)
class Candidate:
    """A file that is an output.

    Parameters
    ----------
    path
        The file.
    root
        The folder that was named, or the file's own where the file was.
    reader
        Reads it.
    name
        Which run it belongs to.
    hash
        Of its content.
    """

    path: Path
    root: Path
    reader: OutputReader
    name: RunName
    hash: str


@dataclass(frozen=True)
class Found:
    """What was found.

    Parameters
    ----------
    outputs
        In the order of their paths.
    refused
        Files that look like outputs and cannot be used, each with its sentence.
    passed_over
        How many other files there are.
    """

    outputs: tuple[Candidate, ...]
    refused: tuple[RefusedOutput, ...]
    passed_over: int


def find_outputs(paths: Sequence[Path], *, series: Sequence[int] = (), progress: Progress = SILENT) -> Found:
    """Find the outputs among ``paths``.

    Parameters
    ----------
    paths
        Files, and folders to look through.
    series
        Numbers of series to take, where a file has one; empty takes all.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When nothing was named.
    """
    if not paths:
        raise DataError("No output was named; name files, or a folder to look through.")
    refused: list[RefusedOutput] = []
    outputs: list[Candidate] = []
    passed_over = 0
    files = [(path, root) for named in paths for path, root in _files(named, refused)]
    with progress.task("Looking for outputs", len(files)) as task:
        for path, root in dict(files).items():
            try:
                candidate = _candidate(path, root)
            except (DataError, MissingExtraError) as error:
                refused.append(RefusedOutput(file=str(path), sentence=str(error)))
            else:
                if candidate is None and path in paths:
                    refused.append(RefusedOutput(file=str(path), sentence=f"{path} is no output that rung reads."))
                elif candidate is None or (series and candidate.name.series not in (None, *series)):
                    passed_over += 1
                else:
                    outputs.append(candidate)
            task.advance()
    told = {*(one.root for one in outputs), *(Path(one.file) for one in refused)}
    refused += [_empty(named, series) for named in paths if named.is_dir() and not _holds_any(named, told)]
    kept = list(_without_spares(outputs, paths))
    passed_over += len(outputs) - len(kept)
    return Found(tuple(_without_copies(kept, refused)), tuple(refused), passed_over)


def _files(named: Path, refused: list[RefusedOutput]) -> Iterator[tuple[Path, Path]]:
    """Yield files with the folder they were found through, hidden ones left out."""
    if not named.is_dir():
        yield named, named.parent
        return

    def unreadable(error: OSError) -> None:
        place = str(error.filename)
        refused.append(RefusedOutput(file=place, sentence=f"{place} cannot be read: {error.strerror}."))

    for folder, folders, names in os.walk(named, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                yield path, named


def _holds_any(folder: Path, places: Collection[Path]) -> bool:
    return any(place == folder or folder in place.parents for place in places)


def _empty(folder: Path, series: Sequence[int]) -> RefusedOutput:
    of_series = f" of series {', '.join(map(str, series))}" if series else ""
    return RefusedOutput(file=str(folder), sentence=f"{folder} holds no output that rung reads{of_series}.")


def _candidate(path: Path, root: Path) -> Candidate | None:
    reader = reader_of(path)
    try:
        return None if reader is None else Candidate(path, root, reader, reader.name(path), file_hash(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _without_spares(outputs: Sequence[Candidate], named: Sequence[Path]) -> Iterator[Candidate]:
    """Yield outputs but those that a folder holds beside a better one of the same run."""
    better = {candidate.name for candidate in outputs if not candidate.reader.spare}
    for candidate in outputs:
        if candidate.path in named or not candidate.reader.spare or candidate.name not in better:
            yield candidate


def _without_copies(outputs: Sequence[Candidate], refused: list[RefusedOutput]) -> Iterator[Candidate]:
    """Yield outputs; refuse one that holds what another holds, for it would count as a second run."""
    first: dict[str, Path] = {}
    for candidate in outputs:
        other = first.setdefault(candidate.hash, candidate.path)
        if other == candidate.path:
            yield candidate
        else:
            sentence = f"{candidate.path} holds the same as {other}, and one run does not count twice; remove the copy."
            refused.append(RefusedOutput(file=str(candidate.path), sentence=sentence))
