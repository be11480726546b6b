"""Settings: frozen, typed data with a sentence per field; unknown keys raise with the nearest known name."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from rung.errors import ConfigError, one_of
from rung.fidelity import LONGEST_NAME
from rung.yaml_files import read_yaml

_TAG_FIELDS = ("name", "kind")
_LONGEST_INPUT = 80


@dataclass(frozen=True)
class Option:
    """How a field is spelt on a command line, where that is not ``--its-name``; annotated beside its type.

    Parameters
    ----------
    names
        Its names without hyphens in front: the one that is shown, then older ones that are still taken.
    off
        Names that turn it off, likewise; by default ``no-`` before its name.
    positional
        Whether it has no name there, and stands by its place.
    form
        What one entry looks like, for a field that is a mapping: ``fidelity=value``.
    """

    names: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    positional: bool = False
    form: str = "name=value"


S = TypeVar("S", bound="Settings")

PLAIN = f"up to {LONGEST_NAME} bytes without a slash, a control character or a dot in front"
"""What a name is after which files are named."""

_MOST_LETTERS, _LARGEST, _MOST = 10_000, 1e30, 1 << 63
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def is_plain(name: str) -> bool:
    """Return whether files may be named after ``name``."""
    fits = 0 < len(name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
    return fits and not name.startswith(".") and not re.search(r"[\x00-\x1f\x7f/]", name)


def shown(name: str) -> str:
    """Return a name in quotes, cut where it is long."""
    return repr(name if len(name) <= _LONGEST_INPUT else name[: _LONGEST_INPUT - 1] + "…")


def _require_usual(value: Any) -> None:
    """Raise a :class:`ValueError` at a number or a text that no setting has, at any depth of lists and mappings."""
    if isinstance(value, float):
        if math.isnan(value) or _LARGEST < abs(value) < math.inf:
            raise ValueError(f"a number should be one, and no larger than {_LARGEST:g}")
    elif isinstance(value, int):
        if not -_MOST <= value < _MOST:
            raise ValueError("a whole number should fit into 64 bits")
    elif isinstance(value, (str, Path)):
        if _CONTROL.search(str(value)):
            raise ValueError("text should have no control character (NUL and the like)")
        if len(str(value)) > _MOST_LETTERS:
            raise ValueError(f"text should have no more than {_MOST_LETTERS} letters")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _require_usual(key)
            _require_usual(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _require_usual(item)


def _infinite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_infinite, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_infinite, value))
    return isinstance(value, float) and math.isinf(value)


class Settings(BaseModel):
    """The base of every group of settings: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=True)

    may_be_infinite: ClassVar[frozenset[str]] = frozenset()
    """Fields in which infinity means something, though their default is finite."""

    @field_validator("*")
    @classmethod
    def _usual(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse NaN, NUL and what is huge anywhere, and infinity where it means nothing."""
        _require_usual(value)
        name = str(info.field_name)
        if _infinite(value) and name not in cls.may_be_infinite and not _infinite(cls.model_fields[name].default):
            raise ValueError("a number should be finite")
        return value

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
            raise ConfigError(f"{where}: {_sentence(cls, error, values)}") from error

    def narrowed(self, kind: type[S], **more: Any) -> S:
        """Return the settings of ``kind`` that these hold among others, with ``more`` beside them."""
        shared = kind.model_fields.keys() & type(self).model_fields.keys()
        return kind.read({**{name: getattr(self, name) for name in kind.model_fields if name in shared}, **more})

    @classmethod
    def with_file(cls, path: Path | None, /, **options: Any) -> Self:
        """Validate what a YAML file says together with ``options`` beside it, such as those of a command.

        A key of a group within may stand at the top of the file, where one group alone has it.

        Raises
        ------
        ConfigError
            When a key is unknown or impossible, stands in both, or the file cannot be read.
        """
        if path is None:
            return cls.read(options, "options")
        content = read_yaml(path)
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise ConfigError(f"{path} holds no settings; give one to a line, as name: value.")
        return cls.read(_united(_placed(cls, content), options, path), str(path))


def paths_in(value: Any) -> Iterator[Path]:
    """Yield every path that settings name, at any depth."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from paths_in(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from paths_in(tuple(value.values()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from paths_in(item)


def group_of(field: FieldInfo) -> type[Settings] | None:
    """Return the class of settings that a field holds, or may hold; None where it holds something else."""
    united = get_origin(field.annotation) in (Union, UnionType)
    members = [one for one in (get_args(field.annotation) if united else (field.annotation,)) if one is not NoneType]
    if len(members) == 1 and isinstance(members[0], type) and issubclass(members[0], Settings):
        return members[0]
    return None


def _placed(settings: type[Settings], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` with the keys of groups within moved to their group."""
    placed = {key: value for key, value in content.items() if key in settings.model_fields}
    for key in content.keys() - placed.keys():
        paths = list(_paths_to(key, settings))
        *groups, name = paths[0] if len(paths) == 1 else (key,)
        inner = placed
        for group in groups:
            inner[group] = dict(inner.get(group) or {})
            inner = inner[group]
        if name in inner:
            raise ConfigError(f"{key!r} stands twice, at the top and in its group; say it once.")
        inner[name] = content[key]
    return placed


def _paths_to(key: str, settings: type[Settings]) -> Iterator[tuple[str, ...]]:
    for name, field in settings.model_fields.items():
        group = group_of(field)
        if name == key:
            yield (name,)
        elif group is not None:
            yield from ((name, *path) for path in _paths_to(key, group))


def _united(content: Mapping[str, Any], options: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return both mappings in one, groups of settings united in turn."""
    united = {**content, **options}
    for key in content.keys() & options.keys():
        if not (isinstance(content[key], Mapping) and isinstance(options[key], Mapping)):
            raise ConfigError(f"{path}: {key!r} is an option of the command; say it there alone.")
        united[key] = _united(content[key], options[key], path)
    return united


@dataclass(frozen=True)
class ChosenBy:
    """Annotates a field whose value names its own class; which classes there are is asked when a value is read.

    A tagged union of pydantic serves where the classes are known when the module is imported.

    Parameters
    ----------
    key
        The key of the value that names its class.
    classes
        Gives the classes by name.
    default
        The name of a value without the key; None requires the key.
    """

    key: str
    classes: Callable[[], Mapping[str, type[Settings]]]
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read values by :meth:`read`, and write each as what it is."""
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.simple_ser_schema("any")
        )

    def read(self, value: Any) -> Settings:
        """Return the settings that a mapping holds; settings of one of the classes are returned as they are."""
        classes = self.classes()
        if isinstance(value, Settings) and isinstance(value, tuple(classes.values())):
            return value
        if not isinstance(value, Mapping):
            raise PydanticKnownError("dict_type")
        name = self._name(value)
        if name is None:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": repr(self.key)})
        if name not in classes:
            tags = ", ".join(repr(known) for known in classes)
            context = {"discriminator": repr(self.key), "tag": name, "expected_tags": tags}
            raise PydanticKnownError("union_tag_invalid", context)
        return classes[name].model_validate(value)

    def candidates(self, value: Any, place: str = "") -> list[type[BaseModel]]:
        """Return the class of a value, or else that of the name of its place, or else all of them."""
        classes = self.classes()
        name = (self._name(value) if isinstance(value, Mapping) else None) or place
        return [classes[name]] if name in classes else list(classes.values())

    def _name(self, value: Mapping[str, Any]) -> str | None:
        name = value.get(self.key, self.default)
        return None if name is None else str(name)


def _sentence(settings: type[BaseModel], error: ValidationError, values: Any) -> str:
    # an unknown key explains a missing one ("traget" and no "target"), so it is said first
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    location = [str(part) for part in first["loc"]]
    place = ".".join(location)
    if first["type"] == "extra_forbidden":
        models, there = _models_along(settings, location[:-1], values)
        names = {name for model in models for name in (*model.model_fields, *_deeper(model, location[-1], there))}
        return f"at {place!r}: {one_of(location[-1], names, 'key')}"
    if first["type"] == "missing":
        return f"the key {place!r} is missing."
    if first["type"] == "union_tag_invalid":
        context = first["ctx"]
        names = {name.strip().strip("'") for name in context["expected_tags"].split(",")}
        tag = context["discriminator"].strip("'")
        # a name is that of what its key says; the key of a kind may be any word of the user's, or a number
        return f"at {place!r}: {one_of(str(context['tag']), names, location[-1] if tag == 'name' else tag)}"
    if first["type"] == "union_tag_not_found":
        return f"at {place!r}: the key {first['ctx']['discriminator'].strip(chr(39))!r} is missing."
    given = repr(first["input"])
    short = given if len(given) <= _LONGEST_INPUT else given[: _LONGEST_INPUT - 1] + "…"
    return f"at {place!r}: {first['msg'].removeprefix('Value error, ').rstrip('.')} (given: {short})."


def _models_along(settings: type[BaseModel], path: list[str], values: Any) -> tuple[list[type[BaseModel]], Any]:
    """Return the classes that may stand at ``path`` in ``values``, and what stands there.

    It looks through unions and tagged unions, and into lists and mappings whose entries say what they are.
    """
    models, within = [settings], list[ChosenBy]()
    for part in path:
        if tagged := [model for model in models if part in _tags(model)]:
            models = tagged  # a tag stands in the path, not in the values
            continue
        values = _inside(values, part)
        following = [inner for model in models for inner in _models_at(model, part, values)]
        chosen = [inner for chooser in within for inner in chooser.candidates(values, part)]
        within = [chooser for model in models for chooser in _choosers_at(model, part)]
        models = following or chosen or models  # the position in a list or the key of a mapping is no field
    return models, values


def _deeper(model: type[BaseModel], key: str, values: Any) -> Iterator[str]:
    """Yield where ``key`` stands one group deeper, with a dot."""
    for name in model.model_fields:
        if any(key in inner.model_fields for inner in _models_at(model, name, _inside(values, name))):
            yield f"{name}.{key}"


def _inside(values: Any, part: str) -> Any:
    if isinstance(values, (list, tuple)) and part.isdigit() and int(part) < len(values):
        return values[int(part)]
    return values.get(part) if isinstance(values, Mapping) else None


def _models_at(model: type[BaseModel], name: str, value: Any) -> list[type[BaseModel]]:
    """Return the classes that the value of a field may be of."""
    field = model.model_fields.get(name)
    if field is None:
        return []
    chosen = next((item for item in field.metadata if isinstance(item, ChosenBy)), None)
    return _models_in(field.annotation) if chosen is None else chosen.candidates(value)


def _choosers_at(model: type[BaseModel], name: str) -> Iterator[ChosenBy]:
    """Yield what tells the classes of the entries of a field that holds several."""
    field = model.model_fields.get(name)
    if field is not None:
        yield from _choosers_in(field.annotation)


def _choosers_in(annotation: Any) -> Iterator[ChosenBy]:
    yield from (item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, ChosenBy))
    for inner in get_args(annotation):
        yield from _choosers_in(inner)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the values that tell ``model`` from the others of a tagged union."""
    return tuple(
        str(value)
        for name in _TAG_FIELDS
        if (field := model.model_fields.get(name)) is not None
        for value in get_args(field.annotation)
    )
