"""``rung init``: a commented config, from what the user's files hold."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from rung.checkpoint import open_model
from rung.config import load_config
from rung.data.elements import symbols
from rung.data.other_keys import conversion, no_such_label
from rung.data.readers.structures import read_structures, reading_of, write_structures
from rung.data.splits import formula, grouped_split, key_of, overlaps
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, counted
from rung.fidelity import Fidelity
from rung.progress import SILENT, Progress
from rung.run.file_settings import InitSettings
from rung.storage import require_own, write_text

CONFIG, BASE_CONFIG = "config.yaml", "base.yaml"
RUN, BASE_RUN = "runs/lift", "runs/base"

ROLES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "fit"),
    "valid": ("valid", "validation", "val", "dev"),
}
"""Words in the name of a file that say what it is for; any other file is to evaluate on."""

MANY_FORMULAS = 12
"""From so many compositions on, whole ones are held out."""

FEW = 12
"""Below so many energies a fit can hardly tell reference energies from the readout."""


@dataclass(frozen=True)
class Census:
    """What files hold of one fidelity.

    Parameters
    ----------
    energies, forces, stresses
        How many structures have one.
    stderr
        Median one-sigma error of the energies, eV; NaN where none has one.
    """

    energies: int
    forces: int
    stresses: int
    stderr: float

    @classmethod
    def of(cls, structures: Sequence[Structure], fidelity: str) -> "Census":
        """Count the labels of a fidelity."""
        labels = [one.labels[fidelity] for one in structures if fidelity in one.labels]
        errors = np.array([one.energy_stderr for one in labels if np.isfinite(one.energy_stderr)])
        return cls(
            energies=sum(one.has_energy for one in labels),
            forces=sum(one.has_forces for one in labels),
            stresses=sum(one.has_stress for one in labels),
            stderr=float(np.median(errors)) if len(errors) else np.nan,
        )

    def words(self) -> str:
        """Return it as a comment has it."""
        parts = [counted(self.energies, "energy", "energies")]
        if np.isfinite(self.stderr):
            parts[0] += f" (σ {1000.0 * self.stderr:.3g} meV, median)"
        parts += [
            f"{count} with {what}" for what, count in (("forces", self.forces), ("stress", self.stresses)) if count
        ]
        return ", ".join(parts) if self.forces or self.stresses else f"{parts[0]}, no forces"


@dataclass(frozen=True)
class Beginning:
    """What was written, and what it stands on.

    Parameters
    ----------
    config
        The config of the lift.
    base_config
        The config that trains a base first; None where a base was given.
    splits
        The files of each split.
    census
        Labels by split and fidelity.
    target, low
        The fidelities to lift to and from.
    warnings
        What the user should look at.
    """

    config: Path
    base_config: Path | None
    splits: Mapping[str, tuple[Path, ...]]
    census: Mapping[str, Mapping[str, Census]]
    target: str
    low: str
    warnings: tuple[str, ...]


def begin(settings: InitSettings, *, progress: Progress = SILENT) -> Beginning:
    """Look into files of labelled structures and write a config that lifts a potential with them.

    Parameters
    ----------
    settings
        The files, and what the user knows already.
    progress
        Where long work reports.

    Raises
    ------
    ConfigError
        When the target or the base's fidelity cannot be told, or a name is not in the files.
    DataError
        When a file cannot be used, or nothing is left to learn from.
    ModelError
        When the base cannot be used.
    StorageError
        When the folder holds files that rung did not make.
    """
    if not settings.files:
        raise ConfigError("No data file was named; give at least one file of labelled structures.")
    require_own(settings.out, (CONFIG,))
    if (settings.out / CONFIG).exists():
        raise ConfigError(
            f"{settings.out / CONFIG} is there already, perhaps with changes of yours; name another --out."
        )
    with progress.task("Reading", len(settings.files)) as task:
        content = dict[Path, tuple[Structure, ...]]()
        for path in settings.files:
            content[path] = read_structures(path)
            task.advance()
    every = [one for structures in content.values() for one in structures]
    known = {name: Census.of(every, name) for name in sorted({name for one in every for name in one.labels})}
    if not known:
        raise DataError(f"No structure has a label under <fidelity>_energy; {_remedy(every)} gives labels such names.")
    target, low = _fidelities(settings, known)
    if settings.base is not None:
        _require_base(settings, settings.base, low, every)
    splits, made = _splits(settings, content, target)
    for path, structures in made.items():
        write_structures(path, structures)
        content[path] = structures
    members = {name: [one for path in paths for one in content[path]] for name, paths in splits.items()}
    census = {name: {each: Census.of(some, each) for each in known} for name, some in members.items()}
    if not census["train"][target].energies:
        raise DataError(f"No training structure has {target}_energy; name a file that has, or another --target.")
    begun = Beginning(
        config=settings.out / CONFIG,
        base_config=None if settings.base is not None else settings.out / BASE_CONFIG,
        splits=splits,
        census=census,
        target=target,
        low=low,
        warnings=tuple(_warnings(census, target)),
    )
    if begun.base_config is not None:
        write_text(begun.base_config, "\n".join(_base_lines(begun)) + "\n")
        load_config(begun.base_config)
    write_text(begun.config, "\n".join(_lines(begun, settings)) + "\n")
    load_config(begun.config)
    return begun


NO_LEVELS = frozenset(
    {"kinetic", "potential", "total", "free", "formation", "binding", "cohesive", "adsorption", "dispersion", "hull"}
    | {"atomization", "interaction", "reaction", "correlation", "zero_point", "band", "surface", "fermi"}
)
"""Words before ``_energy`` that tell a kind of energy and no level of theory: none is guessed to be a target."""


def _remedy(structures: Sequence[Structure]) -> str:
    """Return the command that names the labels of structures that have them under no name that rung reads."""
    readings = [reading_of(structure) for structure in structures]
    if any(reading.bare_keys for reading in readings):
        return "rung convert --fidelity NAME"
    return conversion(sorted({key for reading in readings for key in (*reading.unread_keys, *reading.numbers)}))


def _fidelities(settings: InitSettings, known: Mapping[str, Census]) -> tuple[str, str]:
    """Return the fidelity to lift to and that of the base."""
    for name in (settings.target, settings.base_fidelity):
        if name is not None and name not in known:
            raise ConfigError(no_such_label(name, known))
    with_energies = [name for name, one in known.items() if one.energies and name.lower() not in NO_LEVELS]
    low = settings.base_fidelity
    target = settings.target or _target_among([name for name in with_energies if name != low], known)
    if low is None:
        others = [name for name, one in known.items() if name != target and one.forces]
        if not others:
            raise ConfigError(
                f"No fidelity beside {target} has forces, so no base can be trained; give --base and --base-fidelity."
            )
        low = max(others, key=lambda name: known[name].forces)
    if low == target:
        raise ConfigError(f"Base and target are both {low}; give --target or --base-fidelity.")
    for name in (target, low):
        try:
            Fidelity(name)
        except ConfigError as error:
            raise ConfigError(
                f"{str(error).rstrip('.')}; rename its labels, as rung convert --keys energy={name}_energy does."
            ) from error
    return target, low


def _target_among(names: Sequence[str], known: Mapping[str, Census]) -> str:
    """Return what looks like the expensive level: energies with errors, or else the fewest energies."""
    if not names:
        raise ConfigError("No fidelity beside the base's has energies; give files with labels of the target.")
    barred = [name for name in names if np.isfinite(known[name].stderr)]
    among = barred or list(names)
    counts = [known[name].energies for name in among]
    if len(among) > 1 and counts.count(min(counts)) > 1:
        raise ConfigError(f"Which fidelity is the target cannot be told of {', '.join(among)}; give --target.")
    return min(among, key=lambda name: known[name].energies)


def _require_base(settings: InitSettings, base: Path, low: str, structures: Sequence[Structure]) -> None:
    """Open the base, so that what is wrong with it is said now."""
    opened = open_model(base, fidelity=low, trusted=settings.trusted, head=settings.base_head)
    unknown = {int(number) for one in structures for number in one.atoms.numbers} - opened.potential.elements
    if unknown:
        there = symbols(opened.potential.elements)
        raise ConfigError(f"{base} does not know {symbols(unknown)}, which the structures hold; it knows {there}.")


def _splits(
    settings: InitSettings, content: Mapping[Path, tuple[Structure, ...]], target: str
) -> tuple[dict[str, tuple[Path, ...]], dict[Path, tuple[Structure, ...]]]:
    """Return the files of each split, and those of them that have to be written."""
    roles = {path: _role(path) for path in content}
    if "train" in roles.values() and len(content) > 1:
        splits = {
            name: tuple(path for path in content if roles[path] == name) for name in dict.fromkeys(roles.values())
        }
        return splits, {}
    parts = _divided([one for structures in content.values() for one in structures], settings, target)
    made = {settings.out / f"{name}.extxyz": members for name, members in parts.items()}
    return {path.stem: (path,) for path in made}, made


def _role(path: Path) -> str:
    """Return what a file is for, by the words of its name; one to evaluate on keeps its own name."""
    name = path.name.split(".")[0]
    words = name.lower().replace("-", "_").split("_")
    for role, spellings in ROLES.items():
        if set(words) & set(spellings):
            return role
    return name


def _divided(structures: Sequence[Structure], settings: InitSettings, target: str) -> dict[str, tuple[Structure, ...]]:
    """Hold out a share of the structures, of those with a label of the target and of the others alike."""
    key = _group(structures, settings)
    shares = {"train": 1.0 - settings.test, "test": settings.test}
    if settings.group is not None or key == "composition":
        return grouped_split(structures, shares, settings.seed, key_of(key))
    labelled = {one.structure_id for one in structures if one.labelled(target).has_energy}
    parts = [
        grouped_split([one for one in structures if (one.structure_id in labelled) == has], shares, settings.seed)
        for has in (True, False)
    ]
    return _apart({name: tuple(one for part in parts for one in part.get(name, ())) for name in shares})


def _apart(parts: dict[str, tuple[Structure, ...]]) -> dict[str, tuple[Structure, ...]]:
    """Take out of the test what is, geometry for geometry, in training: one with a label may be one without."""
    shared = {overlap.structures[1] for overlap in overlaps(parts)}
    return {**parts, "test": tuple(one for one in parts["test"] if one.structure_id not in shared)}


def _group(structures: Sequence[Structure], settings: InitSettings) -> str:
    if settings.group is not None:
        return settings.group
    return "composition" if len({formula(one) for one in structures}) >= MANY_FORMULAS else "structure_id"


def _warnings(census: Mapping[str, Mapping[str, Census]], target: str) -> Iterator[str]:
    number = census["train"][target].energies
    if number < FEW:
        yield (
            f"{counted(number, 'energy', 'energies')} of {target} {'is little' if number == 1 else 'are few'}: the "
            "error bars will be the main result."
        )
    if not np.isfinite(census["train"][target].stderr):
        yield (
            f"The energies of {target} have no {target}_energy_stderr and are taken for exact: right for tight "
            "thresholds, wrong for Monte Carlo, which gives each its error."
        )
    if not any(each[target].energies for name, each in census.items() if name not in ("train", "valid")):
        yield f"No structure outside training has {target}_energy, so no error of the lifted potential will be known."


def _lines(begun: Beginning, settings: InitSettings) -> Iterator[str]:
    target, low = begun.target, begun.low
    yield f"# Lifts a potential from {low} to {target}. Check with: {_doctor(begun, settings)}"
    yield f"# Then: rung fit {begun.config}"
    yield f"run: {RUN}  # the folder of the run; the next one takes another"
    yield from _fidelity_lines(begun, (low, target))
    yield f"target: {_said(target)}"
    if settings.base is None:
        yield f"base:  # trained first, by: rung fit {begun.base_config}"
        yield f"  file: {BASE_RUN}/model.rung"
    else:
        yield "base:"
        yield f"  file: {_said(_from(begun.config, settings.base))}"
    yield f"  fidelity: {_said(low)}"
    if settings.base_head is not None and settings.base is not None:
        yield f"  head: {_said(settings.base_head)}  # of the several that its file has"
    if settings.trusted and settings.base is not None:
        yield "  trusted: true  # its file may run code while it loads"
    yield from _data_lines(begun)
    yield "method:"
    yield "  name: readout  # closed form, with error bars; rung compare shows how others do on the same splits"
    yield "  # name: auto   # readout or tangent (all layers), whichever has more evidence"
    if begun.census["train"][target].forces:
        yield f"  # name: transfer  # trains all weights on energies and forces of {target}, of which there are some"
    yield f"seed: {settings.seed}"


def _base_lines(begun: Beginning) -> Iterator[str]:
    yield f"# Trains the base on {begun.low}: rung fit {begun.base_config}. Then: rung fit {begun.config}"
    yield f"run: {BASE_RUN}"
    yield from _fidelity_lines(begun, (begun.low,))
    yield f"target: {_said(begun.low)}"
    yield from _data_lines(begun)
    yield "method:"
    yield "  name: scratch  # architecture: and training: take more, see the page on making a base"
    yield "seed: 0"


def _fidelity_lines(begun: Beginning, names: Sequence[str]) -> Iterator[str]:
    yield "fidelities:"
    for name in names:
        yield f"  {_said(name)}:  # for training: {begun.census['train'][name].words()}"
        yield '    level_of_theory: ""  # for people: functional and basis, or "DMC, T-moves, ccECP"'
        if name == begun.target:
            yield "    # energy_shared_stderr: 0.05  # eV; an error that all its energies share: finite size, time step"


def _data_lines(begun: Beginning) -> Iterator[str]:
    yield "data:  # one geometry never stands in two of these"
    evaluated = [name for name in begun.splits if name not in ROLES]
    for name in (each for each in ROLES if each in begun.splits):
        yield f"  {name}: {_paths(begun, name)}"
    if evaluated:
        yield "  evaluate:"
        for name in evaluated:
            counted = begun.census[name][begun.target].words()
            yield f"    {_said(name)}: {_paths(begun, name)}  # of {begun.target}: {counted}"


def _paths(begun: Beginning, split: str) -> str:
    paths = [_said(_from(begun.config, path)) for path in begun.splits[split]]
    return paths[0] if len(paths) == 1 else f"[{', '.join(paths)}]"


def _doctor(begun: Beginning, settings: InitSettings) -> str:
    files = " ".join(str(path) for paths in begun.splits.values() for path in paths)
    base = "" if settings.base is None else f" --base {settings.base} --base-fidelity {begun.low}"
    return f"rung doctor {files} --target {begun.target}{base}"


def _from(config: Path, path: Path) -> str:
    return Path(os.path.relpath(path.absolute(), config.parent.absolute())).as_posix()


def _said(text: str) -> str:
    """Return a text as YAML has it."""
    return (
        yaml.safe_dump(text, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("\n...\n").strip()
    )
