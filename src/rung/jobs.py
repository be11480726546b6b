"""Work that may run elsewhere: a function's path, its arguments and a folder; done when the result file exists.

A job is performed in this process, in processes of this machine or on a cluster through Slurm; Parsl, which does the
last two, is imported here and nowhere else. Whoever performs a job holds the lock of its folder, and its result appears
whole under its name or not at all, so any process may be killed at any time and a second one that was given the same
job waits, then finds it done.
"""

import importlib
import logging
import os
import platform
import runpy
import shlex
import shutil
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from rung.errors import ExecutorError, MissingExtraError, RungError
from rung.settings import Settings
from rung.storage import FolderLock, jsonable, locked, read_json, write_json

RESULT, REQUEST, ERROR, LOCK = "metrics.json", "task.json", "error.json", ".lock"
ATTEMPTS = 3
"""How often a job is given to a worker that dies of it before it counts as failed."""

MOST_SAID = 500
"""Characters of what a cluster said that an error quotes, the last ones."""

State = Literal["done", "failed", "running", "missing"]
"""What can be said of a job from its folder alone."""


class Here(Settings):
    """Perform jobs one after the other in this process."""

    name: Literal["here"] = "here"


class Processes(Settings):
    """Perform jobs in worker processes on this machine."""

    name: Literal["processes"] = "processes"
    workers: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1)
    """How many at once; by default as many as there are cores."""


class Slurm(Settings):
    """Perform jobs in worker processes that Slurm starts on the nodes of a cluster."""

    name: Literal["slurm"] = "slurm"
    partition: str | None = None
    """The partition to ask for; by default the cluster's own default."""
    account: str | None = None
    """The account to charge."""
    qos: str | None = None
    """The quality of service."""
    constraint: str | None = None
    """Features that a node must have."""
    gres: str | None = None
    """Generic resources of a node, such as gpu:1."""
    jobs: int = Field(default=1, ge=1)
    """At most so many Slurm jobs, of one node each, at a time."""
    workers_per_node: int = Field(default=1, ge=1)
    """Worker processes on each node."""
    cores_per_node: int | None = Field(default=None, ge=1)
    """Cores to ask for on each node; by default what Slurm gives."""
    memory_per_node: int | None = Field(default=None, ge=1)
    """GB of memory to ask for on each node."""
    walltime: str = "01:00:00"
    """How long a Slurm job may last, HH:MM:SS; another takes its place while work is left."""
    exclusive: bool = False
    """Whether no other job may run on the node."""
    scheduler_options: str = ""
    """Further lines for the job script, each beginning with #SBATCH."""
    worker_init: str = ""
    """Shell commands before a worker starts, such as: module load cuda."""
    python: Path = Path(sys.executable)
    """The Python that has rung, as the nodes see it."""
    address: str | None = None
    """The address at which nodes reach this machine; by default every one that it has is tried."""


Executor = Annotated[Here | Processes | Slurm, Field(discriminator="name")]
"""Where jobs are performed, told apart by ``name``."""


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Parameters
    ----------
    function
        Where it is: ``package.module:name``. It is called with the folder and the arguments, and returns plain JSON.
    arguments
        Plain JSON. A result that other arguments gave does not count; what may gain entries from one call to the next
        is a list, for a mapping that gained a key counts as the same (:func:`holds`).
    folder
        Where its files lie: what was asked, the result or the error, and whatever the function keeps to resume from.
    """

    function: str
    arguments: Mapping[str, Any]
    folder: Path

    @property
    def result(self) -> Path:
        """The file that says that the job is done, and what came of it."""
        return self.folder / RESULT

    @property
    def error(self) -> Path:
        """The file that says why the job failed."""
        return self.folder / ERROR

    @property
    def request(self) -> dict[str, Any]:
        """What decides the result, as it is kept beside it."""
        return {"function": self.function, "arguments": jsonable(self.arguments)}

    @property
    def done(self) -> bool:
        """Whether the result is there, and is of these arguments."""
        return self.result.exists() and self.asked

    @property
    def state(self) -> State:
        """What the folder says; nothing in it is touched."""
        if self.done:
            return "done"
        if locked(self.folder, LOCK):
            return "running"
        return "failed" if self.error.exists() and self.asked else "missing"

    @property
    def asked(self) -> bool:
        """Whether what the folder holds is of these arguments."""
        path = self.folder / REQUEST
        if not path.exists():
            return False
        known = read_json(path)
        return holds({key: known.get(key) for key in ("function", "arguments")}, self.request)


def holds(known: Any, now: Any) -> bool:
    """Return whether what was asked then is what is asked now: equal, but for keys that did not exist then.

    A newer rung may know a setting more; its default is what was done before, so the result still counts.
    """
    if isinstance(known, Mapping) and isinstance(now, Mapping):
        return all(key in now and holds(value, now[key]) for key, value in known.items())
    if isinstance(known, (list, tuple)) and isinstance(now, (list, tuple)):
        return len(known) == len(now) and all(holds(one, other) for one, other in zip(known, now, strict=True))
    return bool(known == now)


def perform(job: Job, function: Callable[..., Any] | None = None, *, catch: bool = True) -> State:
    """Perform a job unless it is done; return ``done`` or ``failed``.

    Parameters
    ----------
    job
        What to do.
    function
        What to call in place of the function that the job names.
    catch
        Whether an error becomes ``error.json``, so that it stops this job alone, or is raised.
    """
    with FolderLock(job.folder, LOCK, wait=True):
        if job.done:
            return "done"
        _clear(job)
        where = {"host": platform.node(), "process": os.getpid(), "started": time.time()}
        write_json(job.folder / REQUEST, {**job.request, **where})
        try:
            found = (function or _named(job.function))(job.folder, **job.arguments)
        except Exception as error:
            if not catch:
                raise
            _fail(job, error, traceback.format_exc())
            return "failed"
        write_json(job.result, found)
        return "done"


def _clear(job: Job) -> None:
    """Delete what another request, or a killed process, left in the folder."""
    if not job.asked:
        for path in job.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
    for path in job.folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)
    job.error.unlink(missing_ok=True)


def _fail(job: Job, error: BaseException, trace: str) -> None:
    known = isinstance(error, RungError)
    sentence = " ".join(str(error).split()) if known else f"{type(error).__name__}: {' '.join(str(error).split())}"
    write_json(job.error, {"sentence": sentence, "kind": type(error).__name__, "traceback": trace})


def _named(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


class Pool(Protocol):
    """Performs jobs."""

    @property
    def workers(self) -> int:
        """How many jobs it performs at once."""

    def run(self, jobs: Sequence[Job], changed: Callable[[], None]) -> None:
        """Perform ``jobs``, each alone; call ``changed`` now and then, from the thread that called."""


@dataclass(frozen=True)
class HerePool:
    """Performs jobs one after the other in this process.

    Parameters
    ----------
    functions
        What to call for each function that a job may name: bound to what this process has read already.
    catch
        Whether a job that fails leaves the others alone, or its error is raised.
    """

    functions: Mapping[str, Callable[..., Any]]
    catch: bool = True
    workers: int = 1

    def run(self, jobs: Sequence[Job], changed: Callable[[], None]) -> None:
        """Perform ``jobs`` in order."""
        for job in jobs:
            changed()
            perform(job, self.functions[job.function], catch=self.catch)
        changed()


@dataclass(frozen=True)
class ParslPool:
    """Performs jobs in the workers of a Parsl data flow kernel.

    Parameters
    ----------
    kernel
        The kernel.
    workers
        How many jobs it performs at once.
    period
        Seconds between two calls of ``changed``, at least: whoever listens may read many files.
    """

    kernel: Any
    workers: int
    period: float = 2.0

    def run(self, jobs: Sequence[Job], changed: Callable[[], None]) -> None:
        """Perform ``jobs``; one whose worker dies is given to another, ``ATTEMPTS`` times in all.

        Raises
        ------
        ExecutorError
            When no worker can be started.
        """
        waiting = deque((job, 1) for job in jobs)
        running: dict[Future[State], tuple[Job, int]] = {}
        due = time.monotonic()
        while waiting or running:
            # few at a time: workers that outlive a killed driver go on with no more than they hold
            while waiting and len(running) < 2 * self.workers:
                job, attempt = waiting.popleft()
                running[self._submit(job)] = (job, attempt)
            finished, _ = wait(running, timeout=self.period, return_when=FIRST_COMPLETED)
            for future in finished:
                job, attempt = running.pop(future)
                error = future.exception()
                if error is None or job.done:
                    continue
                self._require_workers(error)
                if attempt < ATTEMPTS:
                    waiting.append((job, attempt + 1))
                else:
                    _lose(job, error)
            if time.monotonic() >= due:
                changed()
                due = time.monotonic() + self.period
        changed()

    def _submit(self, job: Job) -> "Future[State]":
        future: Future[State] = self.kernel.submit(
            perform, app_args=[job], executors="all", cache=False, ignore_for_cache=None, app_kwargs={}
        )
        return future

    def _require_workers(self, error: BaseException) -> None:
        for executor in self.kernel.executors.values():
            if getattr(executor, "bad_state_is_set", False):
                reason = " ".join(str(executor.executor_exception or error).split())
                raise ExecutorError(f"No worker could be started: {reason}") from error


def _lose(job: Job, error: BaseException) -> None:
    reason = " ".join(str(error).split())
    sentence = f"Its worker died {ATTEMPTS} times ({reason}); it may have run out of memory."
    trace = "".join(traceback.format_exception(error))
    write_json(job.folder / REQUEST, job.request)
    write_json(job.error, {"sentence": sentence, "kind": type(error).__name__, "traceback": trace})


def require_parsl() -> None:
    """Raise a :class:`~rung.errors.MissingExtraError` where Parsl is not installed."""
    try:
        importlib.import_module("parsl")
    except ImportError as error:
        raise MissingExtraError(
            "Workers need Parsl; install it with: pip install 'rung[compare]', or say executor: {name: here}."
        ) from error


def open_pool(
    executor: Processes | Slurm, folder: Path, *, threads: int = 1, log: bool = False
) -> AbstractContextManager[ParslPool]:
    """Open workers, and end them with the block.

    Parameters
    ----------
    executor
        Where they run.
    folder
        Where Parsl keeps its scripts and logs; on a cluster its nodes must see it. Removed where all went well.
    threads
        Threads of each worker.
    log
        Whether Parsl writes its own long log there.

    Raises
    ------
    MissingExtraError
        When Parsl is not installed.
    ExecutorError
        When the programs of Slurm are not there.
    """
    require_parsl()
    if isinstance(executor, Slurm) and shutil.which("sbatch") is None:
        raise ExecutorError("There is no sbatch here; run this where Slurm is, or name another executor.")
    return _opened(executor, folder, threads, log)


@contextmanager
def _opened(executor: Processes | Slurm, folder: Path, threads: int, log: bool) -> Iterator[ParslPool]:
    from parsl.config import Config  # noqa: PLC0415 - the extra is imported where it is needed
    from parsl.dataflow.dflow import DataFlowKernel  # noqa: PLC0415

    logging.getLogger("parsl").addHandler(logging.NullHandler())  # or warnings about lost workers fill the terminal
    local = isinstance(executor, Processes)
    config = Config(
        executors=[_local(executor, threads) if isinstance(executor, Processes) else _slurm(executor, threads)],
        run_dir=str(folder),
        strategy="simple",
        strategy_period=1 if local else 5,
        max_idletime=3600.0,
        initialize_logging=log,
        usage_tracking=0,
    )
    workers = executor.workers if isinstance(executor, Processes) else executor.jobs * executor.workers_per_node
    with DataFlowKernel(config) as kernel:
        yield ParslPool(kernel, workers)
    shutil.rmtree(folder, ignore_errors=True)


def _local(executor: Processes, threads: int) -> Any:
    from parsl.executors import HighThroughputExecutor  # noqa: PLC0415
    from parsl.providers import LocalProvider  # noqa: PLC0415

    provider = LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1, worker_init=_environment(threads))
    return HighThroughputExecutor(
        label="processes",
        provider=provider,
        address="127.0.0.1",
        max_workers_per_node=executor.workers,
        cores_per_worker=1e-6,  # the number of workers is what was asked for, whatever the number of cores
        launch_cmd=_launch(Path(sys.executable)),
        interchange_launch_cmd=_interchange(),
        heartbeat_period=5,
        heartbeat_threshold=30,
        block_error_handler=_too_many_failures,
    )


def _slurm(executor: Slurm, threads: int) -> Any:
    from parsl.executors import HighThroughputExecutor  # noqa: PLC0415
    from parsl.providers import SlurmProvider  # noqa: PLC0415

    provider = SlurmProvider(
        partition=executor.partition,
        account=executor.account,
        qos=executor.qos,
        constraint=executor.constraint,
        gres=executor.gres,
        cores_per_node=executor.cores_per_node,
        mem_per_node=executor.memory_per_node,
        init_blocks=1,
        min_blocks=0,
        max_blocks=executor.jobs,
        walltime=executor.walltime,
        exclusive=executor.exclusive,
        scheduler_options=executor.scheduler_options,
        worker_init=f"{executor.worker_init}\n{_environment(threads)}",
        cmd_timeout=60,
    )
    return HighThroughputExecutor(
        label="slurm",
        provider=provider,
        address=executor.address,
        max_workers_per_node=executor.workers_per_node,
        cores_per_worker=1e-6,
        launch_cmd=_launch(executor.python),
        interchange_launch_cmd=_interchange(),
        heartbeat_period=15,
        heartbeat_threshold=60,
        block_error_handler=_too_many_failures,
    )


def _too_many_failures(executor: Any, status: Mapping[str, Any]) -> None:
    """Give up once three blocks of workers have ended that never came up; one that was killed later is replaced."""
    came_up = set(executor.connected_blocks())
    never = [one for block, one in status.items() if one.terminal and block not in came_up]
    if len(never) >= ATTEMPTS:
        last = never[-1]
        said = " ".join(str(text) for text in (last.message, last.stderr_summary) if text)
        reason = " ".join(said.split()) or "they ended without a word"
        executor.set_bad_state_and_fail_all(ExecutorError(reason[-MOST_SAID:]))


def _environment(threads: int) -> str:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return "\n".join(f"export {name}={threads}" for name in names)


def _launch(python: Path) -> str:
    """Return Parsl's own command for a pool of workers, with this Python in place of a script somewhere on PATH."""
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD  # noqa: PLC0415

    module = f"{shlex.quote(str(python))} -m parsl.executors.high_throughput.process_worker_pool"
    return DEFAULT_LAUNCH_CMD.replace("process_worker_pool.py", module, 1)


def _interchange() -> list[str]:
    return [sys.executable, "-m", "rung.jobs", str(os.getpid())]


def _end_with(parent: int) -> None:
    """End this process once its parent has: what it would hand out, nobody waits for."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    # Ctrl-C reaches every process of a terminal; the driver ends this one in good order, and cannot without it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Parsl's interchange outlives a driver that was killed, and would keep its workers alive for ever
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")
