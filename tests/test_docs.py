"""Every example in the README and the documentation is true: Python runs, configs validate, commands parse.

How a block is treated is said by an HTML comment on the line above its fence; without one, Python runs in a folder that
holds the bundled testbed, YAML is the config of a run, and lines of a shell that start with ``rung`` must parse.

``<!-- slow -->`` anywhere in a page puts its Python into the slow tier. ``<!-- study -->`` above YAML: the config of
a study. ``<!-- label -->``: that of labels. ``<!-- campaign -->``: that of a campaign. ``<!-- profile -->``: where a
study runs. ``<!-- method -->``: its ``method`` is put into a config. ``<!-- not run: reason -->``: shown only.
``<!-- file: name -->``, alone or after one of these and a comma: the page's Python finds the block under that name.

``<!-- typed -->`` anywhere in a page: a slow test types all of its blocks into one shell, in a folder that looks like a
clone, as ``tests/first_ten_minutes.py`` does in a real one.
"""

import os
import re
import shlex
import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import yaml

from rung.campaign import CampaignConfig
from rung.cli import build_app
from rung.config import RunConfig
from rung.label.settings import LabelSettings
from rung.study import StudyConfig
from rung.study.config import Profile
from tests.documents import ROOT, TYPED, Block, blocks_of, environment, script_of, steps_of

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "yaml", "sh", "text", "json", "bibtex"}

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
TYPED_PAGES = [page for page in PAGES if TYPED in page.read_text()]


def of_language(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and not block.shown_only]


def python_pages() -> list[object]:
    pages = dict.fromkeys(block.page for block in of_language("python") if block.page not in TYPED_PAGES)
    return [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[pytest.mark.slow] if "<!-- slow -->" in page.read_text() else [],
        )
        for page in pages
    ]


def commands_of(block: Block) -> list[str]:
    joined = (command.replace("\\\n", " ") for _, command in block.lines())
    return [command.split(" #")[0].strip() for command in joined if command.startswith("rung ")]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_block_says_what_it_is(block: Block) -> None:
    assert block.language in LANGUAGES, f"{block}: a fence names its language"
    assert not block.mark.startswith("not run") or len(block.mark) > len("not run: "), f"{block}: give the reason"


@pytest.mark.parametrize("page", python_pages())
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with as_file(files("rung") / "demo_data" / "mos2") as bundled:
        shutil.copytree(bundled, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__example__"}
    for block in blocks_of(page):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text)
        if block.language == "python" and not block.shown_only:
            # blank lines keep the line numbers of the page in a traceback
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED_PAGES, ids=lambda page: page.name)
def test_a_tutorial_works_as_it_is_written(page: Path, tmp_path: Path) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    environment(tmp_path, ROOT / "src")
    script = script_of(steps_of(page), tmp_path / "times")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    last = (tmp_path / "times").read_text().splitlines()[-1]
    assert done.returncode == 0, f"{last}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert "Traceback" not in done.stderr


def test_tutorials_are_typed() -> None:
    assert [page.name for page in TYPED_PAGES] == ["tutorial-molecule.md", "tutorial.md"]
    for page in TYPED_PAGES:
        assert all(block.file is not None for block in blocks_of(page) if block.language == "yaml"), page.name


@pytest.mark.parametrize("block", of_language("yaml"), ids=str)
def test_config_validates(block: Block) -> None:
    values = yaml.safe_load(block.text)
    if block.kind == "method":
        values = {
            "run": "runs/example",
            "fidelities": {"pbe": {}, "r2scan": {}},
            "target": "r2scan",
            "base": {"file": "base.model", "fidelity": "pbe"},
            "data": {"train": "train.extxyz"},
            **values,
        }
    if block.kind == "profile":
        values = {"executor": values}
    kind = {"study": StudyConfig, "profile": Profile, "label": LabelSettings, "campaign": CampaignConfig}.get(
        block.kind, RunConfig
    )
    kind.read(values, where=str(block))


@pytest.mark.parametrize(
    ("block", "command"), [(block, command) for block in of_language("sh") for command in commands_of(block)], ids=str
)
def test_command_parses(block: Block, command: str) -> None:
    build_app().parse_args(shlex.split(command)[1:], print_error=False, exit_on_error=False)


def test_pages_have_examples() -> None:
    """The checks above are not vacuous."""
    for language in ("python", "yaml", "sh"):
        assert of_language(language)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_that_a_page_names_exist(page: Path) -> None:
    paths = set(re.findall(r"\b(?:tests|src|benchmarks|examples|docs)/[\w/.-]+\.(?:py|yaml|md|sh)\b", page.read_text()))
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


TABLE = re.compile(r"^<!-- table: (?P<name>\S+) -->$", re.MULTILINE)
PLACE = re.compile(r"\b(?P<page>docs/[\w/-]+\.md)#(?P<name>[\w-]+)")
STUDY = ROOT / "examples" / "h3_qmc" / "study.py"
PROGRAMS = [*sorted((ROOT / "benchmarks").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py")), ROOT / "Makefile"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_have_their_commands(page: Path) -> None:
    """A table that a script writes is in the page itself, with its day, and the page gives the command."""
    text = page.read_text()
    assert "--8<--" not in text, "a page is read in the repository too, where nothing is included"
    tables = TABLE.findall(text)
    assert len(set(tables)) == len(tables) == text.count("<!-- end of table -->")
    named = {match["name"] for match in PLACE.finditer(text) if match["page"] == str(page.relative_to(ROOT))}
    folder = page.relative_to(ROOT).parent
    if f"study.py --write {folder}\n" in text:  # one command writes them all
        named |= {name for name in tables if f'"{name}"' in STUDY.read_text()}
    assert named == set(tables)
    assert len(re.findall(r"^\*Made on \d{4}-\d\d-\d\d\.\*\n\n<!-- end of table -->$", text, re.MULTILINE)) == len(
        tables
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_go_where_a_page_has_their_marks(program: Path) -> None:
    for match in PLACE.finditer(program.read_text()):
        assert match["name"] in TABLE.findall((ROOT / match["page"]).read_text()), f"{program.name}: {match[0]}"
