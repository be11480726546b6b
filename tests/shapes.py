"""Damage by shape: the valid content of a file, of which one part is something else."""

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

OTHERS: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    "much",
    "a\0b",
    True,
    0,
    -1,
    1 << 70,
    1.5,
    math.nan,
    [None],
    [[1.0]],
    {"a": 1},
)
"""What takes the place of a part, of any kind."""

GONE = object()
"""The part is taken out."""


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part: all keys, and the first, second and last of a list."""
    yield path
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from places(value, (*path, key))
    elif isinstance(content, (list, tuple)):
        for index in sorted({0, 1, len(content) - 1} & set(range(len(content)))):
            yield from places(content[index], (*path, index))


def others(part: Any) -> tuple[Any, ...]:
    """Return what may take the place of a part."""
    if isinstance(part, np.ndarray):
        flat = part.reshape(-1)
        return (*OTHERS, part[None], flat[:1], flat[:0], part.astype(str), part.astype(bool), part * np.nan)
    if isinstance(part, torch.Tensor):
        flat = part.reshape(-1)
        shapes = (flat[:1], flat[:0], part[None], part.long(), torch.ones(1).expand(1 << 40))
        return (*OTHERS, *shapes, torch.tensor(1.0))
    return OTHERS


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of ``content`` with another value at a place."""
    if not path:
        return value
    first, *rest = path
    whole = dict(content) if isinstance(content, Mapping) else list(content)
    if rest:
        whole[first] = changed(content[first], tuple(rest), value)
    elif value is GONE:
        del whole[first]
    else:
        whole[first] = value
    return tuple(whole) if isinstance(content, tuple) else whole


def damaged(content: Any, count: int | None = None, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield contents with one part replaced or taken out, each with words for it; a sample of ``count``, else all."""
    cases = []
    for path in places(content):
        part = content
        for step in path:
            part = part[step]
        cases += [(path, value) for value in (*others(part), *((GONE,) if path else ()))]
    if count is not None and count < len(cases):
        cases = random.Random(seed).sample(cases, count)
    for path, value in cases:
        shown = "gone" if value is GONE else f"{type(value).__name__} {value!r:.30}"
        yield f"{'.'.join(map(str, path))}: {shown}", changed(content, path, value)
