"""Campaigns for the barrier of the testbed's vacancy hop, beside fixed random sets of equal cost, over ten seeds.

    python benchmarks/campaign.py rows --seeds 10 --rows campaign-rows.jsonl
    python benchmarks/campaign.py table --rows campaign-rows.jsonl --out docs/results/campaign.md#campaigns

Labels are exact energies of the target with normal noise of 30 meV, drawn for each seed. A campaign begins with eight
labels and takes eight a round; every fit relaxes the band anew. It goes on to 48 labels whatever its bar says, so that
every tolerance and every rule of stopping is read from the same rounds. The truth is the barrier of the band that the
target's own potential relaxed. Each fit is a line of ``--rows``; a run that was interrupted goes on there.

Arms: ``campaign`` from farthest points, ``campaign, random start``, ``campaign, images`` with the images of the base's
own relaxed band in its pool, ``random``, and ``random, images`` with the same images in the set that is drawn from.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coverage import System, sheet

from rung.calculator import RungCalculator
from rung.campaign.answering import Answered, answered
from rung.campaign.choosing import chosen, order_of, start_set
from rung.campaign.questions import BarrierQuestion
from rung.checkpoint import Checkpoint
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods import method_of
from rung.fit.methods.readout import ReadoutSettings
from rung.pages import write_table
from rung.select.greedy import Offer
from rung.tasks.opened import Opened
from rung.tasks.selection import mean_features

STDERR, BATCH, MOST = 0.03, 8, 48
RANDOM = (*range(BATCH, MOST + 1, BATCH), 64, 100)
GRID = (16, 32, 48)
TOLERANCES = (0.1, 0.05)
STOPS = (0.2, 0.15, 0.1, 0.05)
ARMS = ("campaign", "random", "campaign, images", "random, images", "campaign, random start")
Row = dict[str, Any]


@dataclass(frozen=True)
class Hop:
    """The system, what may be labelled, the question and its truth."""

    system: System
    pool: tuple[Structure, ...]
    question: BarrierQuestion
    truth: float


def hop(folder: Path, images: bool) -> Hop:
    system = sheet()
    band, own = system.bands["pbe"], system.bands["r2scan"]
    for name, one in (("initial", band[0]), ("final", band[-1])):
        write_structures(folder / f"{name}.extxyz", [replace(one, labels={})])
    energies = np.array([one.labelled(system.target).energy for one in own])
    question = BarrierQuestion(
        initial=folder / "initial.extxyz", final=folder / "final.extxyz", tolerance=0.05, propose=False
    )
    pool = (*system.train, *(band if images else ()))
    return Hop(system, pool, question, float(energies.max() - energies[0]))


def labelled(hop: Hop, taken: Sequence[int], seed: int) -> tuple[Structure, ...]:
    """Return the training frames and what was taken beside them; what was taken has noisy labels of the target."""
    target, n_train = hop.system.target, len(hop.system.train)
    noise = np.random.default_rng([seed, 1]).normal(scale=STDERR, size=len(hop.pool))
    frames = []
    for k, one in enumerate(hop.pool):
        if k >= n_train and k not in taken:
            continue
        label = replace(one.labelled(target), forces=np.full((len(one), 3), np.nan))
        labels = {name: value for name, value in one.labels.items() if name != target and k < n_train}
        if k in taken:
            labels[target] = replace(label, energy=label.energy + noise[k], energy_stderr=STDERR)
        frames.append(replace(one, labels=labels))
    return tuple(frames)


def calculator(hop: Hop, taken: Sequence[int], seed: int, cache: DesignCache) -> RungCalculator:
    system = hop.system
    fidelities = {system.low: Fidelity(system.low), system.target: Fidelity(system.target)}
    lift = Lift(labelled(hop, taken, seed), (), Base(system.base, system.low), fidelities, system.target)
    settings = ReadoutSettings()
    result = method_of(settings).fit(lift, settings, Context(cache=cache))
    checkpoint = Checkpoint(result.potential, result.posterior, {"target": system.target})
    return RungCalculator(checkpoint, fidelity=system.target)


def row_of(hop: Hop, arm: str, seed: int, taken: Sequence[int], cache: DesignCache) -> tuple[Row, Answered, Any]:
    fit = calculator(hop, taken, seed, cache)
    with tempfile.TemporaryDirectory() as folder:
        said = answered("hop", hop.question, Opened.of(fit, fidelity=hop.system.target), Path(folder) / "hop", tag="")
    answer = said.answer
    row = {
        "arm": arm,
        "seed": seed,
        "n": len(taken),
        "barrier": answer.value,
        "error": answer.value - hop.truth,
        "bar": answer.bar,
        "model_error": answer.model_error,
        "domain": answer.domain,
        "taken": list(map(int, taken)),
    }
    return row, said, fit


def campaign(hop: Hop, arm: str, seed: int, known: Mapping[int, Row], cache: DesignCache, file: Path) -> None:
    system = hop.system
    points = None
    if arm != "campaign, random start":
        # noise alone would leave ten seeds with one start
        points = mean_features(hop.pool, system.base.backbone, system.low, cache=cache)
        points = points + np.random.default_rng([seed, 3]).normal(scale=0.3, size=points.shape)
    taken = start_set(hop.pool, (), BATCH, order_of(hop.pool, points, seed))
    while True:
        following = known.get(len(taken) + BATCH)
        if len(taken) in known and (following is not None or len(taken) >= MOST):
            if following is None:
                return
            taken = following["taken"]
            continue
        row, said, fit = row_of(hop, arm, seed, taken, cache)
        if len(taken) not in known:
            keep(row, file)
        if len(taken) >= MOST:
            return
        rest = [k for k in range(len(hop.pool)) if k not in taken]
        candidates = [hop.pool[k] for k in rest]
        offer = Offer(np.array([len(one) for one in candidates], dtype=float), (STDERR,))
        names = {one.structure_id: k for k, one in zip(rest, candidates, strict=True)}
        choice = chosen(fit, candidates, [said], [hop.question.tolerance], offer, budget=BATCH, energies=0.1)
        taken = [*taken, *(names[one.structure_id] for one in choice.structures)]


def random_sets(hop: Hop, arm: str, seed: int, known: Mapping[int, Row], cache: DesignCache, file: Path) -> None:
    order = np.random.default_rng([seed, 0]).permutation(len(hop.pool)).tolist()
    for number in RANDOM:
        if number not in known:
            keep(row_of(hop, arm, seed, order[:number], cache)[0], file)


def keep(row: Row, file: Path) -> None:
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print({key: value for key, value in row.items() if key != "taken"}, flush=True)


def read_rows(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def make(arguments: argparse.Namespace) -> None:
    cache = DesignCache(arguments.cache)
    with tempfile.TemporaryDirectory() as folder:
        hops = {images: hop(Path(folder), images) for images in (False, True)}
        for seed in range(arguments.first, arguments.seeds):
            for arm in arguments.arms:
                known = {r["n"]: r for r in read_rows(arguments.rows) if (r["arm"], r["seed"]) == (arm, seed)}
                work = random_sets if arm.startswith("random") else campaign
                work(hops["images" in arm], arm, seed, known, cache, arguments.rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rows", "table"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS[:2])
    parser.add_argument("--cache", type=Path, default=Path(".rung-cache"))
    parser.add_argument("--rows", type=Path, default=Path("campaign-rows.jsonl"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "rows":
        make(arguments)
    else:
        lines = list(table(read_rows(arguments.rows)))
        print("\n".join(lines))
        if arguments.out is not None:
            write_table(arguments.out, "\n".join(lines) + "\n")


def courses(rows: Sequence[Row]) -> dict[str, dict[int, list[Row]]]:
    """Return the rows of each arm by seed, in the order of their labels."""
    found: dict[str, dict[int, list[Row]]] = {}
    for row in sorted(rows, key=lambda one: one["n"]):
        found.setdefault(row["arm"], {}).setdefault(row["seed"], []).append(row)
    return {arm: found[arm] for arm in ARMS if arm in found}


def errors(course: Mapping[int, list[Row]]) -> Iterator[str]:
    """Yield the cells of the median error at each number of labels, with the range of the middle of the seeds."""
    for number in RANDOM:
        rows = [row for each in course.values() for row in each if row["n"] == number]
        # a band that did not relax has no barrier: its error is beyond all others
        values = [abs(row["error"]) if np.isfinite(row["error"]) else np.inf for row in rows]
        how = "linear" if np.isfinite(values).all() else "nearest"
        low, middle, high = np.quantile(values, [0.16, 0.5, 0.84], method=how) if values else (np.nan,) * 3
        few = f", {len(values)} seeds" if len(values) < len(course) else ""
        yield f"{1e3 * middle:.0f} ({1e3 * low:.0f}–{1e3 * high:.0f}{few})" if values else "–"


def needed(course: Mapping[int, list[Row]], tolerance: float, *, for_good: bool) -> str:
    """Return the median number of labels until the true error is below a tolerance, of seeds that come there."""
    numbers = []
    for rows in course.values():
        below = [abs(row["error"]) < tolerance for row in rows]
        places = [k for k in range(len(rows)) if (all(below[k:]) if for_good else below[k])]
        numbers.append(rows[places[0]]["n"] if places else np.inf)
    reached = sum(np.isfinite(numbers))
    middle = float(np.median(numbers))
    return (
        f"{middle:.0f} ({reached} of {len(numbers)})" if np.isfinite(middle) else f"never ({reached} of {len(numbers)})"
    )


def held(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return how many bars held, within one and two, and the root mean square of error over bar."""
    distance = np.array([row["error"] / row["bar"] for row in rows])
    shares = (f"{100 * np.mean(np.abs(distance) < bars):.0f}" for bars in (1, 2))
    return (*shares, f"{np.sqrt(np.mean(distance**2)):.1f}")


def stopped(rows: Sequence[Row], tolerance: float, rounds: int) -> Row | None:
    """Return the row at which a campaign ends; None where it does not."""
    inside = [row["bar"] <= tolerance and row["domain"] == "inside" for row in rows]
    places = [k for k in range(rounds - 1, len(rows)) if all(inside[k - rounds + 1 : k + 1])]
    return rows[places[0]] if places else None


def stops(course: Mapping[int, list[Row]], tolerance: float, rounds: int) -> tuple[str, ...]:
    ends = [row for rows in course.values() if (row := stopped(rows, tolerance, rounds)) is not None]
    if not ends:
        return (f"0 of {len(course)}", "–", "–", "–")
    errors = np.array([abs(row["error"]) for row in ends])
    bars = np.array([row["bar"] for row in ends])
    return (
        f"{len(ends)} of {len(course)}",
        f"{np.median([row['n'] for row in ends]):.0f}",
        f"{sum(errors < bars)} / {sum(errors < 2 * bars)}",
        f"{1e3 * np.median(errors):.0f}",
    )


def line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def head(*cells: str) -> str:
    return line(*cells) + "\n" + line(*["---"] * len(cells))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of four tables: errors, labels needed, bars, and where campaigns would have ended."""
    found = courses(rows)
    yield "Error of the barrier, meV, by the number of labels: median over seeds, and the range of the middle 68 %."
    yield ""
    yield head("labels", "seeds", *(str(number) for number in RANDOM))
    for arm, course in found.items():
        yield line(arm, str(len(course)), *errors(course))
    yield ""
    grid = ", ".join(map(str, GRID))
    yield f"Of {grid} labels, the first that bring the true error below, and those from which on it stays there: median"
    yield "over seeds, and how many seeds come there."
    yield ""
    columns = [f"below {1e3 * limit:.0f} meV{more}" for limit in TOLERANCES for more in (", first", ", from there on")]
    yield head("labels", *columns)
    for arm, course in found.items():
        common = {seed: [row for row in each if row["n"] in GRID] for seed, each in course.items()}
        yield line(arm, *(needed(common, one, for_good=good) for one in TOLERANCES for good in (False, True)))
    yield ""
    yield "How often the bar held the truth, in per cent, of fits inside the domain."
    yield ""
    yield head("labels", "fits", "inside the domain", "within 1 bar", "within 2 bars", "r.m.s. of error / bar")
    for arm, course in found.items():
        everything = [row for each in course.values() for row in each if row["n"] in GRID]
        for what, some in (
            (grid, everything),
            (f"{MOST}", [row for row in everything if row["n"] == MOST]),
        ):
            inside = [row for row in some if row["domain"] == "inside" and np.isfinite(row["error"])]
            if inside:
                yield line(f"{arm}: {what}", str(len(some)), str(len(inside)), *held(inside))
    yield ""
    yield "Where campaigns would have ended, by tolerance and by the number of successive rounds that must be inside."
    yield ""
    yield head("labels", "tolerance, meV", "rounds inside", "ended", "labels", "held 1 / 2 bars", "error, meV")
    for arm, course in found.items():
        for tolerance in STOPS:
            for rounds in (1, 2):
                if not arm.startswith("random"):
                    yield line(arm, f"{1e3 * tolerance:.0f}", str(rounds), *stops(course, tolerance, rounds))


if __name__ == "__main__":
    main()
