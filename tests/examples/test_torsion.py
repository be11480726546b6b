"""Torsion profiles of potentials that depend on one angle, and orders whose Kendall's tau is counted by hand."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from rung.errors import DataError
from tests.examples.scripts import script
from tests.examples.springs import Turning

HOOH = (2, 0, 1, 3)


def test_the_profile_of_a_cosine_series_is_that_series():
    terms = {1: 0.05, 2: 0.2, 3: 0.1}
    angles = np.arange(0.0, 361.0, 30.0)
    for rigid in (True, False):
        found = script("torsion").torsion_profile(molecule("H2O2"), Turning(HOOH, terms), HOOH, angles, rigid=rigid)
        phi = np.radians(angles)
        expected = sum(0.5 * v * (1 + np.cos(n * phi)) for n, v in terms.items())
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_turns_is_what_hangs_on_the_bond():
    torsion = script("torsion")
    butane = molecule("trans-butane")
    carbons = [index for index, one in enumerate(butane.symbols) if one == "C"]
    bonds = {(a, b) for a in carbons for b in carbons if a != b and butane.get_distance(a, b) < 1.7}
    middle = next((a, b) for a, b in bonds if sum(x == a for x, _ in bonds) == 2 and sum(x == b for x, _ in bonds) == 2)
    ends = [next(y for x, y in bonds if x == at and y not in middle) for at in middle]
    turning = torsion.turning_atoms(butane, (ends[0], *middle, ends[1]))
    assert len(turning) == 7  # one methyl, one methylene: two carbons and five hydrogens
    assert middle[1] in turning
    assert middle[0] not in turning
    ring = molecule("C6H6")
    with pytest.raises(DataError, match="is in a ring and cannot turn"):
        torsion.turning_atoms(ring, (0, 1, 2, 3))
    with pytest.raises(DataError, match="Atoms 0 and 3 are not bonded"):
        torsion.turning_atoms(ring, (1, 0, 3, 2))


def test_a_ranking_counts_pairs_in_order():
    torsion = script("torsion")
    structures = [molecule("H2O2")] * 4
    # of six pairs one is the other way round: tau = (5 − 1)/6
    found = torsion.ranking(structures, [0.0, 0.1, 0.3, 0.2], [5.0, 5.1, 5.2, 5.3])
    assert found.kendall_tau == pytest.approx(4 / 6)
    assert found.lowest_agrees
    np.testing.assert_allclose(found.labels, [0, 100, 200, 300], atol=1e-9)
    assert found.mean_absolute_error == pytest.approx(50.0)
    with pytest.raises(DataError, match="several compositions"):
        torsion.ranking([molecule("H2O2"), molecule("H2O")], [0, 1], [0, 1])
    assert np.isnan(torsion.ranking(structures, [0, 1, 2, 3], [np.nan] * 4).kendall_tau)


def test_both_tasks_print_and_draw(tmp_path, capsys):
    main, out = script("torsion").main, tmp_path / "out"
    shared = ["ase.calculators.emt:EMT", "--fidelity", "emt", "--trusted", "--out", str(out)]
    turn = ["--molecule", "H2O2", "--atoms", "2", "0", "1", "3", "--rigid", "--step", "60"]
    assert main(["profile", *shared, *turn]) == 0
    said = capsys.readouterr().out
    assert "highest" in said
    assert "Reference energies E0, eV: H 3.2100, O 4.6000." in said
    assert (out / "torsion.png").read_bytes().startswith(b"\x89PNG")
    conformers = []
    for angle in (60, 120, 180):
        atoms = molecule("H2O2")
        atoms.set_dihedral(*HOOH, angle, indices=[3])
        atoms.info["dft_energy"] = float(angle)
        conformers.append(atoms)
    write(tmp_path / "conformers.extxyz", conformers)
    assert main(["rank", *shared, str(tmp_path / "conformers.extxyz"), "--labels", "dft"]) == 0
    assert "Kendall's tau" in capsys.readouterr().out
    assert (out / "rank.csv").read_text().count("\n") == 4
    assert main(["profile", *shared, *turn[:2], "--atoms", "0", "2", "3", "1"]) == 2
    assert "not bonded" in capsys.readouterr().err
