"""What a calculation used: versions of packages and processor time."""

import platform
import resource
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from rung import __version__


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of rung, Python and those of ``packages`` that are installed."""
    found = {package: _version(package) for package in packages}
    installed = {package: number for package, number in found.items() if number}  # an extra may be absent
    return {"rung": __version__, "python": platform.python_version(), **installed}


@cache
def _version(package: str) -> str:
    """Return the version of a package, for which its metadata are searched; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended, s."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
