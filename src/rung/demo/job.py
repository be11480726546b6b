"""The demos from beginning to end; a second call skips what is done."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung import demo_data
from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels, energies_only, formula, grouped_split
from rung.data.structure import Structure
from rung.demo import configs
from rung.demo.exchange import exchange_barriers, exchange_files
from rung.demo.hop import hop_barriers
from rung.demo.molecules import molecule_barriers, molecule_files
from rung.demo_data import Name
from rung.errors import StorageError
from rung.jobs import Here
from rung.progress import SILENT, Progress
from rung.report import write_report
from rung.results.barrier import BARRIER_FILE, Panel, read_panels, write_panels
from rung.results.demo import DEMO_FILE, DEMO_LOCK, Mark
from rung.run.stages import FinishedRun, run_fit
from rung.storage import FolderLock
from rung.study import FinishedStudy, StudyConfig, compare


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


def run_demo(name: Name, folder: Path | None = None, *, progress: Progress = SILENT) -> FinishedDemo:
    """Do the whole job on bundled data; what an earlier call finished is not done again.

    Parameters
    ----------
    name
        ``mos2``: a sulfur vacancy that hops in MoS2, model-made labels. ``pm6-dft``: molecules, the base trained first.
        ``h3``: H + H2 from PBE to diffusion Monte Carlo, the base trained first. ``molecules``: twelve molecules from
        GFN2-xTB to CCSD(T), the base trained first.
    folder
        Where to put everything; by default ``configs.FOLDERS[name]`` in the current folder.
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
    chosen = (Path(configs.FOLDERS[name]) if folder is None else Path(folder)).absolute()
    _refuse_foreign(chosen, name)
    with FolderLock(chosen, DEMO_LOCK):
        _refuse_foreign(chosen, name)
        Mark(data=name).write(chosen / DEMO_FILE)
        return _JOBS[name](data, chosen, progress)


def _refuse_foreign(folder: Path, name: str) -> None:
    """Raise where ``folder`` is another demo's, or holds files that are no demo's."""
    mark = folder / DEMO_FILE
    if mark.exists():
        before = Mark.read(mark).data
        if before != name:
            raise StorageError(f"{folder} holds the demo {before!r}; name another folder with --folder.")
    elif folder.exists() and any(path.name != DEMO_LOCK for path in folder.iterdir()):
        raise StorageError(f"{folder} is not empty and holds no demo; name another folder with --folder.")


def _mos2(data: Path, folder: Path, progress: Progress) -> FinishedDemo:
    started = time.monotonic()
    common = {
        **configs.MOS2,
        "base": {"file": data / "base.model", "fidelity": "pbe"},
        "data": {
            "train": data / "train.extxyz",
            "evaluate": {"test": data / "test.extxyz", "ood": data / "ood.extxyz"},
        },
        "cache": folder / "cache",
    }
    config = RunConfig.read({**common, "run": folder}).resolved(folder)
    run = run_fit(config, notices=[configs.MOS2_NOTICE], progress=progress)
    barrier_file = run.folder.path / BARRIER_FILE
    if not barrier_file.exists():
        with progress.task("Barriers", 1) as task:
            write_panels(barrier_file, hop_barriers(data, config, folder, progress))
            task.advance()
    asked = {
        **configs.LEARNING_CURVE,
        "compare": {"energies alone": configs.ENERGIES_ONLY},
        "noise": {"exact": data / "train_exact.json", "energy_stderr": [0.02, 0.06]},
        "bands": {"hop": data / "neb_pbe.extxyz"},
    }
    study = _learning_curve(common, asked, configs.MOS2_NOTICE, folder, progress)
    return _finished(run, study, read_panels(barrier_file), configs.MOS2_NOTICE, started)


@dataclass(frozen=True)
class TrainedFirst:
    """A demo whose base is trained before it is lifted.

    Parameters
    ----------
    notice
        Who made the labels.
    base, lift
        The configs of both runs, files and folders apart.
    files
        Writes the splits of the data into the folder, and returns their files by name: ``few`` for the main fit,
        ``train`` for the learning curve, ``test`` for both.
    learnt
        Which files the base's run reads: ``train``, ``test``, and ``valid`` where it has one.
    curve
        The learning curve.
    compared
        Methods beside that of the main fit.
    barriers
        Finds barriers before and after; None without a band.
    """

    notice: str
    base: Mapping[str, Any]
    lift: Mapping[str, Any]
    files: Callable[[Path, Path], Mapping[str, Path]]
    learnt: Mapping[str, str]
    curve: Mapping[str, Any]
    compared: Mapping[str, Any]
    barriers: Callable[[Mapping[str, Path], RunConfig, Path, Progress], Sequence[Panel]] | None = None

    def __call__(self, data: Path, folder: Path, progress: Progress) -> FinishedDemo:
        """Train the base, lift it, find barriers and draw the learning curve."""
        started = time.monotonic()
        files = self.files(data, folder)
        learnt: dict[str, Any] = {split: files[name] for split, name in self.learnt.items()}
        learnt["evaluate"] = {"test": learnt.pop("test")}
        base = _trained_base(self.base, learnt, self.notice, folder, progress)
        common = {
            **self.lift,
            "base": {"file": base, "fidelity": self.base["target"]},
            "cache": folder / "cache",
        }
        few, everything = ({"train": files[name], "evaluate": {"test": files["test"]}} for name in ("few", "train"))
        config = RunConfig.read({**common, "run": folder, "data": few}).resolved(folder)
        run = run_fit(config, notices=[self.notice], progress=progress)
        panels: Sequence[Panel] = []
        if self.barriers is not None:
            barrier_file = run.folder.path / BARRIER_FILE
            if not barrier_file.exists():
                write_panels(barrier_file, self.barriers(files, config, folder, progress))
            panels = read_panels(barrier_file)
        asked = {**self.curve, "data": everything, "compare": self.compared}
        study = _learning_curve(common, asked, self.notice, folder, progress)
        return _finished(run, study, panels, self.notice, started)


def _trained_base(
    settings: Mapping[str, Any], data: Mapping[str, Any], notice: str, folder: Path, progress: Progress
) -> Path:
    """Train the base of a demo in ``folder/base``, and return its file."""
    values = {**settings, "run": folder / "base", "data": data, "cache": folder / "cache"}
    return run_fit(RunConfig.read(values).resolved(folder), notices=[notice], progress=progress).folder.model


def _learning_curve(
    common: Mapping[str, Any], asked: Mapping[str, Any], notice: str, folder: Path, progress: Progress
) -> FinishedStudy:
    """Compare methods in the folder where the report of the run looks for them."""
    config = StudyConfig.read({**common, **asked, "run": folder / configs.STUDY}).resolved(folder)
    return compare(config, executor=Here(), notices=[notice], progress=progress)


def _pm6_files(data: Path, folder: Path) -> dict[str, Path]:
    """Split the molecules by formula, write the splits, and return their files by name.

    ``base`` and ``valid`` carry what the base may learn from, ``train`` DFT energies without forces, ``few`` the DFT
    energies of the main fit, ``test`` everything.
    """
    names = ("base", "valid", "train", "few", "test")
    files = {name: folder / "data" / f"{name}.extxyz" for name in names}
    if all(path.exists() for path in files.values()):
        return files
    parts = grouped_split(read_structures(data / "frames.extxyz"), configs.PM6_SPLIT, 0, key=formula)
    train = energies_only(parts["train"], "dft")
    splits: dict[str, tuple[Structure, ...]] = {
        "base": draw_labels(train, "dft", 0, 0),
        "valid": draw_labels(parts["valid"], "dft", 0, 0),
        "train": train,
        "few": draw_labels(train, "dft", configs.PM6_ENERGIES, 0),
        "test": parts["test"],
    }
    for name, structures in splits.items():
        write_structures(files[name], structures)
    return files


def _finished(
    run: FinishedRun, study: FinishedStudy, panels: Sequence[Panel], notice: str, started: float
) -> FinishedDemo:
    rows = tuple(
        BarrierRow(panel.title, entry.name, entry.value, entry.stderr_total)
        for panel in panels
        for entry in panel.barriers
    )
    report = write_report(run.folder.path)
    return FinishedDemo(run, study, rows, (notice,), report, time.monotonic() - started)


_JOBS: Mapping[Name, Callable[[Path, Path, Progress], FinishedDemo]] = {
    "mos2": _mos2,
    "pm6-dft": TrainedFirst(
        notice=configs.PM6_NOTICE,
        base=configs.PM6_BASE,
        lift=configs.PM6_LIFT,
        files=_pm6_files,
        learnt={"train": "base", "valid": "valid", "test": "test"},
        curve=configs.LEARNING_CURVE,
        compared={"energies alone": configs.ENERGIES_ONLY},
    ),
    "h3": TrainedFirst(
        notice=configs.H3_NOTICE,
        base=configs.H3_BASE,
        lift=configs.H3_LIFT,
        files=exchange_files,
        learnt={"train": "learnt", "test": "base_test"},
        curve=configs.H3_CURVE,
        compared={"offset": {}, "tangent": {}},
        barriers=exchange_barriers,
    ),
    "molecules": TrainedFirst(
        notice=configs.MOLECULES_NOTICE,
        base=configs.MOLECULES_BASE,
        lift=configs.MOLECULES_LIFT,
        files=molecule_files,
        learnt={"train": "learnt", "valid": "valid", "test": "test"},
        curve=configs.MOLECULES_CURVE,
        compared={"readout": {}},
        barriers=lambda files, config, *_: molecule_barriers(files, config),
    ),
}
