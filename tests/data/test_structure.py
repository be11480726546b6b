"""Geometries: equal ones share a hash, others do not."""

from dataclasses import replace

import numpy as np
from ase.build import bulk, molecule
from numpy.testing import assert_allclose

from rung.data.structure import Structure, composition_matrix, elements_in


def test_the_hash_sees_geometry_and_nothing_else():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    one = Structure(atoms, "one", {})
    named = replace(one, structure_id="other", info={"kind": "x"})
    assert one.geometry_hash == named.geometry_hash
    moved, periodic, other = atoms.copy(), atoms.copy(), atoms.copy()
    moved.positions[0, 0] += 1e-9
    periodic.pbc = (True, True, False)
    other.numbers = other.numbers[::-1]
    hashes = {Structure(item, "x", {}).geometry_hash for item in (atoms, moved, periodic, other)}
    assert len(hashes) == 4
    negative = atoms.copy()
    negative.positions[0] = [-0.0, 0.0, -0.0]
    assert Structure(negative, "x", {}).geometry_hash == one.geometry_hash


def test_compositions_count_atoms():
    frames = [Structure(molecule(name), name, {}) for name in ("H2O", "CH4", "O2")]
    assert elements_in(frames) == (1, 6, 8)
    assert_allclose(composition_matrix(frames, (1, 6, 8)), [[2, 0, 1], [4, 1, 0], [0, 0, 2]])
    assert composition_matrix([], (1, 6)).shape == (0, 2)
    assert frames[1].formula == "CH4"


def test_an_unlabelled_fidelity_is_absent_not_zero():
    found = Structure(molecule("H2O"), "water", {}).labelled("dmc")
    assert np.isnan(found.energy)
    assert found.forces.shape == (3, 3)
    assert not found.has_energy
