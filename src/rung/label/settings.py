"""What ``rung label`` is told: a YAML file, or the same from Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, field_validator

from rung.errors import ConfigError
from rung.jobs import Executor, Here
from rung.label.engines import EngineSettings
from rung.settings import Settings
from rung.yaml_files import read_yaml


class LabelSettings(Settings):
    """Which structures get labels, by which engine, and where."""

    structures: tuple[Path, ...] = Field(min_length=1)
    """Files of structures; other labels that they have are kept."""
    fidelity: str
    """What the labels are called, such as dmc."""
    engine: EngineSettings
    """What computes them."""
    out: Path = Path("labels")
    """The folder of the labels, one folder in it for each structure."""
    stderr: float | None = Field(default=None, gt=0)
    """The one-sigma error to reach, eV, for a structure without <fidelity>_stderr_wanted; of statistical engines."""
    executor: Executor = Here()
    """Where calculations run: here, processes of this machine, or Slurm."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of each calculation; a second one makes quantum Monte Carlo of small molecules much slower."""
    time_limit: float | None = Field(default=None, gt=0)
    """Seconds that the calculation of one structure may take; then it counts as failed, and a later call goes on."""
    attempts: int = Field(default=1, ge=1, le=10)
    """How often a structure is tried that fails by an accident; what does not converge is not tried again."""
    seed: int = Field(default=0, ge=0)
    """Of everything random; each structure has a stream of its own."""

    @field_validator("structures", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        """Take one file for a list of one."""
        return (value,) if isinstance(value, (str, Path)) else value

    def resolved(self, folder: Path) -> "LabelSettings":
        """Return the settings with their paths absolute, those that are not from ``folder``."""
        return LabelSettings.model_validate(absolute(self, folder.resolve()))


def absolute(value: Any, folder: Path) -> Any:
    """Return settings as plain values, in which every path is absolute."""
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, BaseModel):
        return {name: absolute(getattr(value, name), folder) for name in value.model_fields_set}
    if isinstance(value, Mapping):
        return {key: absolute(one, folder) for key, one in value.items()}
    return [absolute(one, folder) for one in value] if isinstance(value, (tuple, list)) else value


def load_label_settings(path: Path, changes: Mapping[str, Any] | None = None) -> LabelSettings:
    """Read settings from YAML, with ``changes`` of its keys; paths start at the folder of the file.

    Raises
    ------
    ConfigError
        When the file is missing, is not YAML, or has an unknown, missing or impossible key.
    """
    values = read_yaml(Path(path))
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} holds no settings; it names structures, a fidelity and an engine.")
    return LabelSettings.read(_changed(values, changes or {}), str(path)).resolved(Path(path).parent)


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the file's values with changes in their place; those of the same engine join its settings."""
    engine, change = values.get("engine"), changes.get("engine")
    changed = {**values, **changes}
    if isinstance(engine, Mapping) and change and change.get("name", engine.get("name")) == engine.get("name"):
        changed["engine"] = {**engine, **change}
    return changed
