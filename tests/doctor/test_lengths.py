"""Cells that lost their periodicity, and lengths in bohr: found in crystals, slabs and molecules, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, fcc111, graphene, molecule, mx2
from ase.units import Bohr

from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.doctor import diagnose

CRYSTALS = {
    "one atom": bulk("Cu"),
    "a metal": bulk("Cu", cubic=True) * 3,
    "a salt": bulk("NaCl", "rocksalt", a=5.64, cubic=True),
    "a semiconductor": bulk("ZnS", "zincblende", a=5.41),
    "diamond": bulk("C", cubic=True),
    "a hydride": bulk("PdH", "rocksalt", a=4.04, cubic=True),
    "a slab": fcc111("Cu", (3, 3, 3), vacuum=8.0),
    "a layer": mx2("MoS2", size=(2, 2, 1), vacuum=8.0),
    "graphene": graphene(size=(3, 3, 1), vacuum=8.0),
}


def frames(atoms, count=6, *, pbc=None, scale=1.0):
    found = []
    for seed in range(count):
        one = atoms.copy()
        one.rattle(0.05, seed=seed)
        one.set_cell(one.cell.array * scale, scale_atoms=True)
        one.positions *= scale if not atoms.cell.any() else 1.0
        one.pbc = one.pbc if pbc is None else pbc
        found.append(Structure(one, f"frame-{seed}", {}))
    return tuple(found)


def boxed(name, padding, seed=None):
    atoms = molecule(name)
    if seed is not None:
        random = np.random.default_rng(seed)
        atoms.rotate(random.uniform(0, 360), random.normal(size=3))
    atoms.set_cell(np.ptp(atoms.positions, axis=0) + 2 * padding)
    atoms.center()
    return atoms


def codes(structures):
    return {one.code: one for one in diagnose({"train": structures}).findings}.keys() & {
        "periodicity-lost",
        "lengths-bohr",
    }


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_crystal_without_its_periodicity_is_found(name):
    assert codes(frames(CRYSTALS[name], pbc=False)) == {"periodicity-lost"}


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_periodic_crystal_is_sound(name):
    assert not codes(frames(CRYSTALS[name]))


def test_a_molecule_torn_by_the_faces_of_its_box_is_found():
    torn = boxed("CH3CH2OH", 5.0)
    torn.positions -= torn.positions.mean(axis=0)
    torn.wrap(pbc=True)
    assert codes(frames(torn)) == {"periodicity-lost"}


@pytest.mark.parametrize("name", ["H2O", "C6H6", "CH3CH2OH", "CH3Cl", "SiH4"])
@pytest.mark.parametrize("padding", [0.0, 0.3, 0.6, 1.0, 1.5, 3.0, 10.0])
def test_a_molecule_in_a_box_is_sound(name, padding):
    boxes = [boxed(name, padding + 0.05 * (not padding and name == "C6H6"), seed) for seed in range(8)]
    assert not codes([Structure(box, f"box-{seed}", {}) for seed, box in enumerate(boxes)])


def test_a_molecule_across_the_origin_is_sound():
    whole = boxed("CH3CH2OH", 5.0)
    whole.positions -= whole.positions.mean(axis=0)
    assert not codes(frames(whole))


def test_a_slab_with_vacuum_and_one_without_are_sound_where_the_surface_repeats():
    assert not codes(frames(fcc111("Cu", (2, 2, 3), vacuum=8.0), pbc=(True, True, False)))
    assert not codes(frames(bulk("Cu", cubic=True) * 2, pbc=(True, True, False)))


def test_a_cluster_in_the_box_that_is_drawn_around_it_is_sound():
    cluster = bulk("Au", cubic=True) * 3
    cluster.rotate(30, (1, 2, 3), rotate_cell=False)
    cluster.positions -= cluster.positions.min(axis=0)
    cluster.set_cell(np.ptp(cluster.positions, axis=0))
    assert not codes([Structure(cluster, f"cluster-{k}", {}) for k in range(3)])


@pytest.mark.parametrize(("cut", "found"), [(2, {"periodicity-lost"}), (1, set())])
def test_a_few_odd_boxes_among_molecules_are_sound(cut, found):
    crystal = frames(bulk("Cu", cubic=True) * 2, cut, pbc=False)
    assert codes([*crystal, *(replace(one, structure_id="box") for one in frames(boxed("H2O", 5.0), 1))]) == found


@pytest.mark.parametrize("name", ["a metal", "a salt", "diamond", "a slab"])
def test_a_crystal_in_bohr_is_found(name):
    assert codes(frames(CRYSTALS[name], scale=1.0 / Bohr)) == {"lengths-bohr"}


@pytest.mark.parametrize("name", ["H2O", "C6H6", "CH3Cl", "SiH4", "AlCl3"])
def test_a_molecule_in_bohr_is_found_and_one_in_angstrom_is_sound(name):
    assert codes(frames(molecule(name), scale=1.0 / Bohr)) == {"lengths-bohr"}
    assert not codes(frames(molecule(name)))


def test_a_few_frames_noble_gases_and_a_stretched_bond_among_others_are_sound():
    assert not codes(frames(molecule("H2O"), 4, scale=1.0 / Bohr))
    assert not codes(frames(bulk("Ar", cubic=True)))
    assert not codes(frames(molecule("H2"), scale=2.5))
    stretched = molecule("N2")
    curve = []
    for place, length in enumerate(np.linspace(1.3, 3.2, 8)):
        one = stretched.copy()
        one.set_distance(0, 1, length)
        curve.append(Structure(one, f"n2-{place}", {}))
    assert not codes(curve)


@pytest.mark.parametrize("name", ["mos2/train", "molecules/frames", "pm6-dft/frames"])
def test_real_data_are_sound_and_are_found_in_bohr(name):
    place, stem = name.split("/")
    structures = read_structures(folder(place) / f"{stem}.extxyz")[:60]
    assert not codes(structures)
    longer = []
    for one in structures:
        atoms = one.atoms.copy()
        atoms.positions /= Bohr
        atoms.cell = atoms.cell.array / Bohr
        longer.append(replace(one, atoms=atoms))
    assert "lengths-bohr" in codes(longer)
