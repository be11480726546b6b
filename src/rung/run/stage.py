"""A stage of a run: done when all its files are there and are the ones that were written."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rung.progress import Progress
from rung.run.folder import RunFolder
from rung.storage import DamagedFileWarning, set_aside

W = TypeVar("W")


@dataclass(frozen=True)
class Stage(Generic[W]):
    """A part of a run.

    Parameters
    ----------
    name
        What it is called.
    do
        Does it.
    files
        The files that it leaves, in the order in which they are written; None where only doing it tells.
    after
        The stages whose results it reads: where one of them is done again, so is this.
    damage
        Says what is wrong with a file that carries a seal of its own, for others may write it too; None where the
        folder's hash of the file tells.
    """

    name: str
    do: Callable[[W], None]
    files: Callable[[W], Sequence[Path] | None]
    after: tuple[str, ...] = ()
    damage: Callable[[Path], str] | None = None

    def left(self, work: W) -> tuple[Path, ...]:
        """Return the files that it has left, or would leave; none where only doing it tells."""
        return tuple(self.files(work) or ())

    def done(self, work: W, folder: RunFolder) -> bool:
        """Return whether all its files are there and are the ones that were written."""
        files = self.files(work)
        return files is not None and whole(folder, self.name, files, self.damage)


def whole(folder: RunFolder, stage: str, files: Sequence[Path], damage: Callable[[Path], str] | None = None) -> bool:
    """Return whether files are all there and are the ones that were written.

    One that was there and is missing is said; a damaged one is said and set aside.
    """
    each = [_whole(folder, stage, path, files[-1], damage or folder.damage) for path in files]
    return all(each)


def _whole(folder: RunFolder, stage: str, path: Path, last: Path, damage: Callable[[Path], str]) -> bool:
    if not path.exists():
        if folder.recorded(path) or last.exists():
            folder.note(f"{stage}: {path.name} is missing")
            warnings.warn(f"{path} is missing; it is made again.", DamagedFileWarning, stacklevel=5)
        return False
    if folder.outdated(path):
        return False
    if fault := damage(path):
        folder.note(f"{stage}: {path.name} is damaged: {fault}")
        set_aside(path, fault)
    return not fault


def carried_out(stages: Sequence[Stage[W]], work: W, folder: RunFolder, progress: Progress) -> tuple[str, ...]:
    """Do the stages that are not done, and those that read what is done again; return their names."""
    again: list[str] = []
    for number, stage in enumerate(stages):
        if stage.done(work, folder) and not set(stage.after) & set(again):
            continue
        again.append(stage.name)
        # a process that is killed from here on leaves word of what no longer fits
        folder.outdate(*(path for later in stages[number + 1 :] if _reads(later, stage) for path in later.left(work)))
        _timed(stage, work, folder, progress)
        folder.record(*stage.left(work))
    return tuple(again)


def _reads(later: Stage[W], stage: Stage[W]) -> bool:
    return stage.name in later.after


def _timed(stage: Stage[W], work: W, folder: RunFolder, progress: Progress) -> None:
    started = time.monotonic()
    folder.note(f"{stage.name}: begins")
    with progress.task(stage.name.capitalize(), 1) as task:
        stage.do(work)
        task.advance()
    folder.note(f"{stage.name}: {time.monotonic() - started:.1f} s")
