"""The folder of a task: locked while it works, swept of what a kill left, and known for whose work it holds."""

import platform
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from rung import __version__
from rung.errors import DataError, StorageError
from rung.results.task import PROVENANCE, Call, Potential, TaskProvenance
from rung.settings import Settings, paths_in
from rung.storage import DamagedFileWarning, FolderLock, file_hash, read_json, require_own, set_aside, sweep
from rung.tasks.opened import Opened


@dataclass(frozen=True)
class TaskFolder:
    """What one task leaves in its folder.

    Parameters
    ----------
    task
        What the folder holds, in words: "a barrier".
    files
        Patterns of the files of results; "{fidelity}" stands for each fidelity. What a task reads is never among them.
    begun
        Patterns of what a folder has in which work has begun; those of rung 0.1 have no provenance beside it.
    inside
        Folders of further work in it, besides those named after a fidelity.
    """

    task: str
    files: tuple[str, ...]
    begun: tuple[str, ...]
    inside: tuple[str, ...] = ()

    @contextmanager
    def open(
        self,
        folder: Path,
        potentials: Mapping[str, Opened] | None = None,
        identity: Mapping[str, str] | None = None,
        *,
        reads: Settings | None = None,
    ) -> Iterator[Path]:
        """Lock the folder, refuse other work in it, sweep it, and say in it whose work it holds.

        Results that are missing or damaged are said, for the work that follows makes them again.

        Parameters
        ----------
        folder
            Made where it is absent.
        potentials
            Those of this call, by fidelity; a folder may gain fidelities.
        identity
            What decides the results, a hash each, by a word for it ("start", "setting"); a folder may gain entries.
        reads
            Names the files that the task reads.

        Raises
        ------
        StorageError
            When another process works in the folder, it holds files and rung did not make it, or results would be
            written over a file that the task reads.
        DataError
            When it holds another task, or results of another start, setting or potential.
        """
        folder, potentials = Path(folder), potentials or {}
        require_own(folder, (PROVENANCE, *self.begun))
        with FolderLock(folder):
            before = self._before(folder)
            now = self._after(folder, before, potentials, identity or {})
            self._refuse_inputs(folder, potentials, reads)
            self._sweep(folder, potentials)
            _say_damage(folder, before.written)
            # until the work is done nobody knows what its files should be
            others = {name: key for name, key in before.written.items() if not self._writes(name, potentials)}
            now.model_copy(update={"written": others}).write(folder / PROVENANCE)
            yield folder
            hashes = {
                path.relative_to(folder).as_posix(): file_hash(path) for path in self._results(folder, potentials)
            }
            now.model_copy(update={"written": others | hashes}).write(folder / PROVENANCE)

    def _before(self, folder: Path) -> TaskProvenance:
        """Return what the folder says of itself; of a new one, nothing."""
        file = folder / PROVENANCE
        if file.exists():
            content = read_json(file)
            task = content.get("task") if isinstance(content, Mapping) else None
            if not isinstance(content, Mapping) or not isinstance(task, str | None):
                raise StorageError(f"{file} is damaged at 'task'; remove the folder and run again.")
            if task is None:
                raise DataError(
                    f"{folder} holds a run of rung fit or other work, not {self.task}; choose another folder."
                )
            if task != self.task:
                raise DataError(f"{folder} holds {task} and not {self.task}; choose another folder.")
            before = TaskProvenance.of(content, str(file))
            # a call that was refused before it kept anything binds nobody
            return before if self._begun(folder) else before.model_copy(update={"identity": {}, "potentials": {}})
        return TaskProvenance(task=self.task, identity={}, potentials={}, calls=())

    def _after(
        self, folder: Path, before: TaskProvenance, potentials: Mapping[str, Opened], identity: Mapping[str, str]
    ) -> TaskProvenance:
        """Return what the folder says from now on, or refuse it."""
        for name, key in identity.items():
            if before.identity.get(name, key) != key:
                raise DataError(f"{folder} holds {self.task} of another {name}; choose another folder.")
        chosen = {
            name: Potential(source=potential.source, fingerprint=potential.fingerprint)
            for name, potential in potentials.items()
        }
        for name, potential in chosen.items():
            earlier = before.potentials.get(name, potential)
            if earlier.fingerprint != potential.fingerprint:
                same = earlier.source == potential.source
                how = (
                    "the file has changed since, or its numbers are of another type"
                    if same
                    else f"from {earlier.source}"
                )
                raise DataError(
                    f"{folder} holds {self.task} of another potential at {name} ({how}); choose another folder."
                )
        return TaskProvenance(
            task=self.task,
            identity={**before.identity, **identity},
            potentials={**before.potentials, **chosen},
            calls=(*before.calls, _call()),
        )

    def _begun(self, folder: Path) -> bool:
        return any(next(folder.glob(pattern), None) for pattern in self.begun)

    def _patterns(self, fidelities: Iterable[str]) -> Iterator[str]:
        for file in self.files:
            of_each = [file.format(fidelity=name) for name in fidelities]
            yield from of_each if "{fidelity}" in file else [file]

    def _results(self, folder: Path, fidelities: Iterable[str]) -> Iterator[Path]:
        for pattern in self._patterns(fidelities):
            yield from folder.glob(pattern)

    def _writes(self, name: str, fidelities: Iterable[str]) -> bool:
        return any(fnmatch(name, pattern) for pattern in self._patterns(fidelities))

    def _refuse_inputs(self, folder: Path, fidelities: Iterable[str], reads: Settings | None) -> None:
        results = {path.resolve() for path in self._results(folder, fidelities)}
        for path in () if reads is None else paths_in(reads):
            if path.resolve() in results:
                raise StorageError(
                    f"{path} is read, and results would be written over it; move it elsewhere, or choose another "
                    "folder for the results."
                )

    def _sweep(self, folder: Path, fidelities: Iterable[str]) -> None:
        """Delete what killed processes left half written, and nothing beside the task's own folders."""
        sweep(folder)
        for name in (*fidelities, *self.inside):
            for below in (folder / name, *(folder / name).rglob("*")):
                if below.is_dir():
                    sweep(below)


def _say_damage(folder: Path, written: Mapping[str, str]) -> None:
    """Warn of results that are missing, and set aside what is not what was written."""
    for name, key in written.items():
        path = folder / name
        if not path.exists():
            warnings.warn(f"{path} is missing; it is made again.", DamagedFileWarning, stacklevel=5)
        elif file_hash(path) != key:
            set_aside(path, "it is not what was written there")


def _call() -> Call:
    from rung.backends.versions import versions  # noqa: PLC0415 - it waits for torch, and --help reads this module

    return Call(
        command=shlex.join(sys.argv),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        rung=__version__,
        python=platform.python_version(),
        packages=versions("pymbar"),
    )
