"""The demo on twelve molecules: files by what they are for, and the barriers of three of them beside their labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels, energies_only
from rung.data.structure import Structure
from rung.demo import configs
from rung.demo.labelled import labelled_barriers, labelled_curves, only
from rung.demo.potentials import before_and_after
from rung.results.barrier import Panel
from rung.tasks.fixed_paths import along
from rung.tasks.opened import Opened

LEVELS: Mapping[str, str] = {"gfn2": "GFN2-xTB", "mp2": "MP2", "ccsdt": "CCSD(T)"}

TITLES: Mapping[str, str] = {
    "HCN": "HCN to HNC, along the path of MP2",
    "HONO": "HONO, its torsion along the path of MP2",
    "NH3": "NH3, its inversion along the path of MP2",
}
"""The molecules whose barrier is shown."""

GEOMETRIES = 80
"""Of each molecule, the first ones: the base trains in a minute, and more data do not change the demo."""

NAMES = ("learnt", "valid", "train", "few", "test", *TITLES)


def molecule_files(data: Path, folder: Path) -> dict[str, Path]:
    """Sort the frames by what they are for, write them, and return their files by name.

    ``learnt`` and ``valid`` carry GFN2 alone. ``train`` has the CCSD(T) energies that fits may see, ``few`` those of
    the main fit; ``test`` has all that there is of CCSD(T). No frame of a path is fitted.
    """
    files = {name: folder / "data" / f"{name}.extxyz" for name in NAMES}
    if all(path.exists() for path in files.values()):
        return files
    frames = [one for one in read_structures(data / "frames.extxyz") if number_of(one) < GEOMETRIES]
    parts = {part: [one for one in frames if one.info["part"] == part] for part in ("train", "valid", "test", "scan")}
    train = energies_only([only(one, "gfn2", "ccsdt") for one in parts["train"]], "ccsdt")
    written: dict[str, Sequence[Structure]] = {
        "learnt": [only(one, "gfn2") for one in parts["train"]],
        "valid": [only(one, "gfn2") for one in parts["valid"]],
        "train": train,
        "few": draw_labels(train, "ccsdt", configs.MOLECULES_ENERGIES, 0),
        "test": [only(one, "gfn2", "ccsdt") for one in parts["test"]],
        **{name: uphill([one for one in parts["scan"] if one.info["molecule"] == name]) for name in TITLES},
    }
    for name, structures in written.items():
        write_structures(files[name], structures)
    return files


def number_of(structure: Structure) -> int:
    """Return the number that ends a name: that of a geometry of its molecule, or of a point on its path."""
    return int(structure.structure_id.rsplit("_", 1)[1])


def uphill(scan: Sequence[Structure]) -> list[Structure]:
    """Return a path from its lowest image by CCSD(T): the whole of it, or the side on which its highest image is."""
    energies = [one.labelled("ccsdt").energy for one in scan]
    lowest, highest = int(np.argmin(energies)), int(np.argmax(energies))
    return list(scan[lowest:]) if lowest < highest else list(scan[lowest::-1])


def molecule_barriers(files: Mapping[str, Path], config: RunConfig) -> list[Panel]:
    """Return what base and lifted potential say along three paths, beside the labels of each level."""
    potentials = before_and_after(config).by_fidelity
    return [_panel(title, read_structures(files[name]), potentials) for name, title in TITLES.items()]


def _panel(title: str, path: Sequence[Structure], potentials: Mapping[str, Opened]) -> Panel:
    bands = along([one.atoms for one in path], potentials)
    curves = [band.curve(name) for name, band in bands.items()]
    top = int(np.argmax([one.labelled("ccsdt").energy for one in path]))
    return Panel(
        title=title,
        curves=(*curves, *labelled_curves(path, LEVELS, curves[0].coordinate)),
        barriers=(*(band.entry(name) for name, band in bands.items()), *labelled_barriers(path, LEVELS, top)),
        notice=configs.MOLECULES_NOTICE,
    )
