"""How often error bars hold the truth on systems other than the testbed of MoS2, over draws of the target's labels.

    python benchmarks/coverage.py ingan li6ps5cl --draws 20 --out docs/results/coverage-systems.md   # 10 minutes
    python benchmarks/coverage.py pm6 --folder FOLDER --draws 20 --out ...     # FOLDER from benchmarks/pm6, see there

Percentages of labels inside one and 1.96 standard errors of prediction and label together (68 and 95 are due), z² of
energies, and errors in meV/atom and meV/Å. Differences are those of random pairs of one split; structures whose
composition the labels do not identify have no bar and do not count.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rung.checkpoint import open_model
from rung.data.readers.structures import read_structures
from rung.data.splits import draw_labels
from rung.data.structure import Structure
from rung.evaluate.coverage import coverage
from rung.features.cache import DesignCache
from rung.features.errorbars import joint_energies
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.methods import method_of
from rung.fit.methods.readout import ReadoutSettings
from rung.model.potential import ReadoutPotential
from rung.run.evaluation import SplitPrediction, errors_of, shares_of
from rung.run.predictor import Predictor
from rung.storage import write_text

HERE = Path(__file__).parent
NUMBERS = (12, 25, 50, 100, 400)


@dataclass(frozen=True)
class System:
    """One base, its training frames, and the splits that are judged."""

    name: str
    low: str
    target: str
    base: ReadoutPotential
    train: tuple[Structure, ...]
    splits: Mapping[str, tuple[Structure, ...]]
    noise: float | tuple[float, float] | None


def bundled(name: str, splits: Sequence[str]) -> System:
    folder = HERE / "testbed" / name
    base = open_model(folder / "base.model", fidelity="pbe").potential
    judged = {split: read_structures(folder / f"{split}.extxyz") for split in splits}
    return System(name, "pbe", "r2scan", base, read_structures(folder / "train.extxyz"), judged, (0.02, 0.06))


def molecules(folder: Path) -> System:
    base = open_model(folder / "base" / "model.rung", fidelity="pm6").potential
    data = folder / "data"
    test = {"test": read_structures(data / "test.extxyz")}
    return System("pm6", "pm6", "dft", base, read_structures(data / "train.extxyz"), test, None)


def fitted(system: System, count: int, seed: int, cache: DesignCache) -> FitResult:
    frames = draw_labels(system.train, system.target, count, 2000 + seed, noise=system.noise)
    fidelities = {system.low: Fidelity(system.low), system.target: Fidelity(system.target)}
    lift = Lift(frames, (), Base(system.base, system.low), fidelities, system.target)
    settings = ReadoutSettings()
    return method_of(settings).fit(lift, settings, Context(cache=cache))


def within_differences(
    system: System, result: FitResult, predictor: Predictor, structures: Sequence[Structure], found: SplitPrediction
) -> float:
    """Return the share of differences between random pairs whose bar of 68 % held the labels' difference."""
    designs = predictor.designs(result.potential, structures, system.target, forces=False)
    assert result.posterior is not None
    joint = joint_energies(designs, sorted(result.potential.elements), result.posterior)
    label = np.array([one.labelled(system.target).energy for one in structures])
    random, values, bars = np.random.default_rng(0), [], []
    for _ in range(4 * len(structures)):
        first, second = random.choice(len(structures), 2, replace=False)
        coefficients = np.zeros(len(structures))
        coefficients[[first, second]] = 1.0, -1.0
        values.append(coefficients @ (found.energy - label))
        bars.append(joint.combination_variance(coefficients).stderr())
    return coverage(values, np.zeros(len(values)), bars, 0.68)


def rows(system: System, draws: int, cache: DesignCache) -> Iterator[str]:
    available = sum(one.labelled(system.target).has_energy for one in system.train)
    predictor = Predictor(system.base, cache, force_structures=60)
    for count in (number for number in NUMBERS if number <= available):
        gathered: dict[str, list[dict[str, float]]] = {split: [] for split in system.splits}
        for seed in range(draws if count < available else 1):
            result = fitted(system, count, seed, cache)
            for split, structures in system.splits.items():
                found = predictor.predict(result.potential, result.posterior, structures, system.target, system.target)
                errors = errors_of(found, structures, system.target)
                pairs = within_differences(system, result, predictor, structures, found)
                numbers = {"z2": errors.energy_z2, "energy": errors.energy_rmse, "force": errors.force_rmse}
                gathered[split].append({**shares_of(found, structures, system.target), **numbers, "pairs": pairs})
        for split, one in gathered.items():
            line = cells(system.name, count, split, one)
            print(line, flush=True)
            yield line


def cells(name: str, count: int, split: str, found: Sequence[Mapping[str, float]]) -> str:
    def mean(key: str) -> float:
        values = [one[key] for one in found if key in one and np.isfinite(one[key])]
        return float(np.mean(values)) if values else float("nan")

    shares = [
        f"{100 * mean(f'coverage_{what}_68'):.0f} / {100 * mean(f'coverage_{what}_95'):.0f}"
        for what in ("energy", "forces")
    ]
    columns = (
        name,
        str(count),
        split,
        f"{mean('energy'):.1f}",
        f"{mean('force'):.0f}",
        shares[0],
        f"{mean('z2'):.2f}",
        f"{100 * mean('pairs'):.0f}",
        shares[1],
    )
    return "| " + " | ".join(columns) + " |"


HEAD = (
    "| system | n | split | energy error | force error | energies | z² | differences | forces |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="+", choices=("ingan", "li6ps5cl", "pm6"))
    parser.add_argument("--folder", type=Path, help="where rung fit base.yaml of benchmarks/pm6 was run")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--cache", type=Path, default=Path(".rung-cache"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cache = DesignCache(arguments.cache)
    lines = HEAD.split("\n")
    for name in arguments.systems:
        if name == "pm6":
            if arguments.folder is None:
                parser.error("pm6 needs --folder")
            system = molecules(arguments.folder)
        else:
            system = bundled(name, ("test", "relaxed") if name == "ingan" else ("test_cold", "test_hot"))
        lines += rows(system, arguments.draws, cache)
    if arguments.out is not None:
        write_text(arguments.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
