"""``config.yaml`` as a report reads it: the names in it. The whole of it is :class:`rung.config.RunConfig`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field

from rung.errors import ConfigError, StorageError
from rung.results.base import Entry, Result
from rung.yaml_files import read_yaml

CONFIG_FILE = "config.yaml"


class MethodName(Entry):
    """The method of a config."""

    name: str
    """Its name."""


class BaseName(Entry):
    """The base of a config."""

    fidelity: str
    """Its fidelity."""


class Level(Entry):
    """A fidelity of a config."""

    level_of_theory: str = ""
    """What it is; empty where the config does not tell."""


class ConfigNames(Result):
    """The names that a report takes from a config."""

    target: str
    """The fidelity that is lifted to."""
    method: MethodName
    """The method."""
    base: BaseName | None = None
    """The base; absent without one."""
    fidelities: Mapping[str, Level] = Field(default_factory=dict)
    """The fidelities by name."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file, which is YAML; errors as for any result file."""
        try:
            content = read_yaml(path)
        except ConfigError as error:
            there = Path(path).exists()
            raise StorageError(f"{path} is not readable YAML. {error}" if there else str(error)) from error
        if not isinstance(content, Mapping):
            raise StorageError(f"{path} holds no settings.")
        return cls.of(content, str(path))
