"""Tables at the end of a command: what was found, in units that people read."""

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from rung.cli.console import ERR, OUT
from rung.demo import FinishedDemo
from rung.errors import counted
from rung.features.cache import CacheEntry
from rung.report.study.verdict import verdicts
from rung.report.summary import UNKNOWN, number, of_split
from rung.results.findings import Diagnosis
from rung.results.forces import force_verdicts
from rung.results.metrics import Evaluation, SplitErrors, by_split
from rung.results.references import open_sentences
from rung.run.stages import FinishedRun
from rung.study import FinishedStudy

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Print the census of labels and the findings."""
    census = Table(title="Labels")
    for heading in ("split", "fidelity", "structures", "energies", "with σ", "forces", "stresses", "compositions"):
        census.add_column(heading, justify="left" if heading in ("split", "fidelity") else "right")
    for row in diagnosis.census:
        counts = (row.n_structures, row.n_energies, row.n_stderr, row.n_forces, row.n_stress, row.n_formulas)
        census.add_row(row.split, row.fidelity or UNKNOWN, *(str(count) for count in counts))
    OUT.print(census)
    for finding in diagnosis.findings:
        OUT.print(f"{finding.severity}:", finding.sentence, style=STYLES[finding.severity])
    if not diagnosis.findings:
        OUT.print("No findings.")


def print_errors(evaluation: Evaluation) -> None:
    """Print errors of every split, the base's beside."""
    errors, base = by_split(evaluation.splits), by_split(evaluation.base)
    fidelities = sorted({fidelity for _, fidelity in errors})
    for sentence in (*open_sentences(evaluation.open_references), *force_verdicts(evaluation)):
        OUT.print(sentence, style=STYLES["warning"])
    table = Table(title=f"Errors against {', '.join(fidelities)} (r.m.s.; energies meV/atom, forces meV/Å)")
    for heading in ("split", "potential"):
        table.add_column(heading)
    for heading in (
        "energy",
        "energy, one offset per composition",
        "forces",
        "forces, from the base's",
        "z²",
        "CRPS",
        "within 68 %",
    ):
        table.add_column(heading, justify="right")
    for key, after in errors.items():
        before = base.get(key)
        about = [text for text in (key[1] if len(fidelities) > 1 else "", of_split(errors, key)) if text]
        split = f"{key[0]} ({', '.join(about)})" if about else key[0]
        if before is not None:
            table.add_row(split, "base, E0 refitted", *_numbers(before))
        table.add_row("" if before is not None else split, "model", *_numbers(after), end_section=True)
    OUT.print(table)
    for domain in evaluation.domain.values():
        OUT.print(domain.verdict, style=STYLES["warning"] if domain.domain == "outside" else "")
    for split, between in evaluation.differences.items():
        base_words = f", {number(between.rmse_base, 1)} by the base" if math.isfinite(between.rmse_base) else ""
        OUT.print(
            f"On {split} the {counted(between.n_differences, 'labelled difference is', 'labelled differences are')} "
            f"{number(between.rmse, 1)} meV off, r.m.s.{base_words}; z² {number(between.z2, 2)}.",
        )
    floors = {
        f"{split}: {number(after.noise_floor, 1)}"
        for (split, _), after in errors.items()
        if math.isfinite(after.noise_floor)
    }
    if floors:
        OUT.print(f"Noise of the labels themselves, meV/atom: {', '.join(sorted(floors))}.")
    if any(not math.isfinite(after.force_rmse) for after in errors.values()):
        OUT.print("Where target forces are unknown, 'from the base' is a departure from the base's forces, no error.")


def print_run(run: FinishedRun) -> None:
    """Print what a run found and where it is."""
    if not run.stages:
        ERR.print(f"{run.folder.path} was finished before; nothing was done.")
    print_errors(run.metrics)
    _print_warnings(run)
    ERR.print(f"Everything is in {run.folder.path}; begin with {run.folder.report.name}.")


def print_study(study: FinishedStudy) -> None:
    """Print what the verdict does not tell of a study's curves, then the verdict, and what failed."""
    print_curves(study, told=bool(study.comparisons))
    print_comparisons(study)
    for sentence in study.verdict:
        OUT.print(f"- {sentence}")
    print_failures(study)
    ERR.print(f"{study.n_new} fits were done now; everything is in {study.folder}.")


def print_comparisons(study: FinishedStudy) -> None:
    """Print energies and forces of each method at each number of labels, and what differences are worth, by split."""
    for one in verdicts(study.rows, study.comparisons, study.judged):
        table = Table(title=f"{one.split}: mean ± spread between draws; differences with 95 % intervals")
        for place, heading in enumerate(one.headings):
            table.add_column(heading, justify="left" if place in (1, 3, 5) else "right")
        last = None
        for line in one.lines:
            if last not in (None, line.n_labels):
                table.add_section()
            last = line.n_labels
            table.add_row(*line.cells)
        OUT.print(table)


def print_failures(study: FinishedStudy) -> None:
    """Print which fits failed, and why."""
    for failure in study.failures:
        ERR.print(f"failed: {failure.name}: {failure.sentence} ({failure.file})", style=STYLES["error"])


def print_curves(study: FinishedStudy, *, told: bool = False) -> None:
    """Print the learning curves of a study, one table a split; without the errors that the verdict has ``told``."""
    left_out = {(one.split, one.metric) for one in study.comparisons} if told else set()
    splits = list(dict.fromkeys(row.split for row in study.rows if row.split not in ("fit", "valid")))
    for split in splits:
        found = {metric: study.summary(split, metric) for metric in CURVES if (split, metric) not in left_out}
        present = [metric for metric, by_method in found.items() if any(by_method.values())]
        if not present:
            continue
        table = Table(title=f"{split}: mean ± spread over seeds")
        table.add_column("method")
        table.add_column("energies", justify="right")
        part = next((f" (on {one.part} structures)" for one in study.judged if one.split == split and one.part), "")
        for metric in present:
            heading = CURVES[metric][0] + (part if metric.startswith("force") else "")
            table.add_column(heading, justify="right")
        numbers = {
            method: sorted({n for one in found.values() for n in one.get(method, {})}) for method in _named(found)
        }
        for method, by_number in numbers.items():
            for n_labels in by_number:
                pairs = [(found[metric].get(method, {}).get(n_labels), CURVES[metric][1]) for metric in present]
                last = n_labels == max(by_number)
                table.add_row(method, str(n_labels), *(_spread(*pair) for pair in pairs), end_section=last)
        OUT.print(table)


def _named(found: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the methods of which any metric is known, in the order of the study."""
    return list(dict.fromkeys(method for by_method in found.values() for method in by_method))


CURVES = {
    "energy_rmse": ("energy error, meV/atom", 1),
    "force_rmse": ("force error, meV/Å", 0),
    "force_departure_rmse": ("forces, from the base's, meV/Å", 0),
    "energy_z2": ("z²", 2),
    "energy_crps": ("CRPS, meV/atom", 2),
    "barrier": ("barrier, eV", 3),
    "barrier_stderr_total": ("its error bar, eV", 3),
}
"""Heading and decimals of each metric that is printed."""


def print_demo(demo: FinishedDemo) -> None:
    """Print what the demo found."""
    for sentence in demo.notices:
        OUT.print(sentence, style="bold")
    print_errors(demo.run.metrics)
    if demo.barriers:
        table = Table(title="Barriers, eV")
        for heading in ("path", "potential", "barrier", "error bar"):
            table.add_column(heading, justify="left" if heading in ("path", "potential") else "right")
        for row in demo.barriers:
            table.add_row(row.path, row.name, number(row.value), number(row.stderr_total))
        OUT.print(table)
    print_curves(demo.study)
    print_failures(demo.study)
    _print_warnings(demo.run)
    ERR.print(f"{demo.seconds:.0f} s in all; open {demo.report}.")


def print_cache(entries: Sequence[CacheEntry]) -> None:
    """Print how many entries of each kind and backbone a cache holds."""
    table = Table(title="Designs")
    for heading in ("backbone", "kind", "type", "entries", "MB"):
        table.add_column(heading, justify="right" if heading in ("entries", "MB") else "left")
    groups: dict[tuple[str, str, str], list[CacheEntry]] = {}
    for entry in entries:
        key = entry.key
        name = ("unknown", "damaged", UNKNOWN) if key is None else (key.backbone[:12], key.kind, key.dtype)
        groups.setdefault(name, []).append(entry)
    for name, members in sorted(groups.items()):
        table.add_row(*name, str(len(members)), f"{sum(entry.size for entry in members) / 1e6:.1f}")
    OUT.print(table)


def _print_warnings(run: FinishedRun) -> None:
    for sentence in run.warnings:
        ERR.print(f"warning: {sentence}", style=STYLES["warning"])
    for sentence in run.notes:
        ERR.print(f"note: {sentence}", style=STYLES["note"])


def _numbers(errors: SplitErrors) -> list[str]:
    numbers = (
        (errors.energy_rmse, 1),
        (errors.energy_rmse_rel, 1),
        (errors.force_rmse, 0),
        (errors.force_departure_rmse, 0),
    )
    bars = ((errors.energy_crps, 2), (100 * errors.coverage_energy_68, 0))
    return [number(value, places) for value, places in numbers] + [
        number(errors.energy_z2, 2) + _of_some(errors),
        *(number(value, places) for value, places in bars),
    ]


def _of_some(errors: SplitErrors) -> str:
    """Return of how many energies the scores of error bars are, where not all that are labelled have one."""
    return f" ({errors.n_energy_bars} of {errors.n_energies})" if errors.some_have_bars else ""


def _spread(pair: tuple[float, float] | None, places: int) -> str:
    if pair is None:
        return UNKNOWN
    mean, spread = pair
    return number(mean, places) + (f" ± {number(spread, places)}" if math.isfinite(spread) else "")
