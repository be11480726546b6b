"""Result folders with made-up but likely numbers, written through the definitions of the files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.build import mx2

from rung.results.barrier import BARRIER_FILE, BarrierEntry, Curve, Panel, write_panels
from rung.results.findings import FINDINGS_FILE, CensusRow, Diagnosis, Finding
from rung.results.fit import FIT_FILE, Alternative, EnergyDifference, FitDetails, FitRecord, HyperParameter
from rung.results.geometries import GEOMETRIES, Geometries
from rung.results.metrics import METRICS_FILE, Metrics, SplitErrors
from rung.results.predictions import PREDICTIONS, Array, Predictions
from rung.results.provenance import PROVENANCE_FILE, FileRecord, Provenance
from rung.results.study import (
    STUDY_FILE,
    TABLE_FILE,
    JudgedForces,
    MethodComparison,
    SharedWarning,
    StudyRow,
    StudySummary,
    write_rows,
)
from rung.storage import write_text
from tests.evaluate.sums import split_errors
from tests.results import made

NOTICE = "Labels come from pretrained potentials, not from ab initio calculations."
FORBIDDEN = "The band forbids half of the change of the barrier that the energies ask for."


def predictions(seed: int, structures: int = 40, atoms: int = 26, *, forces: bool = True) -> Predictions:
    """Labels, a base that errs a lot, a fit that errs a little."""
    rng = np.random.default_rng(seed)
    counts = [atoms + index % 2 for index in range(structures)]
    label = np.array([-14.6 * n + rng.normal(scale=1.2) for n in counts])
    sigma = rng.uniform(0.02, 0.06, size=structures)
    bars = rng.uniform(0.1, 0.25, size=structures)
    truth = [rng.normal(scale=1.1, size=(n, 3)) for n in counts]
    return Predictions(
        fidelity="r2scan",
        structure_ids=tuple(f"rattled-{index}" for index in range(structures)),
        formulas=tuple(f"Mo9S{n - 9}" for n in counts),
        n_atoms=tuple(counts),
        energy=label + rng.normal(scale=bars),
        energy_stderr=bars,
        energy_label=label,
        energy_stderr_label=sigma,
        energy_base=0.6 * label + rng.normal(scale=0.4, size=structures),
        forces=[block + rng.normal(scale=0.31, size=block.shape) for block in truth],
        forces_stderr=[np.full(block.shape, 0.24) for block in truth],
        forces_label=truth if forces else [None] * structures,
        forces_base=[0.77 * block + rng.normal(scale=0.4, size=block.shape) for block in truth],
    )


def errors(content: Predictions, *, base: bool = False) -> SplitErrors:
    """The errors of ``content``, or those of a base on the same structures."""
    forces = content.forces_base if base else content.forces
    return split_errors(
        content.energy if not base else content.energy_label + np.diff(content.energy_base, append=-220),
        content.energy_label,
        content.n_atoms,
        content.formulas,
        energy_stderr_label=content.energy_stderr_label,
        energy_stderr=None if base else content.energy_stderr,
        forces=_whole(forces),
        forces_label=_whole(content.forces_label) if content.forces_label[0] is not None else None,
        base_forces=_whole(content.forces_base),
    )


def _whole(blocks: tuple[Array | None, ...] | None) -> list[Array]:
    return [block for block in blocks or () if block is not None]


def run_folder(folder: Path) -> None:
    """Write every file that a run may leave."""
    splits = {"test": predictions(1), "ood": predictions(2, 24, 40, forces=False)}
    for split, content in splits.items():
        content.write(folder / PREDICTIONS / f"{split}.json")
        geometries(content).write(folder / GEOMETRIES / f"{split}.json")
    metrics(splits).write(folder / METRICS_FILE)
    fit().write(folder / FIT_FILE)
    write_panels(folder / BARRIER_FILE, [barrier()])
    findings().write(folder / FINDINGS_FILE)
    provenance().write(folder / PROVENANCE_FILE)
    write_text(folder / "config.yaml", CONFIG)


def geometries(content: Predictions) -> Geometries:
    """Slabs of as many atoms as the structures of ``content`` have, each a little stretched."""
    sheet = mx2("MoS2", size=(4, 4, 1), vacuum=8.0)
    layers = {n: sheet[:n] for n in set(content.n_atoms)}
    rng, blocks = np.random.default_rng(3), [layers[n] for n in content.n_atoms]
    return Geometries(
        rows=tuple(range(len(blocks))),
        symbols=tuple(" ".join(one.symbols) for one in blocks),
        positions=tuple(one.positions + rng.normal(scale=0.05, size=(len(one), 3)) for one in blocks),
        cells=tuple(one.cell.array for one in blocks),
    )


CONFIG = """run: runs/mos2-readout
fidelities: {pbe: {level_of_theory: PBE}, r2scan: {level_of_theory: "r2SCAN (CHGNet)"}}
target: r2scan
base: {file: base.model, fidelity: pbe}
data: {train: train.extxyz, evaluate: {test: test.extxyz, ood: ood.extxyz}}
method: {name: readout, anchor: base, scale: auto}
seed: 0
"""


def metrics(splits: dict[str, Predictions]) -> Metrics:
    """The errors of a run on ``splits``; those of its base are round numbers."""
    base = {split: errors(content, base=True) for split, content in splits.items()}
    for split, energy, force in (("test", 18.1, 494.0), ("ood", 43.3, np.nan)):
        change = {"energy_rmse": energy, "energy_mae": 15.2, "force_rmse": force}
        base[split] = base[split].model_copy(update=change)
    return made.metrics(
        {split: {"r2scan": errors(content)} for split, content in splits.items()},
        {split: {"r2scan": found} for split, found in base.items()},
        seconds=1.372,
        cache_seconds=74.21,
        n_parameters=48,
        n_energies=100,
        warnings=(FORBIDDEN,),
    )


def fit() -> FitRecord:
    """What a readout fit tells of itself."""
    return FitRecord(
        method="readout",
        settings={"name": "readout"},
        seconds=1.372,
        n_energies=100,
        diagnostics={"leave_one_out_rmse": 0.16},
        warnings=(FORBIDDEN,),
        details=details(),
    )


def details() -> FitDetails:
    """The tables of a fit in closed form, and the log of a training."""
    rng = np.random.default_rng(5)
    points = np.exp(rng.normal(size=(64, 3)) * [0.35, 0.14, 1.2] + np.log([0.214, 0.032, 0.31]))
    hyperparameters = (
        ("alpha", 0.214, 0.15, 0.31, "eV/√atom", "width of the prior"),
        ("model_error", 0.032, 0.028, 0.037, "eV/√atom", "the model's error"),
        ("tau", 0.31, 0.1, 1.4, "eV/Å", "force band"),
        ("scale", 0.77, 0.73, 0.81, "", "scale of the anchor"),
    )
    return FitDetails(
        hyperparameters=tuple(
            HyperParameter(name=name, value=value, low=low, high=high, unit=unit, meaning=meaning)
            for name, value, low, high, unit, meaning in hyperparameters
        ),
        cross_validation=({"tau": 0.1, "loss": 2.0}, {"tau": 0.3, "loss": 1.0}),
        evidence_profile=tuple(
            {"alpha": a, "model_error": e, "tau": t, "scale": 0.77, "weight": 1 / 64} for a, e, t in points.tolist()
        ),
        alternatives=(
            Alternative(name="scaled anchor", log_evidence=115.2, note="taken"),
            Alternative(name="raw anchor", log_evidence=110.4, note=""),
            Alternative(name="no anchor", log_evidence=98.1, note="energies alone"),
        ),
        energies_alone={
            "alpha": 0.41,
            "leave_one_out_rmse_meV_per_cell": 171.3,
            "force_departure_rmse_meV_per_angstrom": 421.0,
            "force_departure_rmse_meV_per_angstrom_as_fitted": 288.0,
        },
        differences=(
            EnergyDifference(
                first="neb-3",
                second="neb-0",
                base=0.894,
                prior_mean=0.12,
                prior_stderr=0.31,
                energies_alone=0.61,
                fitted=0.55,
            ),
        ),
    )


def barrier() -> Panel:
    """A hop of the base, of the fit, and its truth."""
    x = np.linspace(0, 1, 7)
    shape = np.sin(np.pi * x) ** 2
    return Panel(
        title="Vacancy hop, static band of PBE",
        curves=(
            Curve(name="base", coordinate=3.2 * x, energies=0.894 * shape),
            Curve(
                name="readout",
                coordinate=3.2 * x,
                energies=1.405 * shape,
                stderr=0.03 * shape,
                stderr_total=0.09 * shape,
            ),
            Curve(name="truth", coordinate=3.2 * x, energies=1.454 * shape),
        ),
        barriers=(
            BarrierEntry(name="base", value=0.894, reaction=0.0),
            BarrierEntry(name="energies alone", value=1.43, stderr=0.05, stderr_total=0.11, reaction=0.001),
            BarrierEntry(name="readout", value=1.405, stderr=0.0312, stderr_total=0.0904, reaction=-0.001),
            BarrierEntry(name="truth", value=1.454, reaction=0.0),
        ),
        notice="The truth is the potential that made the labels.",
    )


def findings() -> Diagnosis:
    """A note and a warning, with a census."""
    counts = {"split": "train", "n_structures": 660, "n_stress": 0, "n_formulas": 2}
    return Diagnosis.of_findings(
        [
            CensusRow(**counts, fidelity="pbe", n_energies=660, n_stderr=0, n_forces=660),
            CensusRow(**counts, fidelity="r2scan", n_energies=100, n_stderr=100, n_forces=0),
        ],
        [
            Finding(severity="note", code="stress-absent", sentence="No stress labels of r2scan."),
            Finding(
                severity="warning",
                code="far-fragments",
                sentence="3 frames hold fragments beyond 5 Å.",
                structures=("a", "b", "c"),
            ),
        ],
    )


def provenance() -> Provenance:
    """A few versions and hashes."""
    return Provenance(
        rung="0.1.0",
        python="3.11",
        packages={"torch": "2.13.0", "ase": "3.29.0"},
        platform="Linux",
        seed=0,
        device="cpu",
        dtype=None,
        files={"data.train": FileRecord(path="/data/train.extxyz", sha256_32="0f" * 16)},
        ingredients={"seed": "0f" * 16},
        notice=(NOTICE,),
    )


LABELS, SEEDS = (12, 25, 50, 100, 200), range(4)


def study_folder(folder: Path) -> None:
    """Write a study of three methods over five numbers of labels and four seeds."""
    write_rows(folder / TABLE_FILE, study_rows())
    StudySummary(
        title="MoS2: how many energies does it take?",
        notice=(NOTICE,),
        verdict=("With 25 energies the anchor lowers the error of the forces by 10 %.",),
        comparisons=tuple(comparisons()),
        judged=(JudgedForces(split="test", n_judged=60, n_structures=400),),
        truths={"pbe path": 1.454},
        warnings=(
            SharedWarning(
                sentence="Only 12 energies: trust the error bars.", fits=("readout-n12-s0", "tangent-n12-s0")
            ),
        ),
        settings={"seeds": "0, 1, 2, 3", "folds": 2},
    ).write(folder / STUDY_FILE)


def comparisons() -> Iterator[MethodComparison]:
    """Two methods beside the best, at two numbers of labels."""
    for n_labels, energy, force in ((25, 7.0, 310.0), (200, 5.3, 220.0)):
        for metric, least in (("energy_rmse", energy), ("force_rmse", force)):
            for place, method in enumerate(("tangent", "energies alone", "readout")):
                more = 0.2 * place * least
                yield MethodComparison(
                    split="test",
                    metric=metric,
                    n_labels=n_labels,
                    method=method,
                    mean=least + more,
                    spread=0.1 * least,
                    n_draws=5,
                    best=not place,
                    difference=more if place else np.nan,
                    low=0.3 * more if place else np.nan,
                    high=1.7 * more if place else np.nan,
                    p=0.02 if place else np.nan,
                    worse=place == 2,
                    detectable=0.1 * least,
                )


def study_rows() -> list[StudyRow]:
    """The table of that study; its base is a level line."""
    rng = np.random.default_rng(7)
    rows: list[StudyRow] = []

    def add(method: str, n: int, seed: int, split: str, **values: float) -> None:
        rows.extend(
            StudyRow(method=method, n_labels=n, seed=seed, split=split, metric=metric, value=value)
            for metric, value in values.items()
        )

    floors = {"energies alone": (5.6, 250.0), "readout": (6.0, 270.0), "tangent": (5.2, 215.0)}
    fits = [(method, n, seed) for method in floors for n in LABELS for seed in SEEDS]
    for split, worse in (("test", 1.0), ("ood", 1.8)):
        add("base", 0, 0, split, energy_rmse=18.1 * worse, force_rmse=494 * worse**0.1)
        for method, n, seed in fits:
            energy, force = floors[method]
            steep = 1.0 if method != "energies alone" else 2.0
            add(
                method,
                n,
                seed,
                split,
                energy_rmse=energy * worse * (1 + steep * 12 / n * rng.uniform(0.5, 1.5)),
                force_rmse=force * (1 + 5 * rng.uniform(0.8, 1.2) / n),
                coverage_energy_68=rng.uniform(0.5, 0.75),
            )
    for method, n, seed in fits:
        value = 1.45 - 2 / n * rng.uniform(0.5, 2)
        add(method, n, seed, "pbe path", barrier=value, barrier_stderr_total=0.03 + 1.5 / n)
        add(method, n, seed, "fit", seconds=0.31)
    return rows
