"""Which structures of the testbed are outside the domain of a fit, and whether a barrier's verdict can be relied on.

Each draw is a fresh experiment, as in ``testbed_table.py``. A barrier counts as missed where it is more than two total
bars off and the verdict was not "outside". Bounds are two total bars and what the base errs on its own labels (PBE)
along the same path.

    python benchmarks/domain_table.py --draws 40 --out docs/results/domain.md#domain     # about 10 minutes on one core
    python benchmarks/domain_table.py --surrogate 8 --out docs/results/domain.md#surrogate  # 2 minutes
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from testbed_table import TARGET, VARIANTS, Testbed, draw, load, problems, row_of

from rung.data.labels import Array
from rung.evaluate.coverage import coverage_table
from rung.features.design import Design
from rung.features.predict import difference_variance, predict_designs, surface_energies
from rung.fit.linear.model_error import feature_error
from rung.fit.linear.problem import Problem
from rung.fit.linear.result import moved_surface, posterior_of
from rung.fit.linear.surrogate import surrogate_ratio, with_ratio
from rung.fit.methods.readout import solve
from rung.model.domain import Domain, Place
from rung.model.posterior import Posterior
from rung.model.potential import Surface
from rung.pages import write_table

NUMBERS = (12, 25, 50, 100, 400)
PATHS = ("neb_pbe", "neb_r2scan")


def fitted(problem: Problem) -> tuple[Surface, Posterior]:
    solution = solve(problem, VARIANTS["base anchor, scaled (default)"])
    size = len(problem.readout.weights)
    error = feature_error(problem, [item for item in problem.designs if item.has_forces])
    mean = solution.gaussian.mean
    return moved_surface(problem, mean[:size], mean[size:]), posterior_of(problem, solution, error)


def places(designs: list[Design], domain: Domain) -> list[Place]:
    return [domain.place(one.energy, one.composition, one.atoms.features, one.atoms.numbers) for one in designs]


def base_error(problem: Problem, testbed: Testbed, path: str, designs: list[Design]) -> float:
    """By how much the base errs on its own level along a path, of an image less the first, eV."""
    base = surface_energies(designs, problem.readout, problem.surface, problem.elements)
    own = np.array([structure.labelled("pbe").energy for structure in testbed.splits[path]])
    error = base - own
    return float(np.abs(error - error[0]).max())


def barrier(
    problem: Problem, testbed: Testbed, path: str, designs: list[Design], surface: Surface, posterior: Posterior
) -> Array:
    """Return the error, the total bar, whether it is outside, and the half-width of the bounds, eV."""
    energies = np.array([one.energy for one in predict_designs(designs, surface, problem.elements)])
    truth = np.array([structure.labelled(TARGET.name).energy for structure in testbed.splits[path]])
    top = int(energies.argmax())
    bar = difference_variance(designs[top], designs[0], problem.elements, posterior).stderr()
    outside = any(place.outside for place in places([designs[top], designs[0]], posterior.domain))
    width = 2 * bar + base_error(problem, testbed, path, designs)
    return np.array([energies[top] - energies[0] - (truth.max() - truth[0]), bar, outside, width])


def barriers(testbed: Testbed, draws: int) -> Iterator[str]:
    heads = ("n", "path", "error, eV", "total bar, eV", "more than 2 bars off, %", "said outside, %", "missed, %")
    yield row_of((*heads, "half-width of bounds, eV", "truth within bounds, %"))
    yield row_of(["---"] * (len(heads) + 2))
    problem, scored = problems(testbed, 0)
    for count in NUMBERS:
        rows: dict[str, list[Array]] = {path: [] for path in PATHS}
        for seed in range(draws):
            labelled = draw(problem, testbed.exact, count, 2000 + seed)
            surface, posterior = fitted(labelled)
            for path in PATHS:
                rows[path].append(barrier(labelled, testbed, path, scored[path], surface, posterior))
        for path, found in rows.items():
            error, bar, outside, width = np.array(found).T
            off = np.abs(error) > 2 * bar
            cells = (
                f"{error.mean():+.3f} ± {error.std(ddof=1):.3f}",
                f"{bar.mean():.3f}",
                f"{100 * off.mean():.0f}",
                f"{100 * outside.mean():.0f}",
                f"{100 * np.mean(off & (outside == 0)):.0f}",
                f"{width.mean():.3f}",
                f"{100 * np.mean(np.abs(error) < width):.0f}",
            )
            line = row_of((str(count), path, *cells))
            print(line, file=sys.stderr, flush=True)
            yield line


def outside(testbed: Testbed) -> Iterator[str]:
    """How many structures of each set are outside, by which test, and what other limits would say."""
    heads = (
        "structures",
        "number",
        "distance: median",
        "highest",
        "outside by distance, %",
        "by leverage, %",
        "by either, %",
    )
    yield row_of((*heads, "limit 2.5, %", "limit 3.5, %"))
    yield row_of(["---"] * (len(heads) + 2))
    problem, scored = problems(testbed, 0)
    _, posterior = fitted(draw(problem, testbed.exact, 100, 2000))
    for name, designs in scored.items():
        found = places(designs, posterior.domain)
        distance = np.array([place.distance for place in found])
        leverage = np.array([place.leverage > place.leverage_limit for place in found])
        shares = [
            100 * np.mean(one)
            for one in (distance > 3, leverage, (distance > 3) | leverage, distance > 2.5, distance > 3.5)
        ]
        cells = (f"{np.median(distance):.1f}", f"{distance.max():.1f}", *(f"{share:.0f}" for share in shares))
        yield row_of((name, str(len(found)), *cells))


def surrogate(testbed: Testbed, draws: int) -> Iterator[str]:
    """Coverage of forces with the assumed ratio of force error to s and with that of a surrogate pair."""
    heads = ("n", "ratio", "√atom/Å", "test forces within 68 and 95 % intervals, %", "ood forces, %")
    yield row_of(heads)
    yield row_of(["---"] * len(heads))
    problem, scored = problems(testbed, 0)
    for count in NUMBERS:
        rows: dict[str, list[list[float]]] = {"assumed": [], "surrogate": []}
        for seed in range(draws):
            labelled = draw(problem, testbed.exact, count, 2000 + seed)
            solution = solve(labelled, VARIANTS["base anchor, scaled (default)"])
            size = len(labelled.readout.weights)
            surface = moved_surface(labelled, solution.gaussian.mean[:size], solution.gaussian.mean[size:])
            error = feature_error(labelled, [item for item in labelled.designs if item.has_forces])
            ratio = surrogate_ratio(labelled, "pbe")
            for name, own, size_of in (
                ("assumed", error, np.hypot(error.force_ratio, np.sqrt(error.smooth_share) * error.force_ratio)),
                ("surrogate", with_ratio(error, ratio), ratio),
            ):
                posterior = posterior_of(labelled, solution, own)
                rows[name].append([size_of, *force_coverage(testbed, scored, surface, posterior, labelled.elements)])
        for name, found in rows.items():
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
            ratio_cell = f"{mean[0]:.1f} ± {spread[0]:.1f}"
            shares = (f"{mean[1]:.0f} / {mean[2]:.0f}", f"{mean[3]:.0f} / {mean[4]:.0f}")
            line = row_of((str(count), name, ratio_cell, *shares))
            print(line, file=sys.stderr, flush=True)
            yield line


def force_coverage(
    testbed: Testbed, scored: dict[str, list[Design]], surface: Surface, posterior: Posterior, elements: tuple[int, ...]
) -> Iterator[float]:
    for split in ("test", "ood"):
        found = predict_designs(scored[split], surface, elements, posterior)
        labels = [item.labelled(TARGET.name) for item in testbed.splits[split]]
        error = np.concatenate([(one.forces - label.forces).ravel() for one, label in zip(found, labels, strict=True)])
        bar = np.sqrt(np.concatenate([one.force_total_variance.ravel() for one in found]))
        yield from (100 * one.fraction for one in coverage_table(error, np.zeros_like(error), bar))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--surrogate", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(".rung-cache"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    testbed = load(arguments.cache)
    lines: list[str] = []
    if arguments.draws:
        lines += [*outside(testbed), "", *barriers(testbed, arguments.draws), ""]
    if arguments.surrogate:
        lines += [*surrogate(testbed, arguments.surrogate), ""]
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        write_table(arguments.out, text)


if __name__ == "__main__":
    main()
