"""The band along random directions against full designs, on the testbed: the same draws, errors of the test set.

python benchmarks/probed_band.py --draws 5        # six minutes on a busy core, most of them for full designs
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from testbed_table import VARIANTS, cell, draw, load, problems, row_of, score

from rung.features.probes import trace_error
from rung.fit.linear.probing import ForceDesigns
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Band
from rung.fit.methods.readout import solve

DIRECTIONS = (1, 2, 4, 8)
NUMBERS = (25, 100, 400)
SHOWN = (("test E", 1), ("test F", 0), ("ood E", 1), ("ood F", 0), ("neb_pbe barrier", 3), ("neb_pbe bar", 3))
SETTINGS = VARIANTS["base anchor, scaled (default)"]


def probed(problem: Problem, makes: ForceDesigns, count: int) -> Problem:
    """Return the problem with ``count`` directions of each anchored frame in place of its full design."""
    anchored = Band().frames(problem.structures)
    start = time.perf_counter()
    found = makes.probed([problem.structures[k] for k in anchored], range(count))
    full = sum(np.sum(problem.designs[k].forces ** 2) for k in anchored)
    off = sum(np.sum(one.forces**2) for one in found) / full - 1
    told = trace_error(found) if count > 1 else np.nan
    seconds = time.perf_counter() - start
    print(f"{count} directions: {seconds:.1f} s, trace {off:+.3f}, told ± {told:.3f}", file=sys.stderr)
    designs = list(problem.designs)
    for position, design in zip(anchored, found, strict=True):
        designs[position] = design
    return replace(problem, designs=tuple(designs))


def table(cache: Path, draws: int) -> Iterator[str]:
    """Yield the rows: means and spreads over draws, and the mean difference of force errors with its standard error."""
    testbed = load(cache)
    problem, scored = problems(testbed, 0)
    makes = ForceDesigns(testbed.base.backbone, problem.readout, "pbe")
    cases: Mapping[str, Problem] = {
        "full": problem,
        **{f"{count} directions": probed(problem, makes, count) for count in DIRECTIONS},
    }
    yield row_of(("n", "designs", *(name for name, _ in SHOWN), "test F less that of full designs"))
    yield row_of(["---"] * (len(SHOWN) + 3))
    for count in NUMBERS:
        whole: list[float] = []
        for name, case in cases.items():
            items = [draw(case, testbed.exact, count, 1000 + seed) for seed in range(draws)]
            rows = [score(item, solve(item, SETTINGS), scored, testbed) for item in items]
            whole = whole or [row["test F"] for row in rows]
            off = np.array([row["test F"] for row in rows]) - whole
            error = off.std(ddof=1) / np.sqrt(draws) if draws > 1 else np.nan
            shown = [cell(rows, key, digits) for key, digits in SHOWN]
            yield row_of((str(count), name, *shown, f"{off.mean():.1f} ± {error:.1f}"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path("rung-cache-testbed"))
    arguments = parser.parse_args()
    for line in table(arguments.cache, arguments.draws):
        print(line, flush=True)


if __name__ == "__main__":
    main()
