"""docs/files.md tells every key of every result file, in the words of its definition."""

import importlib
import pkgutil
from collections.abc import Iterator

import rung.results
from rung.results.base import Entry, Result
from rung.results.config import ConfigNames
from tests.results.field_tables import FILES, PAGE, inner_entry, page, sentence_of

NOT_RESULTS = (ConfigNames,)
"""Definitions of files whose keys are told elsewhere: those of a config stand in its reference."""


def reached(kind: type[Entry]) -> Iterator[type[Entry]]:
    """Yield a definition and all that it is made of, or made from."""
    for one in kind.__mro__:
        if issubclass(one, Entry) and one not in (Entry, Result):
            yield one
    for field in kind.model_fields.values():
        inner, _ = inner_entry(field.annotation)
        if inner is not None:
            yield from reached(inner)


def test_the_tables_are_those_of_the_definitions() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.results.field_tables"


def test_no_definition_is_forgotten() -> None:
    modules = [
        importlib.import_module(f"rung.results.{one.name}") for one in pkgutil.iter_modules(rung.results.__path__)
    ]
    defined = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Entry) and kind.__module__ == module.__name__
    }
    told = {one for _, kind in FILES.values() for one in reached(kind)}
    elsewhere = {one for kind in NOT_RESULTS for one in reached(kind)}
    assert defined - {Entry, Result} == told | elsewhere


def test_every_key_has_a_sentence() -> None:
    kinds = {one for _, kind in FILES.values() for one in reached(kind)}
    sentences = {f"{kind.__name__}.{name}": sentence_of(kind, name) for kind in kinds for name in kind.model_fields}
    assert [name for name, sentence in sentences.items() if not sentence] == []
