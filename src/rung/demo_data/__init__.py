"""Data that the package ships, so that every command can be tried at once; each folder's README says what it is."""

from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from rung.errors import ConfigError, one_of

Name = Literal["mos2", "pm6-dft", "h3", "molecules"]

NAMES: tuple[str, ...] = get_args(Name)
"""The folders that there are."""


def folder(name: str) -> Path:
    """Return the folder of the bundled data set ``name``.

    Raises
    ------
    ConfigError
        When there is no such data set, or when the package was installed without it.
    """
    if name not in NAMES:
        raise ConfigError(one_of(name, NAMES, "bundled data set"))
    found = Path(str(files(__name__).joinpath(name)))
    if not found.is_dir():
        raise ConfigError(f"The bundled data set {name!r} is not where the package should hold it, {found}.")
    return found
