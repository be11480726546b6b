"""What no matter can be is refused before neighbours are listed, and what it can be passes."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule

from rung.data.matter import check_density, check_matter, impossible, too_dense
from rung.errors import DataError


def crowd(count: int, edge: float) -> Atoms:
    return Atoms(f"H{count}", positions=np.random.default_rng(0).uniform(0, edge, (count, 3)))


def slab(count: int) -> Atoms:
    """Atoms along the open direction, 0.12 Å apart, over a small area: a million images within any cutoff."""
    heights = 0.12 * np.arange(count)
    return Atoms(f"C{count}", positions=np.outer(heights, [0, 0, 1]), cell=[0.6, 0.6, 5.0], pbc=(True, True, False))


@pytest.mark.parametrize(
    ("atoms", "code", "sentence"),
    [
        (Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], cell=[0.02, 5, 5], pbc=True), "impossible-cell", "within 0.02 Å"),
        (Atoms("H3", np.eye(3), cell=[1.0] * 3, pbc=True), "impossible-cell", "0.33 Å³ an atom"),
        (crowd(2000, 4.0), "impossible-density", "atoms within 27 Å³"),
        (slab(1000), "impossible-density", "which no matter has"),
    ],
)
def test_what_would_have_millions_of_neighbours_is_refused_unlisted(atoms: Atoms, code: str, sentence: str) -> None:
    reason = too_dense(atoms)
    assert reason is not None and reason.code == code and sentence in reason.sentence
    assert impossible(atoms) == reason
    with pytest.raises(DataError, match=r"The structure .* is it damaged, or not in Å"):
        check_density(atoms)


@pytest.mark.parametrize("far", [0.0, 0.05])
@pytest.mark.parametrize("pbc", [True, False])
@pytest.mark.parametrize("copies", [1, 4])
def test_two_atoms_at_one_place_are_named(far: float, pbc: bool, copies: int) -> None:
    cell = 4.0 * np.eye(3)
    atoms = Atoms("LiF", [[0.01, 0, 0], [2, 2, 2]], cell=cell, pbc=True) * (copies, copies, copies)
    image = atoms.cell.array[0] if pbc else np.zeros(3)  # the twin is seen through the wall
    atoms += Atoms("F", [atoms.positions[0] + image - [far, 0, 0]])
    atoms.pbc = pbc
    reason = impossible(atoms)
    assert reason is not None and reason.code == "coincident-atoms"
    assert reason.sentence == f"has atoms 0 (Li) and {len(atoms) - 1} (F) at one place, {far:.3f} Å apart"
    assert too_dense(atoms) is None
    with pytest.raises(DataError, match=r"^a\.xyz, frame 3: the structure .* at one place"):
        check_matter(atoms, "a.xyz, frame 3")


@pytest.mark.parametrize(
    "atoms",
    [
        molecule("C6H6"),
        Atoms("H"),
        Atoms("H2", [[0, 0, 0], [0, 0, 0.15]]),
        bulk("C", "diamond", a=2.6, cubic=True) * (3, 3, 3),  # 0.45 atoms per Å³: compressed fivefold
        bulk("H", "sc", a=0.9),
        fcc111("Pt", (3, 3, 4), vacuum=8.0),
        graphene(vacuum=10.0),
        Atoms("C", cell=[0, 0, 1.3], pbc=(False, False, True)),
        bulk("Cu", "fcc", a=3.6, cubic=True) * (6, 6, 6),
    ],
)
@pytest.mark.parametrize("shift", [0.0, 5e4])
def test_what_matter_can_be_passes_wherever_it_is(atoms: Atoms, shift: float) -> None:
    moved = atoms.copy()
    moved.positions += shift
    check_matter(moved)
