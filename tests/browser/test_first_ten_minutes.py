"""The script of the first ten minutes sees what a browser complains of."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.first_ten_minutes import complaints_of, pages_of

PAGES = {
    "right/report.html": "<p>Nothing is wrong.</p><script>console.log('a remark is no error')</script>",
    "says.html": "<script>console.error('it says so')</script>",
    "throws.html": "<script>nothing.there()</script>",
    "asks.html": "<img src='http://127.0.0.1:9/picture.png'>",
    "src/package/page.html": "<script>nothing.there()</script>",
    ".venv/lib/page.html": "<script>nothing.there()</script>",
}


def test_a_page_that_complains_is_named(chromium: Browser, tmp_path: Path) -> None:
    for name, text in PAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"<!doctype html><meta charset='utf-8'>{text}")
    files = pages_of(tmp_path)
    assert files == [Path("asks.html"), Path("right/report.html"), Path("says.html"), Path("throws.html")]
    said = {file.name: " ".join(words) for file, words in complaints_of(chromium, [tmp_path / file for file in files])}
    assert said["report.html"] == ""
    assert said["says.html"] == "it says so"
    assert "nothing is not defined" in said["throws.html"]
    assert "asks for http://127.0.0.1:9/picture.png" in said["asks.html"]
