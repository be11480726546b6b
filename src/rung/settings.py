"""Settings: frozen, typed data with a sentence per field; unknown keys raise with the nearest known name."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from rung.errors import ConfigError, one_of


class Settings(BaseModel):
    """The base of every group of settings: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=True)

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str = "settings") -> Self:
        """Validate ``values``, turning the first problem into one :class:`~rung.errors.ConfigError`.

        Parameters
        ----------
        values
            The mapping as it came from YAML or JSON.
        where
            What the mapping is, for the message, such as the path of the file.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{where}: {_sentence(cls, error)}") from error


def _sentence(settings: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    place = ".".join(location)
    if first["type"] == "extra_forbidden":
        names = set(_field_names(settings, location[:-1]))
        return f"at {place!r}: {one_of(location[-1], names, 'key')}"
    if first["type"] == "missing":
        return f"the key {place!r} is missing."
    return f"at {place!r}: {first['msg']} (given: {first['input']!r})."


def _field_names(settings: type[BaseModel], path: list[str]) -> Iterator[str]:
    """Yield the names of fields that are known at ``path``, looking through unions and tagged unions."""
    models = [settings]
    for part in path:
        following = [inner for model in models for inner in _models_in(_annotation(model, part))]
        if following:
            models = following
    tagged = [model for model in models if path and _tag(model) in path]
    for model in tagged or models:
        yield from model.model_fields


def _annotation(model: type[BaseModel], name: str) -> Any:
    field = model.model_fields.get(name)
    return field.annotation if field is not None else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _tag(model: type[BaseModel]) -> str | None:
    for name in ("name", "kind"):
        field = model.model_fields.get(name)
        if field is not None and isinstance(field.default, str):
            return field.default
    return None
