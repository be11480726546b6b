"""The first ten minutes of a newcomer: a fresh clone, every command of README and tutorials, every page in a browser.

    python -m tests.first_ten_minutes FOLDER
    python -m tests.first_ten_minutes FOLDER --python .venv/bin/python --without "make test"

FOLDER is new; the committed state is cloned into it. Commands are typed as they are written, a shell for each page.
Then each page that they left is opened in Chromium, and an error on its console fails the run.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.documents import ROOT, Step, environment, script_of, steps_of

PAGES = ("README.md", "docs/tutorial-molecule.md", "docs/tutorial.md")


def clone(folder: Path) -> None:
    """Clone what is committed here."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)


def type_page(folder: Path, steps: Sequence[Step], name: str) -> tuple[bool, list[tuple[float, Step]]]:
    """Type the steps of a page, and return whether all went well, with the seconds that each took."""
    times, log = folder / f"{name}.times", folder / f"{name}.log"
    variables = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    with log.open("w") as output:
        done = subprocess.run(
            ["bash", "-c", script_of(steps, times)],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    began = [float(line.split()[0]) for line in times.read_text().splitlines()] if times.exists() else []
    began += [time.time()] if done.returncode else []
    taken = [(later - sooner, step) for sooner, later, step in zip(began[:-1], began[1:], steps, strict=False)]
    if done.returncode:
        print("".join(log.read_text().splitlines(keepends=True)[-30:]))
    return done.returncode == 0, taken


def pages_of(folder: Path) -> list[Path]:
    """Return the pages that commands left, and none that the repository or an environment holds."""
    inside = (path.relative_to(folder) for path in folder.rglob("*.html"))
    return sorted(
        path for path in inside if path.parts[0] not in ("src", "tests", "docs") and ".venv" not in path.parts
    )


def complaints_of(browser: Browser, files: Sequence[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Open each page, and yield what the browser complains of: errors, and any request to a network."""
    for file in files:
        page, said = browser.new_page(viewport={"width": 1400, "height": 900}), list[str]()
        page.on("console", lambda message, said=said: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on(
            "request",
            lambda request, said=said: said.append(f"asks for {request.url}") if request.url[:4] == "http" else None,
        )
        page.goto(file.as_uri())
        page.evaluate("window.rung && window.rung.drawn")
        page.close()
        yield file, said


def main(arguments: Sequence[str] | None = None) -> int:
    """Do it, print a table of what was typed and what was opened, and return 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--python", type=Path, help="an interpreter with all packages; by default make installs them")
    parser.add_argument("--without", action="append", default=[], metavar="COMMAND", help="leave a command out")
    parser.add_argument("--pages", nargs="+", default=PAGES, help="of the repository; by default README and tutorials")
    given = parser.parse_args(arguments)
    if CHROMIUM is None:
        parser.error("there is no Chromium on PATH")
    folder = given.folder.resolve()
    clone(folder)
    if given.python is not None:
        environment(folder, folder / "src", str(given.python.absolute()))
    pages = {
        name: [step for step in steps_of(ROOT / name) if step.what.split(" #")[0].strip() not in given.without]
        for name in given.pages
    }
    failed = False
    for name, steps in pages.items():
        well, taken = type_page(folder, steps, Path(name).stem)
        failed |= not well
        for seconds, step in taken:
            print(f"{seconds:7.1f} s  {step.where}  {step.what.splitlines()[0]}", flush=True)
        print(f"{sum(seconds for seconds, _ in taken):7.1f} s  {name}{'' if well else ' FAILED'}", flush=True)
    files = [folder / path for path in pages_of(folder)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for file, said in complaints_of(browser, files):
            failed |= bool(said)
            print(f"{file.relative_to(folder)}: {'; '.join(said) or 'no error'}", flush=True)
        browser.close()
    return int(failed or not files)


if __name__ == "__main__":
    sys.exit(main())
