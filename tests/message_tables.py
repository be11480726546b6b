"""What rung says: the codes of its findings, its sentences, and docs/errors.md, the list of its errors.

``python -m tests.message_tables`` writes the list anew into the page; a test holds the page against the source.
"""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.made_pages import filled

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "rung"
PAGE = ROOT / "docs" / "errors.md"
BEGIN, END = "<!-- errors: from the source -->", "<!-- end of the errors -->"

BLANK = "…"
"""What stands for a value in a sentence."""

WORDS = re.compile(r"[a-z]{2,}.* [a-z]{2,}", re.IGNORECASE | re.DOTALL)
"""What a sentence has, and a frame for another one has not."""

CODED = {"finding": 1, "_finding": 1, "Fault": 0, "Impossible": 0}
"""Functions that are told the code of a finding, and at which place."""

AREAS: Mapping[str, str] = {
    "Settings and configs": "config settings yaml_files fidelity importing source units",
    "Files and folders": "storage pages checkpoint results progress",
    "Structures and labels": "data doctor",
    "Model files": "backends model",
    "Designs and the cache": "features",
    "Fits and trainings": "fit",
    "Runs": "run demo demo_data",
    "Comparisons": "study jobs",
    "Reports": "report",
    "Tasks": "tasks evaluate calculator select",
    "Making labels": "label",
    "Collecting and converting labels": "collect",
    "Campaigns": "campaign",
    "The command line": "cli __main__ api",
}
"""The parts of rung by what a user does there."""


def text_of(node: ast.expr) -> str | None:
    """Return a literal text with a blank for each value in it; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else _blank(part) for part in node.values)
    return None


def _blank(part: ast.expr) -> str:
    """Return what stands for a value: a blank, before what is counted; of a word for one or many, the latter."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "counted":
        *_, last = value.args
        name = text_of(last) or ""
        return f"{BLANK} {name if len(value.args) > 2 else f'{name}s'}"
    if isinstance(value, ast.IfExp) and ast.unparse(value.test).endswith(("== 1", "== {1}", "== (1,)")):
        return text_of(value.orelse) or BLANK
    return BLANK


@cache
def _trees() -> Mapping[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def codes() -> set[str]:
    """Return the code of every finding."""
    found = set()
    for tree in _trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CODED:
                place = CODED[node.func.id]
                code = text_of(node.args[place]) if len(node.args) > place else None
                found |= {code} if code else set()
    return found


@cache
def sentences() -> tuple[str, ...]:
    """Return every literal text of the source."""
    return tuple(text for tree in _trees().values() for node in ast.walk(tree) if (text := _expression(node)))


def _expression(node: ast.AST) -> str | None:
    return text_of(node) if isinstance(node, ast.expr) else None


def _errors() -> Iterator[tuple[str, str]]:
    """Yield the sentence of every error for users with the first folder or module that raises it."""
    for path, tree in _trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                name, text = node.func.id, text_of(node.args[0])
                if name.endswith("Error") and not hasattr(builtins, name) and text is not None and WORDS.search(text):
                    yield path.relative_to(SOURCE).parts[0].removesuffix(".py"), " ".join(text.split())


def tables() -> str:
    """Return the list of errors by area, each once."""
    chapters = []
    raised = list(_errors())
    for title, parts in AREAS.items():
        listed = sorted({text for part, text in raised if part in parts.split()}, key=_letters)
        chapters += [f"## {title}\n\n" + "\n".join(f"- {_escaped(text)}" for text in listed)] if listed else []
    return "\n\n".join(chapters)


def areas_of_errors() -> set[str]:
    """Return the folders and modules that raise errors for users."""
    return {part for part, _ in _errors()}


def page() -> str:
    """Return the whole page with its list as the source has it."""
    return filled(PAGE, BEGIN, END, tables())


def _letters(text: str) -> tuple[str, str]:
    return re.sub(r"[^a-z ]", "", text.lower()).strip(), text


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
