"""Atoms in an input of QMCPACK: XML with ``<project id="prefix">`` and a particle set of ions; bohr."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from rung.data.labels import Array
from rung.units import BOHR


def inputs_of(folder: Path, prefix: str) -> Iterator[ElementTree.Element]:
    """Yield the inputs of a project in ``folder``; what is some other program's, or damaged, says nothing."""
    for path in sorted(folder.glob("*.xml")):
        try:
            root = ElementTree.parse(path).getroot()  # noqa: S314 - of the folder whose outputs are read
        except (ElementTree.ParseError, OSError, LookupError, ValueError):
            continue
        if any(project.get("id") == prefix for project in root.iter("project")):
            yield root


def geometry_of_input(folder: Path, prefix: str) -> Atoms | None:
    """Return the atoms of the simulation cell in QMCPACK's order; None where the inputs beside do not tell it alike."""
    told = [atoms for root in inputs_of(folder, prefix) if (atoms := _atoms(root)) is not None]
    if not told or any(one != told[0] for one in told[1:]):
        return None
    return told[0]


def _atoms(root: ElementTree.Element) -> Atoms | None:
    """Return the ions of an input whose groups give their positions one after the other, in Cartesian bohr."""
    lattice = next((one for one in root.iter("parameter") if one.get("name") == "lattice"), None)
    bounds = next((one.text or "" for one in root.iter("parameter") if one.get("name") == "bconds"), "n n n").split()
    numbers: list[int] = []
    positions: list[Array] = []
    for group in (group for particles in root.iter("particleset") for group in particles.iter("group")):
        attribute = next((one for one in group.iter("attrib") if one.get("name") == "position"), None)
        element = atomic_numbers.get((group.get("name") or "").rstrip("0123456789"))
        if attribute is None or element is None:
            continue
        places = _numbers(attribute)
        if places is None or places.size % 3 or attribute.get("condition", "0") != "0":
            return None
        positions.append(places.reshape(-1, 3))
        numbers += [element] * (places.size // 3)
    if not numbers:
        return None
    cell = np.zeros(9) if lattice is None else _numbers(lattice)
    if cell is None or cell.size != 9 or len(bounds) != 3:
        return None
    return Atoms(
        numbers,
        BOHR * np.concatenate(positions),
        cell=BOHR * cell.reshape(3, 3),
        pbc=[one == "p" for one in bounds],
    )


def _numbers(element: ElementTree.Element) -> Array | None:
    try:
        return np.array([float(word) for word in (element.text or "").split()])
    except ValueError:
        return None
