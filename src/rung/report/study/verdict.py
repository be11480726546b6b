"""The verdict of a comparison: a small table, a row a method at each number of labels, and the sentences below it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rung.evaluate.draws import FEWEST_DRAWS, Values, in_order, moments
from rung.report.read import StudyFiles
from rung.report.section import Draw
from rung.report.tables import ABSENT, capital, digits, table
from rung.results.references import OPEN_REFERENCES
from rung.results.study import WORSE_FORCES, JudgedForces, MethodComparison, StudyRow

BASE = "base"
ENERGIES = "energy_rmse"
WORSE = ", worse"
KNOWN, DEPARTURE = "force_rmse", "force_departure_rmse"


@dataclass(frozen=True)
class VerdictLine:
    """One method at one number of labels, as people read it.

    Parameters
    ----------
    n_labels
        Target energies that its fits saw.
    method
        The name of its rows.
    energies, forces
        Mean error and spread between draws, meV/atom and meV/Å.
    energies_worth, forces_worth
        What the difference from the method that errs least is worth; empty for the base.
    draws
        How many distinct draws there are.
    """

    n_labels: int
    method: str
    energies: str
    energies_worth: str
    forces: str
    forces_worth: str
    draws: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The text of each column of :func:`headings`."""
        worth = self.energies_worth or ABSENT, self.forces_worth or ABSENT
        return (str(self.n_labels), self.method, self.energies, worth[0], self.forces, worth[1], str(self.draws))


@dataclass(frozen=True)
class Verdict:
    """The table of one split.

    Parameters
    ----------
    split
        Its name.
    lines
        By number of labels the base, then the methods, the least energy error first.
    known
        Whether target forces are labelled; otherwise the departure from the base's forces is told.
    part
        ``60 of 400`` where the forces of some structures alone were judged.
    """

    split: str
    lines: tuple[VerdictLine, ...]
    known: bool
    part: str

    @property
    def headings(self) -> tuple[str, ...]:
        """The heading of each column."""
        forces = "forces, meV/Å" if self.known else "forces, from the base's, meV/Å"
        forces += f", on {self.part}" if self.part else ""
        more = "more than the least, meV/{}"
        energies = "energies, meV/atom"
        return ("labels", "method", energies, more.format("atom"), forces, more.format("Å"), "draws")


def verdicts(
    rows: Sequence[StudyRow], comparisons: Sequence[MethodComparison], judged: Sequence[JudgedForces]
) -> tuple[Verdict, ...]:
    """Return the table of every split on which methods are judged.

    Parameters
    ----------
    rows, comparisons
        The table of a study, and each method beside the best.
    judged
        On how many structures forces were judged.
    """
    parts = {one.split: one.part for one in judged}
    return tuple(
        Verdict(split, tuple(_lines(rows, comparisons, split, forces)), forces == KNOWN, parts.get(split, ""))
        for split in dict.fromkeys(one.split for one in comparisons)
        for forces in [KNOWN if any(row.split == split and row.metric == KNOWN for row in rows) else DEPARTURE]
    )


def _lines(
    rows: Sequence[StudyRow], comparisons: Sequence[MethodComparison], split: str, forces: str
) -> Iterator[VerdictLine]:
    own = [one for one in comparisons if one.split == split]
    at = {(one.method, one.n_labels, one.metric): one for one in own}
    values = _values(rows, split)
    for n_labels in sorted({one.n_labels for one in own}):
        errors = {method: own for (method, n, metric), own in values.items() if (n, metric) == (n_labels, ENERGIES)}
        for method in sorted(in_order(errors), key=lambda name: name != BASE):
            energies, pulled = (values.get((method, n_labels, metric), {}) for metric in (ENERGIES, forces))
            yield VerdictLine(
                n_labels=n_labels,
                method=method,
                energies=_told(energies),
                energies_worth=_worth(at.get((method, n_labels, ENERGIES))),
                forces=_told({} if method == BASE and forces == DEPARTURE else pulled),
                forces_worth=_worth(at.get((method, n_labels, forces))),
                draws=moments(energies).n,
            )


def _values(rows: Sequence[StudyRow], split: str) -> dict[tuple[str, int, str], dict[tuple[int, int], float]]:
    values: dict[tuple[str, int, str], dict[tuple[int, int], float]] = {}
    for row in rows:
        if row.split == split and row.metric in (ENERGIES, KNOWN, DEPARTURE):
            values.setdefault((row.method, row.n_labels, row.metric), {})[row.seed, row.fold] = row.value
    return values


def _told(values: Values) -> str:
    one = moments(values)
    return digits(one.mean) + (f" ± {digits(one.spread, 2)}" if math.isfinite(one.spread) else "")


def _worth(one: MethodComparison | None) -> str:
    """Return what the difference from the least error is worth."""
    if one is None:
        return ""
    if one.best:
        return "least"
    if not math.isfinite(one.difference):
        return "no draw in common"
    sign = "+" if one.difference >= 0 else ""
    if not math.isfinite(one.low):
        return f"{sign}{digits(one.difference)}; one draw"
    said = WORSE if one.worse else ", not shown" if one.n_draws >= FEWEST_DRAWS else ", too few draws"
    return f"{sign}{digits(one.difference)} ({digits(one.low, 2)} to {digits(one.high, 2)}){said}"


def verdict(study: StudyFiles, _: Draw) -> str:
    """Return each method beside the best, what the fits warned of, and the sentences that say what was found."""
    warned = [
        f'<li>{escape(warning.sentence)} <span class="small">({_fits(len(warning.fits))})</span></li>'
        for warning in study.summary.warnings
    ]
    warnings = f'<ul class="warnings">{"".join(warned)}</ul>' if warned else ""
    sentences, tables = list(dict.fromkeys(study.summary.verdict)), _tables(study)
    if not tables:
        return warnings + _listed(sentences)
    first = [sentence for sentence in sentences if OPEN_REFERENCES in sentence or WORSE_FORCES in sentence]
    rest = _listed([sentence for sentence in sentences if sentence not in first])
    folded = f"<details><summary>In sentences, with what limits them</summary>{rest}</details>" if rest else ""
    return tables + _listed(first) + warnings + folded


def _listed(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="words">{items}</ul>' if items else ""


def _fits(count: int) -> str:
    return "1 fit" if count == 1 else f"{count} fits"


NOTE = (
    "Mean error ± standard deviation between draws; one draw has none. More than the least: the difference from the "
    "method that errs least. Its 95 % interval counts the scatter of draws and of test structures. A method is worse "
    "where the difference holds after correction for all pairs (Holm) with five draws or more; else it is not shown."
)


def _tables(study: StudyFiles) -> str:
    """Return one table a split, with a line between numbers of labels."""
    parts = []
    for one in verdicts(study.rows, study.summary.comparisons, study.summary.judged):
        heads = [capital(heading) for heading in one.headings]
        cells = [[_cell(text) for text in line.cells] for line in one.lines]
        parts.append(f"<h3>{escape(one.split)}</h3>" + table(heads, cells, text=(1, 3, 5), css="verdict"))
    return "".join(parts) + f'<p class="note">{NOTE}</p>' if parts else ""


def _cell(text: str) -> str:
    """Return a cell, with weight on the word that decides."""
    start, found, _ = text.rpartition(WORSE)
    return f"{escape(start)}, <strong>worse</strong>" if found else escape(text)
