"""Versions of the packages that can change a result: those of every backend, and those that all share."""

from importlib.metadata import PackageNotFoundError, version

from rung.backends.registry import backends

SHARED = ("torch", "numpy", "scipy", "ase", "matscipy")
"""Packages on which every backend's results rest."""


def versions(*others: str) -> dict[str, str]:
    """Return the version of each installed package, by name: shared ones, those of backends, and ``others``."""
    of_backends = tuple(package for backend in backends().values() for package in backend.packages)
    found: dict[str, str] = {}
    for package in (*SHARED, *of_backends, *others):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an extra that this work does without
    return found
