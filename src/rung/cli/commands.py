# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""The commands around a run: each takes settings, calls one public function and prints."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rung.cli.console import ERR, TerminalProgress, print_json
from rung.cli.options import Printing, command
from rung.demo_data import Name
from rung.errors import counted
from rung.run.file_settings import CheckSettings, EvaluationSettings, ExportSettings
from rung.settings import Option, Settings


class RunFile(Settings):
    """Which run to do."""

    config: Annotated[Path, Option(positional=True)]
    """The YAML file of the run."""
    new: bool = False
    """Take the next free folder (runs/x-2, runs/x-3, ...) where the run's folder exists."""
    dry_run: bool = False
    """Only say what would be read, fitted, frozen and computed, and what it costs; nothing is written."""


class CommitteeSettings(Settings):
    """Which committee to train."""

    config: Annotated[Path, Option(positional=True)]
    """The YAML file of a run of the method scratch whose target is the low level."""
    members: int = Field(default=4, ge=2, le=100)
    """How many models, of the config's seed and the next ones."""
    out: Path = Path("committee")
    """The folder of the committee; the folder that the config names is not used."""


class DemoSettings(Settings):
    """Which demo to do."""

    data: Name = "mos2"
    """mos2: a sulfur vacancy that hops in MoS2, labels made by models, minutes. pm6-dft: molecules at PM6 and DFT, the
    base trained first, longer. h3: H + H2 from PBE to diffusion Monte Carlo, the base trained first, minutes.
    molecules: twelve molecules from GFN2-xTB to CCSD(T), the base trained first, minutes."""
    folder: Path | None = None
    """Where to put everything, by default demo, demo-pm6-dft, demo-h3 or demo-molecules; a second call goes on there,
    or finds it done."""


class Finished(Settings):
    """Which results to report."""

    folders: Annotated[tuple[Path, ...], Option(positional=True)] = Field(min_length=1)
    """The folder of a run, a study, a campaign or a task; or several runs, which are laid side by side on one page."""
    out: Path | None = None
    """The file of a page of several runs, by default side-by-side.html."""


def _doctor(settings: CheckSettings, printing: Printing) -> int:
    """Check labels, and a base against its own labels, before any work. Exit code 1: something is an error."""
    from rung.cli.tables import print_diagnosis
    from rung.run.files import check_files

    diagnosis = check_files(settings, progress=TerminalProgress())
    if printing.as_json:
        print_json(diagnosis.as_json())
    else:
        print_diagnosis(diagnosis)
    return int(diagnosis.worst == "error")


def _fit(settings: RunFile, printing: Printing) -> int:
    """Check, fit, evaluate, export and report. A run that was stopped goes on when the same command is given again.

    First: rung fit config.yaml --dry-run
    """
    from rung.cli.plan import print_plan
    from rung.cli.tables import print_run
    from rung.config import load_config
    from rung.run.planning import plan_fit
    from rung.run.stages import run_fit

    config = load_config(settings.config)
    if settings.dry_run:
        plan = plan_fit(config, new=settings.new, progress=TerminalProgress())
        if printing.as_json:
            print_json(plan.as_json())
        else:
            print_plan(plan)
        return 0
    finished = run_fit(config, new=settings.new, progress=TerminalProgress())
    if printing.as_json:
        print_json(finished.metrics.as_json())
    else:
        print_run(finished)
    return 0


def _committee(settings: CommitteeSettings) -> int:
    """Train bases of the low level that differ in their seed; rung barrier reads how much they disagree.

    A committee that was stopped goes on when the same command is given again, and more members may join later.
    """
    from rung.config import load_config
    from rung.run.committee import train_committee

    config = load_config(settings.config)
    committee = train_committee(config, settings.out, settings.members, progress=TerminalProgress())
    ERR.print(
        f"{len(committee.members)} models of {config.target} are in {committee.folder}; "
        f"use them with rung barrier --committee {committee.folder}.",
    )
    return 0


def _evaluate(settings: EvaluationSettings, printing: Printing) -> int:
    """Print errors of energy, forces and stress, a base's beside them."""
    from rung.cli.tables import print_errors
    from rung.run.files import evaluate_files

    errors = evaluate_files(settings, progress=TerminalProgress())
    if printing.as_json:
        print_json(errors.as_json())
    else:
        print_errors(errors)
    return 0


def _demo(settings: DemoSettings) -> int:
    """Check, compute features, fit, evaluate, find a barrier, draw a learning curve and report."""
    from rung.cli.tables import print_demo
    from rung.demo import run_demo

    finished = run_demo(settings.data, settings.folder, progress=TerminalProgress())
    print_demo(finished)
    return int(bool(finished.study.failures))


def _export(settings: ExportSettings) -> int:
    """Write a file that the backend's own tools load, or one for another engine; an export replaces no file.

    With error bars: rung export runs/mos2/model.rung r2scan.model --fidelity r2scan --committee 8

    For LAMMPS: rung export runs/mos2/model.rung --fidelity r2scan --for mliap
    """
    from rung.run.exporting import export_files

    done = export_files(settings, progress=TerminalProgress())
    for warning in done.warnings:
        ERR.print(f"warning: {warning}", style="yellow")
    if done.n_structures:
        ERR.print(
            f"On {counted(done.n_structures, 'structure')} the converted file is within {1000 * done.energy:.2g} "
            f"meV/atom and {1000 * done.force:.2g} meV/Å of rung.",
        )
    ERR.print(f"Wrote {', '.join(map(str, done.files))}.")
    return 0


def _report(settings: Finished) -> int:
    """Write the page of a run, a study, a campaign or a task from its result files alone.

    Several runs on one page: rung report runs/readout runs/tangent --out both.html
    """
    from rung.errors import ConfigError
    from rung.report import write_beside_report
    from rung.report.writers import writer_of

    if len(settings.folders) > 1:
        page, troubles = write_beside_report(settings.folders, settings.out or Path("side-by-side.html"))
        for sentence in troubles:
            ERR.print(f"warning: {sentence}", style="yellow")
        ERR.print(f"Wrote {page}.")
        return 0
    if settings.out is not None:
        raise ConfigError("--out names the page of several runs; the page of one stands in its folder.")
    (folder,) = settings.folders
    ERR.print(f"Wrote {writer_of(folder)(folder)}.")
    return 0


doctor = command(
    "doctor",
    _doctor,
    CheckSettings,
    Printing,
    example="rung doctor train.extxyz test.extxyz --base base.model --base-fidelity pbe --trusted",
)
fit = command("fit", _fit, RunFile, Printing, example="rung fit config.yaml")
committee = command(
    "committee",
    _committee,
    CommitteeSettings,
    example="rung committee scratch-pbe.yaml --members 4 --out pbe-committee",
)
evaluate = command(
    "evaluate",
    _evaluate,
    EvaluationSettings,
    Printing,
    example="rung evaluate runs/mos2/model.rung test.extxyz --fidelity r2scan",
)
demo = command("demo", _demo, DemoSettings, example="rung demo --data mos2")
export = command(
    "export", _export, ExportSettings, example="rung export runs/mos2/model.rung r2scan.model --fidelity r2scan"
)
report = command("report", _report, Finished, example="rung report runs/mos2")
