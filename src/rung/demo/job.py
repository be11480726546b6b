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


def _pm6_dft(data: Path, folder: Path, progress: Progress) -> FinishedDemo:
    started = time.monotonic()
    files, notice = _pm6_files(data, folder), configs.PM6_NOTICE
    learnt = {"train": files["base"], "valid": files["valid"], "evaluate": {"test": files["test"]}}
    base = _trained_base(configs.PM6_BASE, learnt, notice, folder, progress)
    common = {**configs.PM6_LIFT, "base": {"file": base, "fidelity": "pm6"}, "cache": folder / "cache"}
    few, everything = ({"train": files[name], "evaluate": {"test": files["test"]}} for name in ("few", "train"))
    config = RunConfig.read({**common, "run": folder, "data": few}).resolved(folder)
    run = run_fit(config, notices=[notice], progress=progress)
    asked = {**configs.LEARNING_CURVE, "data": everything, "compare": {"energies alone": configs.ENERGIES_ONLY}}
    study = _learning_curve(common, asked, notice, folder, progress)
    return _finished(run, study, [], notice, started)


def _h3(data: Path, folder: Path, progress: Progress) -> FinishedDemo:
    started = time.monotonic()
    files, notice = exchange_files(data, folder), configs.H3_NOTICE
    learnt = {"train": files["learnt"], "evaluate": {"test": files["base_test"]}}
    base = _trained_base(configs.H3_BASE, learnt, notice, folder, progress)
    common = {**configs.H3_LIFT, "base": {"file": base, "fidelity": "pbe"}, "cache": folder / "cache"}
    few, everything = ({"train": files[name], "evaluate": {"test": files["test"]}} for name in ("few", "train"))
    config = RunConfig.read({**common, "run": folder, "data": few}).resolved(folder)
    run = run_fit(config, notices=[notice], progress=progress)
    barrier_file = run.folder.path / BARRIER_FILE
    if not barrier_file.exists():
        write_panels(barrier_file, exchange_barriers(files, config, folder, progress))
    asked = {**configs.H3_CURVE, "data": everything, "compare": {"offset": {}, "tangent": {}}}
    study = _learning_curve(common, asked, notice, folder, progress)
    return _finished(run, study, read_panels(barrier_file), notice, started)


def _molecules(data: Path, folder: Path, progress: Progress) -> FinishedDemo:
    started = time.monotonic()
    files, notice = molecule_files(data, folder), configs.MOLECULES_NOTICE
    learnt = {"train": files["learnt"], "valid": files["valid"], "evaluate": {"test": files["test"]}}
    base = _trained_base(configs.MOLECULES_BASE, learnt, notice, folder, progress)
    common = {**configs.MOLECULES_LIFT, "base": {"file": base, "fidelity": "gfn2"}, "cache": folder / "cache"}
    few, everything = ({"train": files[name], "evaluate": {"test": files["test"]}} for name in ("few", "train"))
    config = RunConfig.read({**common, "run": folder, "data": few}).resolved(folder)
    run = run_fit(config, notices=[notice], progress=progress)
    barrier_file = run.folder.path / BARRIER_FILE
    if not barrier_file.exists():
        write_panels(barrier_file, molecule_barriers(files, config))
    compared = {"offset": {}, "energies alone": configs.ENERGIES_ONLY}
    asked = {**configs.MOLECULES_CURVE, "data": everything, "compare": compared}
    study = _learning_curve(common, asked, notice, folder, progress)
    return _finished(run, study, read_panels(barrier_file), notice, started)


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
    "pm6-dft": _pm6_dft,
    "h3": _h3,
    "molecules": _molecules,
}
