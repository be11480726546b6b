"""Labels chosen for a question beside random and farthest-point ones, on the testbed and on InGaN, over draws.

    python benchmarks/select_table.py mos2 ingan --draws 10 --out docs/results/select.md#select

Every draw begins with six random labels (σ 30 meV), and fits, chooses and labels again until it has 12, 16, 25 and 50.
Errors are against exact labels that no fit has seen: r.m.s. of energies (meV/atom) and forces (meV/Å) of
test frames, and the error of the barrier along the fixed pbe path (meV), as medians over draws.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from coverage import METHODS, System, system_of

from rung.backends.errors import errors_of as bars_of
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.features.passes import features_of
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.methods import method_of
from rung.pages import write_table
from rung.run.evaluation import errors_of
from rung.run.predictor import Predictor
from rung.select.greedy import Offer, greedy
from rung.select.questions import Question, asked, difference_asked, energies_asked, forces_asked

FIRST, NUMBERS, STDERR = 6, (12, 16, 25, 50), 0.03
BESIDE = 0.1
"""What energies count beside another question, so that reference energies are not left open."""


def labelled(system: System, chosen: Sequence[int], seed: int) -> tuple[Structure, ...]:
    """Return the training frames, of which ``chosen`` have noisy labels of the target."""
    noise = np.random.default_rng([seed, 1]).normal(scale=STDERR, size=len(system.train))
    frames = []
    for k, one in enumerate(system.train):
        label = one.labelled(system.target)
        labels = {name: value for name, value in one.labels.items() if name != system.target}
        if k in chosen:
            labels[system.target] = replace(label, energy=label.energy + noise[k], energy_stderr=STDERR)
        frames.append(replace(one, labels=labels))
    return tuple(frames)


def fitted(system: System, method: str, chosen: Sequence[int], seed: int, cache: DesignCache) -> FitResult:
    fidelities = {system.low: Fidelity(system.low), system.target: Fidelity(system.target)}
    lift = Lift(labelled(system, chosen, seed), (), Base(system.base, system.low), fidelities, system.target)
    return method_of(METHODS[method]).fit(lift, METHODS[method], Context(cache=cache))


def questions(system: System, name: str) -> list[Question]:
    spread = [system.train[k] for k in evenly_spread(range(len(system.train)), 200)]
    energies = energies_asked(spread, BESIDE if name != "energies" else 1.0)
    match name:
        case "energies":
            return [energies]
        case "forces":
            return [energies, forces_asked([spread[k] for k in evenly_spread(range(len(spread)), 30)])]
    band = system.bands["pbe"]
    top = int(np.argmax([one.labelled(system.target).energy for one in band]))
    return [energies, difference_asked("barrier", band[top], band[0])]


def next_labels(
    system: System, rule: str, method: str, chosen: list[int], count: int, seed: int, cache: DesignCache
) -> list[int]:
    """Return ``chosen`` with so many more labels by a rule."""
    rest = [k for k in range(len(system.train)) if k not in chosen]
    if rule == "random":
        order = [k for k in np.random.default_rng([seed, 0]).permutation(len(system.train)).tolist() if k in rest]
        return chosen + order[:count]
    if rule == "farthest":
        features = features_of(system.train, system.base.backbone, fidelity=system.low, cache=cache)
        means = np.array([one.mean(axis=0) for one in features])
        means = (means - means.mean(axis=0)) / np.maximum(means.std(axis=0), 1e-12)
        taken = list(chosen)
        for _ in range(count):
            distance = np.min(np.linalg.norm(means[:, None] - means[None, taken], axis=2), axis=1)
            taken.append(int(np.argmax(distance)))
        return taken
    result = fitted(system, method, chosen, seed, cache)
    assert result.posterior is not None
    bars = bars_of(result.potential, system.target, result.posterior)
    pool = [system.train[k] for k in rest]
    wanted = asked(bars, pool, questions(system, rule))
    sizes = np.array([len(one) for one in pool], dtype=float)
    labels = list(greedy(wanted.knowledge, Offer(sizes, (STDERR,)), count))[-1]
    return chosen + [rest[label.candidate] for label in labels]


def scored(system: System, result: FitResult, cache: DesignCache) -> list[float]:
    found = Predictor(system.base, cache).predict(
        result.potential, None, system.splits["test"], system.target, system.target
    )
    errors = errors_of(found, system.splits["test"], system.target)
    row = [errors.energy_rmse, errors.force_rmse]
    if "pbe" in system.bands:
        images = system.bands["pbe"]
        truth = np.array([one.labelled(system.target).energy for one in images])
        barrier = Predictor(system.base, cache).static_barrier(result.potential, None, images, system.target).barrier
        row.append(1e3 * abs(barrier - (truth.max() - truth[0])))
    return row


def rows(system: System, method: str, draws: int, cache: DesignCache) -> Iterator[str]:
    rules = ["random", "farthest", "energies", "forces", *(["barrier"] if "pbe" in system.bands else [])]
    gathered: dict[tuple[int, str], list[list[float]]] = {}
    for seed in range(draws):
        for rule in rules:
            chosen = np.random.default_rng([seed, 2]).permutation(len(system.train))[:FIRST].tolist()
            for number in NUMBERS:
                chosen = next_labels(system, rule, method, chosen, number - len(chosen), seed, cache)
                row = scored(system, fitted(system, method, chosen, seed, cache), cache)
                gathered.setdefault((number, rule), []).append(row)
        print(f"{system.name}: draw {seed + 1} of {draws}", flush=True)
    for (number, rule), found in sorted(gathered.items(), key=lambda item: (item[0][0], rules.index(item[0][1]))):
        cells = [f"{np.median(column):.1f}" for column in np.array(found).T]
        line = "| " + " | ".join([system.name, str(number), rule, *cells, *["–"] * (3 - len(cells))]) + " |"
        print(line, flush=True)
        yield line


HEAD = "| system | n | chosen by | energies | forces | barrier |\n| --- | --- | --- | --- | --- | --- |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="+", choices=("mos2", "ingan"))
    parser.add_argument("--method", choices=tuple(METHODS), default="readout")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=Path(".rung-cache"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cache = DesignCache(arguments.cache)
    lines = HEAD.split("\n")
    for name in arguments.systems:
        lines += rows(system_of(name, None), arguments.method, arguments.draws, cache)
    if arguments.out is not None:
        write_table(arguments.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
