"""Equations of state and phonons: documented values, other programs, and a chain whose dispersion is on paper."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from ase.phonons import Phonons as PhononsOfASE

from rung.calculator import RungCalculator
from rung.demo_data import __file__ as demo_data
from rung.errors import ModelError
from rung.tasks.opened import Opened
from rung.tasks.reference_energies import reference_energies
from tests.examples.scripts import script
from tests.examples.springs import Chain

pytestmark = pytest.mark.slow

THZ_PER_EV = 1 / 4.135667696e-3


def test_silver_has_the_bulk_modulus_of_ases_tutorial():
    # "EOS: Introduction to the Equation of state", ase-lib.org: EMT silver has 100.142 GPa and 16.781 Å³
    found = script("equation_of_state").equations_of_state(bulk("Ag"), EMT())
    assert found.bulk_ase == pytest.approx(100.142, abs=0.3)
    assert found.volume_ase == pytest.approx(16.781, abs=0.01)
    assert found.bulk_birch == pytest.approx(found.bulk_ase, rel=0.01)
    assert found.volume_birch == pytest.approx(found.volume_ase, rel=1e-3)


def test_energies_and_stress_of_copper_are_of_one_surface():
    found = script("equation_of_state").equations_of_state(bulk("Cu"), EMT())
    assert found.bulk_stress == pytest.approx(found.bulk_ase, rel=0.01)


def test_a_chain_has_the_dispersion_of_the_textbook():
    phonons = script("phonons")
    atoms = Atoms("Cu", cell=[3.0, 20.0, 20.0], positions=[[0, 10, 10]], pbc=True)
    phonon = phonons.force_constants(atoms, Chain(), (6, 1, 1))
    # wave vectors that the supercell has: there force constants are exact
    points = np.array([[k / 6, 0, 0] for k in range(4)])
    found = np.sort(phonons.frequencies_at(phonon, points), axis=1)
    mass = atoms.get_masses()[0]
    unit = np.sqrt(1.602176634e-19 / 1e-20 / 1.66053906660e-27) / (2 * np.pi) / 1e12
    along = 2 * np.sqrt(2.0 / mass) * np.abs(np.sin(np.pi * points[:, 0])) * unit
    for index, expected in enumerate(along):
        assert np.abs(found[index] - expected).min() == pytest.approx(0, abs=1e-3 * max(expected, 1.0))


def test_copper_has_the_frequencies_that_ase_finds(tmp_path):
    phonons = script("phonons")
    atoms = phonons.relaxed(bulk("Cu"), EMT())
    phonon = phonons.force_constants(atoms, EMT(), (4, 4, 4))
    theirs = PhononsOfASE(atoms, EMT(), supercell=(4, 4, 4), delta=0.01, name=str(tmp_path / "ase"))
    theirs.run()
    theirs.read(acoustic=True)
    points = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.0]])
    expected = theirs.band_structure(points) * THZ_PER_EV
    np.testing.assert_allclose(phonons.frequencies_at(phonon, points), expected, rtol=0.01)


def test_a_stretched_crystal_is_no_minimum_and_says_so(tmp_path, capsys):
    main = script("phonons").main
    words = ["ase.calculators.emt:EMT", "--fidelity", "emt", "--trusted", "--out", str(tmp_path), "--mesh", "4"]
    assert main([*words, "--element", "Cu", "--repeats", "3", "3", "3"]) == 0
    said = capsys.readouterr().out
    assert "zero-point energy" in said
    assert "Reference energies E0, eV: Cu 3.5100." in said
    assert (tmp_path / "phonons.png").read_bytes().startswith(b"\x89PNG")
    write(tmp_path / "bcc.extxyz", bulk("Cu", "bcc", a=2.85))
    assert main([*words, "--structure", str(tmp_path / "bcc.extxyz"), "--keep-cell", "--repeats", "3", "3", "3"]) == 1
    said = capsys.readouterr()
    assert "this structure is no minimum" in said.err
    assert "zero-point energy nan" in said.out


def test_a_model_of_rung_states_its_own_reference_energies(tmp_path, capsys):
    model = Path(demo_data).parent / "mos2" / "base.model"
    calculator = RungCalculator(model, fidelity="pbe", trusted=True)
    potential = Opened.of(calculator, fidelity=calculator.fidelity)
    known = reference_energies(potential, ["Mo"])
    assert known["Mo"] == calculator.potential.surface("pbe").reference.energies[42]
    with pytest.raises(ModelError, match="no reference energy for Cu"):
        reference_energies(potential, ["Cu"])
    words = [str(model), "--fidelity", "pbe", "--trusted", "--out", str(tmp_path)]
    # a metal that the model has not seen: its equation of state is of no use, but it is one surface's
    assert script("equation_of_state").main([*words, "--element", "Mo", "--points", "7"]) == 0
    said = capsys.readouterr().out
    assert f"Mo {known['Mo']:.4f}" in said
    modulus = [float(line.split()[-1]) for line in said.splitlines() if "  " in line and line[0] in "Bc−"]
    assert len(modulus) == 3
    assert modulus == pytest.approx([modulus[0]] * 3, rel=0.05)
