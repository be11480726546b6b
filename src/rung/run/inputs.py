"""What a config names, read: structures, the base, the cache; and where a fit runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rung.checkpoint import open_model
from rung.config import RunConfig
from rung.data.frames import check_apart, stream_structures
from rung.data.readers.structures import read_structures, require_possible
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.features.cache import DesignCache
from rung.fit.lift import Base, Context, Lift
from rung.progress import SILENT, Progress

STREAMED = ("train", "valid")
"""Splits that may stay in their files; what is evaluated is read."""


def open_splits(config: RunConfig) -> dict[str, Sequence[Structure]]:
    """Return the structures of every split, by name; what is fitted may stay in its files.

    Raises
    ------
    DataError
        When a file cannot be used, a structure of a streamed split stands in another split too, or a label of one can
        be none.
    """
    if not config.data.stream:
        return dict(read_splits(config))
    splits: dict[str, Sequence[Structure]] = {}
    for name, paths in config.splits().items():
        if name in STREAMED:  # the doctor sees a sample of them alone
            splits[name] = stream_structures(paths, keys=config.keys(), check=require_possible)
        else:
            splits[name] = read_structures(paths, keys=config.keys())
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


def open_base(config: RunConfig) -> Base | None:
    """Return the base of a config, from a checkpoint or a backend's file, or None where it names none."""
    settings = config.base
    if settings is None:
        return None
    checkpoint = open_model(
        settings.file,
        fidelity=settings.fidelity,
        head=settings.head,
        trusted=settings.trusted,
        dtype=config.dtype,
        device=config.device,
    )
    return Base(checkpoint.potential, settings.fidelity)


def lift_of(config: RunConfig, splits: Mapping[str, Sequence[Structure]], base: Base | None) -> Lift:
    """Return what a fit of ``config`` is asked for."""
    return Lift(splits["train"], splits.get("valid", ()), base, config.fidelity_table(), config.target)


def design_cache(config: RunConfig) -> DesignCache | None:
    """Return the cache of designs of a config, or None where its paths are not resolved and it names none."""
    return None if config.cache is None else DesignCache(config.cache)


def context_of(
    config: RunConfig, base: Base | None, *, seed: int, folder: Path, progress: Progress = SILENT
) -> Context:
    """Return where and how a fit of ``config`` runs."""
    dtype = "float32" if base is None else str(base.potential.dtype).removeprefix("torch.")
    return Context(
        seed=seed,
        cache=design_cache(config),
        folder=folder,
        device=config.device,
        dtype=config.dtype or dtype,
        progress=progress,
    )


def set_threads(config: RunConfig) -> None:
    """Let torch use as many CPU threads as a config says; where it says nothing, leave torch as it is."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
