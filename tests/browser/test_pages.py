"""Pages as a browser shows them: no error, every figure inside its card, on light and dark screens and on paper."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from rung.report import write_report, write_study_report
from rung.storage import read_json, write_json
from tests.report.folders import run_folder, study_folder

VIEWS: Mapping[str, Mapping[str, Any]] = {
    "wide": {"viewport": {"width": 1400, "height": 900}},
    "dark": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 400, "height": 800}},
}

BEYOND = """() => [...document.querySelectorAll("figure")].map((figure) => {
  const card = figure.getBoundingClientRect();
  return Math.max(...[...figure.querySelectorAll(".main-svg")].map((drawing) => {
    const place = drawing.getBoundingClientRect();
    return Math.max(place.right - card.right, card.left - place.left, place.bottom - card.bottom, card.top - place.top);
  }));
})"""
"""By how many pixels each figure is larger than its card; negative where it is inside."""


TITLES = """() => {
  const boxes = (plot, kind) => [...plot.querySelectorAll(kind)].map((text) => text.getBoundingClientRect());
  const meet = (one, other) => one.left < other.right - 1 && other.left < one.right - 1
    && one.top < other.bottom - 1 && other.top < one.bottom - 1;
  return [...document.querySelectorAll(".plot")].flatMap((plot) => ["x", "y"].flatMap((axis) => {
    const titles = boxes(plot, `.${axis}title`);
    const ticks = boxes(plot, `.${axis}tick text`);
    const met = titles.some((title) => ticks.some((tick) => meet(title, tick)));
    const room = plot.getBoundingClientRect();
    const cut = titles.some((title) => title.top < room.top - 1 || title.bottom > room.bottom + 1
      || title.left < room.left - 1 || title.right > room.right + 1);
    const crowded = ticks.some((one, k) => ticks.slice(k + 1).some((other) => meet(one, other)));
    const faults = Object.entries({met, crowded, cut}).filter(([, wrong]) => wrong).map(([fault]) => fault);
    return faults.length ? [`${plot.id} ${axis} ${faults}`] : [];
  }));
}"""
"""Titles of axes that touch ticks or are cut, and ticks that touch one another."""


@dataclass
class Shown:
    """A page in a browser, and what it complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)


def show(page: Page, file: Path) -> Shown:
    shown = Shown(page)
    page.on("console", lambda message: shown.complaints.append(message.text))
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    page.goto(file.as_uri())
    page.evaluate("window.rung.drawn")
    return shown


@pytest.fixture(scope="module")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_folder(folder)
    study_folder(folder / "study")
    fit = read_json(folder / "fit.json")
    fit["details"]["epochs"] = [
        {"epoch": epoch, "train_loss": 75.0 / (1 + epoch), "valid_loss": 60.0 / (1 + epoch) ** 0.5}
        for epoch in range(40)
    ]
    write_json(folder / "fit.json", fit)
    return write_report(folder)


@pytest.fixture(scope="module")
def short_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a study: fewer figures to draw."""
    folder = tmp_path_factory.mktemp("short")
    run_folder(folder)
    return write_report(folder)


@pytest.fixture(scope="module", params=sorted(VIEWS))
def shown(request: pytest.FixtureRequest, chromium: Browser, run_page: Path) -> Iterator[tuple[str, Shown]]:
    page = chromium.new_page(**VIEWS[request.param])
    yield request.param, show(page, run_page)
    page.close()


def test_nothing_is_wrong_and_nothing_is_wider_than_the_screen(shown: tuple[str, Shown]) -> None:
    view, one = shown
    assert one.complaints == []
    width = VIEWS[view]["viewport"]["width"]
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_figure_is_drawn_inside_its_card(shown: tuple[str, Shown]) -> None:
    _, one = shown
    beyond = one.page.evaluate(BEYOND)
    assert len(beyond) == 22
    assert max(beyond) < 0
    traces = one.page.evaluate("() => [...document.querySelectorAll('.plot')].map((plot) => plot.data.length)")
    assert min(traces) > 0


def test_no_title_of_an_axis_touches_its_ticks(shown: tuple[str, Shown]) -> None:
    _, one = shown
    assert one.page.evaluate(TITLES) == []


def test_words_can_be_told_from_what_is_behind_them(shown: tuple[str, Shown]) -> None:
    view, one = shown
    paper, ink, ticks = one.page.evaluate("""() => {
      const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part) / 765, 0);
      const style = getComputedStyle(document.body);
      const tick = getComputedStyle(document.querySelector(".xtick text")).fill;
      return [light(style.backgroundColor), light(style.color), light(tick)];
    }""")
    assert (paper < 0.5) == (view == "dark")
    assert abs(paper - ink) > 0.6
    assert abs(paper - ticks) > 0.6


def test_a_page_on_paper_is_light_and_inside_its_cards(chromium: Browser, short_page: Path) -> None:
    page = chromium.new_page(**VIEWS["dark"])
    one = show(page, short_page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    assert max(page.evaluate(BEYOND)) < 0
    assert page.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill") == "rgb(31, 39, 51)"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill") != "rgb(31, 39, 51)"
    assert one.complaints == []
    page.close()


def test_a_table_sorts_by_a_click_and_copies(chromium: Browser, tmp_path: Path) -> None:
    study_folder(tmp_path)
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    one = show(page, write_study_report(tmp_path))
    table = page.locator("table:has(th.sorts)").first
    head = table.locator("th").nth(1)
    column = "(table) => [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[1].innerText))"
    before = table.evaluate(column)
    head.click()
    assert table.evaluate(column) == sorted(before)
    head.click()
    assert table.evaluate(column) == sorted(before, reverse=True)
    table.locator("xpath=..").hover()
    table.locator("xpath=../button").click()
    page.get_by_text("copied", exact=True).wait_for()
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert len(copied) == 1 + len(before)
    assert all("\t" in line for line in copied)
    assert one.complaints == []
    context.close()


def test_a_page_is_under_five_megabytes_and_asks_for_no_file(chromium: Browser, run_page: Path) -> None:
    assert run_page.stat().st_size < 5e6
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    show(page, run_page)
    assert asked == [run_page.as_uri()]
    page.close()


def test_a_click_in_a_scatter_shows_that_structure(chromium: Browser, short_page: Path) -> None:
    page = chromium.new_page(**VIEWS["wide"])
    one = show(page, short_page)
    viewer = page.locator(".viewer").first
    viewer.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.viewer').dataset.drawn !== undefined", timeout=60_000)
    worst = viewer.get_attribute("data-drawn")
    assert worst is not None
    assert worst == viewer.locator("select option").first.inner_text()
    assert "energy off by" in viewer.locator(".words").inner_text()
    canvas = "document.querySelector('.viewer canvas').toDataURL()"
    before = page.evaluate(canvas)
    # the point that stands most alone is clicked where it is drawn
    name, x, y = page.evaluate(
        """(worst) => {
      const plot = document.querySelector(".viewer").previousElementSibling.querySelector(".plot");
      const trace = plot.data.length - 1;
      const [axis, other] = [plot._fullLayout.xaxis, plot._fullLayout.yaxis];
      plot.scrollIntoView({block: "center"});
      const box = plot.getBoundingClientRect();
      const points = plot.data.flatMap((one, t) => (one.customdata ?? []).map((row, k) => ({
        t, name: one.text[k], x: axis.d2p(one.x[k]), y: other.d2p(one.y[k])})));
      const apart = (one, two) => one === two ? Infinity : Math.hypot(one.x - two.x, one.y - two.y);
      const room = (one) => Math.min(...points.map((two) => apart(one, two)));
      const able = points.filter((one) => one.t === trace && one.name !== worst);
      const alone = able.reduce((one, two) => room(one) > room(two) ? one : two);
      return [alone.name, box.left + axis._offset + alone.x, box.top + other._offset + alone.y];
    }""",
        worst,
    )
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    page.wait_for_function(f"document.querySelector('.viewer').dataset.drawn !== '{worst}'", timeout=60_000)
    assert viewer.get_attribute("data-shown") == name
    assert page.evaluate(canvas) != before
    viewer.locator(".after").click()
    assert viewer.get_attribute("data-shown") != name
    assert one.complaints == []
    page.close()


@pytest.fixture(scope="module")
def molecules_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of structures without a cell."""
    folder = tmp_path_factory.mktemp("molecules")
    run_folder(folder)
    for path in (folder / "geometries").glob("*.json"):
        content = read_json(path)
        write_json(path, {**content, "cells": [None] * len(content["cells"])})
    return write_report(folder)


def test_a_page_of_molecules_changes_its_units(chromium: Browser, molecules_page: Path) -> None:
    page = chromium.new_page(**VIEWS["wide"])
    one = show(page, molecules_page)
    state = """() => {
      const table = document.querySelector("table.errors");
      const plot = document.querySelector(".grid .plot");
      const cell = (row) => row.cells[2].innerText;
      const heads = [...table.tHead.rows[0].cells].map((head) => head.innerText).join();
      return {heads, head: cell(table.tHead.rows[0]), cell: parseFloat(cell(table.tBodies[0].rows[1])),
        tile: document.querySelector(".tile .value").innerText, axis: plot.layout.xaxis.title.text,
        point: plot.data.at(-1).x[0],
        text: [...document.querySelectorAll("main table, .tile")].map((place) => place.innerText).join()};
    }"""
    before = page.evaluate(state)
    page.get_by_role("button", name="kcal/mol").click()
    after = page.evaluate(state)
    factor = 0.023060548
    assert "kcal/mol per atom" in after["head"]
    assert "meV" not in after["heads"]
    assert "32.4\t0.715\t2.08" in after["text"].replace("\u2212", "-")  # a barrier of 1.405 eV, its bars below
    assert "kcal/mol per atom" in after["tile"]
    assert after["axis"] == "Label, kcal/mol per atom"
    assert after["cell"] == pytest.approx(factor * before["cell"], rel=5e-3)
    assert after["point"] == pytest.approx(factor * before["point"], rel=1e-9)
    page.get_by_role("button", name="meV/atom").click()
    assert page.evaluate(state) == before
    assert max(page.evaluate(BEYOND)) < 0
    assert one.complaints == []
    page.close()


def test_a_page_that_is_drawn_anew_keeps_its_units(chromium: Browser, molecules_page: Path) -> None:
    page = chromium.new_page(**VIEWS["wide"])
    one = show(page, molecules_page)
    page.get_by_role("button", name="kcal/mol").click()
    colour = "getComputedStyle(document.querySelector('.grid .xtick text')).fill"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{colour} !== '{light}'")
    assert "kcal" in page.evaluate("document.querySelector('.grid .plot').layout.xaxis.title.text")
    assert one.complaints == []
    page.close()
