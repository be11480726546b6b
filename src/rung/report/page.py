"""Put the sections that exist on one self-contained page."""

from collections.abc import Callable, Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from rung import __version__
from rung.errors import StorageError
from rung.report import figures
from rung.report.read import RunFiles, StudyFiles, read_run, read_study, sentences
from rung.report.run import fit as fit_sections
from rung.report.run import predictions as prediction_sections
from rung.report.run import sections
from rung.report.study import compare as compare_sections
from rung.report.study import sections as study_sections
from rung.report.style import STYLE
from rung.storage import write_text

REPORT = "report.html"

_RUN: tuple[tuple[str, Callable[[RunFiles, sections.Draw], str]], ...] = (
    ("Errors", sections.errors),
    ("Barriers", sections.barriers),
    ("Predictions beside labels", prediction_sections.parity),
    ("Error bars", prediction_sections.coverage),
    ("Start", sections.checks),
    ("What was chosen", fit_sections.chosen),
)
_TOP: tuple[tuple[str, Callable[[RunFiles, sections.Draw], str]], ...] = (
    ("Warnings", sections.warnings),
    ("Summary", sections.summary),
)
_STUDY_TOP: tuple[tuple[str, Callable[[StudyFiles, sections.Draw], str]], ...] = (("Verdict", study_sections.verdict),)
_RECORD: tuple[tuple[str, Callable[[RunFiles, sections.Draw], str]], ...] = (
    ("Data", sections.data),
    ("Provenance", sections.provenance),
)
_STUDY_REST: tuple[tuple[str, Callable[[StudyFiles, sections.Draw], str]], ...] = (
    ("Cost beside accuracy", compare_sections.cost),
    ("What was tried", compare_sections.tuning),
    ("Checks on every fit", compare_sections.checks),
    ("Coverage over seeds", study_sections.coverage),
    ("Failed fits", compare_sections.failures),
    ("Study settings", study_sections.settings),
)
_STUDY = (("Learning curves", study_sections.curves), *_STUDY_REST)
_STUDY_IN_RUN = (("Learning curves", study_sections.curves_and_verdict), *_STUDY_REST)


_FIT = """<script>addEventListener("load", () => document.querySelectorAll(".plotly-graph-div")
  .forEach(figure => Plotly.Plots.resize(figure)));</script>"""
"""A figure is drawn when the page has come that far; columns beside it come later and make it narrower."""


class Pen:
    """Writes sections and gives each figure its number, so that equal files make equal reports."""

    def __init__(self) -> None:
        self._count = 0

    def draw(self, figure: Any, caption: str = "") -> str:
        """Return a figure in its frame, without the library, which the page embeds once."""
        self._count += 1
        drawing = figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"figure-{self._count}",
            config={"displaylogo": False, "responsive": True, "displayModeBar": False},
        )
        said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        return f"<figure>{drawing}{said}</figure>"

    def sections(
        self, named: Sequence[tuple[str, Callable[[Any, sections.Draw], str]]], files: Any, folder: Path
    ) -> list[tuple[str, str]]:
        """Return the name and HTML of each section; a file of the wrong shape is named by its section."""
        found = []
        for name, section in named:
            try:
                found.append((name, section(files, self.draw)))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise StorageError(
                    f"The result files in {folder} are not in the shape that the section {name!r} reads ({error}); "
                    "remove the damaged one and run again."
                ) from error
        return found


def write_report(folder: Path, *, title: str | None = None) -> Path:
    """Write ``report.html`` into a run folder from the result files that it holds, and return its path.

    Parameters
    ----------
    folder
        A run folder; see :mod:`rung.report` for its files.
    title
        The heading; by default method and target, or the name of the folder.

    Raises
    ------
    StorageError
        When the folder holds no result, or a file in it is damaged.
    MissingExtraError
        When plotly is not installed.
    """
    figures.plotly()
    folder = Path(folder)
    run = read_run(folder)
    pen = Pen()
    parts = [*pen.sections(_RUN, run, folder), *pen.sections(_STUDY_IN_RUN, run.study, folder)]
    parts += pen.sections(_RECORD, run, folder)
    top = "".join(body for _, body in pen.sections(_TOP, run, folder))
    if not top and not any(body for _, body in parts):
        raise StorageError(f"{folder} holds no results to report; run rung fit first.")
    notices = sentences(run.provenance.get("notice"), run.study.about.get("notice"))
    heading = title or _heading(run) or folder.resolve().name
    return write_page(folder / REPORT, heading, _subtitle(run, folder), notices, top, parts)


def write_study_report(folder: Path) -> Path:
    """Write ``report.html`` into a study folder from ``study.csv`` and ``study.json``, and return its path.

    Raises
    ------
    StorageError
        When the folder holds no ``study.csv`` with a row in it, or a file is damaged.
    MissingExtraError
        When plotly is not installed.
    """
    figures.plotly()
    folder = Path(folder)
    study = read_study(folder)
    if not study.rows:
        raise StorageError(f"{folder} holds no study.csv with results; run rung study first.")
    pen = Pen()
    parts = pen.sections(_STUDY, study, folder)
    target = study.about.get("target")
    heading = str(
        study.about.get("title") or (f"Learning curves, lifted to {target}" if target else folder.resolve().name)
    )
    methods = list(dict.fromkeys(row.method for row in study.rows if row.method != "base"))
    seeds = len({row.seed for row in study.rows if row.seed})
    subtitle = f"Study of {', '.join(methods)}; {seeds} seeds"
    top = "".join(body for _, body in pen.sections(_STUDY_TOP, study, folder))
    return write_page(folder / REPORT, heading, subtitle, sentences(study.about.get("notice")), top, parts)


def _heading(run: RunFiles) -> str:
    return f"Lifted to {run.target} by the method {run.method}" if run.method and run.target else ""


def _subtitle(run: RunFiles, folder: Path) -> str:
    known = run.config.get("fidelities")
    about = known.get(run.target) if isinstance(known, dict) else None
    level = about.get("level_of_theory") if isinstance(about, dict) else ""
    base = run.config.get("base")
    named = base.get("fidelity") if isinstance(base, dict) else ""
    parts = [f"Target {run.target}" if run.target else "", f"({level})" if level else ""]
    start = f"base {named}" if named else ""
    return " · ".join(part for part in (" ".join(filter(None, parts)), start, f"run {folder.resolve().name}") if part)


def write_page(
    path: Path, title: str, subtitle: str, notices: Sequence[str], top: str, parts: Sequence[tuple[str, str]]
) -> Path:
    """Write one page that needs no network, and return its path.

    Parameters
    ----------
    path
        The file.
    title, subtitle
        Its heading.
    notices
        Sentences in a box above everything.
    top
        HTML before the first section.
    parts
        Name and HTML of each section; one without HTML is left out. Figures come from a :class:`Pen`.
    """
    shown = [(f"section-{index}", name, body) for index, (name, body) in enumerate(parts) if body]
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name, _ in shown)
    notice = "".join(f'<div class="notice"><p>{escape(sentence)}</p></div>' for sentence in notices)
    body = "".join(f'<section id="{anchor}"><h2>{name}</h2>{content}</section>' for anchor, name, content in shown)
    library = f"<script>{_library()}</script>" if 'id="figure-' in body else ""
    fit = _FIT if library else ""
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{library}</head><body>"
        f'<header><div><h1>{escape(title)}</h1><p class="subtitle">{escape(subtitle)}</p>'
        f"<nav>{links}</nav></div></header>"
        f"<main>{notice}{top}{body}{fit}<footer>Made by rung {__version__}. This page needs no network.</footer></main>"
        "</body></html>\n"
    )
    write_text(path, page)
    return path


def _library() -> str:
    return str(import_module("plotly.offline").get_plotlyjs())
