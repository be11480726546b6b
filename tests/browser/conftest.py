"""One headless Chromium for all pages; without one on PATH these tests are left out, as the head of a run says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)


def pytest_report_header() -> str:
    return f"pages in a browser: {CHROMIUM or 'left out, for there is no Chromium on PATH'}"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if CHROMIUM is None and collection_path.name.startswith("test_") else None


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
