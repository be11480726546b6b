"""The files of the studies of the claims: which labels of which level may be learnt, and what is tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung import read_structures, write_structures
from rung.data.splits import energies_only
from rung.data.structure import Structure
from rung.demo.labelled import only
from rung.demo.molecules import number_of, uphill

LEVELS: Mapping[str, str] = {"gfn2": "GFN2-xTB", "mp2": "MP2/cc-pVDZ", "ccsdt": "CCSD(T)/cc-pVDZ"}

TITLES: Mapping[str, str] = {"gfn2": "GFN2", "mp2": "MP2", "ccsdt": "CCSD(T)"}

GEOMETRIES = 80
"""Of each molecule, the first ones: a larger set of data leaves the studies as they are."""

ABSENT = ("CH2O", "CH2NH")
"""Molecules without a label of the high level."""

HIGHEST = 1.5
"""eV of MP2 above the lowest geometry of a molecule: labels of the high level are from below, ``above`` is beyond."""

PATHS = ("NH3", "HONO")
"""Paths whose barriers are judged."""


SPLITS = ("test", "absent", "above")
"""What is tested: like the labels, molecules without any, and geometries of higher energy."""


@dataclass(frozen=True)
class Pair:
    """A low and a high level, on some geometries: what studies have in common, and one block of the tables.

    Parameters
    ----------
    low, high
        The levels.
    geometries
        Of each molecule, the first ones.
    tuned
        Whether the settings of each row were chosen by trials.
    seed
        Of the training of the base that is lifted.
    """

    low: str
    high: str
    geometries: int = GEOMETRIES
    tuned: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """What the folders of its studies end with."""
        ending = f"{size_of(self.geometries)}{seed_of(self.seed)}{'-tuned' if self.tuned else ''}"
        return f"{self.low}-{self.high}{ending}"

    @property
    def title(self) -> str:
        """What the tables call it."""
        size = f", {self.geometries} geometries" if self.geometries != GEOMETRIES else ""
        base = f", base {self.seed + 1}" if self.seed else ""
        return f"{TITLES[self.low]} → {TITLES[self.high]}{size}{base}{', tuned' if self.tuned else ''}"


def size_of(geometries: int) -> str:
    """Return what the name of a folder has where it is not about the usual number of geometries."""
    return f"-{geometries}" if geometries != GEOMETRIES else ""


def seed_of(seed: int) -> str:
    """Return what the name of a folder has where its base is not that of the first seed."""
    return f"-seed{seed}" if seed else ""


def claim_files(data: Path, folder: Path, levels: Sequence[str], geometries: int = GEOMETRIES) -> dict[str, Path]:
    """Write the files of some levels, the lowest first, once, and return them by name.

    They are about the first ``geometries`` of each molecule.

    ``train`` has the lower levels on every geometry, and the highest where its labels may be drawn; ``valid`` likewise.
    ``test`` is like these labels; ``absent`` has the molecules without any, ``above`` the geometries of higher energy.
    The files with ``-energies`` lack the forces of the highest level, those with ``low`` all levels but the lowest.
    """
    *lower, high = levels
    place = folder / "data" / ("-".join(levels) + size_of(geometries))
    names = [f"{part}{ending}" for part in ("train", "valid") for ending in ("", "-energies")]
    names += ["low", "low-valid", "low-test", *SPLITS, *PATHS]
    files = {name: place / f"{name}.extxyz" for name in names}
    if all(path.exists() for path in files.values()):
        return files
    frames = read_structures(data / "frames.extxyz")
    lowest = lowest_energies(frames)
    parts = {part: [one for one in frames if one.info["part"] == part] for part in ("train", "valid", "test", "scan")}
    for part in ("train", "valid", "test"):
        parts[part] = [one for one in parts[part] if number_of(one) < geometries]

    def learnable(one: Structure) -> bool:
        return one.info["molecule"] not in ABSENT and height(one, lowest) < HIGHEST

    written: dict[str, Sequence[Structure]] = {}
    for part in ("train", "valid"):
        both = [only(one, *levels) if learnable(one) else only(one, *lower) for one in parts[part]]
        written |= {part: both, f"{part}-energies": energies_only(both, high)}
    for part, name in (("train", "low"), ("valid", "low-valid"), ("test", "low-test")):
        written[name] = [only(one, levels[0]) for one in parts[part]]
    for name in SPLITS:
        written[name] = [only(one, *levels) for one in parts["test"] if side_of(one, learnable(one)) == name]
    for name in PATHS:
        path = uphill([one for one in parts["scan"] if one.info["molecule"] == name])
        written[name] = [only(one, *levels) for one in path]
    for name, structures in written.items():
        write_structures(files[name], structures)
    return files


def side_of(structure: Structure, learnable: bool) -> str:
    """Return the split that tests a geometry."""
    return "test" if learnable else "absent" if structure.info["molecule"] in ABSENT else "above"


def lowest_energies(frames: Sequence[Structure]) -> dict[str, float]:
    """Return the lowest MP2 energy of each molecule, eV."""
    lowest: dict[str, float] = {}
    for one in frames:
        name = str(one.info["molecule"])
        lowest[name] = min(lowest.get(name, float("inf")), one.labelled("mp2").energy)
    return lowest


def height(structure: Structure, lowest: Mapping[str, float]) -> float:
    """Return the MP2 energy of a geometry above the lowest one of its molecule, eV."""
    return structure.labelled("mp2").energy - lowest[str(structure.info["molecule"])]
