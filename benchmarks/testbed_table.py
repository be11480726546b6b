"""The testbed's table: every way to fit a readout in closed form, at several numbers of energies, over draws.

Each draw takes another subset of the 660 training frames and other noise (σ of 20–60 meV a cell) on their exact
energies, so the spread is that of a fresh experiment. The truth is known: the labels are model-made, not ab initio.
Forces of the target are never seen by a fit; they score it.

    python benchmarks/testbed_table.py --draws 10 --out docs/results/testbed.md#fits     # about 10 minutes on one core
    python benchmarks/testbed_table.py --coverage 20 --out docs/results/coverage.md#testbed
    python benchmarks/testbed_table.py --automatic 5 --out docs/results/testbed.md#automatic
    python benchmarks/testbed_table.py --relaxed 5 --out docs/results/barriers.md#relaxed    # 15 minutes
    python benchmarks/testbed_table.py --tangent 5 --out docs/results/tangent.md#tangent    # 10 minutes
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from rung import RungCalculator
from rung.backends import load_base
from rung.checkpoint import Checkpoint
from rung.data.batch import collate
from rung.data.labels import Array
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.evaluate.coverage import against_labels, coverage_table
from rung.evaluate.paths.barrier import BarrierSettings, relaxed_barrier
from rung.features.cache import DesignCache
from rung.features.design import Design
from rung.features.passes import build_designs, features_of
from rung.features.predict import difference_variance, predict_designs
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.linear.anchor import Scale, ScalePerElement
from rung.fit.linear.closed_form import Solution
from rung.fit.linear.model_error import feature_error
from rung.fit.linear.problem import Problem
from rung.fit.linear.result import moved_surface, posterior_of
from rung.fit.linear.terms import Band, Energies, WeightPrior
from rung.fit.linear.widen import Widening, widened
from rung.fit.methods import method_of
from rung.fit.methods.readout import ReadoutSettings, result_of, solve
from rung.fit.methods.tangent import TangentSettings
from rung.model.potential import ReadoutPotential, Surface
from rung.pages import write_table
from rung.tasks.error_bars import error_bars_of

TARGET = Fidelity("r2scan", "CHGNet's r2SCAN (a potential, not ab initio)")
NUMBERS = (12, 25, 50, 100, 200, 400)


def with_band(**changes: object) -> ReadoutSettings:
    return ReadoutSettings(terms=(Energies(), Band(**changes), WeightPrior()))


VARIANTS: Mapping[str, ReadoutSettings] = {
    "energies only": ReadoutSettings(terms=(Energies(), WeightPrior())),
    "base anchor, raw": with_band(transforms=()),
    "base anchor, scaled (default)": with_band(),
    "base anchor, per element": with_band(transforms=(Scale(), ScalePerElement())),
    "pbe labels, raw": with_band(anchor="pbe", transforms=()),
    "pbe labels, scaled": with_band(anchor="pbe"),
    "hinge, scaled": with_band(shape="hinge"),
    "default, cross-validated": with_band().model_copy(update={"choose": "cross_validation"}),
    "default + 48 units": with_band().model_copy(update={"widen": Widening(units=48)}),
    "default + 128 units": with_band().model_copy(update={"widen": Widening(units=128)}),
}


@dataclass(frozen=True)
class Testbed:
    """Frames, designs by readout basis, and the base."""

    base: ReadoutPotential
    splits: Mapping[str, tuple[Structure, ...]]
    exact: np.ndarray
    cache: DesignCache

    def designs(self, split: str, readout, anchored: Sequence[int] | None = None) -> list[Design]:
        frames = self.splits[split]
        arguments = {"fidelity": "pbe", "cache": self.cache, "kind": "jacobian", "keep_features": anchored is None}
        chosen = range(len(frames)) if anchored is None else anchored
        found = dict(
            zip(
                chosen,
                build_designs([frames[k] for k in chosen], self.base.backbone, readout, forces=True, **arguments),
                strict=True,
            )
        )
        rest = [k for k in range(len(frames)) if k not in found]
        plain = build_designs(
            [frames[k] for k in rest], self.base.backbone, readout, forces=False, fidelity="pbe", cache=self.cache
        )
        found.update(zip(rest, plain, strict=True))
        return [found[k] for k in range(len(frames))]


def load(cache: Path) -> Testbed:
    data = folder("mos2")
    base = load_base(data / "base.model", fidelity="pbe")
    splits = {
        name: read_structures(data / f"{name}.extxyz") for name in ("train", "test", "ood", "neb_pbe", "neb_r2scan")
    }
    exact = json.loads((data / "train_exact.json").read_text())
    energies = np.array([exact[structure.structure_id] for structure in splits["train"]])
    return Testbed(base, splits, energies, DesignCache(cache))


def problems(testbed: Testbed, units: int) -> tuple[Problem, dict[str, list[Design]]]:
    """Return the training problem without target labels, and the designs of what is scored, for one basis."""
    surface = testbed.base.surface("pbe")
    readout = surface.readout
    train = testbed.splits["train"]
    if units:
        seen = features_of(train, testbed.base.backbone, fidelity="pbe", cache=testbed.cache)
        readout = widened(readout, seen, Widening(units=units))
    bare = tuple(replace(item, labels={"pbe": item.labelled("pbe")}) for item in train)
    anchored = Band().frames(bare)
    designs = testbed.designs("train", readout, anchored)
    elements = tuple(sorted(testbed.base.elements))
    environments = Base(testbed.base, "pbe").environments(bare, bare, testbed.cache)
    problem = Problem(
        bare, tuple(designs), readout, Surface(readout, surface.reference), elements, TARGET, environments
    )
    return problem, {name: testbed.designs(name, readout) for name in testbed.splits if name != "train"}


def draw(problem: Problem, exact: np.ndarray, count: int, seed: int) -> Problem:
    """Return the problem with ``count`` noisy target energies: subset and noise from ``seed``."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(exact))[:count]
    sigma = random.uniform(0.02, 0.06, count)
    frames = list(problem.structures)
    for position, error, noise in zip(chosen, sigma, random.normal(size=count), strict=True):
        frame = frames[position]
        empty = frame.labelled(TARGET.name)
        label = replace(empty, energy=float(exact[position] + error * noise), energy_stderr=float(error))
        frames[position] = replace(frame, labels={**frame.labels, TARGET.name: label})
    return replace(problem, structures=tuple(frames))


def shares(errors: Array, bars: Array) -> list[float]:
    """Return the percentages of labels within their intervals of 68 and 95 %."""
    return [100 * one.fraction for one in coverage_table(errors, np.zeros_like(errors), bars)]


def score(
    problem: Problem, solution: Solution, scored: Mapping[str, list[Design]], testbed: Testbed
) -> dict[str, float]:
    """Return errors on both test sets and both static barriers with their bars and coverages."""
    size = len(problem.readout.weights)
    surface = moved_surface(problem, solution.gaussian.mean[:size], solution.gaussian.mean[size:])
    error = feature_error(problem, [item for item in problem.designs if item.has_forces])
    posterior = posterior_of(problem, solution, error)
    row: dict[str, float] = {"s": 1e3 * solution.model_error}
    for name in ("test", "ood"):
        found = predict_designs(scored[name], surface, problem.elements, posterior)
        labels = [item.labelled(TARGET.name) for item in testbed.splits[name]]
        energy = np.array([p.energy - label.energy for p, label in zip(found, labels, strict=True)])
        force = np.concatenate([(p.forces - label.forces).ravel() for p, label in zip(found, labels, strict=True)])
        atoms = np.array([len(item) for item in testbed.splits[name]])
        row[f"{name} E"] = 1e3 * np.sqrt(np.mean((energy / atoms) ** 2))
        row[f"{name} F"] = 1e3 * np.sqrt(np.mean(force**2))
        own = np.sqrt([p.energy_label_variance for p in found])
        spread = against_labels(own, [one.energy_stderr for one in labels])
        force_spread = np.sqrt(np.concatenate([p.force_total_variance.ravel() for p in found]))
        bare_spread = np.sqrt(np.concatenate([p.force_variance.ravel() for p in found]))
        row[f"{name} E68"], row[f"{name} E95"] = shares(energy, spread)
        row[f"{name} F68 weights"], _ = shares(force, bare_spread)
        row[f"{name} F68"], row[f"{name} F95"] = shares(force, force_spread)
    for name in ("neb_pbe", "neb_r2scan"):
        found = predict_designs(scored[name], surface, problem.elements)
        energies = np.array([p.energy for p in found])
        truth = np.array([item.labelled(TARGET.name).energy for item in testbed.splits[name]])
        top = int(energies.argmax())
        variance = difference_variance(scored[name][top], scored[name][0], problem.elements, posterior)
        row[f"{name} barrier"] = energies[top] - energies[0]
        row[f"{name} error"] = energies[top] - energies[0] - (truth.max() - truth[0])
        row[f"{name} bar weights"] = np.sqrt(variance.weights)
        row[f"{name} bar"] = variance.stderr()
    return row


def base_rows(
    problem: Problem, scored: Mapping[str, list[Design]], testbed: Testbed
) -> Iterator[tuple[str, int, list[dict[str, float]]]]:
    """The base as it is, its E0 refitted to all exact energies: forces and barriers are the base's."""
    full = draw(problem, testbed.exact, len(testbed.exact), 0)
    frozen = ReadoutSettings(terms=(Energies(), WeightPrior(alpha=1e-12)))
    yield "offset (base's forces)", 660, [score(full, solve(full, frozen), scored, testbed)]


def row_of(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(rows: Sequence[Mapping[str, float]], name: str, digits: int) -> str:
    values = np.array([row[name] for row in rows])
    return f"{values.mean():.{digits}f}" + (f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else "")


def table(testbed: Testbed, draws: int) -> Iterator[str]:
    columns = (
        ("test E", 1),
        ("test F", 0),
        ("ood E", 1),
        ("ood F", 0),
        ("neb_pbe barrier", 3),
        ("neb_pbe bar", 3),
        ("neb_r2scan barrier", 3),
        ("neb_r2scan bar", 3),
    )
    heads = (
        "test E",
        "test F",
        "ood E",
        "ood F",
        "barrier, pbe path (1.454)",
        "its bar",
        "barrier, r2scan path (1.147)",
    )
    yield row_of(("n", "method", *heads, "its bar"))
    yield row_of(["---"] * (len(columns) + 2))
    prepared = {units: problems(testbed, units) for units in sorted({v.widen.units for v in VARIANTS.values()})}
    for name, count, rows in base_rows(*prepared[0], testbed):
        yield f"| {count} | {name} | " + " | ".join(cell(rows, key, digits) for key, digits in columns) + " |"
    for count in NUMBERS:
        for name, settings in VARIANTS.items():
            problem, scored = prepared[settings.widen.units]
            start = time.perf_counter()
            rows = []
            for seed in range(draws):
                labelled = draw(problem, testbed.exact, count, 1000 + seed)
                rows.append(score(labelled, solve(labelled, settings), scored, testbed))
            line = f"| {count} | {name} | " + " | ".join(cell(rows, key, digits) for key, digits in columns) + " |"
            print(f"{line}   {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
            yield line


COVERAGE_HEAD = (
    "n",
    "method",
    "energies",
    "ood energies",
    "forces, weights alone",
    "forces",
    "ood forces",
    "barrier, pbe path (1.454)",
    "within its bars",
    "r.m.s. z",
    "barrier, r2scan path (1.147)",
    "within its bars",
    "r.m.s. z",
)
BARS = ("bar weights", "bar")


def coverage(testbed: Testbed, draws: int) -> Iterator[str]:
    """Percentages inside intervals of 68 and 95 %; bars of barriers: weights alone / total."""
    yield row_of(COVERAGE_HEAD)
    yield row_of(["---"] * len(COVERAGE_HEAD))
    for units, names in ((0, ("energies only", "base anchor, scaled (default)")), (128, ("default + 128 units",))):
        problem, scored = problems(testbed, units)
        for name in names:
            for count in NUMBERS:
                labelled = [draw(problem, testbed.exact, count, 2000 + seed) for seed in range(draws)]
                rows = [score(item, solve(item, VARIANTS[name]), scored, testbed) for item in labelled]
                line = row_of([str(count), name, *coverage_cells(rows)])
                print(line, file=sys.stderr, flush=True)
                yield line


def coverage_cells(rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    mean = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
    for name in ("test E", "ood E"):
        yield f"{mean[name + '68']:.0f} / {mean[name + '95']:.0f}"
    yield f"{mean['test F68 weights']:.0f}"
    for name in ("test F", "ood F"):
        yield f"{mean[name + '68']:.0f} / {mean[name + '95']:.0f}"
    for band in ("neb_pbe", "neb_r2scan"):
        distance = {bar: np.array([row[f"{band} error"] / row[f"{band} {bar}"] for row in rows]) for bar in BARS}
        yield cell(rows, f"{band} barrier", 3)
        yield " / ".join(f"{100 * np.mean(np.abs(distance[bar]) < 1):.0f}" for bar in BARS)
        yield " / ".join(f"{np.sqrt(np.mean(distance[bar] ** 2)):.1f}" for bar in BARS)


def automatic(testbed: Testbed, draws: int) -> Iterator[str]:
    """`auto` against the best of a grid of (α, τ), which looks at the test forces as no user can."""
    yield row_of(("n", "auto", "energies only", "best grid point (oracle)", "auto / oracle", "grid point"))
    yield row_of(["---"] * 6)
    problem, scored = problems(testbed, 0)
    points = [(alpha, tau) for alpha in (0.01, 0.02, 0.04, 0.08, 0.16, 0.32) for tau in (0.1, 0.2, 0.4, 0.8, 1.6, 6.4)]
    for count in (12, 25, 50, 100):
        labelled = [draw(problem, testbed.exact, count, 1000 + seed) for seed in range(draws)]

        def forces(settings: ReadoutSettings, items: Sequence[Problem] = labelled) -> np.ndarray:
            return np.array([score(item, solve(item, settings), scored, testbed)["test F"] for item in items])

        auto, alone = forces(VARIANTS["base anchor, scaled (default)"]), forces(VARIANTS["energies only"])
        grid = {
            (alpha, tau): forces(
                ReadoutSettings(terms=(Energies(), Band(tau=tau), WeightPrior(alpha=alpha)), average=1)
            )
            for alpha, tau in points
        }
        best = min(grid, key=lambda point: grid[point].mean())
        ratio = auto / grid[best]
        shown = [f"{values.mean():.0f} ± {values.std(ddof=1):.0f}" for values in (auto, alone, grid[best])]
        yield row_of(
            [str(count), *shown, f"{ratio.mean():.2f} ± {ratio.std(ddof=1):.2f}", f"α = {best[0]}, τ = {best[1]}"]
        )


def relaxed(testbed: Testbed, draws: int) -> Iterator[str]:
    """The band relaxed on each lifted potential itself, as a user without the truth would find it (truth 1.147 eV)."""
    yield "| n | method | relaxed barrier (truth 1.147) | its bar: weights | its bar | within the bar | converged |"
    yield "|---|---|---|---|---|---|---|"
    ends = [testbed.splits["neb_pbe"][k].atoms for k in (0, -1)]
    guess = [item.atoms for item in testbed.splits["neb_pbe"]]
    settings = BarrierSettings(images=len(guess), fmax=0.05)
    problem, _ = problems(testbed, 0)
    base = relaxed_barrier(*ends, RungCalculator(testbed.base, fidelity="pbe"), settings, guess_images=guess)
    yield f"| 0 | base (pbe truth 0.953) | {base.barrier:.3f} | | | | {base.converged} |"
    for count in NUMBERS:
        for name in ("energies only", "base anchor, scaled (default)"):
            rows = []
            for seed in range(draws):
                labelled = draw(problem, testbed.exact, count, 1000 + seed)
                result = result_of(labelled, solve(labelled, VARIANTS[name]), testbed.base, VARIANTS[name])
                lifted = Checkpoint(result.potential, result.posterior, {"target": TARGET.name})
                calculator = RungCalculator(lifted, fidelity=TARGET.name)
                band = relaxed_barrier(
                    *ends,
                    calculator,
                    settings,
                    guess_images=guess,
                    error_bars=error_bars_of(calculator),
                )
                if band.converged:
                    rows.append((band.barrier, band.bar.weights, band.bar.total))
            values = np.array(rows).reshape(-1, 3)
            inside = np.abs(values[:, 0] - 1.147) < values[:, 2]
            line = row_of(
                (
                    str(count),
                    name,
                    f"{values[:, 0].mean():.3f} ± {values[:, 0].std(ddof=1):.3f}",
                    f"{values[:, 1].mean():.3f}",
                    f"{values[:, 2].mean():.3f}",
                    f"{inside.sum()} of {len(values)}",
                    f"{len(values)} of {draws}",
                )
            )
            print(line, file=sys.stderr, flush=True)
            yield line


DEFAULT, VARIED_UP_TO = "tangent (default)", 50
TANGENTS: Mapping[str, TangentSettings] = {
    DEFAULT: TangentSettings(),
    "tangent, 60 force probes": TangentSettings(probes=60),
    "tangent, products and readouts": TangentSettings(layers="products|readouts"),
}


def tangent(testbed: Testbed, draws: int) -> Iterator[str]:
    """All weights moved once, beside the readout fit of the same draws; same columns as the table of readouts."""
    heads = ("test E", "test F", "ood E", "ood F", "barrier, pbe path (1.454)", "barrier, r2scan path (1.147)")
    yield row_of(("n", "method", *heads))
    yield row_of(["---"] * (len(heads) + 2))
    fidelities = {"pbe": Fidelity("pbe"), TARGET.name: TARGET}
    problem, _ = problems(testbed, 0)
    base, context = Base(testbed.base, "pbe"), Context(cache=testbed.cache)
    for count in (12, 25, 50, 100):
        labelled = [draw(problem, testbed.exact, count, 1000 + seed).structures for seed in range(draws)]
        variants = TANGENTS if count <= VARIED_UP_TO else {DEFAULT: TANGENTS[DEFAULT]}
        for name, settings in {"readout (default)": with_band(), **variants}.items():
            rows = []
            for frames in labelled:
                lift = Lift(frames, (), base, fidelities, TARGET.name)
                result = method_of(settings).fit(lift, settings, context)
                rows.append(predicted_row(result.potential, testbed))
            digits = (1, 0, 1, 0, 3, 3)
            cells = [cell(rows, key, digit) for key, digit in zip(rows[0], digits, strict=True)]
            line = row_of([str(count), name, *cells])
            print(line, file=sys.stderr, flush=True)
            yield line


def predicted_row(potential: ReadoutPotential, testbed: Testbed) -> dict[str, float]:
    found: dict[str, float] = {}
    for split in ("test", "ood", "neb_pbe", "neb_r2scan"):
        energy, error, forces = [], [], []
        for start in range(0, len(testbed.splits[split]), 8):
            frames = testbed.splits[split][start : start + 8]
            batch = collate(frames, [TARGET.name] * len(frames), potential.cutoff, dtype=potential.dtype)
            prediction = potential.predict(batch)
            energy.append(prediction.energy.numpy())
            error.append(((prediction.energy - batch.energy) / batch.n_atoms).numpy())
            forces.append((prediction.forces - batch.forces).numpy().ravel())
        if split in ("test", "ood"):
            found[f"{split} E"] = 1e3 * float(np.sqrt(np.mean(np.concatenate(error) ** 2)))
            found[f"{split} F"] = 1e3 * float(np.sqrt(np.mean(np.concatenate(forces) ** 2)))
        else:
            band = np.concatenate(energy)
            found[f"{split} barrier"] = float(band.max() - band[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--coverage", type=int, default=0)
    parser.add_argument("--automatic", type=int, default=0)
    parser.add_argument("--relaxed", type=int, default=0)
    parser.add_argument("--tangent", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(".rung-cache"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    testbed = load(arguments.cache)
    lines: list[str] = []
    for job, count in (
        (table, arguments.draws),
        (coverage, arguments.coverage),
        (automatic, arguments.automatic),
        (relaxed, arguments.relaxed),
        (tangent, arguments.tangent),
    ):
        if count:
            lines += [*job(testbed, count), ""]
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        write_table(arguments.out, text)


if __name__ == "__main__":
    main()
