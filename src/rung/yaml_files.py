"""YAML as rung reads and writes it: the scalars of YAML 1.2, each key once, nothing deep and nothing huge.

PyYAML follows YAML 1.1, where ``off``, ``no`` and ``on`` are truth values, ``1:30`` is ninety, ``010`` is eight and
``1e-3`` is text. Here plain scalars are those of the core schema of YAML 1.2.2, section 10.3.2. Merge keys (``<<``) are
taken as in YAML 1.1, for configs have them.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from rung.errors import ConfigError
from rung.storage import write_text

MOST_LEVELS, MOST_VALUES, MOST_BYTES = 60, 100_000, 10_000_000
"""What a file may hold, aliases written out; a config has some ten levels and a hundred values."""

_SCALARS = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's loader of plain data with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML has it


class _TwiceError(ValueError):
    """A mapping has a key twice."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper, which puts in quotes what either version of YAML would take for something else than text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
        first: list(resolvers) for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }


def _integer(loader: _Loader, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


def _real(loader: _Loader, node: Any) -> float:
    text = loader.construct_scalar(node).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _pattern, _first in _SCALARS:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), [*_first.replace("\0", ""), ""])
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _real)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    ConfigError
        When there is no such file, or it is not YAML, has a key twice, or is deeper or larger than any config.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"The file {path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path} has {len(content)} bytes, more than a file of settings; is it another file?")
    try:
        return parse_yaml(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 (byte {error.start}).") from error
    except _TwiceError as error:
        raise ConfigError(f"{path}: {error}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())[:400]}.") from error


def parse_yaml(text: str) -> Any:
    """Return what YAML text holds; raise ``yaml.YAMLError`` or ``ValueError`` where it is none, is deep or is huge."""
    level = 0
    for event in yaml.parse(text, Loader=_Loader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > MOST_LEVELS:
            raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def write_yaml(path: Path, content: Any) -> None:
    """Write plain data as YAML that reads back as it was, here and by a reader of YAML 1.1; whole or not at all."""
    write_text(Path(path), yaml.dump(content, Dumper=_Dumper, sort_keys=False))


def _check(node: yaml.Node, within: tuple[int, ...] = (), sizes: dict[int, int] | None = None) -> int:
    """Return how many values a node holds, aliases written out, whose levels add up, too; each key stands once."""
    sizes = {} if sizes is None else sizes
    if id(node) in within:
        raise ValueError("an alias stands within what it names")
    if len(within) > MOST_LEVELS:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    if id(node) not in sizes:
        _require_once(node)
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        below = (*within, id(node))
        flat = [one for part in parts for one in (part if isinstance(part, tuple) else (part,))]
        sizes[id(node)] = 1 + sum(_check(one, below, sizes) for one in flat)
    if sizes[id(node)] > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES} values")
    return sizes[id(node)]


def _require_once(node: yaml.Node) -> None:
    seen: dict[tuple[str, str], int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if (key.tag, key.value) in seen:
                before = seen[key.tag, key.value]
                raise _TwiceError(f"the key {key.value!r} stands twice, on lines {before} and {line}; say it once")
            seen[key.tag, key.value] = line
