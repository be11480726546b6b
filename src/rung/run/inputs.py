"""What a config names, read: structures, the base, the cache; and where a fit runs."""

import warnings
from collections.abc import Mapping, Sequence, Set
from math import inf
from pathlib import Path

import torch

from rung.backends.precision import HalfPrecisionWarning, precision_sentence
from rung.checkpoint import open_model
from rung.config import RunConfig
from rung.data.copies import without_copies
from rung.data.energy_table import EnergyTable, read_energy_tables, require_faultless, with_table
from rung.data.frames import check_apart, stream_structures
from rung.data.readers.structures import read_structures, require_matter, require_possible
from rung.data.single_atoms import SingleAtoms
from rung.data.splits import labelled_with
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.cache import DesignCache
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods import method_of
from rung.model.architecture import Architecture
from rung.progress import SILENT, Progress

STREAMED = ("train", "valid")
"""Splits that may stay in their files; what is evaluated is read."""


def open_splits(config: RunConfig) -> dict[str, Sequence[Structure]]:
    """Return the structures of every split, by name; what is fitted may stay in its files.

    Raises
    ------
    DataError
        When a file cannot be used, or a structure of a streamed split stands in another split too, has a label that can
        be none, or is like no matter.
    """
    if not config.data.stream:
        return dict(read_splits(config))
    splits: dict[str, Sequence[Structure]] = {}
    for name, paths in config.splits().items():
        if name in STREAMED:  # the doctor sees a sample of them alone
            splits[name] = stream_structures(paths, keys=config.keys(), check=_require_sound)
        else:
            splits[name] = read_structures(paths, keys=config.keys())
    check_apart(splits)
    return splits


def _require_sound(structure: Structure) -> None:
    require_possible(structure)
    require_matter(structure)


def read_splits(config: RunConfig) -> dict[str, tuple[Structure, ...]]:
    """Return the structures of every split, by name, all of them in memory.

    Raises
    ------
    ConfigError
        When the config wants them streamed: only ``rung fit`` can do that.
    """
    if config.data.stream:
        raise ConfigError("Only 'rung fit' streams structures; remove data.stream.")
    splits = {name: read_structures(paths, keys=config.keys()) for name, paths in config.splits().items()}
    table = require_faultless(open_table(config), splits, config.fidelities)
    return {name: with_table(members, table) for name, members in splits.items()} if table else splits


def open_table(config: RunConfig) -> EnergyTable:
    """Return the rows of every table of energies that a config names."""
    return read_energy_tables(config.data.labels, config.keys())


def require_used(config: RunConfig) -> None:
    """Raise where a table holds labels for the fit that its method has no use for.

    Raises
    ------
    ConfigError
        Names the first such row, and the methods that use it.
    """
    own = open_table(config).of(config.target)
    special = (*own.differences, *own.correlated)
    if special and not method_of(config.method).differences(config.method):
        raise ConfigError(
            f"{special[0].place}: the method {config.method.name!r} learns from energies of structures, each with an "
            "error of its own, and has no use for a difference or a run; use readout, tangent, auto or offset, or "
            "remove such rows."
        )


def open_base(config: RunConfig) -> Base | None:
    """Return the base of a config, from a checkpoint or a backend's file, or None where it names none."""
    settings = config.base
    if settings is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HalfPrecisionWarning)  # the fit says it, in log and report
        checkpoint = open_model(
            settings.file,
            fidelity=settings.fidelity,
            head=settings.head,
            trusted=settings.trusted,
            dtype=config.dtype,
            device=config.device,
        )
    return Base(checkpoint.potential, settings.fidelity)


def single_atoms_of(config: RunConfig, base: Base | None) -> SingleAtoms:
    """Return which frames a fit of ``config`` leaves out: those without neighbours within what its model sees."""
    if base is not None:
        return SingleAtoms(base.plain.cutoff, config.data.single_atoms)
    shape = getattr(config.method, "architecture", None)
    return SingleAtoms(shape.cutoff if isinstance(shape, Architecture) else inf, config.data.single_atoms)


def fitted_splits(
    config: RunConfig, splits: Mapping[str, Sequence[Structure]], base: Base | None
) -> dict[str, Sequence[Structure]]:
    """Return the splits, those that are fitted or chosen by as a fit takes them: the same for every method.

    Single atoms are left out, and an energy of the target that stands twice in the training set counts once.

    Raises
    ------
    FitError
        When all energies of the target are single atoms', which are left out.
    """
    rule = single_atoms_of(config, base)
    taken = {name: rule.for_fit(members) if name in STREAMED else members for name, members in splits.items()}
    lost = len(taken["train"]) < len(splits["train"]) and not labelled_with(taken["train"], config.target)
    if lost and labelled_with(splits["train"], config.target):
        raise FitError(
            f"All training frames with {config.target}_energy are single atoms or have no neighbours, and a fit leaves "
            "those out; add frames in which atoms have neighbours, or set data.single_atoms: fit."
        )
    return {**taken, "train": without_copies(taken["train"], config.target)}


def _alone(count: int) -> str:
    if count == 1:
        return "is a single atom or has no neighbours and is"
    return "are single atoms or have no neighbours and are"


def left_out(splits: Mapping[str, Sequence[Structure]], taken: Mapping[str, Sequence[Structure]]) -> tuple[str, ...]:
    """Return a sentence for each split of which a fit leaves frames out; none where it takes all."""
    return tuple(
        f"{name}: {count} of {len(members)} frames {_alone(count)} left out of the fit; "
        "data.single_atoms: fit keeps them."
        for name, members in splits.items()
        if (count := len(members) - len(taken[name]))
    )


def coarse_base(config: RunConfig, base: Base | None) -> tuple[str, ...]:
    """Return a sentence where the base's file is of half precision; else nothing."""
    if base is None or config.base is None:
        return ()
    sentence = precision_sentence(base.potential, config.base.file)
    return (sentence,) if sentence else ()


def lift_of(config: RunConfig, splits: Mapping[str, Sequence[Structure]], base: Base | None) -> Lift:
    """Return what a fit of ``config`` is asked for; errors as :func:`fitted_splits`."""
    taken = fitted_splits(config, splits, base)
    table = open_table(config).of(config.target)
    if table:
        table = table.within(structure.structure_id for structure in splits["train"])
        _require_fitted(table, {structure.structure_id for structure in taken["train"]})
    return Lift(taken["train"], taken.get("valid", ()), base, config.fidelity_table(), config.target, table)


def _require_fitted(table: EnergyTable, names: Set[str]) -> None:
    for row in table.differences:
        if lost := sorted(row.pair - names):
            raise FitError(
                f"{row.place}: {lost[0]} is a single atom or has no neighbours, and a fit leaves those out; remove the "
                "row, or set data.single_atoms: fit."
            )


def design_cache(config: RunConfig) -> DesignCache | None:
    """Return the cache of designs of a config, or None where its paths are not resolved and it names none."""
    return None if config.cache is None else DesignCache(config.cache)


def context_of(
    config: RunConfig,
    base: Base | None,
    *,
    seed: int,
    folder: Path,
    progress: Progress = SILENT,
    evaluated: Sequence[Sequence[Structure]] = (),
) -> Context:
    """Return where and how a fit of ``config`` runs, whose result is then evaluated on splits of structures."""
    dtype = "float32" if base is None else str(base.potential.dtype).removeprefix("torch.")
    return Context(
        seed=seed,
        cache=design_cache(config),
        folder=folder,
        device=config.device,
        dtype=config.dtype or dtype,
        progress=progress,
        evaluated=evaluated,
    )


def set_threads(config: RunConfig) -> None:
    """Let torch use as many CPU threads as a config says; where it says nothing, leave torch as it is."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
