"""Put the sections that exist on one self-contained page."""

from collections.abc import Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from rung import __version__
from rung.errors import StorageError, counted
from rung.report import drawing
from rung.report.beside import sections as beside_sections
from rung.report.beside.runs import Runs, read_runs
from rung.report.embedding import packed, plot
from rung.report.read import RunFiles, StudyFiles, read_run, read_study, sentences
from rung.report.run import fit as fit_sections
from rung.report.run import predictions as prediction_sections
from rung.report.run import sections
from rung.report.run.band import band
from rung.report.run.breakdown import elements, kinds
from rung.report.run.calibration import calibration
from rung.report.section import Section
from rung.report.study import compare as compare_sections
from rung.report.study import sections as study_sections
from rung.report.study.verdict import verdict
from rung.report.style import script, structure_library, style
from rung.storage import content_hash, set_aside, write_text

REPORT = "report.html"

Files = TypeVar("Files")

_FOOTER, _END = "<footer>Made by rung", "</body></html>\n"
"""How a page of rung is known: no text that is shown can hold either, for it is escaped."""

_RUN: tuple[Section[RunFiles], ...] = (
    Section("Errors", sections.errors),
    Section("Barriers", sections.barriers),
    Section("Predictions beside labels", prediction_sections.parity),
    Section("Error bars", prediction_sections.coverage),
    Section("Calibration", calibration),
    Section("Force errors by element", elements),
    Section("Errors by kind of structure", kinds),
    Section("The band", band),
    Section("Start", sections.checks),
    Section("What was chosen", fit_sections.chosen),
)
_TOP: tuple[Section[RunFiles], ...] = (
    Section("Warnings", sections.warnings),
    Section("Summary", sections.summary),
)
_RECORD: tuple[Section[RunFiles], ...] = (
    Section("Data", sections.data),
    Section("How to reproduce", sections.provenance),
)
_STUDY_TOP: tuple[Section[StudyFiles], ...] = (Section("Verdict", verdict),)
_STUDY_REST: tuple[Section[StudyFiles], ...] = (
    Section("Cost beside accuracy", compare_sections.cost),
    Section("What was tried", compare_sections.tuning),
    Section("Checks on every fit", compare_sections.checks),
    Section("Coverage over seeds", study_sections.coverage),
    Section("Failed fits", compare_sections.failures),
    Section("Study settings", study_sections.settings),
)
_STUDY = (Section("Learning curves", study_sections.curves), *_STUDY_REST)
_STUDY_IN_RUN = (Section("Learning curves", study_sections.curves_and_verdict), *_STUDY_REST)


_BESIDE: tuple[Section[Runs], ...] = (
    Section("Errors", beside_sections.errors),
    Section("Barriers", beside_sections.barriers),
    Section("Predictions beside labels", beside_sections.parity),
    Section("What differs", beside_sections.settings),
)


class Pen:
    """Writes sections and gives each figure its number, so that equal files make equal reports."""

    def __init__(self) -> None:
        self._count = 0

    def draw(self, figure: Any, caption: str = "") -> str:
        """Return a figure in its frame, without the library, which the page embeds once."""
        self._count += 1
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        return f"<figure>{plot(figure, self._count)}{below}</figure>"

    def sections(self, named: Sequence[Section[Files]], files: Files) -> list[tuple[str, str]]:
        """Return the name and HTML of each section."""
        return [(section.name, section.html(files, self.draw)) for section in named]


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
    drawing.plotly()
    folder = Path(folder)
    run = read_run(folder)
    pen = Pen()
    parts = [*pen.sections(_RUN, run), *pen.sections(_STUDY_IN_RUN, run.study), *pen.sections(_RECORD, run)]
    top = "".join(body for _, body in pen.sections(_TOP, run))
    if not top and not any(body for _, body in parts):
        raise StorageError(f"{folder} holds no results to report; run rung fit first.")
    heading = title or _heading(run) or folder.resolve().name
    words = _subtitle(run, folder)
    return write_page(folder / REPORT, heading, words, run.notices, top, parts, molecules=run.molecules)


def write_study_report(folder: Path) -> Path:
    """Write ``report.html`` into a study folder from ``study.csv`` and ``study.json``, and return its path.

    Raises
    ------
    StorageError
        When the folder holds no ``study.csv`` with a row in it, or a file is damaged.
    MissingExtraError
        When plotly is not installed.
    """
    drawing.plotly()
    folder = Path(folder)
    study = read_study(folder)
    if not study.rows:
        raise StorageError(f"{folder} holds no study.csv with results; run rung study first.")
    pen = Pen()
    parts = pen.sections(_STUDY, study)
    heading = study.summary.title or folder.resolve().name
    methods = list(dict.fromkeys(row.method for row in study.rows if row.method != "base"))
    seeds = len({row.seed for row in study.rows})
    subtitle = f"Study of {', '.join(methods)}; {counted(seeds, 'seed')}"
    top = "".join(body for _, body in pen.sections(_STUDY_TOP, study))
    return write_page(
        folder / REPORT, heading, subtitle, study.summary.notice, top, parts, molecules=study.summary.molecules
    )


def write_beside_report(folders: Sequence[Path], path: Path) -> tuple[Path, tuple[str, ...]]:
    """Write one page that lays runs side by side; return its path, and what keeps numbers of the runs apart.

    Parameters
    ----------
    folders
        Two run folders or more.
    path
        The file.

    Raises
    ------
    ConfigError
        When a folder is given twice.
    StorageError
        When a folder holds no results of a run, or a file in it is damaged.
    MissingExtraError
        When plotly is not installed.
    """
    drawing.plotly()
    runs = read_runs(folders)
    troubles = tuple(runs.troubles())
    top = "".join(f"<li>{escape(sentence)}</li>" for sentence in troubles)
    notices = sentences(*(notice for run in runs.by_name.values() for notice in run.notices))
    title = f"{len(runs.by_name)} runs side by side"
    page = write_page(
        Path(path),
        title,
        " · ".join(runs.by_name),
        notices,
        f'<ul class="warnings">{top}</ul>' if top else "",
        Pen().sections(_BESIDE, runs),
        molecules=all(run.molecules for run in runs.by_name.values()),
    )
    return page, troubles


def _heading(run: RunFiles) -> str:
    if not (run.method and run.target):
        return ""
    lifted = run.config is None or bool(run.base)
    return f"{'Lifted to' if lifted else 'A potential of'} {run.target} by the method {run.method}"


def _subtitle(run: RunFiles, folder: Path) -> str:
    parts = [f"run {folder.resolve().name}"]
    if run.config is not None:
        target, base = run.config.target, run.config.base
        level = run.config.fidelities[target].level_of_theory if target in run.config.fidelities else ""
        named = f"Target {target} ({level})" if level else f"Target {target}"
        parts = [named, *([f"base {base.fidelity}"] if base is not None else []), *parts]
    return " · ".join(parts)


UNITS = (
    '<div class="units only-screen" role="group" aria-label="units of energies" title="of tables and figures">'
    '<button data-units="eV" aria-pressed="true">meV/atom</button>'
    '<button data-units="kcal" aria-pressed="false">kcal/mol</button></div>'
)
"""Changes the units of tables and axes; the script of the page does it."""


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    notices: Sequence[str],
    top: str,
    parts: Sequence[tuple[str, str]],
    *,
    molecules: bool = False,
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
    molecules
        Whether all structures are without a cell, so that the page offers kcal/mol beside meV/atom.
    """
    shown = [(f"section-{index}", name, body) for index, (name, body) in enumerate(parts) if body]
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name, _ in shown)
    notice = "".join(f'<div class="notice"><p>{escape(sentence)}</p></div>' for sentence in notices)
    body = "".join(f'<section id="{anchor}"><h2>{name}</h2>{content}</section>' for anchor, name, content in shown)
    library = packed("plotly", _library()) if 'id="figure-' in body else ""
    if 'id="viewer-' in body:
        library += packed("3dmol", structure_library())
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style()}</style></head><body>"
        f'<header><div>{UNITS if molecules else ""}<h1>{escape(title)}</h1><p class="subtitle">{escape(subtitle)}</p>'
        f"<nav>{links}</nav></div></header>"
        f"<main>{notice}{top}{body}{_FOOTER} {__version__}. This page needs no network.</footer></main>"
        f"{library}<script>{script()}</script>"
        f"{_END}"
    )
    if fault := damage_of_page(path):
        set_aside(path, fault)
    write_text(path, page + _seal(page))
    return path


def damage_of_page(path: Path) -> str:
    """Return why a file is no whole page of rung; empty where it is one, or there is no file.

    A page ends with a hash of all that stands before it; those of rung 0.1 do not.
    """
    if not path.exists():
        return ""
    text = path.read_bytes().decode(errors="replace")
    page, end, seal = text.partition(_END)
    whole = not seal or end + seal == end + _seal(page + end)
    return "" if end and whole and _FOOTER in page else "it is no whole page of rung"


def _seal(page: str) -> str:
    return f"<!-- {content_hash(page)} -->\n"


def _library() -> str:
    return str(import_module("plotly.offline").get_plotlyjs())
