"""The whole job on bundled data: check, features, fit, evaluation, barrier, learning curve, report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms

from rung import checkpoint, demo_data
from rung.calculator import RungCalculator
from rung.config import RunConfig, StudyConfig
from rung.data.readers import read_structures, write_structures
from rung.data.splits import draw_labels, energies_only, formula, grouped_split
from rung.data.structure import Structure
from rung.errors import ModelError, StorageError
from rung.evaluate.band import StaticBarrier
from rung.evaluate.barrier import BarrierSettings, relaxed_barrier, static_barrier
from rung.features.passes import build_designs
from rung.fit.diagnosis import compare_difference, without_band
from rung.fit.readout import ReadoutSettings, gather, solve
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.report import write_report
from rung.run.folder import RunFolder
from rung.run.inputs import context_of, open_base, read_splits
from rung.run.stages import FinishedRun, run_fit
from rung.storage import FolderLock, read_json, write_json
from rung.study import FinishedStudy, run_study

Name = Literal["mos2", "pm6-dft"]

FOLDERS: dict[str, str] = {"mos2": "demo", "pm6-dft": "demo-pm6-dft"}
"""Where each demo goes unless the user names another folder."""

MOS2_NOTICE = (
    "The labels are model-made, not ab initio: 'pbe' is what SevenNet-MF-0 says, 'r2scan' what CHGNet says; they stand "
    "for two levels of theory whose truth is known, and say nothing about MoS2 itself."
)
PM6_NOTICE = (
    "PM6 and DFT labels of reactive CHNO molecules from the data of PYSEQM (https://github.com/lanl/PYSEQM), under the "
    "BSD licence that stands beside them; the source does not state functional and basis. The base is a small model, "
    "trained in minutes."
)

LOCK = ".demo-lock"
MARK = "demo.json"
"""Which demo a folder is."""

STUDY = "study"
"""Folder of the learning curve within the demo's: the report of a run shows a study that lies there."""

ENERGIES_ONLY: dict[str, Any] = {"name": "readout", "terms": [{"kind": "energies"}, {"kind": "weights"}]}
"""The same fit without the anchor, to show what the anchor does."""

LEARNING_CURVE: dict[str, Any] = {"labels": [12, 25, 50, 100], "seeds": [0, 1, 2]}

MOS2: dict[str, Any] = {
    "fidelities": {
        "pbe": {"level_of_theory": "PBE as SevenNet-MF-0 has it (model-made)"},
        "r2scan": {"level_of_theory": "r2SCAN as CHGNet has it (model-made)"},
    },
    "target": "r2scan",
    "method": {"name": "readout"},
    "threads": 1,
}
"""The config of the MoS2 demo, its files and folders apart."""

PM6_BASE: dict[str, Any] = {
    "fidelities": {"pm6": {"level_of_theory": "PM6"}},
    "target": "pm6",
    "method": {
        "name": "scratch",
        "architecture": {"channels": 32, "max_l": 1, "layers": 2, "cutoff": 5.0},
        "training": {
            "epochs": 30,
            "batch_size": 8,
            "learning_rate": 0.01,
            "schedule": {"name": "cosine"},
            "loss": {"energy_weight": 10.0, "forces_weight": 100.0, "forces_shape": {"name": "huber", "delta": 1.0}},
        },
    },
    "threads": 1,
}
"""The config by which the base of the PM6-DFT demo is trained."""

PM6_LIFT: dict[str, Any] = {
    "fidelities": {"pm6": {"level_of_theory": "PM6"}, "dft": {"level_of_theory": "DFT, functional not stated"}},
    "target": "dft",
    "method": {"name": "readout"},
    "threads": 1,
}
"""The config by which that base is lifted."""

PM6_SPLIT = {"train": 0.7, "valid": 0.1, "test": 0.2}
"""Shares of the molecules, whole formulas each."""

PM6_ENERGIES = 100
"""DFT energies that the main fit of the PM6-DFT demo sees."""

BAND = BarrierSettings(images=7, fmax=0.05, max_steps=300)
"""How the relaxed barrier is found."""


@dataclass(frozen=True)
class BarrierRow:
    """One barrier of the summary.

    Parameters
    ----------
    path
        Which band it is of.
    name
        ``base``, the lifted potential, or ``truth``.
    value
        Highest image less the first, eV.
    stderr_total
        Its one-sigma error with the model's own error, eV; NaN where there is none.
    """

    path: str
    name: str
    value: float
    stderr_total: float


@dataclass(frozen=True)
class FinishedDemo:
    """What the demo left behind.

    Parameters
    ----------
    run, study
        The main fit and the learning curve.
    barriers
        Barriers before and after beside the truth; none without a band.
    notices
        Who made the labels.
    report
        The page to open.
    seconds
        How long this call took.
    """

    run: FinishedRun
    study: FinishedStudy
    barriers: tuple[BarrierRow, ...]
    notices: tuple[str, ...]
    report: Path
    seconds: float


def run_demo(name: Name = "mos2", folder: Path | None = None, *, progress: Progress = SILENT) -> FinishedDemo:
    """Do the whole job on bundled data; what an earlier call finished is not done again.

    Parameters
    ----------
    name
        ``mos2``: a sulfur vacancy that hops in MoS2, model-made labels. ``pm6-dft``: molecules, the base trained first.
    folder
        Where to put everything; by default ``FOLDERS[name]`` in the current folder.
    progress
        Where long work reports.

    Raises
    ------
    ConfigError
        When there is no such data set.
    StorageError
        When the folder holds another demo or other files.
    """
    data = demo_data.folder(name)
    chosen = (Path(FOLDERS[name]) if folder is None else Path(folder)).absolute()
    _refuse_foreign(chosen, name)
    with FolderLock(chosen, LOCK):
        _refuse_foreign(chosen, name)
        write_json(chosen / MARK, {"data": name})
        return _mos2(data, chosen, progress) if name == "mos2" else _pm6_dft(data, chosen, progress)


def _refuse_foreign(folder: Path, name: str) -> None:
    """Raise where ``folder`` is another demo's, or holds files that are no demo's."""
    mark = folder / MARK
    if mark.exists():
        before = read_json(mark).get("data")
        if before != name:
            raise StorageError(f"{folder} holds the demo {before!r}; name another folder with --folder.")
    elif folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
        raise StorageError(f"{folder} is not empty and holds no demo; name another folder with --folder.")


def _mos2(data: Path, folder: Path, progress: Progress) -> FinishedDemo:
    started = time.monotonic()
    common = {
        **MOS2,
        "base": {"file": data / "base.model", "fidelity": "pbe"},
        "data": {
            "train": data / "train.extxyz",
            "evaluate": {"test": data / "test.extxyz", "ood": data / "ood.extxyz"},
        },
        "cache": folder / "cache",
    }
    config = RunConfig.read({**common, "run": folder}).resolved(folder)
    run = run_fit(config, notices=[MOS2_NOTICE], progress=progress)
    barrier_file = run.folder.path / "barrier.json"
    if not barrier_file.exists():
        with progress.task("Barriers", 1) as task:
            write_json(barrier_file, _mos2_barriers(data, config, folder, progress))
            task.advance()
    study = run_study(
        StudyConfig.read(
            {
                **common,
                **LEARNING_CURVE,
                "run": folder / STUDY,
                "compare": {"energies alone": ENERGIES_ONLY},
                "noise": {"exact": data / "train_exact.json", "energy_stderr": [0.02, 0.06]},
                "bands": {"hop": data / "neb_pbe.extxyz"},
            }
        ).resolved(folder),
        notices=[MOS2_NOTICE],
        progress=progress,
    )
    return _finished(run, study, read_json(barrier_file), MOS2_NOTICE, started)


def _mos2_barriers(data: Path, config: RunConfig, folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """Return the hop along the path of the base's level as it is, and along the path that each potential prefers."""
    target = config.target
    path = read_structures(data / "neb_pbe.extxyz")
    truth = read_structures(data / "neb_r2scan.extxyz")
    base = open_base(config)
    if base is None:
        raise ModelError("The demo's config names no base.")
    before = RungCalculator(base, fidelity="pbe")
    after = RungCalculator(checkpoint.load(RunFolder(config.run).model), fidelity=target)
    images = [structure.atoms for structure in path]
    static = {
        "base": static_barrier(images, before),
        "lifted": static_barrier(images, after, difference_stderr=_bars(after)),
    }
    relaxed = {
        name: relaxed_barrier(
            images[0],
            images[-1],
            calculator,
            BAND,
            guess_images=images,
            folder=folder / "bands" / name,
            progress=progress,
            difference_stderr=bars,
        )
        for name, calculator, bars in (("base", before, None), ("lifted", after, _bars(after)))
    }
    static_panel = _panel("Vacancy hop along the pbe path, images as they are", static, path, target)
    static_panel["notice"] += " " + _asked(config, base, path[static["lifted"].saddle], path[0], progress)
    return [
        static_panel,
        _panel("Vacancy hop along each potential's own relaxed path", relaxed, truth, target),
    ]


def _asked(config: RunConfig, base: ReadoutPotential, saddle: Structure, start: Structure, progress: Progress) -> str:
    """Return a sentence on the barrier's change: what the band allows beside what the energies ask for."""
    settings = config.method
    if not isinstance(settings, ReadoutSettings):
        return ""
    context = context_of(config, base, seed=config.seed, folder=config.run, progress=progress)
    target = config.fidelity_table()[config.target]
    problem = gather(read_splits(config)["train"], base, target, settings, context)
    solution, alone = solve(problem, settings), without_band(problem, settings.terms)
    first, second = build_designs(
        [saddle, start],
        base.backbone,
        problem.readout,
        forces=False,
        fidelity=context.base_fidelity,
        cache=context.cache,
    )
    found = compare_difference(problem, solution, alone, first, second)
    return (
        f"The base's barrier is {found.base:.3f} eV. Before any energy the band and the weight prior let it change by "
        f"{found.prior_mean:.3f} ± {found.prior_stderr:.3f} eV; energies alone ask for {found.energies_alone:+.3f} eV, "
        f"the anchored fit takes {found.fitted:+.3f} eV."
        + (" The band forbids what the energies ask for: widen it." if found.forbidden else "")
    )


def _bars(calculator: RungCalculator) -> Any:
    """Return the error bars of a difference: from the weights alone, and with the model's own error at its larger."""

    def stderr(image: Atoms, reference: Atoms) -> tuple[float, float]:
        variance = calculator.energy_difference_variance(image, reference)
        return float(np.sqrt(variance.weights)), float(np.sqrt(variance.headline))

    return stderr


def _panel(title: str, found: Mapping[str, StaticBarrier], truth: Sequence[Structure], target: str) -> dict[str, Any]:
    energies = np.array([structure.labelled(target).energy for structure in truth])
    steps = [np.linalg.norm(two.atoms.positions - one.atoms.positions) for one, two in pairwise(truth)]
    exact = {"value": float(energies.max() - energies[0]), "reaction": float(energies[-1] - energies[0])}
    reasons = [f"{name}: {reason}" for name, band in found.items() if (reason := getattr(band, "reason", ""))]
    return {
        "title": title,
        "curves": [
            *(band.curve(name) for name, band in found.items()),
            {
                "name": "truth",
                "coordinate": np.concatenate([[0.0], np.cumsum(steps)]),
                "energies": energies - energies[0],
            },
        ],
        "barriers": [*(band.entry(name) for name, band in found.items()), {"name": "truth", **exact}],
        "notice": " ".join([MOS2_NOTICE, *reasons]),
    }


def _pm6_dft(data: Path, folder: Path, progress: Progress) -> FinishedDemo:
    started = time.monotonic()
    files = _pm6_files(data, folder)
    trained = run_fit(
        RunConfig.read(
            {
                **PM6_BASE,
                "run": folder / "base",
                "data": {"train": files["base"], "valid": files["valid"], "evaluate": {"test": files["test"]}},
                "cache": folder / "cache",
            }
        ).resolved(folder),
        notices=[PM6_NOTICE],
        progress=progress,
    )
    common = {
        **PM6_LIFT,
        "base": {"file": trained.folder.model, "fidelity": "pm6"},
        "cache": folder / "cache",
    }
    run = run_fit(
        RunConfig.read(
            {
                **common,
                "run": folder,
                "data": {"train": files["few"], "evaluate": {"test": files["test"]}},
            }
        ).resolved(folder),
        notices=[PM6_NOTICE],
        progress=progress,
    )
    study = run_study(
        StudyConfig.read(
            {
                **common,
                **LEARNING_CURVE,
                "run": folder / STUDY,
                "data": {"train": files["train"], "evaluate": {"test": files["test"]}},
                "compare": {"energies alone": ENERGIES_ONLY},
            }
        ).resolved(folder),
        notices=[PM6_NOTICE],
        progress=progress,
    )
    return _finished(run, study, [], PM6_NOTICE, started)


def _pm6_files(data: Path, folder: Path) -> dict[str, Path]:
    """Split the molecules by formula, write the splits, and return their files by name.

    ``base`` and ``valid`` carry what the base may learn from, ``train`` DFT energies without forces, ``few`` the DFT
    energies of the main fit, ``test`` everything.
    """
    names = ("base", "valid", "train", "few", "test")
    files = {name: folder / "data" / f"{name}.extxyz" for name in names}
    if all(path.exists() for path in files.values()):
        return files
    parts = grouped_split(read_structures(data / "frames.extxyz"), PM6_SPLIT, 0, key=formula)
    train = energies_only(parts["train"], "dft")
    splits: dict[str, tuple[Structure, ...]] = {
        "base": draw_labels(train, "dft", 0, 0),
        "valid": draw_labels(parts["valid"], "dft", 0, 0),
        "train": train,
        "few": draw_labels(train, "dft", PM6_ENERGIES, 0),
        "test": parts["test"],
    }
    for name, structures in splits.items():
        write_structures(files[name], structures)
    return files


def _finished(
    run: FinishedRun, study: FinishedStudy, panels: Sequence[Mapping[str, Any]], notice: str, started: float
) -> FinishedDemo:
    rows = tuple(
        BarrierRow(panel["title"], entry["name"], _number(entry["value"]), _number(entry.get("stderr_total")))
        for panel in panels
        for entry in panel["barriers"]
    )
    report = write_report(run.folder.path)
    return FinishedDemo(run, study, rows, (notice,), report, time.monotonic() - started)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
