"""Workers that Parsl starts, on this machine or through Slurm: the only import of Parsl."""

import importlib
import logging
import math
import os
import shlex
import shutil
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rung.errors import ExecutorError, MissingExtraError
from rung.jobs.executors import Processes, Slurm
from rung.jobs.job import Job, State, perform
from rung.results.jobs import REQUEST_FILE, JobError
from rung.storage import FolderLock

ATTEMPTS = 3
"""How often a job is given to a worker that dies of it before it counts as failed."""

SILENCE = 60.0
"""Seconds after which workers of this machine that finish nothing and work on nothing have lost touch."""

MOST_SAID = 500
"""Characters of what a cluster said that an error quotes, the last ones."""


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
    silence
        Seconds without a finished job and without one that is worked on, after which the workers are replaced, and
        given up where that does not help: a kill may hit a process of Parsl's own, which then waits for ever. Infinite
        where jobs wait in a queue.
    """

    kernel: Any
    workers: int
    period: float = 2.0
    silence: float = math.inf

    def run(self, jobs: Sequence[Job], changed: Callable[[], None]) -> None:
        """Perform ``jobs``; one whose worker dies is given to another, ``ATTEMPTS`` times in all.

        Raises
        ------
        ExecutorError
            When no worker can be started, or they have lost touch.
        """
        waiting = deque((job, 1) for job in jobs)
        running: dict[Future[State], tuple[Job, int]] = {}
        due = heard = time.monotonic()
        replaced = 0
        while waiting or running:
            # few at a time: workers that outlive a killed driver go on with no more than they hold
            while waiting and len(running) < 2 * self.workers:
                job, attempt = waiting.popleft()
                running[self._submit(job)] = (job, attempt)
            finished, _ = wait(running, timeout=self.period, return_when=FIRST_COMPLETED)
            heard = time.monotonic() if finished else heard
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
                if any(job.state == "running" for job, _ in running.values()):
                    heard = time.monotonic()
                if time.monotonic() - heard > self.silence:
                    self._replace(time.monotonic() - heard, replaced)
                    heard, replaced = time.monotonic(), replaced + 1
                due = time.monotonic() + self.period
        changed()

    def _submit(self, job: Job) -> "Future[State]":
        future: Future[State] = self.kernel.submit(
            perform, app_args=[job], executors="all", cache=False, ignore_for_cache=None, app_kwargs={}
        )
        return future

    def _replace(self, silent: float, replaced: int) -> None:
        """End workers that take nothing in hand: Parsl starts others, and gives them the jobs.

        Such is a pool that lost, of all its processes, the one through which the others talk.
        """
        if replaced >= ATTEMPTS:
            raise ExecutorError(
                f"The workers have worked on nothing for {silent:.0f} s, and others in their place too: one of their "
                "processes may have been killed. What is done is kept; the same command does the rest."
            )
        for executor in self.kernel.executors.values():
            if hasattr(executor, "scale_in_facade"):  # Parsl's own threads have nothing to end
                executor.scale_in_facade(len(executor.status_facade))

    def _require_workers(self, error: BaseException) -> None:
        for executor in self.kernel.executors.values():
            if _lost_interchange(executor):
                raise ExecutorError(
                    "The workers have lost touch: the process of Parsl's through which they talk has ended, or was "
                    "killed. What is done is kept; the same command does the rest."
                ) from error
            if getattr(executor, "bad_state_is_set", False):
                reason = " ".join(str(executor.executor_exception or error).split())
                raise ExecutorError(f"No worker could be started: {reason}") from error


def _lose(job: Job, error: BaseException) -> None:
    reason = " ".join(str(error).split())
    sentence = f"Its worker died {ATTEMPTS} times ({reason}); it may have run out of memory."
    trace = "".join(traceback.format_exception(error))
    job.request.write(job.folder / REQUEST_FILE)
    JobError(sentence=sentence, kind=type(error).__name__, traceback=trace).write(job.error)


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
        Where Parsl keeps its scripts and logs; on a cluster its nodes must see it. Removed where all went well. Workers
        of this machine have them among temporary files where its path holds a blank or another sign of the shell.
    threads
        Threads of each worker.
    log
        Whether Parsl writes its own long log there.

    Raises
    ------
    MissingExtraError
        When Parsl is not installed.
    ExecutorError
        When the programs of Slurm are not there, or its scripts cannot stand in the folder.
    """
    require_parsl()
    if isinstance(executor, Slurm) and shutil.which("sbatch") is None:
        raise ExecutorError("There is no sbatch here; run this where Slurm is, or name another executor.")
    return _opened(executor, _place_of_scripts(executor, folder), threads, log)


def _place_of_scripts(executor: Processes | Slurm, folder: Path) -> Path:
    """Return a folder whose path the shell takes as one word: Parsl does not quote it, and would write elsewhere."""
    place = folder.absolute()
    if shlex.quote(str(place)) == str(place):
        return folder
    if isinstance(executor, Processes):
        place = Path(tempfile.mkdtemp(prefix="rung-workers-")).absolute()
        if shlex.quote(str(place)) == str(place):
            return place
    raise ExecutorError(
        f"Workers cannot start from {place}: blanks and signs of the shell in its path would break their scripts. "
        "Rename the folder, or work without workers (executor: {name: here})."
    )


@contextmanager
def _opened(executor: Processes | Slurm, folder: Path, threads: int, log: bool) -> Iterator[ParslPool]:
    from parsl.config import Config  # noqa: PLC0415 - the extra is imported where it is needed
    from parsl.dataflow.dflow import DataFlowKernel  # noqa: PLC0415

    logging.getLogger("parsl").addHandler(logging.NullHandler())  # or warnings about lost workers fill the terminal
    local = isinstance(executor, Processes)
    # of a name of its own: workers of a driver that was killed must not take the next driver for theirs
    held = FolderLock(folder, f"driver-{os.getpid()}-{time.time_ns()}.lock")
    config = Config(
        executors=[
            _without_answers(
                _local(executor, threads, held.path) if isinstance(executor, Processes) else _slurm(executor, threads)
            )
        ],
        run_dir=str(folder),
        strategy="simple",
        strategy_period=1 if local else 5,
        max_idletime=3600.0,
        initialize_logging=log,
        usage_tracking=0,
    )
    workers = executor.workers if isinstance(executor, Processes) else executor.jobs * executor.workers_per_node
    with held, DataFlowKernel(config) as kernel:
        yield ParslPool(kernel, workers, silence=SILENCE if local else math.inf)
    shutil.rmtree(folder, ignore_errors=True)


def _local(executor: Processes, threads: int, held: Path) -> Any:
    from parsl.executors import HighThroughputExecutor  # noqa: PLC0415
    from parsl.providers import LocalProvider  # noqa: PLC0415

    provider = LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1, worker_init=_environment(threads))
    return HighThroughputExecutor(
        label="processes",
        provider=provider,
        address="127.0.0.1",
        max_workers_per_node=executor.workers,
        cores_per_worker=1e-6,  # the number of workers is what was asked for, whatever the number of cores
        launch_cmd=_launch(Path(sys.executable), str(held.absolute())),
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
        launch_cmd=_launch(executor.python, "-"),
        interchange_launch_cmd=_interchange(),
        heartbeat_period=15,
        heartbeat_threshold=60,
        block_error_handler=_too_many_failures,
    )


def _without_answers(executor: Any) -> Any:
    """Return the executor, which asks its interchange nothing once that has ended: Parsl waits for its answer for ever.

    So workers of an interchange that was killed can be replaced, and a study ends.
    """

    def asked(ask: Callable[[], list[Any]]) -> list[Any]:
        return [] if _lost_interchange(executor) else ask()

    executor.connected_managers = partial(asked, executor.connected_managers)
    executor.connected_blocks = partial(asked, executor.connected_blocks)
    return executor


def _lost_interchange(executor: Any) -> bool:
    interchange = getattr(executor, "interchange_proc", None)
    return interchange is not None and interchange.poll() is not None


def _too_many_failures(executor: Any, status: Mapping[str, Any]) -> None:
    """Give up once the interchange has ended, or three blocks of workers that never came up.

    A block that was killed later is replaced.
    """
    if _lost_interchange(executor):
        executor.set_bad_state_and_fail_all(ExecutorError("Parsl's interchange has ended"))
        return
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


def _launch(python: Path, held: str) -> str:
    """Return Parsl's own command for a pool of workers, under a guard that ends them with the holder of a lock."""
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD  # noqa: PLC0415

    guarded = f"{shlex.quote(str(python))} -m rung.jobs block {shlex.quote(held)}"
    # Parsl fills in its own values by str.format, twice
    return DEFAULT_LAUNCH_CMD.replace("process_worker_pool.py", guarded.replace("{", "{" * 4).replace("}", "}" * 4), 1)


def _interchange() -> list[str]:
    return [sys.executable, "-m", "rung.jobs", "interchange", str(os.getpid())]
