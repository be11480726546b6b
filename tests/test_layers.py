"""What importing costs and what it drags in: the core needs no engine, and ``import rung`` waits for nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import rung

ENGINES = {"mace", "e3nn", "sevenn"}
LABELS_OF = "SevenNet-MF-0"
"""Whose energies the data of the demo are: the name of a published potential is not that of an engine."""


def loaded_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after ``statement``."""
    code = f"import sys\n{statement}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_light_parts_do_not_wait_for_torch() -> None:
    loaded = loaded_after("import rung, rung.cli, rung.evaluate.errors, rung.report")
    assert "numpy" in loaded
    assert "torch" not in loaded


def test_core_imports_no_engine() -> None:
    loaded = loaded_after(
        "from rung import RungCalculator\nimport rung.cli.commands, rung.doctor, rung.demo, rung.study"
    )
    assert "torch" in loaded  # so that the test above could fail
    assert not loaded & ENGINES


def named_in_code(source: str) -> set[str]:
    """Return the words of code that hold an engine's name: identifiers, imports, and strings that are no docstring."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            words.add(node.value)
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            word = getattr(node, field, None)
            words |= {word} if isinstance(word, str) else set()
    return {word for word in words if any(engine in word.replace(LABELS_OF, "").lower() for engine in ENGINES)}


def test_nothing_outside_a_backend_names_an_engine() -> None:
    """Docstrings may give an example; what runs may not know which engines there are: no place is excepted."""
    root = Path(rung.__file__).parent
    named = {
        (str(path.relative_to(root)), word)
        for path in root.rglob("*.py")
        if path.relative_to(root).parts[0] != "backends"
        for word in named_in_code(path.read_text())
    }
    assert named == set()


def test_an_engine_s_name_in_code_would_be_seen() -> None:
    source = '"""A MACE."""\nfrom e3nn import o3\nclass MaceThing:\n    kind: str = "mace"\n    "mace_torch"\n'
    assert named_in_code(source) == {"e3nn", "MaceThing", "mace"}
