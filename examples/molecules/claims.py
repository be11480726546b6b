"""What joint and one-hot training are worth where they converge: the studies of the page *Training on two levels*.

    OMP_NUM_THREADS=1 python examples/molecules/claims.py FOLDER [PART ...] [--draws 5] [--write docs/results/claims.md]

Each part is a study of ``rung compare``, and goes on where it stopped. Draw after draw is done of all parts that are
named, so that what is there at any time is whole. ``--write`` makes tables and pictures of what is there, with its
number of draws, and trains nothing; the numbers of every draw stay in ``claims.csv`` beside the page. So another
machine can begin at the draw that is missing: ``--first 3 --draws 5`` does the fourth and the fifth.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claims_data import GEOMETRIES, LEVELS, PATHS, SPLITS, Pair, claim_files, seed_of, size_of
from claims_tables import write_page

from rung import demo_data, run_fit
from rung.config import RunConfig
from rung.demo.configs import MOLECULES_ARCHITECTURE
from rung.jobs import Here
from rung.progress import SILENT
from rung.study.config import StudyConfig
from rung.study.engine import compare

FAR, NEAR, UP = Pair("gfn2", "mp2"), Pair("mp2", "ccsdt"), Pair("gfn2", "ccsdt")
"""The first pair is far apart and has forces of both, the second is near."""

MANY = replace(FAR, geometries=240)
"""The first pair with three times the geometries: then there are labels enough for draws of 800."""

AGAIN = replace(FAR, seed=1)
"""The first pair from a base of another seed: what the choice of the base does, and further forms of the lifts."""

PAIRS = (FAR, AGAIN, MANY, replace(FAR, tuned=True), NEAR, UP)
"""The blocks of the tables."""

NUMBERS = (50, 200)
"""Energies of the high level: 7 and 30 % of the geometries with labels of the low level."""

MOST = 350
"""Nearly all of what there is below the energy that divides the data."""

FEW = 7
"""One per cent."""

LARGE = (200, 800)
"""Of the larger set of data."""

TRAINING: Mapping[str, Any] = {
    "epochs": 60,
    "batch_size": 16,
    "valid_batch_size": 128,
    "learning_rate": 0.02,
    "loss": {"energy_weight": 1000.0},
    "schedule": {"name": "cosine"},
    "sampling": {"name": "proportional", "least_rows": 672},
    "patience": 100,
}
"""Of rows of one fidelity: an epoch has some 45 steps, however few the labels are."""

BOTH: Mapping[str, Any] = {
    **TRAINING,
    "batch_size": 32,
    "sampling": {"name": "balanced", "least_rows": 1200},
}
"""Of rows of two fidelities: about the same number of steps, each with as many rows of either."""


@dataclass(frozen=True)
class Part:
    """A study: what it compares, on which labels.

    Parameters
    ----------
    pair
        The levels, and on how many geometries.
    kind
        ``closed``, lifts of one base without training; ``matrix``, new models of every choice of labels;
        ``geometries``, the same labels on paired and on disjoint geometries, and another choice of the epoch;
        ``lifts``, lifts of the base by training; ``variants``, forms of those on both levels; ``three``, new models
        with a level in the middle.
    numbers
        Energies of the high level.
    """

    pair: Pair
    kind: str
    numbers: tuple[int, ...] = NUMBERS

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.kind}-{self.pair.name}"

    @property
    def tuned(self) -> "Part":
        """The same with settings that trials choose, in a folder of its own; draws of 350 labels are nearly one."""
        return replace(self, pair=replace(self.pair, tuned=True), numbers=NUMBERS)

    @property
    def based(self) -> bool:
        """Whether its rows lift a base."""
        return self.kind in ("closed", "lifts", "variants")

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels whose labels may train."""
        return tuple(LEVELS) if self.kind == "three" else (self.pair.low, self.pair.high)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of the study, by name."""
        return ROWS[self.kind](self.pair.low, self.pair.high)


PARTS = {
    part.name: part
    for part in (
        Part(FAR, "closed", (FEW, *NUMBERS, MOST)),
        Part(FAR, "matrix", (*NUMBERS, MOST)),
        Part(FAR, "lifts"),
        Part(FAR, "geometries", (*NUMBERS, MOST)),
        Part(AGAIN, "lifts", (FEW,)),
        Part(AGAIN, "variants"),
        Part(NEAR, "closed", (FEW, *NUMBERS, MOST)),
        Part(NEAR, "matrix"),
        Part(UP, "closed", (FEW, *NUMBERS, MOST)),
        Part(UP, "three"),
        Part(NEAR, "lifts"),
        Part(UP, "matrix"),
        Part(MANY, "closed", LARGE),
        Part(MANY, "matrix", LARGE),
    )
}
"""The parts, in the order of their worth."""


def new_model(training: Mapping[str, Any], geometries: str = "all", **labels: str) -> dict[str, Any]:
    """Return a row that trains a new model on the labels of some levels."""
    return {
        "name": "joint",
        "start": "new",
        "geometries": geometries,
        "fidelities": {name: {"labels": kind} for name, kind in labels.items()},
        "architecture": dict(MOLECULES_ARCHITECTURE),
        "training": dict(training),
    }


def rows_of_labels(low: str, high: str) -> dict[str, dict[str, Any]]:
    """Return the choices of labels that the levels have, as rows of a study."""
    cheap = {low: "energy+forces", high: "energy"}
    rows = {"joint": new_model(BOTH, **cheap), "HL-E": new_model(TRAINING, **{high: "energy"})}
    if high != "mp2":  # forces of CCSD(T) are for tests alone
        return rows
    return {
        **rows,
        "HL-EF": new_model(TRAINING, **{high: "energy+forces"}),
        "LL-EF+HL-EF": new_model(BOTH, **{low: "energy+forces", high: "energy+forces"}),
    }


def rows_of_geometries(low: str, high: str) -> dict[str, dict[str, Any]]:
    """Return a choice of labels on chosen geometries, and with another choice of the epoch, as rows of a study."""
    cheap = {low: "energy+forces", high: "energy"}
    return {
        "joint": new_model(BOTH, "paired", **cheap),
        "LL-EF+HL-E disjoint": new_model(BOTH, "disjoint", **cheap),
        "LL-EF+HL-E by total": new_model({**BOTH, "best_by": "total"}, **cheap),
    }


def lifting(low: str, high: str) -> dict[str, Any]:
    """Return what all lifts have that train on both levels: smaller steps than those of a new model."""
    cheap = {low: {"labels": "energy+forces"}, high: {"labels": "energy"}}
    return {"fidelities": cheap, "training": {**BOTH, "learning_rate": 0.005}}


def rows_of_lifts(low: str, high: str) -> dict[str, dict[str, Any]]:
    """Return the methods that train a base on energies, as rows of a study."""
    both = lifting(low, high)
    small = {"channels": 8, "max_l": 1, "layers": 1, "cutoff": 5.0, "correlation": 2, "radial_units": [16, 16]}
    return {
        "onehot": {"name": "onehot", "form": "all", **both},
        "joint": {"name": "joint", **both, "closing_readout": None},
        "transfer": {"name": "transfer", "training": {**TRAINING, "learning_rate": 0.005}},
        "delta": {"name": "delta", "learner": {"name": "mace", "architecture": small, "training": dict(TRAINING)}},
    }


def rows_of_variants(low: str, high: str) -> dict[str, dict[str, Any]]:
    """Return both forms of one-hot, and joint training as it is, opened or closed by ``readout``, as study rows."""
    both = lifting(low, high)
    return {
        "onehot": {"name": "onehot", "form": "embedding", **both},
        "onehot all": {"name": "onehot", "form": "all", **both},
        "joint": {"name": "joint", **both, "closing_readout": None},
        "joint opened": {"name": "joint", **both, "opening_readout": {"name": "readout"}},
        "joint closed": {"name": "joint", **both, "closing_readout": {"name": "readout"}},
    }


def rows_of_levels(far: str, high: str) -> dict[str, dict[str, Any]]:
    """Return energies of the high level beside energies and forces of the far one, and of MP2 too."""
    three = {**BOTH, "batch_size": 48, "sampling": {"name": "balanced", "least_rows": 1800}}
    low, middle, best = {far: "energy+forces"}, {"mp2": "energy+forces"}, {high: "energy"}
    return {"joint": new_model(three, **low, **middle, **best), "GFN2 beside": new_model(BOTH, **low, **best)}


def rows_without_training(_low: str, _high: str) -> dict[str, dict[str, Any]]:
    """Return the lifts of a base in closed form, as rows of a study."""
    return {"readout": {"name": "readout"}, "tangent": {"name": "tangent"}}


ROWS: Mapping[str, Callable[[str, str], dict[str, dict[str, Any]]]] = {
    "closed": rows_without_training,
    "matrix": rows_of_labels,
    "geometries": rows_of_geometries,
    "lifts": rows_of_lifts,
    "variants": rows_of_variants,
    "three": rows_of_levels,
}
"""What the kinds of studies compare."""


def trials(rows: Mapping[str, Mapping[str, Any]], high: str) -> dict[str, list[dict[str, Any]]]:
    """Return three settings to try for each row: two other learning rates, or one and more weight of the high level."""
    tried = {}
    for name, row in rows.items():
        inner = row["learner"] if name == "delta" else row
        given, at = inner["training"]["learning_rate"], "learner." if name == "delta" else ""
        changes: list[dict[str, Any]] = [{f"{at}training.learning_rate": factor * given} for factor in (1.0, 0.5, 2.0)]
        if len(row.get("fidelities", ())) > 1:
            changes[2] = {"training.loss.fidelity_weights": {high: 10.0}}
        tried[name] = changes
    return tried


def base_of(low: str, files: Mapping[str, Path], folder: Path, geometries: int = GEOMETRIES, seed: int = 0) -> Path:
    """Train the base on a low level, once, and return its checkpoint."""
    config = {
        "fidelities": {low: {"level_of_theory": LEVELS[low]}},
        "target": low,
        "threads": 1,
        "seed": seed,
        "run": folder / f"base-{low}{size_of(geometries)}{seed_of(seed)}",
        "data": {"train": files["low"], "valid": files["low-valid"], "evaluate": {"test": files["low-test"]}},
        "method": {"name": "scratch", "architecture": dict(MOLECULES_ARCHITECTURE), "training": dict(TRAINING)},
    }
    return run_fit(RunConfig.read(config).resolved(folder)).folder.model


def study_of(part: Part, seeds: Sequence[int], data: Path, folder: Path) -> StudyConfig:
    """Return the config of a part over some draws; the base is trained where it is not there."""
    pair = part.pair
    files = claim_files(data, folder, part.levels, pair.geometries)
    ending = "-energies" if part.based else ""
    rows = part.rows
    first = next(iter(rows))
    config: dict[str, Any] = {
        "fidelities": {name: {"level_of_theory": LEVELS[name]} for name in part.levels},
        "target": pair.high,
        "threads": 1,
        "run": folder / part.name,
        "data": {
            "train": files[f"train{ending}"],
            "valid": files[f"valid{ending}"],
            "evaluate": {name: files[name] for name in SPLITS},
        },
        "bands": {name: files[name] for name in PATHS},
        "method": rows[first],
        "compare": {name: row for name, row in rows.items() if name != first},
        "labels": list(part.numbers),
        "seeds": list(seeds),
        "force_structures": 200,
    }
    if part.based:
        base = base_of(pair.low, files, folder, pair.geometries, pair.seed)
        config["base"] = {"file": base, "fidelity": pair.low}
    if pair.tuned:
        config["tune"] = {"labels": NUMBERS[0], "seeds": [0], "trials": trials(rows, pair.high)}
    return StudyConfig.read(config).resolved(folder)


def done(parts: Sequence[Part], draws: range, data: Path, folder: Path) -> Iterator[str]:
    """Do the parts draw after draw, and yield what was done."""
    for last in draws:
        for part in parts:
            config = study_of(part, range(draws.start, last + 1), data, folder)
            study = compare(config, executor=Here(), progress=SILENT)
            yield f"{part.name}: {study.n_new} new fits of draw {last}, {len(study.failures)} failed"
            yield from (f"  {failure.name}: {failure.sentence}" for failure in study.failures)


def main() -> None:
    """Do the parts that are named, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the studies are")
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--draws", type=int, default=5, help="draws of labels (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first of them (default %(default)s)")
    parser.add_argument(
        "--tune", action="store_true", help="choose what trains by three trials, in folders of their own"
    )
    parser.add_argument("--data", type=Path, help="the folder of frames.extxyz; by default that of the package")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write tables and pictures, and train nothing")
    chosen = parser.parse_args()
    folder = chosen.folder.resolve()
    if unknown := [name for name in chosen.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    if chosen.write is not None:
        write_page(folder, PAIRS, chosen.write)
        return
    data = chosen.data or demo_data.folder("molecules")
    draws = range(chosen.first, chosen.draws)
    parts = [PARTS[name] for name in chosen.parts]
    if chosen.tune:  # a lift in closed form chooses by its evidence
        parts = [part.tuned for part in parts if part.kind != "closed"]
    for line in done(parts, draws, data, folder):
        print(line, flush=True)


if __name__ == "__main__":
    main()
