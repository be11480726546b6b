"""What a study is told: a run's config, and what is varied in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from rung.config import RunConfig, place_of, read_config, read_settings
from rung.errors import ConfigError, one_of
from rung.fidelity import LONGEST_NAME
from rung.fit.methods import METHODS, MethodSettings, method_of
from rung.jobs import Executor
from rung.settings import PLAIN, Settings, is_plain


def _named(value: Any) -> Any:
    """Return methods by row name, each named after its row where it does not name itself: ``tangent: {}``."""
    if not isinstance(value, Mapping):
        return value
    return {row: _with_name(row, settings) for row, settings in value.items()}


def _with_name(row: Any, settings: Any) -> Any:
    given = {} if settings is None else settings
    if isinstance(given, Mapping) and "name" not in given and row in METHODS:
        return {"name": row, **given}
    return given


def _as_values(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: item if isinstance(item, (list, tuple)) else [item] for key, item in value.items()}


Values = tuple[str | int | float | bool, ...]


class SplitSettings(Settings):
    """What stands on which side, where the files alone do not say."""

    by: str = "structure_id"
    """What is never torn apart: structure_id, composition, or the name of an entry in a frame's info."""
    folds: int | None = Field(default=None, ge=2, le=10000)
    """Deal the training structures into so many folds; each is held out once and evaluated on, as the split heldout."""
    withhold: Annotated[dict[str, Values], BeforeValidator(_as_values)] = Field(default_factory=dict)
    """Values by key: training structures with one of them under every key lose their target labels, and stay; what is
    evaluated on is reported for structures like them alone, too, as the split "NAME, withheld"."""
    seed: int = Field(default=0, ge=0)
    """Of the deal."""


class TuneSettings(Settings):
    """Choosing settings: every trial is scored by its energy error on validation structures, never on a test."""

    labels: int = Field(ge=1)
    """How many target energies a trial sees."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """A trial is done for each, and scored by the mean."""
    trials: dict[str, Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]]
    """By the name of a method's rows, changes of its settings to try, with dotted keys: [{}, {training.epochs: 50}]."""
    valid_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Share of a trial's target energies held out to score it, where data.valid has none."""


class NoiseSettings(Settings):
    """Labels drawn afresh for each seed, where the exact energies of the target are known (model-made labels)."""

    exact: Path
    """JSON of noise-free target energies, eV, by structure_id."""
    energy_stderr: tuple[float, float]
    """Least and greatest one-sigma error of a drawn label, eV; each structure's own is drawn between them."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.energy_stderr
        if not 0.0 < low <= high < float("inf"):
            raise ConfigError("noise.energy_stderr must be two numbers of eV above 0, the smaller first.")
        return self


class StudyConfig(RunConfig):
    """The run's method, and others beside it, over numbers of labels, seeds and folds, on identical splits."""

    labels: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    """Numbers of target energies."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    """Each draws a subset of the labels (smaller ones nested in larger ones) and noise where ``noise`` is given, and
    starts whatever is random in a fit."""
    compare: Annotated[dict[str, MethodSettings], BeforeValidator(_named)] = Field(default_factory=dict)
    """Further methods for the same draws, by the name that their rows get; a row called after its method names it."""
    split: SplitSettings = SplitSettings()
    """What stands on which side."""
    tune: TuneSettings | None = None
    """What is tried before the fits; by default every method has the settings that it is given."""
    noise: NoiseSettings | None = None
    """How to draw noise; by default the labels are taken as they stand."""
    bands: dict[str, Path] = Field(default_factory=dict)
    """Bands of structures, by name, whose static barrier (highest image less the first) each fit predicts."""
    force_structures: int | None = Field(default=None, ge=0)
    """At most so many structures of a split, evenly spaced, have their forces judged, with error bars. By default as
    many as 2000 atoms hold, and 60 at least; 60 of them with error bars, which cost most."""
    executor: Executor | None = None
    """Where `rung compare` fits; by default here where every method reads designs, as `readout` does, else in one
    process a core."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for name, settings in self.compare.items():
            if name in (self.method.name, "base") or not is_plain(name):
                raise ConfigError(
                    f"compare.{name[:LONGEST_NAME]}: the name must be plain and differ from base, "
                    f"{self.method.name!r}: {PLAIN}."
                )
            if self.base is None and method_of(settings).base == "needed":
                raise ConfigError(
                    f"compare.{name}: the method {settings.name!r} needs a base; "
                    "add base: {file: ..., fidelity: ...}."
                )
        if self.data.labels:
            raise ConfigError(
                "data.labels: a study draws the energies of structures; write them into the structures' files, and "
                "leave differences to rung fit."
            )
        if self.split.folds is not None and "heldout" in self.data.evaluate:
            raise ConfigError("data.evaluate.heldout: with split.folds this name is taken; choose another.")
        return self

    @model_validator(mode="after")
    def _trials_are_settings(self) -> Self:
        for row in self.tune.trials if self.tune is not None else ():
            if row not in self.methods():
                raise ConfigError(f"at 'tune.trials': {one_of(row, self.methods(), 'method')}")
            self.trials(row)
        return self

    def resolved(self, folder: Path) -> Self:
        """Return the config with every path absolute, those that were relative taken from ``folder``."""
        config = super().resolved(folder)
        bands = {name: place_of(path, folder) for name, path in config.bands.items()}
        noise = None
        if config.noise is not None:
            noise = config.noise.model_copy(update={"exact": place_of(config.noise.exact, folder)})
        return config.model_copy(update={"noise": noise, "bands": bands})

    def files(self) -> dict[str, Path]:
        """Return every file that the study reads by the key that names it."""
        found = {**super().files(), **{f"bands.{name}": path for name, path in self.bands.items()}}
        return found if self.noise is None else {**found, "noise.exact": self.noise.exact}

    def methods(self) -> dict[str, Any]:
        """Return the settings of every method by the name of its rows."""
        return {self.method.name: self.method, **self.compare}

    def folds(self) -> tuple[int, ...]:
        """Return the numbers of the folds: 0 alone without any."""
        return tuple(range(self.split.folds or 1))

    def trials(self, row: str) -> tuple[Any, ...]:
        """Return the settings that are tried for the method of ``row``; none where it is not tuned."""
        changes = {} if self.tune is None else self.tune.trials
        settings = self.methods()[row]
        return tuple(
            changed(settings, change, where=f"tune.trials.{row}.{number}")
            for number, change in enumerate(changes.get(row, ()))
        )


def changed(settings: Settings, change: Mapping[str, Any], where: str = "settings") -> Settings:
    """Return ``settings`` with the values of ``change``, by dotted keys such as ``training.learning_rate``.

    Raises
    ------
    ConfigError
        When a key is unknown or a value impossible.
    """
    values: dict[str, Any] = settings.model_dump(mode="json")
    for key, value in change.items():
        inner, (*path, last) = values, key.split(".")
        for part in path:
            if not isinstance(inner.get(part), dict):
                inner[part] = {}
            inner = inner[part]
        inner[last] = value
    return type(settings).read(values, where=where)


def load_study_config(path: Path, changes: Mapping[str, Any] | None = None) -> StudyConfig:
    """Read the config of a study from YAML, with its paths made absolute; errors as :func:`rung.config.load_config`.

    Parameters
    ----------
    path
        The YAML file.
    changes
        Keys to set in place of the file's own.
    """
    return read_config(Path(path), StudyConfig, changes)


class Profile(Settings):
    """Where jobs run, in a file of its own, so that one study runs on a laptop and on a cluster."""

    executor: Executor
    """What the file says."""


def load_executor(path: Path) -> Mapping[str, Any]:
    """Read a profile: a YAML file that says where jobs run, as ``executor`` of a study does.

    Raises
    ------
    ConfigError
        When it is missing, or holds anything else.
    """
    said = Profile.read({"executor": read_settings(Path(path))}, where=str(path))
    return said.executor.model_dump(mode="json")
