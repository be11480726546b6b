"""Every example in the README and the documentation is true: Python runs, configs validate, commands parse.

How a block is treated is said by an HTML comment on the line above its fence; without one, Python runs in a folder that
holds the bundled testbed, YAML is the config of a run, and lines of a shell that start with ``rung`` must parse.

``<!-- slow -->`` anywhere in a page puts its Python into the slow tier. ``<!-- study -->`` above YAML: the config of
a study. ``<!-- label -->``: that of labels. ``<!-- campaign -->``: that of a campaign. ``<!-- profile -->``: where a
study runs. ``<!-- method -->``: its ``method`` is put into a config. ``<!-- not run: reason -->``: shown only.
``<!-- file: name -->`` above YAML: the page's Python finds it under that name.
"""

import re
import shlex
import shutil
from dataclasses import dataclass
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

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!--\s*(?P<mark>[^>]*?)\s*-->\s*\Z")
LANGUAGES = {"python", "yaml", "sh", "text", "json", "bibtex"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        """Return where the block stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    content = page.read_text()
    found = []
    for match in FENCE.finditer(content):
        before = content[: match.start()]
        mark = MARK.search(before)
        indent = len(match["indent"])
        text = "\n".join(line[indent:] for line in match["body"].splitlines()) + "\n"
        found.append(
            Block(page, before.count("\n") + 2, match["language"], mark["mark"] if mark is not None else "", text)
        )
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def shown_only(block: Block) -> bool:
    return block.mark.startswith("not run:")


def of_language(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and not shown_only(block)]


def python_pages() -> list[object]:
    pages = dict.fromkeys(block.page for block in of_language("python"))
    return [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[pytest.mark.slow] if "<!-- slow -->" in page.read_text() else [],
        )
        for page in pages
    ]


def commands_of(block: Block) -> list[str]:
    joined = block.text.replace("\\\n", " ")
    return [line.split(" #")[0].strip() for line in joined.splitlines() if line.startswith("rung ")]


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
        if block.mark.startswith("file: "):
            (tmp_path / block.mark.removeprefix("file: ")).write_text(block.text)
        if block.language == "python" and not shown_only(block):
            # blank lines keep the line numbers of the page in a traceback
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


@pytest.mark.parametrize("block", of_language("yaml"), ids=str)
def test_config_validates(block: Block) -> None:
    values = yaml.safe_load(block.text)
    if block.mark == "method":
        values = {
            "run": "runs/example",
            "fidelities": {"pbe": {}, "r2scan": {}},
            "target": "r2scan",
            "base": {"file": "base.model", "fidelity": "pbe"},
            "data": {"train": "train.extxyz"},
            **values,
        }
    if block.mark == "profile":
        values = {"executor": values}
    kind = {"study": StudyConfig, "profile": Profile, "label": LabelSettings, "campaign": CampaignConfig}.get(
        block.mark, RunConfig
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
