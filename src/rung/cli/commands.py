# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""The commands: each parses, calls one public function and prints."""

from pathlib import Path
from typing import Literal

from rung.cli.console import ERR, TerminalProgress, print_json


def doctor(
    *files: Path,
    base: Path | None = None,
    base_fidelity: str | None = None,
    target: str | None = None,
    trusted: bool = False,
    json: bool = False,
) -> int:
    """Check files of labelled structures, and a base against its own labels, before any work.

    Exit code 1 says that something is an error.

    Parameters
    ----------
    files
        Files of structures; each is taken for a split of its own.
    base
        The model file of the base, to compare with the labels of its own fidelity.
    base_fidelity
        The fidelity that the base was trained on; needed with --base.
    target
        The fidelity to lift to.
    trusted
        The model file may be loaded though it could run code: you know where it comes from.
    json
        Print JSON in place of a table.
    """
    from rung.cli.tables import print_diagnosis
    from rung.run.files import check_files

    diagnosis = check_files(
        files, target=target, base=base, base_fidelity=base_fidelity, trusted=trusted, progress=TerminalProgress()
    )
    if json:
        print_json(diagnosis.as_json())
    else:
        print_diagnosis(diagnosis.as_json())
    return int(diagnosis.worst == "error")


def fit(config: Path, /, *, new: bool = False) -> int:
    """Fit, evaluate, export and report: everything that a config asks for, in the folder that it names.

    A run that was stopped goes on where it was when the same command is given again.

    Parameters
    ----------
    config
        The YAML file of the run.
    new
        Take the next free folder (runs/x-2, runs/x-3, ...) where the run's folder exists.
    """
    from rung.cli.tables import print_run
    from rung.config import load_config
    from rung.run.stages import run_fit

    print_run(run_fit(load_config(config), new=new, progress=TerminalProgress()))
    return 0


def evaluate(
    model: Path,
    /,
    *files: Path,
    fidelity: str,
    base: Path | None = None,
    base_fidelity: str | None = None,
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Report errors of energy, forces and stress on labelled structures, beside a base's.

    Parameters
    ----------
    model
        A model.rung, or a model file of a backend.
    files
        Files of labelled structures.
    fidelity
        The fidelity to predict and to compare with.
    base
        The model file of the base: its forces as they are, its energies after one offset per element.
    base_fidelity
        The fidelity of the base; needed with --base.
    trusted
        Model files may be loaded though they could run code: you know where they come from.
    device
        Where the model runs: cpu, cuda.
    dtype
        The type in which it runs; by default its own.
    json
        Print JSON in place of a table.
    """
    from rung.cli.tables import print_metrics
    from rung.run.files import evaluate_files

    metrics = evaluate_files(
        model,
        files,
        fidelity,
        base=base,
        base_fidelity=base_fidelity,
        trusted=trusted,
        device=device,
        dtype=dtype,
        progress=TerminalProgress(),
    )
    if json:
        print_json(metrics)
    else:
        print_metrics(metrics)
    return 0


def demo(*, data: Literal["mos2", "pm6-dft"] = "mos2", folder: Path | None = None) -> int:
    """Do the whole job on bundled data: check, features, fit, evaluation, barrier, learning curve, report.

    Parameters
    ----------
    data
        mos2: a sulfur vacancy that hops in MoS2, labels made by models, minutes. pm6-dft: molecules at PM6 and
        DFT, the base trained first, longer.
    folder
        Where to put everything, by default demo or demo-pm6-dft; a second call goes on there, or finds it done.
    """
    from rung.cli.tables import print_demo
    from rung.demo import run_demo

    finished = run_demo(data, folder, progress=TerminalProgress())
    print_demo(finished)
    return int(bool(finished.study.failures))


def export(model: Path, out: Path, /, *, fidelity: str, trusted: bool = False) -> int:
    """Write one fidelity of a model as one file that its backend's own tools load.

    Parameters
    ----------
    model
        A model.rung.
    out
        The file to write.
    fidelity
        The fidelity to write.
    trusted
        The model file may be loaded though it could run code: you know where it comes from.
    """
    from rung.run.files import export_file

    export_file(model, out, fidelity=fidelity, trusted=trusted)
    ERR.print(f"Wrote {out}.", markup=False)
    return 0


def report(folder: Path, /) -> int:
    """Write report.html of a run, or of a study, again from its result files.

    Parameters
    ----------
    folder
        The folder of the run or the study.
    """
    from rung.report import write_report, write_study_report

    written = write_study_report(folder) if (folder / "study.csv").exists() else write_report(folder)
    ERR.print(f"Wrote {written}.", markup=False)
    return 0


def cache_list(folder: Path, /) -> int:
    """Say what a cache of designs holds.

    Parameters
    ----------
    folder
        The folder of the cache.
    """
    from rung.cli.tables import print_cache
    from rung.run.caches import open_cache

    print_cache(tuple(open_cache(folder).entries()))
    return 0


def cache_verify(folder: Path, /) -> int:
    """Read every entry of a cache and check it against its hash; exit code 1 where one is damaged.

    Parameters
    ----------
    folder
        The folder of the cache.
    """
    from rung.run.caches import open_cache

    problems = [problem for _, problem in open_cache(folder).verify()]
    damaged = [problem for problem in problems if problem]
    for problem in damaged:
        ERR.print(problem, markup=False)
    ERR.print(f"{len(problems)} entries, {len(damaged)} damaged.", markup=False)
    return int(bool(damaged))


def cache_prune(folder: Path, /, *, older_than_days: float | None = None) -> int:
    """Delete damaged entries, what killed processes left behind, and entries that are old.

    Parameters
    ----------
    folder
        The folder of the cache.
    older_than_days
        Delete entries that were written more than so many days ago; by default none for its age.
    """
    from rung.run.caches import open_cache

    seconds = None if older_than_days is None else 86400.0 * older_than_days
    removed = open_cache(folder).prune(older_than=seconds)
    ERR.print(f"Deleted {len(removed)} entries, {sum(entry.size for entry in removed) / 1e6:.1f} MB.", markup=False)
    return 0
