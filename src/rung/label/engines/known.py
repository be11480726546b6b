"""Labels that files hold already, found by geometry: those of a colleague, or of a rehearsal whose truth is known."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from rung.collect.geometry import CLOSE, likeness
from rung.collect.matching import ROUNDED, TELLS_APART
from rung.data.readers.structures import read_structures
from rung.data.states import state_in, unusual_state
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, UnconvergedError
from rung.label.engine import Engine, Made, Subject
from rung.settings import Settings


class KnownEngine(Settings):
    """Look labels up in files that hold them, by geometry."""

    name: Literal["known"] = "known"
    files: tuple[Path, ...] = Field(min_length=1)
    """Files of labelled structures."""
    key: str | None = None
    """What these files call the labels, by default the fidelity."""
    forces: bool = True
    """Whether their forces and stress are taken, too."""
    noise: bool = False
    """Add a random error of the size asked for to each energy, for rehearsals; forces are then left out."""


def label(subject: Subject, settings: KnownEngine, folder: Path) -> Made:
    """Return the label of the only geometry that is like the structure's.

    Raises
    ------
    UnconvergedError
        When no labelled structure has its geometry, or several with different energies do.
    ConfigError
        When noise is asked for and its size is not.
    """
    del folder
    key = settings.key or subject.fidelity
    source, turned = _like(subject, settings, key)
    labels = source.labelled(key)
    where = f"the file's {source.structure_id}"
    if settings.noise:
        return _noisy(subject, labels.energy, labels.energy_stderr, key)
    forces = labels.forces if settings.forces and labels.has_forces and not turned else None
    stress = labels.stress if settings.forces and labels.has_stress and not turned else None
    warnings = (f"{where} is turned, so its forces are left out",) if turned and labels.has_forces else ()
    return Made(labels.energy, "known", key, labels.energy_stderr, forces, stress, warnings=warnings)


def _noisy(subject: Subject, energy: float, stderr: float, key: str) -> Made:
    if not np.isfinite(subject.stderr):
        raise ConfigError("noise: true needs the error to draw: give stderr, or the structures' own _stderr_wanted.")
    drawn = np.random.default_rng(subject.seed).normal(scale=subject.stderr)
    whole = float(np.hypot(subject.stderr, 0.0 if np.isnan(stderr) else stderr))
    return Made(energy + drawn, "known", f"{key} with noise", whole)


def _like(subject: Subject, settings: KnownEngine, key: str) -> tuple[Structure, bool]:
    """Return the labelled structure of the same geometry, and whether it is turned."""
    by_hash, structures = _labelled(settings.files, key, tuple(path.stat().st_mtime_ns for path in settings.files))
    hashed = by_hash.get(Structure(subject.atoms, "", {}).geometry_hash, [])
    same = [one for one in hashed if _may_be(one, subject)]
    if len({one.labelled(key).energy for one in same}) == 1:
        return same[0], False
    near = [(likeness(one.atoms, subject.atoms), one) for one in structures if _may_be(one, subject)]
    near = sorted((pair for pair in near if pair[0].distance < CLOSE), key=lambda pair: pair[0].distance)
    if not near:
        names = ", ".join(str(path) for path in settings.files)
        raise UnconvergedError(f"No structure with an energy of {key} in {names} has its geometry and its state.")
    alike = [one for like, one in near if like.distance < TELLS_APART * near[0][0].distance + ROUNDED]
    if len({one.labelled(key).energy for one in alike}) > 1:
        one, other = alike[0].structure_id, alike[1].structure_id
        raise UnconvergedError(f"Its geometry is that of {one} and of {other}, whose energies of {key} differ.")
    return near[0][1], near[0][0].turned


def _may_be(one: Structure, subject: Subject) -> bool:
    """Return whether a label may be of the subject: of its atoms, and of its state or of none that is said."""
    if not np.array_equal(one.atoms.numbers, subject.atoms.numbers):
        return False
    state = unusual_state(one)
    return not state or state == state_in(subject.atoms)


@lru_cache(maxsize=8)
def _labelled(
    files: tuple[Path, ...], key: str, changed: tuple[int, ...]
) -> tuple[dict[str, list[Structure]], tuple[Structure, ...]]:
    """Return the structures that have an energy, by the hash of their geometry and in order; files are read once."""
    del changed  # a file that grew is another one to the cache
    structures = tuple(one for one in read_structures(files) if one.labelled(key).has_energy)
    by_hash: dict[str, list[Structure]] = {}
    for one in structures:
        by_hash.setdefault(one.geometry_hash, []).append(one)
    return by_hash, structures


def _check(settings: KnownEngine) -> None:
    for path in settings.files:
        if not path.exists():
            raise DataError(f"There is no file {path} of known labels.")


ENGINE = Engine(KnownEngine, label, _check, statistical=lambda settings: settings.noise, power=lambda _: 0.0)
