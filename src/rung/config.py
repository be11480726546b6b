"""What a run is told: frozen data, read from YAML, with a sentence per field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from rung.data.single_atoms import Use
from rung.errors import ConfigError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.methods import MethodSettings, method_of
from rung.settings import PLAIN, Settings, is_plain, shown
from rung.yaml_files import read_yaml, write_yaml

CACHE_FOLDER = "rung-cache"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, Path)) else value


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


Files = Annotated[tuple[Path, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""A path or a list of paths."""


class FidelitySettings(Settings):
    """What is said of one fidelity."""

    level_of_theory: str = ""
    """What made the labels, for people: "DMC, T-moves, ccECP"."""
    energy_shared_stderr: float = Field(default=0.0, ge=0.0)
    """One-sigma error, eV per cell, that every energy of this fidelity shares (finite size, time step)."""
    key: str | None = Field(default=None, min_length=1)
    """What its labels are called in the data files, by default its name: `wb97x_dz`, or `REF` for `REF_energy`."""


class BaseSettings(Settings):
    """The potential that was trained before, on a cheaper fidelity."""

    file: Path
    """The model file: one that a backend reads (a MACE `.model`), or a `.rung` checkpoint."""
    fidelity: str
    """The fidelity that the base was trained on."""
    head: str | dict[str, str] | None = None
    """The head (or modality) to take, where the file has several; or, by fidelity, that of each that the base should
    offer."""
    trusted: bool = False
    """Whether a file that could run code while it loads (a pickle) comes from a source you trust."""


class DataSettings(Settings):
    """Files of labelled structures; one geometry never stands in two of the splits."""

    train: Files
    """Structures to fit: with target energies, and others that may anchor."""
    evaluate: dict[str, Files] = Field(default_factory=dict)
    """Structures to evaluate on, by the name of the split; a fit never sees them."""
    valid: Files | None = None
    """Structures by which a method may choose."""
    labels: Annotated[tuple[Path, ...], BeforeValidator(_as_list)] = ()
    """Tables (CSV) of energies of these structures: by structure_id, differences of two, and errors that rows share."""
    stream: bool = False
    """Whether structures to fit and to choose by stay in their files and are read when needed, for more of them than
    memory holds; the result is the same, the start takes longer, and the checks look at an even sample."""
    single_atoms: Use = "leave_out"
    """What a fit does with frames in which no atom has a neighbour, and with single atoms that a file marks by
    `config_type=IsolatedAtom`: among other frames they decide the reference energies almost alone, so they are left
    out of train and valid. `fit` keeps them."""

    @model_validator(mode="after")
    def _split_names(self) -> Self:
        for name in self.evaluate:
            if name in ("train", "valid") or not is_plain(name):
                raise ConfigError(
                    f"The name {shown(name)} of an evaluate split must be a plain name other than train, valid: "
                    f"{PLAIN}."
                )
        if self.stream and self.labels:
            raise ConfigError("data.labels needs its structures in memory; remove data.stream.")
        return self


class RunConfig(Settings):
    """One fit, its evaluation and its export: everything that ``rung fit`` reads."""

    run: Path
    """The folder that the run is kept in."""
    fidelities: dict[str, Annotated[FidelitySettings, BeforeValidator(_or_empty)]]
    """Every fidelity that the run may use, by name."""
    target: str
    """The fidelity to lift to."""
    base: BaseSettings | None = None
    """The base; absent where a model is trained from scratch."""
    data: DataSettings
    """Where the labelled structures are."""
    method: MethodSettings
    """The method and its settings."""
    seed: int = Field(default=0, ge=0)
    """Of everything random in the run."""
    device: str = "cpu"
    """Where models run, as torch spells it: cpu, cuda, cuda:1."""
    dtype: Literal["float32", "float64"] | None = None
    """The type in which models run; by default the base's own, and float32 for new models."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads of torch; by default as many as torch takes (OMP_NUM_THREADS)."""
    cache: Path | None = None
    """The folder of the cache of designs; by default `rung-cache` beside the run folder."""

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if not self.fidelities:
            raise ConfigError("fidelities is empty; name at least the target.")
        self.fidelity_table()
        _known(self.target, self.fidelities, "target")
        if self.base is not None:
            _known(self.base.fidelity, self.fidelities, "base.fidelity")
        method = method_of(self.method)
        if self.base is None and method.base == "needed":
            raise ConfigError(f"The method {method.name!r} needs a base; add base: {{file: ..., fidelity: ...}}.")
        if self.base is not None and method.base == "none":
            raise ConfigError(
                f"The method {method.name!r} trains a new model; remove base, or use the method 'transfer'."
            )
        return self

    def fidelity_table(self) -> dict[str, Fidelity]:
        """Return the fidelities by name."""
        return {
            name: Fidelity(name, settings.level_of_theory, settings.energy_shared_stderr)
            for name, settings in self.fidelities.items()
        }

    def keys(self) -> dict[str, str]:
        """Return what the data files call a fidelity, for each that they call otherwise than the config does."""
        return {name: settings.key for name, settings in self.fidelities.items() if settings.key is not None}

    def splits(self) -> dict[str, tuple[Path, ...]]:
        """Return the files of every split by name: train, valid where given, and those to evaluate on."""
        valid = {} if self.data.valid is None else {"valid": self.data.valid}
        return {"train": self.data.train, **valid, **self.data.evaluate}

    def files(self) -> dict[str, Path]:
        """Return every file that the run reads by the key that names it."""
        listed: dict[str, tuple[Path, ...]] = {"data.train": self.data.train}
        if self.data.valid is not None:
            listed["data.valid"] = self.data.valid
        if self.data.labels:
            listed["data.labels"] = self.data.labels
        listed |= {f"data.evaluate.{name}": paths for name, paths in self.data.evaluate.items()}
        found = {
            key if len(paths) == 1 else f"{key}.{index}": path
            for key, paths in listed.items()
            for index, path in enumerate(paths)
        }
        return found if self.base is None else {**found, "base.file": self.base.file}

    def resolved(self, folder: Path) -> Self:
        """Return the config with every path absolute, those that were relative taken from ``folder``."""
        run = place_of(self.run, folder)
        valid = None if self.data.valid is None else tuple(place_of(path, folder) for path in self.data.valid)
        data = self.data.model_copy(
            update={
                "train": tuple(place_of(path, folder) for path in self.data.train),
                "labels": tuple(place_of(path, folder) for path in self.data.labels),
                "valid": valid,
                "evaluate": {
                    name: tuple(place_of(path, folder) for path in paths) for name, paths in self.data.evaluate.items()
                },
            }
        )
        base = None if self.base is None else self.base.model_copy(update={"file": place_of(self.base.file, folder)})
        cache = run.parent / CACHE_FOLDER if self.cache is None else place_of(self.cache, folder)
        return self.model_copy(update={"run": run, "data": data, "base": base, "cache": cache})


def place_of(path: Path, folder: Path) -> Path:
    """Return a path of a config as an absolute one: taken from ``folder`` where it is relative, ``~`` written out."""
    return Path(folder).absolute() / path.expanduser()


Config = TypeVar("Config", bound=RunConfig)


def load_config(path: Path) -> RunConfig:
    """Read the config of a run from YAML, with its paths made absolute.

    Raises
    ------
    ConfigError
        When the file is missing, is not YAML, or has an unknown, missing or impossible key.
    """
    return read_config(Path(path), RunConfig)


def write_config(config: RunConfig, path: Path) -> None:
    """Write a resolved config as YAML that :func:`load_config` reads back to an equal one."""
    write_yaml(path, config.model_dump(mode="json"))


def read_config(path: Path, kind: type[Config], changes: Mapping[str, Any] | None = None) -> Config:
    """Read a config of any kind from YAML, with ``changes`` of its keys and its paths made absolute."""
    values = {**read_settings(path), **(changes or {})}
    try:
        config = kind.read(values, where=str(path))
    except ConfigError as error:
        sentence = str(error)
        raise ConfigError(sentence if sentence.startswith(str(path)) else f"{path}: {sentence}") from error
    return config.resolved(path.parent)


def read_settings(path: Path) -> Mapping[str, Any]:
    """Return the mapping that a YAML file holds, or raise a :class:`~rung.errors.ConfigError` that says why not."""
    if not Path(path).exists():
        raise ConfigError(f"There is no config file {path}.")
    values = read_yaml(path)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} holds no settings; a config is a mapping that begins with 'run: FOLDER'.")
    return values


def _known(name: str, fidelities: Mapping[str, Any], key: str) -> None:
    try:
        require_fidelity(name, fidelities)
    except ConfigError as error:
        raise ConfigError(f"at {key!r}: {error}") from error
