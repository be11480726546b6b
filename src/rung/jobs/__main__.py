"""Processes of Parsl's that are started by rung, and end in time whoever of them is killed.

``interchange PID`` is Parsl's interchange; it ends with the driver PID of a study, whose child it is, and by SIGTERM of
the driver alone.

``block LOCK …`` guards a block of workers, whose manager it starts: once nobody holds LOCK, or the manager was killed,
it kills all processes of the block. LOCK is a file that the driver holds, or ``-`` where the driver is on another
machine.

``manager PID …`` is that manager; it ends the block where its guard PID was killed. What follows are Parsl's arguments.

The processes of a block are one group of their own: Parsl starts each in one, so that it can cancel it.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rung.memory import kept_by_children
from rung.storage import locked

PERIOD = 0.5
"""Seconds from one look to the next."""


def _with_parent(parent: int, end: Callable[[], object]) -> None:
    """Call ``end`` once the parent of this process has ended, in a thread."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PERIOD)
        end()

    threading.Thread(target=watch, daemon=True).start()


def _end_block() -> NoReturn:
    """Kill every process of the group, this one among them: the children of a killed manager ask nobody."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _terminated_by(driver: int) -> None:
    """Let SIGTERM end this process only where the driver sent it.

    ``timeout``, a batch system and a service manager send it to every process of a study. The driver then ends this one
    in good order, and waits for its answers for ever if it is gone. (macOS does not tell who sent a signal.)
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # every thread that starts later inherits it

    def listen() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != driver:
            pass
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()


def _interchange(driver: int) -> None:
    # Ctrl-C reaches every process of a terminal; the driver ends this one in good order, and cannot without it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _terminated_by(driver)
    # Parsl's interchange outlives a driver that was killed: what it would hand out, nobody waits for
    _with_parent(driver, lambda: os._exit(0))
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")


def _manager(guard: int, words: Sequence[str]) -> None:
    _with_parent(guard, _end_block)
    sys.argv[1:] = words
    os.environ.update(kept_by_children())
    # as the main module, in which the workers that it spawns look for what they run
    runpy.run_module("parsl.executors.high_throughput.process_worker_pool", run_name="__main__", alter_sys=True)


def _guard(lock: Path | None, words: Sequence[str]) -> int:
    command = [sys.executable, "-m", "rung.jobs", "manager", str(os.getpid()), *words]
    manager = subprocess.Popen(command)  # noqa: S603 - this very program
    while manager.poll() is None:
        if lock is not None and not locked(lock.parent, lock.name):
            _end_block()
        time.sleep(PERIOD)
    if manager.returncode < 0:
        _end_block()
    return manager.returncode


if __name__ == "__main__":
    role, known, *rest = sys.argv[1:]
    if role == "interchange":
        _interchange(int(known))
    elif role == "manager":
        _manager(int(known), rest)
    else:
        sys.exit(_guard(None if known == "-" else Path(known), rest))
