"""A committee: bases of one level that differ in their seed, whose disagreement tells what no label near tells."""

from dataclasses import dataclass
from pathlib import Path

from rung.config import RunConfig
from rung.errors import ConfigError
from rung.progress import SILENT, Progress
from rung.run.stages import FinishedRun, run_fit


@dataclass(frozen=True)
class FinishedCommittee:
    """What ``rung committee`` leaves.

    Parameters
    ----------
    folder
        Where ``seed-<n>/model.rung`` lie.
    members
        Their runs, by seed.
    """

    folder: Path
    members: tuple[FinishedRun, ...]


def train_committee(config: RunConfig, out: Path, members: int, *, progress: Progress = SILENT) -> FinishedCommittee:
    """Train ``members`` new models of one config, of its seed and the next ones; those that are finished are kept.

    Parameters
    ----------
    config
        Of the method ``scratch``, its target the low level; its ``run`` is not used.
    out
        The folder of the committee; a broken one is gone on with.
    members
        At least two.
    progress
        Where trainings report.

    Raises
    ------
    ConfigError
        When the method is another one, or there are too few members.
    StorageError
        When a folder in ``out`` is another run's.
    """
    if config.method.name != "scratch":
        raise ConfigError(
            f"A committee is trained by the method 'scratch' and this config has {config.method.name!r}: give the "
            "config that trains a new model of the low level."
        )
    if members < 2:
        raise ConfigError(f"A committee has two members or more, not {members}.")
    runs = []
    with progress.task("members", members) as task:
        for seed in range(config.seed, config.seed + members):
            member = config.model_copy(update={"run": out.absolute() / f"seed-{seed}", "seed": seed})
            runs.append(run_fit(member, progress=progress))
            task.advance()
    return FinishedCommittee(out, tuple(runs))
