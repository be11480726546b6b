# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung compare`` and ``rung study``: parse, call, and show how far the fits are while they run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from rich.live import Live
from rich.table import Table

from rung.cli.console import ERR, OUT, TerminalProgress
from rung.cli.options import command
from rung.progress import duration
from rung.report.summary import UNKNOWN
from rung.settings import Option, Settings

if TYPE_CHECKING:
    from rung.jobs import Executor
    from rung.study import StudyConfig, StudyStatus


class StudyFile(Settings):
    """Which study to do."""

    config: Annotated[Path, Option(positional=True)]
    """The YAML file of the study: a run's config with labels, seeds and compare."""
    new: bool = False
    """Take the next free folder where the study's folder exists."""


class Where(Settings):
    """Where its fits are done."""

    status: bool = False
    """Only say how far the study is; nothing is touched."""
    workers: int | None = Field(default=None, ge=1, le=1024)
    """Fit in so many processes of this machine, whatever the config says."""
    profile: Path | None = None
    """A YAML file that says where to fit, in place of the config's executor: {name: slurm, partition: debug}."""


def _compare(study: StudyFile, where: Where) -> int:
    """Do methods times numbers of labels times seeds times folds.

    Fits that are done are kept: after a stop, or with more methods, labels or seeds in the config, the same command
    does what is missing. A fit that fails says why and leaves the others alone. Exit code 1: a fit failed.
    """
    from rung.study import StatusReader, executor_of, load_study_config, workers_of

    config = load_study_config(study.config, _executor(where))
    if where.status:
        OUT.print(status_table(StatusReader(config, workers_of(executor_of(config))).read()))
        return 0
    return _compared(config, executor_of(config), study.new)


def _study(study: StudyFile) -> int:
    """Do what `rung compare` does, in this process, whatever the config says of an executor.

    It needs neither Parsl nor pyarrow. Fits that are done are kept. Exit code 1: a fit failed.
    """
    from rung.jobs import Here
    from rung.study import load_study_config

    config = load_study_config(study.config)
    if config.executor is not None and config.executor.name != "here":
        ERR.print(
            f"rung study fits here, although the config asks for the executor {config.executor.name!r}: "
            "rung compare uses it.",
        )
    return _compared(config, Here(), study.new)


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


def _executor(where: Where) -> dict[str, Any]:
    from rung.errors import ConfigError
    from rung.study.config import load_executor

    if where.workers is not None and where.profile is not None:
        raise ConfigError("Give --workers or --profile, not both.")
    if where.workers is not None:
        return {"executor": {"name": "processes", "workers": where.workers}}
    return {} if where.profile is None else {"executor": load_executor(where.profile)}


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
            ERR.print(f"{status.n_done} of {status.n_fits} done{failed}{_left(status, '; ')}")

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
            duration(one.left) or UNKNOWN,
            style="red" if one.failed else None,
        )
    left = _left(status)
    table.caption = f"{left} with {status.workers} at once" if left else None
    return table


def _left(status: "StudyStatus", before: str = "") -> str:
    """Return how long a study goes on, after ``before``; empty while a method has no finished fit to tell by."""
    left = duration(status.left)
    return f"{before}about {left} left" if left and not status.complete else ""


compare = command(
    "compare",
    _compare,
    StudyFile,
    Where,
    example="rung compare study.yaml --workers 2, then: rung compare study.yaml --status",
)
study = command("study", _study, StudyFile, example="rung study study.yaml")
