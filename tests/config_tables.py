"""The keys of every config as tables of docs/configuration.md, from the classes of the settings.

``python -m tests.config_tables`` writes them anew into the page; a test holds the page against them.
"""

import importlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from rung.campaign import CampaignConfig
from rung.collect.convert_settings import ConvertSettings
from rung.collect.settings import CollectSettings
from rung.config import RunConfig
from rung.fit.methods import METHODS
from rung.label.settings import LabelSettings
from rung.run.file_settings import CheckSettings, EvaluationSettings
from rung.settings import ChosenBy, Settings, group_of
from rung.study.config import Profile, StudyConfig
from rung.tasks import TASKS
from tests.made_pages import anchor_of, cell_of, filled

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN, END = "<!-- keys: from the classes of the settings -->", "<!-- end of the keys -->"

BOUNDS = (
    (annotated_types.Gt, ">", "gt"),
    (annotated_types.Ge, "≥", "ge"),
    (annotated_types.Lt, "<", "lt"),
    (annotated_types.Le, "≤", "le"),
)
"""How pydantic keeps limits of a number."""

TAGS = ("name", "kind")
"""Fields by whose value one class is told from the others of a choice."""


@dataclass(frozen=True)
class Root:
    """A file of settings, or a named part of one.

    Parameters
    ----------
    title
        The heading of its table.
    settings
        Its class.
    within
        The class whose keys it has too, told in a table of its own.
    whole
        The only key of the class: the file has what stands under it at its top, and not the key.
    """

    title: str
    settings: type[Settings]
    within: type[Settings] | None = None
    whole: str = ""


def chapters() -> Mapping[str, Sequence[Root]]:
    """Return every file of settings, by chapter."""
    methods = [Root(f"`method`, name `{name}`", METHODS[name].settings) for name in METHODS]
    tasks = [Root(f"`rung {name}`", importlib.import_module(TASKS[name].module).TASK.settings) for name in TASKS]
    return {
        "Runs": [Root("`rung fit`", RunConfig), *methods],
        "Comparisons": [
            Root("`rung compare`", StudyConfig, within=RunConfig),
            Root("`rung compare --profile`", Profile, whole="executor"),
        ],
        "Labels": [
            Root("`rung label`", LabelSettings),
            Root("`rung collect`", CollectSettings),
            Root("`rung convert`", ConvertSettings),
        ],
        "Campaigns": [Root("`rung campaign`", CampaignConfig, within=RunConfig)],
        "Files of potentials and structures": [
            Root("`rung doctor`", CheckSettings),
            Root("`rung evaluate`", EvaluationSettings),
        ],
        "Tasks": tasks,
    }


@dataclass
class _Told:
    """What has a table, and what waits for one."""

    headings: dict[type[Settings], str] = field(default_factory=dict)
    places: dict[type[Settings], str] = field(default_factory=dict)
    waiting: deque[Root] = field(default_factory=deque)

    def link(self, settings: type[Settings], key: str, owner: str) -> str:
        """Return a link to the table of one class of a choice, which is asked for where nobody did."""
        if settings not in self.headings:
            title = f"`{key}`, {_tag(settings)}"
            if title in self.headings.values():
                title += f", of {owner}"
            self.headings[settings] = title
            self.waiting.append(Root(title, settings))
        return _linked(self.headings[settings], _value(settings))


def tables() -> str:
    """Return the tables of all files: a chapter each, and in it what its keys refer to."""
    told, lines = _Told(), []
    files = chapters()
    for roots in files.values():
        told.headings |= {root.settings: root.title for root in roots}
    for chapter, roots in files.items():
        lines.append(f"## {chapter}")
        told.waiting.extend(roots)
        while told.waiting:
            root = told.waiting.popleft()
            lines.append(f"### {root.title}\n\n{_told_of(root, told)}")
    return "\n\n".join(lines)


def page() -> str:
    """Return the whole page with its tables as the classes have them."""
    return filled(PAGE, BEGIN, END, tables())


def _told_of(root: Root, told: _Told) -> str:
    if root.whole:
        info = root.settings.model_fields[root.whole]
        kind = _kind(info.annotation, info.metadata, root.whole, root, told)
        return f"{cell_of(root.settings.__doc__ or '')} The file has the keys of {kind}."
    rows = ["| key | value | default | meaning |", "|---|---|---|---|", *_rows(root, root.settings, "", told)]
    lines = [cell_of((root.settings.__doc__ or "").split("\n\n")[0])]
    if root.within is not None:
        lines.append(f"It has all keys of {_linked(told.headings[root.within])}, and these:")
    return "\n\n".join([*lines, "\n".join(rows)]) if len(rows) > 2 else lines[0]


def _rows(root: Root, settings: type[Settings], place: str, told: _Told) -> Iterator[str]:
    """Yield a row for each key of a class at ``place`` of a file, with the keys of its groups."""
    outer = _outer(root, settings, place, told)
    told.places.setdefault(settings, f"`{place}` of {_linked(told.headings[root.settings])}")
    for name, info in settings.model_fields.items():
        if (name in outer and _same(info, outer[name])) or name == _tag_field(settings):
            continue
        key = f"{place}.{name}" if place else name
        group, step = _group(info)
        if group is None:
            kind = _kind(info.annotation, info.metadata, key, root, told)
            yield _row(key, kind, _default(info), _meaning(info))
        elif group in told.places:
            yield _row(key, f"settings, as {told.places[group]}", _default(info), _meaning(info))
        else:
            parent = _parent(group, told)
            beside = "settings" if parent is None else f"settings, as {told.places[parent]}, but for:"
            yield _row(key, beside, _default(info), _meaning(info))
            yield from _rows(root, group, f"{key}{step}", told)


def _outer(root: Root, settings: type[Settings], place: str, told: _Told) -> Mapping[str, FieldInfo]:
    """Return the keys that another table tells already."""
    other = _parent(settings, told) if place else root.within
    return {} if other is None else other.model_fields


def _parent(settings: type[Settings], told: _Told) -> type[Settings] | None:
    parent = settings.__mro__[1]
    return parent if parent in told.places else None


def _same(one: FieldInfo, other: FieldInfo) -> bool:
    return (one.annotation, _default(one), one.description) == (other.annotation, _default(other), other.description)


def _group(info: FieldInfo) -> tuple[type[Settings] | None, str]:
    """Return the class whose keys stand within a field, and the step to them; None where a choice or a value does."""
    if any(isinstance(one, ChosenBy) for one in info.metadata):
        return None, ""
    group, step = group_of(info), ""
    if group is None:
        members = get_args(info.annotation) if get_origin(info.annotation) in (Union, UnionType) else (info.annotation,)
        group = next(filter(None, map(_by_name, members)), None)
        step = ".NAME"
    return (None, "") if group is None or _tag(group) else (group, step)


def _by_name(annotation: Any) -> type[Settings] | None:
    """Return the class that a mapping of names holds, or None."""
    if get_origin(annotation) is not dict:
        return None
    inner = get_args(annotation)[1]
    if any(isinstance(one, ChosenBy) for one in get_args(inner)):
        return None
    inner = get_args(inner)[0] if get_origin(inner) is Annotated else inner
    return inner if isinstance(inner, type) and issubclass(inner, Settings) else None


def _row(key: str, kind: str, default: str, meaning: str) -> str:
    return f"| `{key}` | {kind} | {default} | {meaning} |"


def _kind(annotation: Any, metadata: Sequence[Any], key: str, root: Root, told: _Told) -> str:
    """Return what a value may be, in words."""
    chosen = next((one for one in metadata if isinstance(one, ChosenBy)), None)
    name = key.rpartition(".")[2]
    if chosen is not None:
        # a test may have entered a backend of its own
        classes = dict.fromkeys(one for one in chosen.classes().values() if one.__module__.startswith("rung."))
        return f"one by `{chosen.key}`: " + ", ".join(told.link(one, name, root.title) for one in classes)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], [*arguments[1:], *metadata], key, root, told)
    if origin in (Union, UnionType):
        return _union([one for one in arguments if one is not NoneType], metadata, key, root, told)
    if origin is Literal:
        return ", ".join(f"`{_yaml(one)}`" for one in arguments)
    if origin in (tuple, list):
        inner = dict.fromkeys(_kind(one, (), key, root, told) for one in arguments if one is not Ellipsis)
        return ("list: " if Ellipsis in arguments else f"list of {len(arguments)}: ") + " / ".join(inner)
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "mapping: name to " + _kind(arguments[1], (), key, root, told)
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return told.link(annotation, name, root.title) if _tag(annotation) else "settings"
    return _scalar(annotation, metadata)


def _union(members: Sequence[Any], metadata: Sequence[Any], key: str, root: Root, told: _Told) -> str:
    kinds = [_kind(one, metadata if len(members) == 1 else (), key, root, told) for one in members]
    if all(isinstance(one, type) and issubclass(one, Settings) for one in members):
        tags = {_tag_field(one) for one in members}
        if len(kinds) == 1:
            return f"settings: {kinds[0]}"
        return f"one by `{tags.pop()}`: " + ", ".join(kinds)
    return " or ".join(dict.fromkeys(kinds))


def _scalar(annotation: Any, metadata: Sequence[Any]) -> str:
    words = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Path: "path"}
    bounds = [
        f"{sign} {_number(getattr(rule, attribute))}"
        for one in metadata
        for rule in (one.metadata if isinstance(one, FieldInfo) else (one,))
        for kind, sign, attribute in BOUNDS
        if isinstance(rule, kind)
    ]
    return " ".join([words.get(annotation, "value"), ", ".join(bounds)]).strip()


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if (info.default_factory is not None and isinstance(value, int)) or (
        isinstance(value, Path) and value.is_absolute()
    ):
        return "of the machine"
    return _shown(value)


def _shown(value: Any) -> str:
    if value is None or value in ((), {}, "", frozenset()):
        return "–"
    if isinstance(value, Settings):
        return _value(type(value)) + _but_for(value) if _tag(type(value)) else "–"
    if isinstance(value, tuple) and value and isinstance(value[0], Settings):
        return ", ".join(_shown(one) for one in value)
    return f"`{_yaml(value)}`"


def _but_for(value: Settings) -> str:
    """Return what a default has other than its class, in words."""
    others = value.model_dump(exclude_defaults=True, exclude={_tag_field(type(value))})
    return "".join(f" with `{key}: {_yaml(other)}`" for key, other in others.items())


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_yaml(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    if value in (float("inf"), -float("inf")):
        return ".inf" if value > 0 else "-.inf"
    return f"{value:g}"


def _meaning(info: FieldInfo) -> str:
    return cell_of(info.description or "")


def _tag_field(settings: type[Settings]) -> str:
    """Return the name of the field by which a class is told from others, or nothing."""
    for name in TAGS:
        info = settings.model_fields.get(name)
        if info is not None and get_origin(info.annotation) is Literal:
            return name
        if info is not None and isinstance(info.default, str) and info.annotation is str:
            return name
    return ""


def _tag(settings: type[Settings]) -> str:
    return f"{_tag_field(settings)} {_value(settings)}" if _tag_field(settings) else ""


def _value(settings: type[Settings]) -> str:
    """Return the value, or the values, by which a class is told from others, as code."""
    info = settings.model_fields[_tag_field(settings)]
    values = get_args(info.annotation) if info.is_required() else (info.default,)
    return " or ".join(f"`{value}`" for value in values)


def _linked(heading: str, words: str | None = None) -> str:
    """Return a link to a heading of the page, whose anchor both the site and the repository give it."""
    return f"[{words or heading}](#{anchor_of(heading)})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
