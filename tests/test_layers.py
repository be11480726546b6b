"""What importing costs and what it drags in: the core needs no engine, and ``import rung`` waits for nothing."""

import subprocess
import sys

ENGINES = {"mace", "e3nn"}


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
