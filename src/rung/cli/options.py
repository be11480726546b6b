"""Commands whose options are the fields of settings: each is named, described and given its default there alone.

A group of settings within settings gives its fields as options of their own. What no option can say, such as a list of
groups, is left to a file of settings.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import App, Parameter
from pydantic.fields import FieldInfo

from rung.errors import ConfigError
from rung.settings import Option, Settings, group_of
from rung.source import Opening

ABSENT = inspect.Parameter.empty

_SIMPLE = (str, int, float, bool, Path, NoneType)


@dataclass(frozen=True)
class Leaf:
    """A field that is an option.

    Parameters
    ----------
    path
        The names of the groups that it stands in, then its own.
    field
        The field, with its sentence and its default.
    """

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def option(self) -> Option:
        """How it is spelt."""
        return next((one for one in self.field.metadata if isinstance(one, Option)), Option())

    @property
    def names(self) -> tuple[str, ...]:
        """Its names on the command line, without hyphens in front; the first is shown."""
        return self.option.names or (self.path[-1].replace("_", "-"),)

    @property
    def key(self) -> str:
        """The name of its Python parameter."""
        return self.path[-1] if self.option.positional else "__".join(self.path)

    @property
    def hint(self) -> Any:
        """Its type, without what pydantic checks later."""
        return _plain(self.field.annotation)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every word that stands for it; that of a positional one is for people alone."""
        return (self.key,) if self.option.positional else (*self.names, *self.off)

    @property
    def several(self) -> bool:
        """Whether it takes any number of words."""
        return any(get_origin(one) is dict or Ellipsis in get_args(one) for one in _members(self.hint))

    def parameter(self) -> inspect.Parameter:
        """Return it as a parameter of a function, as cyclopts reads one."""
        hint, default = self.hint, self._default()
        if get_origin(hint) is dict:
            hint = tuple[str, ...]
        told: dict[str, Any] = {
            "help": self.field.description,
            "show_default": _shown if default is not False and default not in ((), None) else False,
        }
        if get_origin(self.hint) is dict:
            told["metavar"] = self.option.form.upper()
        if not self.option.positional:
            told |= {"name": _flags(self.names), "negative": _flags(self.off)}
            told["consume_multiple"] = 1 if self.several else False  # an option without a value says nothing
            return _parameter(self.key, inspect.Parameter.KEYWORD_ONLY, hint, default, told)
        if self.several:
            return _parameter(self.key, inspect.Parameter.VAR_POSITIONAL, get_args(hint)[0], ABSENT, told)
        return _parameter(self.key, inspect.Parameter.POSITIONAL_ONLY, hint, default, told)

    def _default(self) -> Any:
        if self.field.is_required():
            return ABSENT
        value = self.field.get_default(call_default_factory=True)
        return tuple(f"{key}={item}" for key, item in value.items()) if isinstance(value, Mapping) else value

    @property
    def off(self) -> tuple[str, ...]:
        """Names that turn it off, where it is a switch that is on unless told otherwise."""
        turned_on = self.hint is bool and self.field.default is True
        return self.option.off or ((f"no-{self.names[0]}",) if turned_on else ())

    def value(self, words: Any) -> Any:
        """Return what the command line says as the field takes it.

        Raises
        ------
        ConfigError
            When an entry of a mapping is not written as one.
        """
        return dict(self._entry(word) for word in words) if get_origin(self.hint) is dict else words

    def _entry(self, word: str) -> tuple[str, str]:
        name, separator, value = word.partition("=")
        if not (name and separator):
            raise ConfigError(f"--{self.names[0]} is written as {self.option.form}, not {word!r}.")
        return name, value


def leaves_of(settings: type[Settings], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield every field that can be an option, those of groups within among them; what it inherits comes last."""
    for name, field in sorted(settings.model_fields.items(), key=lambda item: _generation(settings, item[0])):
        group = group_of(field)
        if group is not None:
            yield from leaves_of(group, (*path, name))
        elif _can_be_said(_plain(field.annotation)):
            yield Leaf((*path, name), field)


def _generation(settings: type[Settings], name: str) -> int:
    """Return how many classes up the field ``name`` is declared."""
    return next(place for place, kind in enumerate(settings.__mro__) if name in inspect.get_annotations(kind))


class Printing(Settings):
    """How results are printed."""

    as_json: Annotated[bool, Option(("json",))] = False
    """Print JSON in place of a table."""


def command(
    name: str,
    act: Callable[..., int],
    *kinds: type[Settings],
    example: str,
    filed: type[Settings] | None = None,
) -> App:
    """Return a command whose options are the fields of ``kinds``.

    Parameters
    ----------
    name
        What a user types.
    act
        Is called with one settings object of each kind, and returns the exit code. Its docstring stands below the
        options, above the example.
    kinds
        Classes of settings; no two of their options may have one name.
    example
        A whole command line.
    filed
        The one of them whose fields a file may give, too; its path is the option ``--settings``.
    """
    paragraphs = [" ".join(text.split()) for text in str(inspect.getdoc(act)).split("\n\n")]
    app = App(name=name, help_epilogue="\n\n".join([*paragraphs, f"Example: {example}"]))
    app.default(_function(name, act, kinds, filed))
    return app


def _function(
    name: str, act: Callable[..., int], kinds: Sequence[type[Settings]], filed: type[Settings] | None
) -> Callable[..., int]:
    options = {kind: tuple(leaves_of(kind)) for kind in kinds}
    _require_apart(name, options)
    parameters = [leaf.parameter() for leaves in options.values() for leaf in leaves]
    if filed is not None:
        parameters.append(_SETTINGS)
    # what must be given comes first, and what every command has, last
    parameters.sort(key=lambda one: (one.kind, one.default is not ABSENT, one.name in Opening.model_fields))

    def run(*places: Any, **words: Any) -> int:
        words |= _by_name(parameters, places)
        file: Path | None = words.pop(_SETTINGS.name, None)
        _require_given(
            name, [leaf for kind in kinds if file is None or kind is not filed for leaf in options[kind]], words
        )
        return act(
            *(
                kind.with_file(file if kind is filed else None, **_nested(leaves, words))
                for kind, leaves in options.items()
            )
        )

    shaped: Any = run
    shaped.__signature__ = inspect.Signature(parameters)
    return run


def _require_apart(command: str, options: Mapping[type[Settings], Sequence[Leaf]]) -> None:
    """Raise a :class:`TypeError` where two fields of a command are spelt alike."""
    flags = [flag for leaves in options.values() for leaf in leaves for flag in leaf.spellings]
    twice = sorted({flag for flag in flags if flags.count(flag) > 1})
    if twice:
        raise TypeError(f"rung {command}: two fields are spelt {', '.join(twice)}; give one of them an Option.")


def _require_given(command: str, leaves: Sequence[Leaf], words: Mapping[str, Any]) -> None:
    """Raise a :class:`ConfigError` where any number of words may stand, one is needed, and there is none."""
    for leaf in leaves:
        if leaf.option.positional and leaf.several and leaf.field.is_required() and not words[leaf.key]:
            raise ConfigError(f"rung {command} needs {leaf.key.upper()}. See rung {command} --help.")


def _by_name(parameters: Sequence[inspect.Parameter], places: Sequence[Any]) -> dict[str, Any]:
    """Return positional values by the name of their parameter, those that any number may follow as a tuple."""
    single = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_ONLY]
    named = dict(zip(single, places, strict=False))
    rest = [one.name for one in parameters if one.kind is inspect.Parameter.VAR_POSITIONAL]
    return {**named, **{name: tuple(places[len(single) :]) for name in rest}}


def _nested(leaves: Sequence[Leaf], words: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line says, group within group."""
    values: dict[str, Any] = {}
    for leaf in leaves:
        if leaf.key in words:
            *groups, name = leaf.path
            inner = values
            for group in groups:
                inner = inner.setdefault(group, {})
            inner[name] = leaf.value(words[leaf.key])
    return values


def _parameter(name: str, kind: Any, hint: Any, default: Any, told: Mapping[str, Any]) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=default, annotation=Annotated[hint, Parameter(**told)])


def _shown(default: Any) -> str:
    """Return a default as it would be typed."""
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _flags(names: Sequence[str]) -> list[str]:
    return [f"--{name}" for name in names]


def _plain(annotation: Any) -> Any:
    """Return a type without what is annotated beside it, at any depth."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inner[0])
    if origin in (Union, UnionType):
        return Union[tuple(_plain(one) for one in inner)]  # noqa: UP007 - of members that are known at run time
    if origin in (tuple, dict):
        return origin[tuple(one if one is Ellipsis else _plain(one) for one in inner)]
    return annotation


def _members(annotation: Any) -> tuple[Any, ...]:
    plain = _plain(annotation)
    return get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)


def _can_be_said(hint: Any) -> bool:
    """Return whether words of a command line can give a value of this type."""
    if get_origin(hint) is dict:
        return get_args(hint)[0] is str and _is_word(get_args(hint)[1])
    if get_origin(hint) is tuple:
        return all(one is Ellipsis or _is_word(one) for one in get_args(hint))
    return all(_is_word(one) or (get_origin(one) is tuple and _can_be_said(one)) for one in _members(hint))


def _is_word(hint: Any) -> bool:
    return all(one in _SIMPLE or get_origin(one) is Literal for one in _members(hint))


_SETTINGS = _parameter(
    "settings",
    inspect.Parameter.KEYWORD_ONLY,
    Path | None,
    None,
    {"name": "--settings", "help": "YAML of further settings, by the names of their fields.", "show_default": False},
)
