"""A valid content of every result file, made from its definition alone."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from rung.results.base import Entry
from rung.results.geometries import Geometries
from rung.results.predictions import Predictions

_PLAIN: Mapping[Any, Any] = {str: "a", int: 2, float: 1.5, bool: True}

_PREDICTIONS = {
    "fidelity": "a",
    "structure_ids": ["a", "b"],
    "formulas": ["H2", "H2"],
    "n_atoms": [2, 2],
    **{name: [1.0, 2.0] for name, field in Predictions.model_fields.items() if name.startswith("energy")},
    **{
        name: [[[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]] * 2
        for name, field in Predictions.model_fields.items()
        if name.startswith("forces")
    },
}

_GEOMETRIES = {
    "rows": [0, 1],
    "symbols": ["H H", "H H"],
    "positions": [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.7]]] * 2,
    "cells": [[[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]], None],
}


def example(kind: type[Entry]) -> dict[str, Any]:
    """Return what a file of this kind may hold: every key is there, every list has two entries."""
    if kind is Predictions:
        return _PREDICTIONS
    if kind is Geometries:
        return _GEOMETRIES
    return {name: _value(field.annotation) for name, field in kind.model_fields.items()}


def _value(annotation: Any) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return example(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        return _value(inner[0])
    if origin is Literal:
        return inner[0]
    if origin is tuple:
        entries = inner[:1] * 2 if len(inner) == 2 and inner[1] is Ellipsis else inner
        return [_value(entry) for entry in entries]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {("2" if inner[0] is int else "1.5" if inner[0] is float else "a"): _value(inner[1])}
    if inner:  # a union: what is not None
        return _value(next(one for one in inner if one is not type(None)))
    return 1  # any JSON
