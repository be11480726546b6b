"""What a config names, read: structures, the base, the cache; and where a fit runs."""

from collections.abc import Sequence
from pathlib import Path

import torch

from rung.checkpoint import open_model
from rung.config import RunConfig
from rung.data.frames import check_apart, stream_structures
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.features.cache import DesignCache
from rung.fit.lift import Context
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress

CONTINUES = ("joint", "onehot")
"""Methods that go on training what the fidelities of a base share; to the others a base has one fidelity's features."""


STREAMED = ("train", "valid")
"""Splits that may stay in their files; what is evaluated is read."""


def open_splits(config: RunConfig) -> dict[str, Sequence[Structure]]:
    """Return the structures of every split, by name; what is fitted may stay in its files.

    Raises
    ------
    DataError
        When a file cannot be used, or a structure of a streamed split stands in another split too.
    """
    if not config.data.stream:
        return dict(read_splits(config))
    splits: dict[str, Sequence[Structure]] = {}
    for name, paths in config.splits().items():
        read = stream_structures if name in STREAMED else read_structures
        splits[name] = read(paths, keys=config.keys())
    check_apart(splits)
    return splits


def read_splits(config: RunConfig) -> dict[str, tuple[Structure, ...]]:
    """Return the structures of every split, by name, all of them in memory.

    Raises
    ------
    ConfigError
        When the config wants them streamed: only ``rung fit`` can do that.
    """
    if config.data.stream:
        raise ConfigError("Only 'rung fit' streams structures; remove data.stream.")
    return {name: read_structures(paths, keys=config.keys()) for name, paths in config.splits().items()}


def open_base(config: RunConfig) -> ReadoutPotential | None:
    """Return the base of a config, from a checkpoint or a backend's file, or None where it names none."""
    given = config.base
    if given is None:
        return None
    base = open_model(
        given.file,
        fidelity=given.fidelity,
        head=given.head,
        trusted=given.trusted,
        dtype=config.dtype,
        device=config.device,
    ).potential
    return base if config.method.name in CONTINUES else base.at(given.fidelity)


def design_cache(config: RunConfig) -> DesignCache | None:
    """Return the cache of designs of a config, or None where its paths are not resolved and it names none."""
    return None if config.cache is None else DesignCache(config.cache)


def context_of(
    config: RunConfig, base: ReadoutPotential | None, *, seed: int, folder: Path, progress: Progress = SILENT
) -> Context:
    """Return where and how a fit of ``config`` runs."""
    own = "float32" if base is None else str(base.dtype).removeprefix("torch.")
    return Context(
        seed=seed,
        cache=design_cache(config),
        folder=folder,
        device=config.device,
        dtype=config.dtype or own,
        base_fidelity="" if config.base is None else config.base.fidelity,
        progress=progress,
    )


def require_device(name: str) -> None:
    """Raise a :class:`~rung.errors.ConfigError` unless torch can compute on ``name`` here."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:  # an unknown name, or a build or a machine without the device
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"The device {name!r} cannot be used here: {reason}") from error


def set_threads(config: RunConfig) -> None:
    """Let torch use as many CPU threads as a config says; where it says nothing, leave torch as it is."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
