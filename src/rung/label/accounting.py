"""What a calculation used: versions of packages and processor time."""

import platform
import resource
from importlib.metadata import PackageNotFoundError, version

from rung import __version__


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of rung, Python and those of ``packages`` that are installed."""
    found = {"rung": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an extra that this work does without
    return found


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended, s."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
