"""What a campaign is told: a run's config, questions with their tolerances, a budget, and what makes labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from rung.campaign.questions import Question, Questions, files_of
from rung.config import Files, RunConfig, place_of, read_config
from rung.errors import ConfigError
from rung.jobs import Executor, Here
from rung.label.engines import EngineSettings
from rung.label.settings import absolute
from rung.settings import Settings


class BudgetSettings(Settings):
    """What may be spent, in one or several ways; the first that is spent ends the campaign."""

    labels: int | None = Field(default=None, ge=1)
    """Labels."""
    cost: float | None = Field(default=None, gt=0)
    """Cost: a label of a structure of mean size with the largest error offered costs 1."""
    cpu_hours: float | None = Field(default=None, gt=0)
    """Processor time of the engine, h."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.labels is None and self.cost is None and self.cpu_hours is None:
            raise ValueError("a budget needs labels, cost or cpu_hours")
        return self


class StartSettings(Settings):
    """What is labelled before there can be a fit."""

    count: int | None = Field(default=None, ge=1, le=1000)
    """How many labels there must be; by default six, or two more than reference energies that the candidates settle."""
    by: Literal["farthest", "random"] = "farthest"
    """Structures far from each other in the base's features, or random ones."""


class CampaignConfig(RunConfig):
    """Questions that are answered by labels, round by round: everything that ``rung campaign`` reads."""

    questions: Questions
    """What is asked, by name, each with its tolerance; the campaign ends when all are inside."""
    budget: BudgetSettings
    """What may be spent."""
    engine: EngineSettings
    """What makes the labels, as in ``rung label``."""
    pool: Files | None = None
    """Structures that may be labelled beside those of data.train."""
    stderr: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.03,)
    """One-sigma errors that a label may have, eV for the whole structure; of several the best for its cost is taken."""
    power: float = Field(default=0.0, ge=0, le=10)
    """A label's cost grows as N to this power, and as one over the square of its error."""
    batch: float = Field(default=5.0, ge=1, le=1000)
    """What the labels of a round may cost."""
    start: StartSettings = StartSettings()
    """What is labelled first."""
    energies: float = Field(default=0.1, ge=0)
    """What the energies of the candidates count beside the questions, so that reference energies are settled."""
    rounds_inside: int = Field(default=1, ge=1, le=100)
    """In how many successive rounds all answers must be inside their tolerance before the campaign ends."""
    executor: Executor = Here()
    """Where labels are made: here, processes of this machine, or Slurm."""
    time_limit: float | None = Field(default=None, gt=0)
    """Seconds that one label may take; then it counts as failed."""
    attempts: int = Field(default=1, ge=1, le=10)
    """How often a label is tried that fails by an accident."""

    @model_validator(mode="after")
    def _can_choose(self) -> Self:
        if self.base is None:
            raise ConfigError("A campaign lifts a base: name it under base.")
        if self.data.stream:
            raise ConfigError("A campaign reads all structures; remove data.stream.")
        if self.method.name not in WITH_BARS:
            raise ConfigError(
                f"The method {self.method.name!r} leaves no error bars, so nothing says when an answer is sure; use "
                f"{', '.join(WITH_BARS)}."
            )
        return self

    def resolved(self, folder: Path) -> Self:
        """Return the config with every path absolute, those that were relative taken from ``folder``."""
        config = super().resolved(folder)
        root = Path(folder).absolute()
        questions = {
            name: TypeAdapter(Question).validate_python(absolute(one, root)) for name, one in config.questions.items()
        }
        return config.model_copy(
            update={
                "questions": questions,
                "engine": TypeAdapter(EngineSettings).validate_python(absolute(config.engine, root)),
                "pool": None if config.pool is None else tuple(place_of(path, folder) for path in config.pool),
            }
        )

    def files(self) -> dict[str, Path]:
        """Return every file that the campaign reads by the key that names it."""
        pool = {f"pool.{index}": path for index, path in enumerate(self.pool or ())}
        asked = dict(pair for name, question in self.questions.items() for pair in files_of(name, question))
        return {**super().files(), **pool, **asked}


WITH_BARS = ("readout", "tangent", "auto")
"""Methods whose fits leave a posterior."""


def load_campaign_config(path: Path, changes: Mapping[str, Any] | None = None) -> CampaignConfig:
    """Read the config of a campaign from YAML, with its paths made absolute; errors as :func:`rung.config.load_config`.

    Parameters
    ----------
    path
        The YAML file.
    changes
        Keys to set in place of the file's own.
    """
    return read_config(Path(path), CampaignConfig, changes)
