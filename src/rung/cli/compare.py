# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung compare`` and ``rung study``: parse, call, and show how far the fits are while they run."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table

from rung.cli.console import ERR, OUT, TerminalProgress

if TYPE_CHECKING:
    from rung.jobs import Executor
    from rung.study import StudyConfig, StudyStatus

UNKNOWN = "–"


def compare(
    config: Path,
    /,
    *,
    status: bool = False,
    workers: int | None = None,
    profile: Path | None = None,
    new: bool = False,
) -> int:
    """Compare methods on the same data: methods, times numbers of labels, times seeds, times folds.

    Fits that are done are kept: after a stop, or with more methods, labels or seeds in the config, the same command
    does what is missing. A fit that fails says why and leaves the others alone; exit code 1 says that one did.

    Parameters
    ----------
    config
        The YAML file of the study: a run's config with labels, seeds and compare.
    status
        Only say how far the study is; nothing is touched.
    workers
        Fit in so many processes of this machine, whatever the config says.
    profile
        A YAML file that says where to fit, in place of the config's executor: {name: slurm, partition: debug}.
    new
        Take the next free folder where the study's folder exists.
    """
    from rung.study import StatusReader, executor_of, load_study_config, workers_of

    loaded = load_study_config(config, _executor(workers, profile))
    if status:
        OUT.print(status_table(StatusReader(loaded, workers_of(executor_of(loaded))).read()))
        return 0
    return _compared(loaded, executor_of(loaded), new)


def study(config: Path, /, *, new: bool = False) -> int:
    """Do what `rung compare` does, in this process, whatever the config says of an executor.

    It needs neither Parsl nor pyarrow. Fits that are done are kept, and exit code 1 says that a fit failed.

    Parameters
    ----------
    config
        The YAML file of the study: a run's config with labels and seeds.
    new
        Take the next free folder where the study's folder exists.
    """
    from rung.jobs import Here
    from rung.study import load_study_config

    loaded = load_study_config(config)
    if loaded.executor is not None and loaded.executor.name != "here":
        ERR.print(
            f"rung study fits here, although the config asks for the executor {loaded.executor.name!r}: "
            "rung compare uses it.",
            markup=False,
        )
    return _compared(loaded, Here(), new)


def _compared(config: "StudyConfig", executor: "Executor", new: bool) -> int:
    from rung.cli.tables import print_study
    from rung.study import compare

    progress = TerminalProgress()
    if executor.name == "here" and ERR.is_terminal:
        finished = compare(config, executor=executor, new=new, progress=progress)  # a bar shows what a fit does, too
    else:
        with _Watch() as watch:
            finished = compare(config, executor=executor, new=new, progress=progress, watch=watch)
    print_study(finished)
    return int(bool(finished.failures))


def _executor(workers: int | None, profile: Path | None) -> dict[str, Any]:
    from rung.errors import ConfigError
    from rung.study.config import load_executor

    if workers is not None and profile is not None:
        raise ConfigError("Give --workers or --profile, not both.")
    if workers is not None:
        return {"executor": {"name": "processes", "workers": workers}}
    return {} if profile is None else {"executor": load_executor(profile)}


class _Watch:
    """Shows the status: a table that changes in a terminal, a line when something was done elsewhere."""

    def __init__(self) -> None:
        self._live = Live(console=ERR, transient=True, auto_refresh=False)
        self._started = False
        self._said = -1

    def __call__(self, status: "StudyStatus") -> None:
        if ERR.is_terminal:
            if not self._started:
                self._live.start()
                self._started = True
            self._live.update(status_table(status), refresh=True)
            return
        if status.n_done != self._said:
            self._said = status.n_done
            failed = f", {len(status.failures)} failed" if status.failures else ""
            left = duration(status.left)
            ERR.print(f"{status.n_done} of {status.n_fits} done{failed}; about {left} left", markup=False)

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(self, *_: object) -> None:
        if self._started:
            self._live.stop()


def status_table(status: "StudyStatus") -> Table:
    """Return how far a study is, by method."""
    table = Table(title="Fits")
    table.add_column("method")
    for heading in ("done", "running", "failed", "missing", "time spent", "time left"):
        table.add_column(heading, justify="right")
    for one in status.methods:
        table.add_row(
            one.name,
            *(str(count) if count else UNKNOWN for count in (one.done, one.running, one.failed, one.missing)),
            duration(one.seconds),
            duration(one.left),
            style="red" if one.failed else None,
        )
    table.caption = f"about {duration(status.left)} left with {status.workers} at once"
    return table


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
