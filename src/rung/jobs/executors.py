"""Where jobs are performed: settings that a study, or a profile beside it, gives."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rung.settings import Settings


class Here(Settings):
    """Perform jobs one after the other in this process."""

    name: Literal["here"] = "here"


class Processes(Settings):
    """Perform jobs in worker processes on this machine."""

    name: Literal["processes"] = "processes"
    workers: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=1024)
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
    jobs: int = Field(default=1, ge=1, le=10000)
    """At most so many Slurm jobs, of one node each, at a time."""
    workers_per_node: int = Field(default=1, ge=1, le=1024)
    """Worker processes on each node."""
    cores_per_node: int | None = Field(default=None, ge=1, le=4096)
    """Cores to ask for on each node; by default what Slurm gives."""
    memory_per_node: int | None = Field(default=None, ge=1, le=100000)
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
