"""Dumps of LAMMPS as its manual describes them, of runs that are known."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

ORIGIN = np.array([1.0, -2.0, 0.5])


def lithium(frames: int, tilt: Sequence[float] = (0, 0, 0), *, seed: int = 0) -> list[Atoms]:
    """Return a walk of four lithium among four sulfurs, in a box whose origin is not zero."""
    random = np.random.default_rng(seed)
    xy, xz, yz = tilt
    cell = np.array([[8.0, 0, 0], [xy, 9.0, 0], [xz, yz, 10.0]])
    place = ORIGIN + random.random((8, 3)) @ cell
    found = []
    for _ in range(frames):
        found.append(Atoms("Li4S4", positions=place, cell=cell, pbc=True))
        place = place + np.where(np.arange(8)[:, None] < 4, random.normal(scale=0.4, size=(8, 3)), 0.0)
    return found


def dump(
    frames: Sequence[Atoms],
    *,
    columns: str = "x y z",
    extra: str = "",
    wrap: bool = False,
    mix: bool = False,
    steps: Sequence[int] = (),
) -> str:
    """Return ``frames`` as a text dump with columns id, type, positions and ``extra``."""
    random = np.random.default_rng(1)
    text = []
    for number, atoms in enumerate(frames):
        cell = atoms.cell.array
        fractions = (atoms.positions - ORIGIN) @ np.linalg.inv(cell)
        whole = np.floor(fractions).astype(int) if wrap else np.zeros((len(atoms), 3), dtype=int)
        inside = fractions - whole
        places = inside if columns.endswith("s") or "xs" in columns else ORIGIN + inside @ cell
        text += ["ITEM: TIMESTEP", str(steps[number] if steps else 100 * number)]
        text += ["ITEM: NUMBER OF ATOMS", str(len(atoms)), *_box(cell)]
        text.append(f"ITEM: ATOMS id type {columns} {extra}".rstrip())
        for index in random.permutation(len(atoms)) if mix else range(len(atoms)):
            more = {
                "element": str(atoms.symbols[index]),
                "mass": f"{atoms.get_masses()[index]:.4f}",
                "q": "0.5",
                **{axis: str(value) for axis, value in zip(("ix", "iy", "iz"), whole[index], strict=True)},
            }
            kind = 1 if atoms.symbols[index] == "Li" else 2
            place = (repr(float(value)) for value in places[index])
            row = [index + 1, kind, *place, *(more[one] for one in extra.split())]
            text.append(" ".join(str(value) for value in row))
    return "\n".join(text) + "\n"


def _box(cell: np.ndarray) -> list[str]:
    lengths, (xy, xz, yz) = np.diag(cell), (cell[1, 0], cell[2, 0], cell[2, 1])
    low, high = ORIGIN.copy(), ORIGIN + lengths
    if not (xy or xz or yz):
        rows = [f"{one!r} {other!r}" for one, other in zip(low.tolist(), high.tolist(), strict=True)]
        return ["ITEM: BOX BOUNDS pp pp pp", *rows]
    low += [min(0, xy, xz, xy + xz), min(0, yz), 0]
    high += [max(0, xy, xz, xy + xz), max(0, yz), 0]
    table = zip(low.tolist(), high.tolist(), (xy, xz, yz), strict=True)
    return ["ITEM: BOX BOUNDS xy xz yz pp pp pp", *(f"{a!r} {b!r} {float(c)!r}" for a, b, c in table)]
