"""Every kind of page in a browser: no error, no request, each figure inside its card, dark, on paper, on a phone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from rung.report import write_beside_report, write_study_report
from tests.browser.test_pages import BEYOND, TITLES, show
from tests.report.folders import run_folder, study_folder
from tests.report.pages import TASKS, page_of_task


def _study(folder: Path) -> Path:
    study_folder(folder)
    return write_study_report(folder)


def _beside(folder: Path) -> Path:
    run_folder(folder / "one")
    shutil.copytree(folder / "one", folder / "other")
    return write_beside_report([folder / "one", folder / "other"], folder / "both.html")[0]


def _task(name: str) -> Callable[[Path], Path]:
    return lambda folder: page_of_task(name, folder)


KINDS: dict[str, Callable[[Path], Path]] = {
    "study": _study,
    "side by side": _beside,
    **{name.removesuffix(".json"): _task(name) for name in TASKS},
}

BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def _faults(page: Page, width: int) -> list[str]:
    """Return what is wider than its card or the screen, and titles of axes that are cut or touch ticks."""
    beyond = page.evaluate(BEYOND)
    titles: list[str] = page.evaluate(TITLES)
    wide = page.evaluate("document.documentElement.scrollWidth")
    figures = [f"figure {place + 1}: {by} px" for place, by in enumerate(beyond) if by >= 0]
    return [*titles, *figures, *([f"page: {wide} px"] if wide > width else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_page(kind: str, chromium: Browser, tmp_path: Path) -> None:
    file = KINDS[kind](tmp_path)
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    one = show(page, file)
    assert _faults(page, 1400) == []
    light = page.evaluate(BACKGROUND)
    page.evaluate("dispatchEvent(new Event('beforeprint')) && window.rung.drawn")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    assert _faults(page, 718) == []
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.set_viewport_size({"width": 400, "height": 800})
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((plot) => plot.layout.width < 400)")
    page.evaluate("window.rung.drawn")
    assert _faults(page, 400) == []
    assert page.evaluate(BACKGROUND) != light
    assert one.complaints == []
    assert asked == [file.as_uri()]
    page.close()
