"""Parsl's interchange, started by the driver of a study and ended with it."""

import os
import runpy
import signal
import sys
import threading
import time


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
