"""The base of every result file: frozen, typed, written whole, and read back with one sentence for any damage."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rung.errors import StorageError
from rung.storage import read_json, write_json


def _unknown_as_nan(value: Any) -> Any:
    return math.nan if value is None else value


def _array_as_list(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


Number = Annotated[float, BeforeValidator(_unknown_as_nan)]
"""A number that may be unknown: NaN in memory, null in the file, for JSON has no NaN."""

Numbers = Annotated[tuple[Number, ...], BeforeValidator(_array_as_list)]
"""A few numbers, each of which may be unknown; an array of one dimension is taken too."""

Atoms = Annotated[int, Field(ge=1)]
"""How many atoms a structure has; errors are divided by it."""

DomainWord = Literal["inside", "outside", "unknown"]
"""Whether structures are like those of the training set; unknown without a posterior, or with one of rung 0.1."""


class Entry(BaseModel):
    """A part of a result file. Keys that this version does not know, of an older or a newer one, are passed over."""

    # docstrings of fields are for people alone: to read them at import takes pydantic 20 ms a class
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True, ser_json_inf_nan="null")

    def as_json(self) -> dict[str, Any]:
        """Return the content as it stands in the file, keys that are absent by default left out."""
        return self.model_dump(exclude_unset=True)


E = TypeVar("E", bound=Entry)


def equally_long(entry: E, *names: str) -> E:
    """Return an entry whose fields ``names`` have one length; raise a :class:`ValueError` where they have not."""
    lengths = {name: len(getattr(entry, name)) for name in names}
    if len(set(lengths.values())) > 1:
        raise ValueError(" and ".join(f"{name} has {length}" for name, length in lengths.items()) + " numbers")
    return entry


class Result(Entry):
    """A result file that holds one JSON object."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises
        ------
        StorageError
            When it is absent, is not JSON, or does not hold what it should: one sentence with the path and the key.
        """
        return cls.of(read_json(Path(path)), str(path))

    @classmethod
    def read_optional(cls, path: Path) -> Self | None:
        """Read the file, or return None where there is none; errors are those of :meth:`read`."""
        return cls.read(path) if Path(path).exists() else None

    @classmethod
    def of(cls, content: Any, where: str) -> Self:
        """Return the result that ``content`` holds, which came from the file ``where``.

        Raises
        ------
        StorageError
            When it does not hold what it should.
        """
        if not isinstance(content, Mapping):
            raise StorageError(f"{where} holds no JSON object; delete it and run again.")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise damage(where, error) from error

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; numbers that are not finite become null."""
        write_json(Path(path), self.as_json())


def entries_of(kind: type[E], content: Any, where: str) -> tuple[E, ...]:
    """Return the entries of a file ``where`` that holds a list of them.

    Raises
    ------
    StorageError
        When ``content`` is no list, or an entry does not hold what it should.
    """
    if not isinstance(content, (list, tuple)):
        raise StorageError(f"{where} holds no JSON list; delete it and run again.")
    entries = []
    for index, item in enumerate(content):
        try:
            entries.append(kind.model_validate(item))
        except ValidationError as error:
            raise damage(where, error, str(index)) from error
    return tuple(entries)


def damage(where: str, error: ValidationError, *within: str) -> StorageError:
    """Return one sentence on the first problem of the file ``where``: the key, beginning with ``within``, and why."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in (*within, *first["loc"]))
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    return StorageError(f"{where} is damaged {f'at {place!r} ' if place else ''}({reason}); delete it and run again.")
