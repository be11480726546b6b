"""The cache of designs as a folder that a person names."""

from pathlib import Path

from rung.errors import StorageError
from rung.features.cache import DesignCache


def open_cache(folder: Path) -> DesignCache:
    """Return the cache in ``folder``.

    Raises
    ------
    StorageError
        When there is no such folder: a mistyped name is not an empty cache.
    """
    if not Path(folder).is_dir():
        raise StorageError(f"There is no folder {folder}.")
    return DesignCache(Path(folder))
