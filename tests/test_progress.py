"""Lines about long work for whoever reads a log: one a minute, with the time that is left."""

import io

import pytest
from rich.console import Console

from rung import progress
from rung.cli.console import TerminalProgress
from rung.progress import SILENT, Noted, Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still until a test moves it."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_a_minute_tells_what_is_left(clock: list[float]) -> None:
    lines: list[str] = []
    pace = Pace("epochs", 100, lines.append)
    for epoch in range(100):
        clock[0] = 12.0 * (epoch + 1)
        pace.advance()
    assert lines[0] == "epochs: 5 of 100, 60 s so far, about 19 min left"
    assert lines[1] == "epochs: 10 of 100, 2 min so far, about 18 min left"
    assert len(lines) == 19  # the last step says nothing: the work has its own line then


def test_quick_work_says_nothing_on_the_way(clock: list[float]) -> None:
    lines: list[str] = []
    pace = Pace("designs", 10, lines.append)
    for _ in range(10):
        clock[0] += 1.0
        pace.advance()
    assert lines == []


def test_work_of_hours_is_told_in_hours(clock: list[float]) -> None:
    lines: list[str] = []
    pace = Pace("walkers", 4, lines.append)
    clock[0] = 7200.0
    pace.describe("blocks")
    pace.advance()
    assert lines == ["blocks: 1 of 4, 2.0 h so far, about 6.0 h left"]


def test_a_log_and_a_pipe_get_the_same_lines(clock: list[float]) -> None:
    lines: list[str] = []
    stream = io.StringIO()
    shown = TerminalProgress(Console(file=stream, width=120))
    with Noted(shown, lines.append).task("epochs", 10) as task:
        clock[0] = 61.0
        task.advance(2)
    assert lines == ["epochs: 2 of 10, 61 s so far, about 4 min left"]
    assert stream.getvalue().splitlines() == [lines[0], "epochs: 61.0 s"]
    with Noted(SILENT, lines.append).task("epochs", 10) as task:
        task.describe("more")
        task.advance()
    assert len(lines) == 1
