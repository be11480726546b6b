"""The mixing energies of an alloy whose answer is Ω x (1 − x)."""

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from rung.errors import DataError
from tests.examples.scripts import script
from tests.examples.springs import Regular

SHARES = (0, 1, 2, 3, 4)


def alloys(noise=0.0):
    random = np.random.default_rng(0)
    found = []
    for count in SHARES:
        atoms = bulk("GaN", "wurtzite", a=3.2, c=5.2) * (2, 1, 1)
        atoms.symbols[[index for index, one in enumerate(atoms.symbols) if one == "Ga"][:count]] = "In"
        energy = Regular(0.3).get_potential_energy(atoms)
        atoms.info["r2scan_energy"] = energy + (noise * random.standard_normal() if 0 < count < 4 else 0.0)
        found.append(atoms)
    return found


def test_mixing_is_counted_from_the_ends():
    mixing = script("mixing_energy")
    structures = alloys()
    found = mixing.mixing_energies(structures, [one.info["r2scan_energy"] for one in structures], ("In", "Ga"))
    x = np.array(SHARES) / 4
    np.testing.assert_allclose(found, 300 * x * (1 - x), atol=1e-9)
    # an E0 of each element, and any number of copies of a cell, change nothing
    shifted = [one.info["r2scan_energy"] + 0.1 * float(one.numbers.sum()) for one in structures]
    np.testing.assert_allclose(mixing.mixing_energies(structures, shifted, ("In", "Ga")), found, atol=1e-9)
    doubled = [one * (1, 1, 2) for one in structures]
    energies = [2 * one.info["r2scan_energy"] for one in structures]
    np.testing.assert_allclose(mixing.mixing_energies(doubled, energies, ("In", "Ga")), found, atol=1e-9)


def test_agreement_is_r_squared_and_mean_absolute_error():
    mixing = script("mixing_energy")
    labels, shares = np.array([0.0, 1.0, 2.0, 4.0, 0.0]), np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    found = mixing.agreement(labels + np.array([9, 0.5, -0.5, 0, 9]), labels, shares)
    assert found.mean_absolute_error == pytest.approx(1 / 3)
    assert found.r_squared == pytest.approx(1 - 0.5 / np.square(np.array([1, 2, 4]) - 7 / 3).sum())


def test_what_has_no_mixing_energy_is_refused():
    mixing = script("mixing_energy")
    structures = alloys()
    energies = [one.info["r2scan_energy"] for one in structures]
    with pytest.raises(DataError, match="no energy of a structure with In alone"):
        mixing.mixing_energies(structures[:-1], energies[:-1], ("In", "Ga"))
    vacancy = [*structures[:-1], structures[-1][:-1]]
    with pytest.raises(DataError, match="other elements in different ratios"):
        mixing.mixing_energies(vacancy, energies, ("In", "Ga"))
    with pytest.raises(DataError, match="neither Al nor Sc"):
        mixing.composition(structures[0], ("Al", "Sc"))
    with pytest.raises(DataError, match="No structure has the label dmc_energy"):
        mixing.labelled_energies(structures, "dmc")


def test_the_script_prints_a_table_and_draws(tmp_path, capsys):
    write(tmp_path / "alloys.extxyz", alloys(noise=0.01))
    words = [str(tmp_path / "alloys.extxyz"), "--labels", "r2scan", "--out", str(tmp_path / "out"), "--trusted"]
    model = ["--model", "tests.examples.springs:Regular", "regular"]
    assert script("mixing_energy").main([*words, *model]) == 0
    said = capsys.readouterr().out
    assert "springs:Regular regular" in said
    assert "Reference energies E0, eV: Ga -5.0000, In -3.0000, N -2.0000. They cancel here." in said
    assert (tmp_path / "out" / "mixing_energy.png").read_bytes().startswith(b"\x89PNG")
    rows = (tmp_path / "out" / "mixing_energy.csv").read_text().splitlines()
    assert len(rows) == 6
    assert float(rows[3].split(",")[2]) == pytest.approx(50.0)  # Ω = 200 meV at x = 1/2
    assert script("mixing_energy").main([*words, *model, *model]) == 2
    assert "Two models are called" in capsys.readouterr().err
    assert script("mixing_energy").main([*words[:2], "dmc", *words[3:]]) == 2
    assert "No structure has the label dmc_energy" in capsys.readouterr().err
