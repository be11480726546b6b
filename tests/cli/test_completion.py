"""The shell completes commands, options and files of commands."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rung.cli import main


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which completion for bash was installed twice."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        assert main(["--install-completion", "--shell", "bash"]) == 0
        assert main(["--install-completion", "--shell", "bash"]) == 0
    return folder


def completions(home: Path, *words: str) -> set[str]:
    """Return what bash offers after ``words``, the last of which is begun."""
    script = home / ".local/share/bash-completion/completions/rung"
    typed = " ".join(f"'{word}'" for word in ("rung", *words))
    lines = (
        f"source {script}",
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}",
        "function=$(complete -p rung | sed 's/.*-F \\([^ ]*\\).*/\\1/')",
        "$function rung",
        "printf '%s\\n' \"${COMPREPLY[@]}\"",
    )
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash itself is asked")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("insp",), {"inspect"}),
        (("cache", ""), {"list", "verify", "prune"}),
        (("export", "--comm"), {"--committee"}),
        (("evaluate", "--fid"), {"--fidelity"}),
    ],
)
def test_bash_completes_commands_and_options(home: Path, words: tuple[str, ...], wanted: set[str]) -> None:
    assert completions(home, *words) >= wanted


def test_it_is_loaded_by_a_new_shell_once(home: Path) -> None:
    assert (home / ".bashrc").read_text().count("# Load rung completion") == 1


def test_a_shell_that_cannot_be_told_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--install-completion", "--shell", "tcsh"]) == 2
    assert capsys.readouterr().err.startswith("rung: ")
    assert not list(tmp_path.iterdir())
