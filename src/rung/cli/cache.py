# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung cache``: what a cache of designs holds, whether it is sound, and what may go."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rung.cli.console import ERR
from rung.cli.options import command
from rung.errors import counted
from rung.progress import memory_size
from rung.settings import Option, Settings


class CacheFolder(Settings):
    """Which cache."""

    folder: Annotated[Path, Option(positional=True)]
    """The folder of the cache."""


class Prune(CacheFolder):
    """What to delete from it."""

    older_than_days: float | None = Field(default=None, ge=0)
    """Delete entries that were written more than so many days ago; by default none for its age."""


def _list(settings: CacheFolder) -> int:
    """Say how many entries of each kind and backbone there are, and how large they are."""
    from rung.cli.tables import print_cache
    from rung.run.caches import open_cache

    print_cache(tuple(open_cache(settings.folder).entries()))
    return 0


def _verify(settings: CacheFolder) -> int:
    """Read every entry and check it against its hash. Exit code 1: one is damaged."""
    from rung.run.caches import open_cache

    problems = [problem for _, problem in open_cache(settings.folder).verify()]
    damaged = [problem for problem in problems if problem]
    for problem in damaged:
        ERR.print(problem)
    ERR.print(f"{counted(len(problems), 'entry', 'entries')}, {len(damaged)} damaged.")
    return int(bool(damaged))


def _prune(settings: Prune) -> int:
    """Delete damaged entries, what killed processes left behind, and entries that are old."""
    from rung.run.caches import open_cache

    seconds = None if settings.older_than_days is None else 86400.0 * settings.older_than_days
    removed = open_cache(settings.folder).prune(older_than=seconds)
    ERR.print(
        f"Deleted {counted(len(removed), 'entry', 'entries')}, {memory_size(sum(entry.size for entry in removed))}.",
    )
    return 0


listed = command("list", _list, CacheFolder, example="rung cache list runs/rung-cache")
verify = command("verify", _verify, CacheFolder, example="rung cache verify runs/rung-cache")
prune = command("prune", _prune, Prune, example="rung cache prune runs/rung-cache --older-than-days 30")
