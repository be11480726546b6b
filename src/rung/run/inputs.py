"""What a config names, read: structures, the base, the cache; and where a fit runs."""

from pathlib import Path

from rung.checkpoint import open_model
from rung.config import RunConfig
from rung.data.readers import read_structures
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.fit.method import Context
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress


def read_splits(config: RunConfig) -> dict[str, tuple[Structure, ...]]:
    """Return the structures of every split, by name."""
    return {name: read_structures(paths) for name, paths in config.splits().items()}


def open_base(config: RunConfig) -> ReadoutPotential | None:
    """Return the base of a config, from a checkpoint or a backend's file, or None where it names none."""
    given = config.base
    if given is None:
        return None
    return open_model(
        given.file,
        fidelity=given.fidelity,
        head=given.head,
        trusted=given.trusted,
        dtype=config.dtype,
        device=config.device,
    ).potential


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
