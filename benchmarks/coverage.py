"""How often error bars hold the truth, on four systems, over draws of the target's labels; and what methods err there.

    python benchmarks/coverage.py mos2 ingan li6ps5cl --draws 20 --out docs/results/coverage.md#systems
    python benchmarks/coverage.py pm6 --folder FOLDER --draws 20 --out ...     # FOLDER from benchmarks/pm6, see there

Percentages of labels inside one and 1.96 standard errors of prediction and label together (68 and 95 are due), z² of
energies, and errors in meV/atom and meV/Å, as medians over draws with half of the range of the middle 68 %.
Differences are those of random pairs of one split, and of such of unequal composition (the energy of an atom, of a
bond, of mixing). Structures whose composition the labels do not identify have no bar and do not count. Barriers are
those of a fixed band: the highest image less the first, r.m.s. of error over bar, how many are more than two bars off,
how many of all have an end of that difference outside the domain of the fit, as ``rung barrier`` says, and how many are
more than two bars off although neither is.

``auto`` fits readout and tangent and keeps the one of more evidence, so its rows follow from theirs: it is not fitted
again. Each draw is a line of ``--rows``; a run that was interrupted goes on there.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rung.backends.errors import tangent_errors
from rung.checkpoint import open_model
from rung.data.readers.structures import read_structures
from rung.data.splits import draw_labels, evenly_spread
from rung.data.structure import Structure
from rung.demo_data import folder as demo_folder
from rung.evaluate.coverage import coverage
from rung.features.cache import DesignCache
from rung.features.errorbars import JointEnergies, joint_energies
from rung.features.tangent_errors import TangentEnergies
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import NamedSettings
from rung.fit.methods import method_of
from rung.fit.methods.auto import EVIDENCE
from rung.fit.methods.readout import ReadoutSettings
from rung.fit.methods.tangent import TangentSettings
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior
from rung.pages import write_table
from rung.run.evaluation import SplitPrediction, errors_of, shares_of
from rung.run.predictor import Predictor

HERE = Path(__file__).parent
NUMBERS = (12, 25, 50, 100, 400)
METHODS: Mapping[str, NamedSettings] = {"readout": ReadoutSettings(), "tangent": TangentSettings()}
BARS: Mapping[str, tuple[int, int]] = {"readout": (1000, 60), "tangent": (40, 3)}
"""Of how many structures of a split the bars of energies and of forces are judged: a tangent fit's cost passes each."""

Row = dict[str, Any]


@dataclass(frozen=True)
class System:
    """One base, its training frames, the splits that are judged, and bands whose barriers are."""

    name: str
    low: str
    target: str
    base: ReadoutPotential
    train: tuple[Structure, ...]
    splits: Mapping[str, tuple[Structure, ...]]
    noise: float | tuple[float, float] | None
    bands: Mapping[str, tuple[Structure, ...]] = field(default_factory=dict)


def bundled(name: str, splits: Sequence[str]) -> System:
    folder = HERE / "testbed" / name
    base = open_model(folder / "base.model", fidelity="pbe").potential
    judged = {split: read_structures(folder / f"{split}.extxyz") for split in splits}
    return System(name, "pbe", "r2scan", base, read_structures(folder / "train.extxyz"), judged, (0.02, 0.06))


def sheet() -> System:
    data = demo_folder("mos2")
    base = open_model(data / "base.model", fidelity="pbe").potential
    exact = json.loads((data / "train_exact.json").read_text())
    train = tuple(_exact(one, exact[one.structure_id]) for one in read_structures(data / "train.extxyz"))
    judged = {split: read_structures(data / f"{split}.extxyz") for split in ("test", "ood")}
    bands = {path: read_structures(data / f"neb_{path}.extxyz") for path in ("pbe", "r2scan")}
    return System("mos2", "pbe", "r2scan", base, train, judged, (0.02, 0.06), bands)


def _exact(structure: Structure, energy: float) -> Structure:
    label = replace(structure.labelled("r2scan"), energy=energy, energy_stderr=float("nan"))
    return replace(structure, labels={**structure.labels, "r2scan": label})


def molecules(folder: Path) -> System:
    base = open_model(folder / "base" / "model.rung", fidelity="pm6").potential
    data = folder / "data"
    test = {"test": read_structures(data / "test.extxyz")}
    return System("pm6", "pm6", "dft", base, read_structures(data / "train.extxyz"), test, None)


def system_of(name: str, folder: Path | None) -> System:
    match name:
        case "mos2":
            return sheet()
        case "ingan":
            return bundled(name, ("test", "relaxed"))
        case "li6ps5cl":
            return bundled(name, ("test_cold", "test_hot"))
    if folder is None:
        raise SystemExit("pm6 needs --folder")
    return molecules(folder)


def fitted(system: System, method: str, count: int, seed: int, cache: DesignCache) -> FitResult:
    frames = draw_labels(system.train, system.target, count, 2000 + seed, noise=system.noise)
    return lifted(system, frames, method, cache)


def lifted(system: System, frames: Sequence[Structure], method: str, cache: DesignCache) -> FitResult:
    fidelities = {system.low: Fidelity(system.low), system.target: Fidelity(system.target)}
    lift = Lift(tuple(frames), (), Base(system.base, system.low), fidelities, system.target)
    settings = METHODS[method]
    return method_of(settings).fit(lift, settings, Context(cache=cache))


def joint(
    system: System, result: FitResult, predictor: Predictor, structures: Sequence[Structure]
) -> JointEnergies | TangentEnergies:
    assert result.posterior is not None
    if isinstance(result.posterior, TangentPosterior):
        return tangent_errors(result.potential, system.target, result.posterior).energies(structures)
    designs = predictor.designs(result.potential, structures, system.target, forces=False)
    return joint_energies(designs, sorted(result.potential.elements), result.posterior)


def within_differences(
    energies: JointEnergies | TangentEnergies,
    structures: Sequence[Structure],
    truth: Sequence[float],
    found: SplitPrediction,
    *,
    bound: bool = False,
) -> float:
    """Return the share of differences between random pairs whose bar of 68 % held the labels' difference.

    ``bound`` takes pairs of unequal composition alone, whose difference is that of the energy of an atom or of a bond.
    """
    random, values, bars = np.random.default_rng(0), [], []
    formulas = [one.atoms.get_chemical_formula() for one in structures]
    if bound and len(set(formulas)) == 1:
        return float("nan")
    while len(values) < 2 * len(truth):
        first, second = random.choice(len(truth), 2, replace=False)
        if bound and formulas[first] == formulas[second]:
            continue
        coefficients = np.zeros(len(truth))
        coefficients[[first, second]] = 1.0, -1.0
        values.append(coefficients @ (found.energy - np.array(truth)))
        bars.append(energies.combination_variance(coefficients).stderr())
    return coverage(values, np.zeros(len(values)), bars, 0.68)


def judged(system: System, method: str, count: int, seed: int, cache: DesignCache) -> Row:
    """Return what one fit erred, and what its bars held."""
    start = time.perf_counter()
    result = fitted(system, method, count, seed, cache)
    row: Row = {"system": system.name, "method": method, "n": count, "seed": seed}
    row |= {"evidence": result.diagnostics[EVIDENCE], "seconds": time.perf_counter() - start}
    n_energies, n_forces = BARS[method]
    predictor = Predictor(system.base, cache, force_structures=n_forces)
    for split, everything in system.splits.items():
        whole = Predictor(system.base, cache).predict(result.potential, None, everything, system.target, system.target)
        errors = errors_of(whole, everything, system.target)
        structures = [everything[k] for k in evenly_spread(range(len(everything)), n_energies)]
        found = predictor.predict(result.potential, result.posterior, structures, system.target, system.target)
        truth = [one.labelled(system.target).energy for one in structures]
        known = joint(system, result, predictor, structures)
        pairs = within_differences(known, structures, truth, found)
        bound = within_differences(known, structures, truth, found, bound=True)
        z2 = errors_of(found, structures, system.target).energy_z2
        numbers = {"z2": z2, "energy": errors.energy_rmse, "force": errors.force_rmse, "pairs": pairs, "bound": bound}
        row[split] = {**shares_of(found, structures, system.target), **numbers}
    for path, images in system.bands.items():
        row[f"{path} path"] = along_band(system, result, predictor, images)
    return row


def along_band(system: System, result: FitResult, predictor: Predictor, images: Sequence[Structure]) -> Row:
    """Return a fixed band's barrier, its error over its bar, and whether its saddle or start is outside the domain."""
    barrier = predictor.static_barrier(result.potential, result.posterior, images, system.target)
    truth = np.array([one.labelled(system.target).energy for one in images])
    error = barrier.barrier - float(truth.max() - truth[0])
    found = predictor.predict(result.potential, result.posterior, images, system.target, system.target, forces=False)
    assert found.places is not None
    judged = (found.places[0], found.places[int(np.argmax(found.energy))])
    outside = any(place is not None and place.outside for place in judged)
    return {"barrier": barrier.barrier, "z": error / barrier.barrier_stderr_total, "outside": outside}


def draws_of(
    system: System, methods: Sequence[str], count: int, draws: int, cache: DesignCache, file: Path
) -> list[Row]:
    """Return the rows of all draws, those from ``file`` where it has them."""
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["system"], row["method"], row["n"], row["seed"]): row for row in known}
    rows = []
    for seed in range(draws):
        for method in methods:
            key = (system.name, method, count, seed)
            if key not in done:
                done[key] = judged(system, method, count, seed, cache)
                with file.open("a") as stream:
                    stream.write(json.dumps(done[key]) + "\n")
            rows.append(done[key])
    return rows


def chosen(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of ``auto``: of each draw that of the method of more evidence."""
    by_seed: dict[int, list[Row]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(row)
    return [max(some, key=lambda row: row["evidence"]) for some in by_seed.values()]


def cells(system: System, name: str, count: int, rows: Sequence[Row]) -> Iterator[str]:
    for split in system.splits:
        some = [row[split] for row in rows]
        columns = (
            system.name,
            str(count),
            name,
            split,
            _middle([one["energy"] for one in some], 1),
            _middle([one["force"] for one in some], 0),
            _shares(some, "energy"),
            f"{_mean(some, 'z2'):.2f}",
            f"{100 * _mean(some, 'pairs'):.0f}",
            _percent(_mean(some, "bound")),
            _shares(some, "forces"),
        )
        yield "| " + " | ".join(columns) + " |"


def barrier_cells(system: System, name: str, count: int, rows: Sequence[Row]) -> Iterator[str]:
    for path, images in system.bands.items():
        truth = np.array([one.labelled(system.target).energy for one in images])
        values = [row[f"{path} path"]["barrier"] for row in rows]
        distance = np.array([row[f"{path} path"]["z"] for row in rows])
        outside = np.array([row[f"{path} path"]["outside"] for row in rows])
        columns = (
            str(count),
            name,
            f"{path} path ({truth.max() - truth[0]:.3f})",
            _middle(values, 3),
            f"{np.sqrt(np.mean(distance**2)):.1f}",
            f"{100 * np.mean(np.abs(distance) < 1):.0f}",
            f"{100 * np.mean(np.abs(distance) > 2):.0f}",
            f"{100 * np.mean(outside):.0f}",
            f"{100 * np.mean((np.abs(distance) > 2) & ~outside):.0f}",
        )
        yield "| " + " | ".join(columns) + " |"


def _middle(values: Sequence[float], digits: int) -> str:
    """Return the median, and half of the range of the middle 68 %: a draw that lacks a composition errs by far."""
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return f"{middle:.{digits}f}" + (f" ± {(high - low) / 2:.{digits}f}" if len(values) > 1 else "")


def _mean(some: Sequence[Mapping[str, float]], key: str) -> float:
    values = [one[key] for one in some if key in one and np.isfinite(one[key])]
    return float(np.mean(values)) if values else float("nan")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if np.isfinite(share) else ""


def _shares(some: Sequence[Mapping[str, float]], what: str) -> str:
    return " / ".join(f"{100 * _mean(some, f'coverage_{what}_{level}'):.0f}" for level in (68, 95))


HEAD = (
    "| system | n | method | split | energy error | force error | energies | z² | differences | unequal | forces |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
BARRIER_HEAD = (
    "| n | method | path (truth) | barrier | r.m.s. z | within its bar | over two bars off | called outside | "
    "over two bars off, not called outside |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def tables(
    system: System, methods: Sequence[str], numbers: Sequence[int], draws: int, cache: DesignCache, file: Path
) -> tuple[str, ...]:
    """Return the lines of the table of splits and those of the table of barriers."""
    available = sum(one.labelled(system.target).has_energy for one in system.train)
    splits, barriers = list[str](), list[str]()
    for count in (number for number in numbers if number <= available):
        rows = draws_of(system, methods, count, draws if count < available else 1, cache, file)
        groups = {method: [row for row in rows if row["method"] == method] for method in methods}
        if len(methods) > 1:
            groups["auto"] = chosen(rows)
        for name, some in groups.items():
            lines = [*cells(system, name, count, some)]
            print("\n".join(lines), flush=True)
            splits += lines
            barriers += barrier_cells(system, name, count, some)
    return "\n".join(splits), "\n".join(barriers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="+", choices=("mos2", "ingan", "li6ps5cl", "pm6"))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--folder", type=Path, help="where rung fit base.yaml of benchmarks/pm6 was run")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="of labels")
    parser.add_argument("--cache", type=Path, default=Path(".rung-cache"))
    parser.add_argument("--rows", type=Path, default=Path("coverage-rows.jsonl"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cache = DesignCache(arguments.cache)
    found = [
        tables(
            system_of(name, arguments.folder),
            arguments.methods,
            arguments.numbers,
            arguments.draws,
            cache,
            arguments.rows,
        )
        for name in arguments.systems
    ]
    parts = ["\n".join([head, *(one[k] for one in found if one[k])]) for k, head in enumerate((HEAD, BARRIER_HEAD))]
    if arguments.out is not None:
        write_table(arguments.out, "\n\n".join(parts if any(one[1] for one in found) else parts[:1]) + "\n")


if __name__ == "__main__":
    main()
