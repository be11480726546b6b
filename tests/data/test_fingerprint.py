"""Copies of a geometry are found however they are turned, and what only resembles it is not."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule, mx2

from rung.data import congruence
from rung.data.congruence import congruent
from rung.data.fingerprint import fingerprint
from rung.data.splits import grouped_split, overlaps
from rung.data.structure import Structure


def slab(pbc: object = True) -> Atoms:
    atoms = mx2("MoS2", size=(2, 2, 1), vacuum=8)
    atoms.pbc = pbc
    return atoms


CASES: dict[str, Callable[[], Atoms]] = {
    "water": lambda: molecule("H2O"),
    "benzene": lambda: molecule("C6H6"),
    "a line": lambda: molecule("CO2"),
    "an atom": lambda: Atoms("H"),
    "one atom a cell": lambda: bulk("Cu"),
    "salt": lambda: bulk("NaCl", "rocksalt", 5.6) * (2, 1, 1),
    "layer": slab,
    "layer without images above": lambda: slab((True, True, False)),
    "an atom alone in its cell": lambda: Atoms("Ne", cell=[12, 13, 14], pbc=True),
    "wire": lambda: Atoms("Au2", cell=[0, 0, 5.0], positions=[[0, 0, 0], [0.3, 0, 2.4]], pbc=[0, 0, 1]),
    "skew": lambda: Atoms(
        "Si2", cell=[[3, 0, 0], [1.4, 3, 0], [1.3, 1.4, 3]], pbc=True, scaled_positions=[[0] * 3, [0.5] * 3]
    ),
}


def copy_of(atoms: Atoms, rng: np.random.Generator, *, mirror: bool, decimals: int) -> Atoms:
    """The same geometry, turned or mirrored, shifted, each atom in another cell, in another order, and rounded."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if (np.linalg.det(turn) < 0) != mirror:
        turn[:, 0] *= -1
    copy = atoms[rng.permutation(len(atoms))]
    cell = atoms.cell.array @ turn.T
    positions = copy.positions @ turn.T + 5 * rng.normal(size=3)
    positions += (rng.integers(-2, 3, (len(copy), 3)) * atoms.pbc) @ cell
    return Atoms(copy.numbers, np.round(positions, decimals), cell=np.round(cell, decimals), pbc=atoms.pbc)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rattle", [0.0, 0.1])
def test_copies_are_one_geometry_and_a_small_displacement_makes_another(name: str, rattle: float) -> None:
    rng = np.random.default_rng(3)
    atoms = CASES[name]()
    atoms.positions += rattle * rng.normal(size=atoms.positions.shape)
    for mirror in (False, True):
        for decimals in (8, 5):
            copy = copy_of(atoms, rng, mirror=mirror, decimals=decimals)
            splits = {"train": [Structure(atoms, "one", {})], "test": [Structure(copy, "other", {})]}
            (found,) = overlaps(splits)
            assert (found.same_geometry, found.structures) == (True, ("one", "other"))
            if len(atoms) > 1:
                copy.positions[0] += [0.003, 0.002, 0.001]
                assert overlaps(splits) == () and not congruent(atoms, copy)


def test_a_chain_of_splits_tells_which_two_share() -> None:
    rng = np.random.default_rng(4)
    frames = [rattled_slab(rng) for _ in range(4)]
    turned = copy_of(frames[1].atoms, rng, mirror=False, decimals=8)
    found = overlaps({"train": frames[:2], "valid": frames[2:], "test": [Structure(turned, "turned", {})]})
    assert [(one.splits, one.structures) for one in found] == [(("train", "test"), (frames[1].structure_id, "turned"))]


def rattled_slab(rng: np.random.Generator) -> Structure:
    atoms = slab()
    atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
    return Structure(atoms, f"frame-{rng.integers(10**9)}", {})


def test_images_on_both_sides_of_a_hop_are_one_geometry_only_where_all_distances_agree() -> None:
    def image(x: float, spectator: float) -> Structure:
        atoms = Atoms("CO2N", positions=[[x, 0.8, 0], [-2.0, 0, 0], [2.0, 0, 0], [spectator, -3.0, 0]])
        return Structure(atoms, f"{x} {spectator}", {})

    assert len(overlaps({"train": [image(-0.7, 0.0)], "test": [image(0.7, 0.0)]})) == 1  # a mirror image
    assert overlaps({"train": [image(-0.7, 0.05)], "test": [image(0.7, 0.05)]}) == ()


def test_equal_distances_in_another_arrangement_are_another_geometry() -> None:
    """Two sets of points on a line with one set of distances (homometric sets)."""
    one, other = ([0, 1, 4, 10, 12, 17], [0, 1, 8, 11, 13, 17])
    distances = [np.sort(np.abs(np.subtract.outer(places, places)).ravel()) for places in (one, other)]
    assert np.array_equal(*distances)
    first, second = (Atoms("H6", positions=[[place, 0, 0] for place in places]) for places in (one, other))
    assert not congruent(first, second)


def test_small_displacements_in_a_symmetric_crystal_try_few_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every atom and every operation of the lattice nearly fits: a pair of 64 atoms took a second, 500 frames a day."""
    rng, tried = np.random.default_rng(0), 0
    holds = congruence._Matcher.holds

    def counted(*arguments: Any) -> bool:
        nonlocal tried
        tried += 1
        return holds(*arguments)

    monkeypatch.setattr(congruence._Matcher, "holds", counted)
    frames = []
    for _ in range(4):
        atoms = bulk("Si", cubic=True) * (2, 2, 2)
        push = rng.normal(size=3)
        atoms.positions[rng.integers(len(atoms))] += 0.01 * push / np.linalg.norm(push)
        frames.append(atoms)
    assert not any(congruent(one, other) for one, other in combinations(frames, 2))
    assert tried < 100  # of 64 atoms times 48 operations for each of six pairs
    assert all(congruent(one, copy_of(one, rng, mirror=True, decimals=8)) for one in frames)


def test_the_cell_of_a_molecule_does_not_count_and_that_of_a_crystal_does() -> None:
    boxed = molecule("H2O")
    boxed.cell = [9, 9, 9]
    assert congruent(molecule("H2O"), boxed)
    stretched = bulk("Cu")
    stretched.set_cell(stretched.cell.array * 1.001, scale_atoms=True)
    assert not congruent(bulk("Cu"), stretched)


def test_another_choice_of_lattice_vectors_is_the_same_crystal() -> None:
    atoms = bulk("NaCl", "rocksalt", 5.6)
    other = atoms.copy()
    other.set_cell([atoms.cell[0], atoms.cell[1] + atoms.cell[0], atoms.cell[2]], scale_atoms=False)
    assert congruent(atoms, other)


def test_what_no_matter_can_be_is_like_itself_alone() -> None:
    dense = Structure(Atoms("H", cell=[0.01, 5, 5], pbc=True), "dense", {})
    assert fingerprint(dense).key == dense.geometry_hash
    again = Structure(dense.atoms.copy(), "again", {})
    assert len(overlaps({"train": [dense], "test": [again]})) == 1


def test_copies_stay_on_one_side_of_a_split() -> None:
    rng = np.random.default_rng(5)
    frames = []
    for place in range(6):
        one = rattled_slab(rng)
        frames += [one, Structure(copy_of(one.atoms, rng, mirror=place % 2 == 0, decimals=8), f"copy-{place}", {})]
    for seed in range(5):
        parts = grouped_split(frames, {"train": 0.5, "test": 0.5}, seed)
        assert overlaps(parts) == () and all(parts.values())
