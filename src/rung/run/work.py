"""What the stages of a run share: its config, and what that names, read when first needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rung.checkpoint import Checkpoint
from rung.checkpoint import load as load_checkpoint
from rung.config import RunConfig
from rung.data.determined import Determined, determined_by
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.fit.lift import Base, Context, Lift
from rung.progress import SILENT, Progress
from rung.results.references import OpenReferences
from rung.run.folder import RunFolder
from rung.run.inputs import context_of, design_cache, left_out, lift_of, open_base, open_splits


@dataclass(frozen=True)
class Work:
    """A config with what it names, read when first needed: a finished run reads nothing."""

    config: RunConfig
    progress: Progress = SILENT

    @cached_property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        return RunFolder(self.config.run)

    @cached_property
    def splits(self) -> dict[str, Sequence[Structure]]:
        """The structures of every split, by name."""
        return open_splits(self.config)

    @cached_property
    def base(self) -> Base | None:
        """The base, or None without one."""
        return open_base(self.config)

    @cached_property
    def lift(self) -> Lift:
        """What the fit is asked for."""
        return lift_of(self.config, self.splits, self.base)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Sentences that count the frames which the fit leaves out."""
        return left_out(self.splits, {**self.splits, "train": self.lift.train, "valid": self.lift.valid})

    @cached_property
    def cache(self) -> DesignCache | None:
        """The cache of designs."""
        return design_cache(self.config)

    @cached_property
    def fitted(self) -> Checkpoint:
        """The fitted potential, from its file, so that a run that was resumed evaluates what an unbroken one does."""
        return load_checkpoint(self.folder.model, device=self.config.device)

    @property
    def evaluated(self) -> dict[str, tuple[Structure, ...]]:
        """The splits that are evaluated on, by name."""
        return {name: tuple(self.splits[name]) for name in self.config.data.evaluate}

    @cached_property
    def determined(self) -> Determined:
        """What the labels that the fit learns from tell of reference energies."""
        return determined_by(self.lift.train, self.config.target, self.lift.table)

    @property
    def open_references(self) -> dict[str, OpenReferences]:
        """Energies to evaluate on of which the labels leave reference energies open, by split; no split without any."""
        names, target = self.config.data.evaluate, self.config.target
        found = {name: self.determined.open_among(self.splits[name], target) for name in names}
        return {name: one for name, one in found.items() if one.n_open}

    @cached_property
    def context(self) -> Context:
        """Where and how the fit runs."""
        return context_of(
            self.config,
            self.base,
            seed=self.config.seed,
            folder=self.folder.checkpoints,
            progress=self.progress,
            evaluated=[self.splits[name] for name in self.config.data.evaluate],
        )
