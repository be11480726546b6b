"""The processes of a training: one by default; several on one machine are spawned, on several joined by a launcher."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field

from rung.errors import ConfigError
from rung.model.device import require_device
from rung.progress import Progress, Task
from rung.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_LAUNCHED = ("LOCAL_RANK", "SLURM_PROCID")


class Processes(Settings):
    """On how many devices a training runs; the batch is shared between them, so results do not change."""

    devices: int = Field(default=1, ge=1, le=1024)
    """Devices (or CPU processes) on each node."""
    nodes: int = Field(default=1, ge=1, le=4096)
    """Machines; more than one needs torchrun or srun."""
    strategy: Literal["auto", "ddp", "ddp_spawn", "ddp_find_unused_parameters_true"] = "auto"
    """Lightning Fabric's name of how gradients are shared; auto chooses."""


def make_fabric(processes: Processes, device: str) -> "Fabric":
    """Return the Fabric of a training on ``device`` (``cpu``, ``cuda``, ``cuda:1``).

    Raises
    ------
    ConfigError
        When the device is not there, or several nodes are asked for without a launcher.
    """
    from lightning_fabric import Fabric  # noqa: PLC0415 - it takes two seconds, which only a training should pay
    from lightning_fabric.plugins.environments import LightningEnvironment  # noqa: PLC0415

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    require_device(device)
    kind, _, index = device.partition(":")
    several = processes.devices * processes.nodes > 1
    launched = any(name in os.environ for name in _LAUNCHED)
    if processes.nodes > 1 and not launched:
        raise ConfigError(f"A training on {processes.nodes} nodes must be started by torchrun or srun.")
    strategy = processes.strategy
    if strategy == "auto" and several:
        strategy = "ddp" if launched else "ddp_spawn"
    devices: Any = [int(index)] if index and not several else processes.devices
    # Fabric would take a batch job of Slurm, or the mere presence of srun, for a launch of several processes
    plugins = [] if several and launched else [LightningEnvironment()]
    return Fabric(accelerator=kind, devices=devices, num_nodes=processes.nodes, strategy=strategy, plugins=plugins)


@contextmanager
def progress_of(fabric: "Fabric", progress: Progress, steps: int) -> Iterator[Task]:
    """Yield the task that workers report to: the bar itself, or a queue to it where workers are spawned."""
    with progress.task("training", total=steps) as task:
        if not _spawns(fabric):
            yield task
            return
        queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
        reader = threading.Thread(target=_forward, args=(queue, task), daemon=True)
        reader.start()
        try:
            yield _QueueTask(queue)
        finally:
            queue.put(None)
            reader.join()


def _spawns(fabric: "Fabric") -> bool:
    launcher = fabric.strategy.launcher
    return launcher is not None and type(launcher).__name__ == "_MultiProcessingLauncher"


class _QueueTask:
    """A task whose reports cross a process boundary."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def advance(self, steps: int = 1) -> None:
        self.queue.put(steps)

    def describe(self, text: str) -> None:
        self.queue.put(text)


def _forward(queue: Any, task: Task) -> None:
    while (message := queue.get()) is not None:
        if isinstance(message, str):
            task.describe(message)
        else:
            task.advance(message)
