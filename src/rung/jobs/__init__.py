"""Work that may run elsewhere: a function's path, its arguments and a folder; done when the result file exists.

A job is performed in this process, in processes of this machine or on a cluster through Slurm; Parsl, which does the
last two, is imported here and nowhere else. Whoever performs a job holds the lock of its folder, and its result appears
whole under its name or not at all, so any process may be killed at any time and a second one that was given the same
job waits, then finds it done.
"""

from rung.jobs.executors import Executor, Here, Processes, Slurm
from rung.jobs.job import Job, State, perform
from rung.jobs.pool import HerePool, Pool
from rung.jobs.workers import ParslPool, open_pool, require_parsl

__all__ = [
    "Executor",
    "Here",
    "HerePool",
    "Job",
    "ParslPool",
    "Pool",
    "Processes",
    "Slurm",
    "State",
    "open_pool",
    "perform",
    "require_parsl",
]
