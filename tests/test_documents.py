"""A page becomes what a reader types: files, Python and commands in their order, in one shell, until one fails."""

import subprocess
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks_of, environment, script_of, steps_of

PAGE = """# A page

<!-- file: greeting.txt -->
```yaml
words: ["it's", "$HOME"]
```

```sh
mkdir inside
cd inside            # the next commands are typed there
# a remark
printf '%s\\n' one \\
  two > words
```

<!-- not run: shown only -->
```sh
exit 3
```

1. In a list:

   ```python
   from pathlib import Path

   Path("python").write_text(Path("words").read_text())
   ```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tests.documents.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path / "page.md"


def typed(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)


def test_a_page_is_typed_as_it_is_written(page: Path) -> None:
    folder = page.parent
    environment(folder, ROOT / "src")
    steps = list(steps_of(page))
    assert [step.where for step in steps] == [f"page.md:{line}" for line in (4, 9, 10, 12, 23)]
    assert steps[3].what == "printf '%s\\n' one \\\n  two > words"
    done = typed(folder, f"source .venv/bin/activate\n{script_of(steps, folder / 'times')}")
    assert done.returncode == 0, done.stderr
    assert (folder / "greeting.txt").read_text() == 'words: ["it\'s", "$HOME"]\n'
    assert (folder / "inside" / "python").read_text() == "one\ntwo\n"
    assert [line.split()[1] for line in (folder / "times").read_text().splitlines()] == [
        *(step.where for step in steps),
        "end",
    ]


def test_the_first_command_that_fails_ends_it(page: Path) -> None:
    page.write_text("```sh\ntrue\nfalse | cat\ntouch later\n```\n")
    done = typed(page.parent, script_of(steps_of(page), page.parent / "times"))
    assert done.returncode == 1
    assert (page.parent / "times").read_text().splitlines()[-1].endswith("page.md:3")
    assert not (page.parent / "later").exists()


def test_marks_are_told_apart(page: Path) -> None:
    page.write_text("<!-- study, file: study.yaml -->\n```yaml\na: 1\n```\n<!-- study -->\n```yaml\na: 1\n```\n")
    both, alone = blocks_of(page)
    assert (both.kind, both.file, both.shown_only) == ("study", "study.yaml", False)
    assert (alone.kind, alone.file) == ("study", None)
