"""The folder of a task: locked while it works, swept of what a kill left, and known for whose work it holds."""

import platform
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rung import __version__
from rung.errors import DataError, StorageError
from rung.results.task import PROVENANCE, Call, Potential, TaskProvenance
from rung.storage import FolderLock, read_json, sweep
from rung.tasks.opened import Opened


@dataclass(frozen=True)
class TaskFolder:
    """What one task leaves in its folder.

    Parameters
    ----------
    task
        What the folder holds, in words: "a barrier".
    files
        The files that it writes; "{fidelity}" stands for each fidelity. None is written over unless rung made it.
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
    ) -> Iterator[Path]:
        """Lock the folder, refuse other work in it, sweep it, and say in it whose work it holds.

        Parameters
        ----------
        folder
            Made where it is absent.
        potentials
            Those of this call, by fidelity; a folder may gain fidelities.
        identity
            What decides the results, a hash each, by a word for it ("start", "setting"); a folder may gain entries.

        Raises
        ------
        StorageError
            When another process works in the folder, or it holds files that rung did not make.
        DataError
            When it holds another task, or results of another start, setting or potential.
        """
        folder, potentials = Path(folder), potentials or {}
        with FolderLock(folder):
            before = self._before(folder, potentials)
            now = self._after(folder, before, potentials, identity or {})
            self._sweep(folder, potentials)
            now.write(folder / PROVENANCE)
            yield folder

    def _before(self, folder: Path, fidelities: Iterable[str]) -> TaskProvenance:
        """Return what the folder says of itself; of a new one, nothing."""
        file = folder / PROVENANCE
        if file.exists():
            content = read_json(file)
            task = content.get("task") if isinstance(content, Mapping) else None
            if task is None:
                raise DataError(
                    f"{folder} holds a run of rung fit or other work, not {self.task}; choose another folder."
                )
            if task != self.task:
                raise DataError(f"{folder} holds {task} and not {self.task}; choose another folder.")
            before = TaskProvenance.of(content, str(file))
            # a call that was refused before it kept anything binds nobody
            return before if self._begun(folder) else before.model_copy(update={"identity": {}, "potentials": {}})
        if not self._begun(folder):
            for name in self._names(fidelities):
                if (folder / name).exists():
                    raise StorageError(
                        f"{folder / name} is there and rung did not make it, so it is not written over; choose another "
                        "folder."
                    )
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

    def _names(self, fidelities: Iterable[str]) -> Iterator[str]:
        for file in self.files:
            yield from dict.fromkeys(file.format(fidelity=name) for name in (fidelities or ("",)))

    def _sweep(self, folder: Path, fidelities: Iterable[str]) -> None:
        """Delete what killed processes left half written, and nothing beside the task's own folders."""
        sweep(folder)
        for name in (*fidelities, *self.inside):
            for below in (folder / name, *(folder / name).rglob("*")):
                if below.is_dir():
                    sweep(below)


def _call() -> Call:
    from rung.backends.versions import versions  # noqa: PLC0415 - it waits for torch, and --help reads this module

    return Call(
        command=shlex.join(sys.argv),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        rung=__version__,
        python=platform.python_version(),
        packages=versions("pymbar"),
    )
