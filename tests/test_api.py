"""The public names: each is there, documented, typed and listed, and none is imported before it is used."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import rung
from rung import api

INDEX = Path(__file__).parents[1] / "docs" / "api" / "index.md"


@pytest.mark.parametrize("name", api.__all__)
def test_a_name_is_what_its_home_offers(name: str) -> None:
    module, _, attribute = api.HOMES[name].partition(":")
    public = getattr(rung, name)
    assert public is getattr(api, name)
    assert public is getattr(sys.modules[module], attribute or name)
    assert inspect.getdoc(public)
    assert name in dir(rung)
    assert name in dir(api)


def test_type_checkers_see_the_same_names() -> None:
    (block,) = (node for node in ast.parse(inspect.getsource(api)).body if isinstance(node, ast.If))
    typed = {
        alias.asname or alias.name: f"{node.module}:{alias.name}" if alias.asname else node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == api.HOMES
    assert sorted(api.HOMES) == sorted(api.__all__)


def test_names_are_listed_in_the_documentation() -> None:
    text = INDEX.read_text()
    assert [name for name in api.__all__ if f"`{name}`" not in text] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    for module in (rung, api):
        with pytest.raises(AttributeError, match="no attribute 'fitt'"):
            module.fitt  # noqa: B018 - looking it up is the test
    with pytest.raises(ImportError):
        exec("from rung import fitt")


def test_names_wait_until_they_are_used() -> None:
    script = (
        "import sys, rung, rung.api; dir(rung); sys.exit(any(n in sys.modules for n in ('torch', 'ase', 'pydantic')))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
