"""Tables at the end of a command: what was found, in units that people read."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from rung.cli.console import ERR, OUT
from rung.demo import FinishedDemo
from rung.features.cache import CacheEntry
from rung.run.stages import FinishedRun
from rung.study import FinishedStudy

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
UNKNOWN = "–"


def print_diagnosis(diagnosis: Mapping[str, Any]) -> None:
    """Print the census of labels and the findings."""
    census = Table(title="Labels")
    for heading in ("split", "fidelity", "structures", "energies", "with σ", "forces", "stresses", "compositions"):
        census.add_column(heading, justify="left" if heading in ("split", "fidelity") else "right")
    for row in diagnosis["census"]:
        counts = ("n_structures", "n_energies", "n_stderr", "n_forces", "n_stress", "n_formulas")
        census.add_row(row["split"], row["fidelity"] or UNKNOWN, *(str(row[name]) for name in counts))
    OUT.print(census)
    for finding in diagnosis["findings"]:
        severity = finding["severity"]
        OUT.print(f"{severity}:", finding["sentence"], style=STYLES[severity], markup=False)
    if not diagnosis["findings"]:
        OUT.print("Nothing to complain of.")


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print errors of every split, the base's beside."""
    fidelities = sorted({fidelity for by_fidelity in metrics["splits"].values() for fidelity in by_fidelity})
    table = Table(title=f"Errors against {', '.join(fidelities)} (r.m.s.; energies meV/atom, forces meV/Å)")
    for heading in ("split", "potential"):
        table.add_column(heading)
    for heading in ("energy", "energy, one offset per composition", "forces", "forces, from the base's", "z²"):
        table.add_column(heading, justify="right")
    for split, by_fidelity in metrics["splits"].items():
        for fidelity, errors in by_fidelity.items():
            before = (metrics.get("base") or {}).get(split, {}).get(fidelity)
            if before is not None:
                table.add_row(split, "base, E0 refitted", *_numbers(before))
            table.add_row("" if before is not None else split, "model", *_numbers(errors), end_section=True)
    OUT.print(table)
    for sentence in worse_forces(metrics):
        OUT.print(sentence, style=STYLES["warning"], markup=False)
    floors = {
        f"{split}: {_number(errors['noise_floor'])}"
        for split, by_fidelity in metrics["splits"].items()
        for errors in by_fidelity.values()
        if _known(errors["noise_floor"])
    }
    if floors:
        OUT.print(f"Noise of the labels themselves, meV/atom: {', '.join(sorted(floors))}.", markup=False)
    if any(not _known(errors["force_rmse"]) for found in metrics["splits"].values() for errors in found.values()):
        OUT.print("Where target forces are unknown, 'from the base' is a departure from the base's forces, no error.")


def worse_forces(metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each split on which the forces got worse: energies that improve can hide it."""
    found = []
    for split, by_fidelity in metrics["splits"].items():
        for fidelity, errors in by_fidelity.items():
            before = (metrics.get("base") or {}).get(split, {}).get(fidelity, {}).get("force_rmse")
            after = errors["force_rmse"]
            if _known(before) and _known(after) and after > before:
                found.append(
                    f"On {split} the {fidelity} forces are worse than the base's, {after:.0f} against {before:.0f} "
                    "meV/Å: do not use this model for forces."
                )
    return found


def print_run(run: FinishedRun) -> None:
    """Print what a run found and where it is."""
    if not run.stages:
        ERR.print(f"{run.folder.path} was finished before; nothing was done.", markup=False)
    print_metrics(run.metrics)
    _print_warnings(run)
    ERR.print(f"Everything is in {run.folder.path}; begin with {run.folder.report.name}.", markup=False)


def print_study(study: FinishedStudy) -> None:
    """Print the learning curves of a study, its verdict, and what failed."""
    print_curves(study)
    for sentence in study.verdict:
        OUT.print(f"- {sentence}", markup=False)
    print_failures(study)
    ERR.print(f"{study.n_new} fits were done now; everything is in {study.folder}.", markup=False)


def print_failures(study: FinishedStudy) -> None:
    """Print which fits failed, and why."""
    for failure in study.failures:
        ERR.print(f"failed: {failure.name}: {failure.sentence} ({failure.file})", style=STYLES["error"], markup=False)


def print_curves(study: FinishedStudy) -> None:
    """Print the learning curves of a study, one table a split."""
    splits = list(dict.fromkeys(row["split"] for row in study.rows if row["split"] not in ("fit", "valid")))
    for split in splits:
        found = {metric: study.summary(split, metric) for metric in CURVES}
        present = [metric for metric in CURVES if any(found[metric].values())]
        if not present:
            continue
        table = Table(title=f"{split}: mean ± spread over seeds")
        table.add_column("method")
        table.add_column("energies", justify="right")
        for metric in present:
            table.add_column(CURVES[metric][0], justify="right")
        for method, by_number in found[present[0]].items():
            for n_labels in by_number:
                pairs = [(found[metric].get(method, {}).get(n_labels), CURVES[metric][1]) for metric in present]
                last = n_labels == max(by_number)
                table.add_row(method, str(n_labels), *(_spread(*pair) for pair in pairs), end_section=last)
        OUT.print(table)


CURVES = {
    "energy_rmse": ("energy error, meV/atom", 1),
    "force_rmse": ("force error, meV/Å", 0),
    "force_departure_rmse": ("forces, from the base's, meV/Å", 0),
    "barrier": ("barrier, eV", 3),
    "barrier_stderr_total": ("its error bar, eV", 3),
}
"""Heading and decimals of each metric that is printed."""


def print_demo(demo: FinishedDemo) -> None:
    """Print what the demo found."""
    for sentence in demo.notices:
        OUT.print(sentence, style="bold", markup=False)
    print_metrics(demo.run.metrics)
    if demo.barriers:
        table = Table(title="Barriers, eV")
        for heading in ("path", "potential", "barrier", "error bar"):
            table.add_column(heading, justify="left" if heading in ("path", "potential") else "right")
        for row in demo.barriers:
            table.add_row(row.path, row.name, _number(row.value, 3), _number(row.stderr_total, 3))
        OUT.print(table)
    print_curves(demo.study)
    print_failures(demo.study)
    _print_warnings(demo.run)
    ERR.print(f"{demo.seconds:.0f} s in all; open {demo.report}.", markup=False)


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
        ERR.print(f"warning: {sentence}", style=STYLES["warning"], markup=False)


def _numbers(errors: Mapping[str, Any]) -> list[str]:
    places = {"energy_rmse": 1, "energy_rmse_rel": 1, "force_rmse": 0, "force_departure_rmse": 0, "energy_z2": 2}
    return [_number(errors[name], digits) for name, digits in places.items()]


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _number(value: Any, places: int = 1) -> str:
    return f"{value:.{places}f}" if _known(value) else UNKNOWN


def _spread(pair: tuple[float, float] | None, places: int) -> str:
    if pair is None:
        return UNKNOWN
    mean, spread = pair
    return _number(mean, places) + (f" ± {_number(spread, places)}" if _known(spread) else "")
