"""The fenced blocks of a page, and the page as a script of what a reader types."""

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!--\s*(?P<mark>[^>]*?)\s*-->\s*\Z")
TYPED = "<!-- typed -->"
"""Anywhere in a page: all of its blocks are typed, in one shell."""
END = "END_OF_THE_BLOCK"


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

    @property
    def kind(self) -> str:
        """What a mark calls the block, without the name of its file."""
        return self.mark.partition("file: ")[0].rstrip(", ")

    @property
    def file(self) -> str | None:
        """The name under which the reader keeps it."""
        return self.mark.partition("file: ")[2] or None

    @property
    def shown_only(self) -> bool:
        """Whether nobody types it."""
        return self.mark.startswith("not run:")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the commands of a shell with their lines; one that goes on over several lines is one."""
        parts: list[str] = []
        for number, line in enumerate(self.text.splitlines(), start=self.line + 1):
            parts.append(line)
            if not line.endswith("\\"):
                command = "\n".join(parts)
                if command.strip() and not command.lstrip().startswith("#"):
                    yield number - len(parts) + 1, command
                parts = []


@dataclass(frozen=True)
class Step:
    """What a reader types or writes at one place of a page."""

    where: str
    what: str
    script: str


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    content = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(content):
        before = content[: match.start()]
        mark = MARK.search(before)
        indent = len(match["indent"])
        text = "\n".join(line[indent:] for line in match["body"].splitlines()) + "\n"
        found.append(
            Block(page, before.count("\n") + 1, match["language"], mark["mark"] if mark is not None else "", text)
        )
    return found


def steps_of(page: Path) -> Iterator[Step]:
    """Yield what a reader does: files are written, Python runs by itself, and each command is typed."""
    for block in blocks_of(page):
        name = block.page.relative_to(ROOT)
        document = f"<<'{END}'\n{block.text}{END}"
        if block.shown_only:
            continue
        if block.file is not None:
            yield Step(str(block), f"writes {block.file}", f"cat > {shlex.quote(block.file)} {document}")
        elif block.language == "python":
            yield Step(str(block), "python", f"python - {document}")
        elif block.language == "sh":
            for line, command in block.lines():
                yield Step(f"{name}:{line}", command, command)


def script_of(steps: Iterable[Step], times: Path) -> str:
    """Return a script for bash that does the steps in one shell and stops at the first that fails.

    When each began is written to ``times``, a line each.
    """
    lines = ["set -euo pipefail", f"times={shlex.quote(str(times))}"]
    for step in steps:
        lines += [f'echo "$(date +%s.%N) {step.where}" >> "$times"', step.script]
    return "\n".join([*lines, 'echo "$(date +%s.%N) end" >> "$times"', ""])


def environment(folder: Path, source: Path, python: str = sys.executable) -> None:
    """Make ``.venv`` as the Makefile leaves it, of an interpreter that has all packages already.

    Parameters
    ----------
    folder
        Where ``.venv`` goes.
    source
        The ``src`` that its rung comes from.
    python
        The interpreter.
    """
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(f"export PATH={programs}:$PATH\n")
    for name, start in (("python", ""), ("rung", "-m rung ")):
        (programs / name).write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {python} {start}"$@"\n')
        (programs / name).chmod(0o755)
    (folder / ".venv" / ".installed").touch()
