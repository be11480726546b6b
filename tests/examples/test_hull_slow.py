"""Energies above the hull: a hull on paper, scipy's, and what must never share one."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from scipy.spatial import ConvexHull

from rung.errors import DataError
from tests.examples.scripts import script

pytestmark = pytest.mark.slow


def phases(hull, level="pbe", correction=0.0):
    """Elements at 0, A3B at −10, AB at −30 and AB3 at −18 meV/atom on top of any reference energies."""
    found = []
    for first, second, formation in ((1, 0, 0), (0, 1, 0), (3, 1, -10), (1, 1, -30), (1, 3, -18)):
        energy = -2.0 * first - 5.0 * second + 0.001 * formation * (first + second)
        composition = {symbol: count for symbol, count in (("Cu", first), ("Au", second)) if count}
        found.append(hull.Phase(f"{first}{second}", composition, energy, level, correction))
    return found


def test_the_hull_is_the_one_on_paper():
    hull = script("energy_above_hull")
    rows = hull.hull_of("Cu-Au", phases(hull))
    np.testing.assert_allclose([row["formation"] for row in rows], [0, 0, -10, -30, -18], atol=1e-9)
    # A3B lies 5 meV above the line from A to AB, AB3 3 meV below that from AB to B
    np.testing.assert_allclose([row["above_hull"] for row in rows], [0, 0, 5, 0, 0], atol=1e-9)
    assert [row["x"] for row in rows] == pytest.approx([0, 1, 0.25, 0.5, 0.75])


def test_levels_and_corrections_are_never_mixed():
    hull = script("energy_above_hull")
    mixed = [*phases(hull)[:4], phases(hull, "r2scan")[4]]
    with pytest.raises(DataError, match="of 2 levels of theory, pbe and r2scan; energies of different levels cannot"):
        hull.phase_diagram(mixed)
    with pytest.raises(DataError, match="Some energies are corrected and some are not"):
        hull.phase_diagram([*phases(hull)[:4], phases(hull, correction=-0.3)[4]])
    with pytest.raises(DataError, match="no phase of Au alone"):
        hull.phase_diagram([one for one in phases(hull) if one.name != "01"])
    assert len(hull.phase_diagram(phases(hull, correction=-0.3))[1]) == 5


def test_six_systems_of_emt_agree_with_scipys_hull(tmp_path, capsys):
    hull = script("energy_above_hull")
    found = hull.main(["ase.calculators.emt:EMT", "--fidelity", "emt", "--trusted", "--out", str(tmp_path)])
    assert found == 0
    said = capsys.readouterr().out
    assert "Level of theory: emt, for every phase." in said
    assert "Reference energies E0, eV: Ag" in said
    rows = [line.split(",") for line in (tmp_path / "energy_above_hull.csv").read_text().splitlines()[1:]]
    systems = {row[0] for row in rows}
    assert len(systems) == 6
    for system in systems:
        points = np.array([[float(row[2]), float(row[3])] for row in rows if row[0] == system])
        above = np.array([float(row[4]) for row in rows if row[0] == system])
        lifted = np.vstack([points, [0.5, points[:, 1].max() + 1000.0]])
        lower = [
            equation for equation in ConvexHull(lifted).equations if equation[1] < -1e-12
        ]  # facets whose outside is below
        expected = [y - max(-(a * x + c) / b for a, b, c in lower) for x, y in points]
        np.testing.assert_allclose(above, expected, atol=1e-6)


def test_labels_of_another_level_beside_the_model_are_refused(tmp_path, capsys):
    atoms = bulk("Cu", "fcc", a=3.6)
    atoms.info["pbe_energy"] = -4.0
    write(tmp_path / "labels.extxyz", atoms)
    words = ["ase.calculators.emt:EMT", "--fidelity", "emt", "--trusted", "--systems", "Cu-Au", "--out", str(tmp_path)]
    more = ["--structures", str(tmp_path / "labels.extxyz"), "--energies", "pbe"]
    assert script("energy_above_hull").main([*words, *more]) == 2
    assert "of 2 levels of theory, emt and pbe" in capsys.readouterr().err


def test_a_relaxed_phase_is_a_minimum_of_its_lattice():
    hull = script("energy_above_hull")
    built = hull.prototypes("Cu", "Au")
    assert {name: str(atoms.symbols.formula.format("reduce")) for name, atoms in built.items()} == {
        "Cu fcc": "Cu",
        "Au fcc": "Au",
        "Cu3Au L1_2": "AuCu3",
        "Au3Cu L1_2": "CuAu3",
        "CuAu L1_0": "Cu2Au2",
        "CuAu B2": "CuAu",
    }
    found = hull.relaxed_phase("Cu3Au", built["Cu3Au L1_2"], EMT(), "emt", fmax=1e-4)
    energies = []
    for length in np.linspace(3.6, 3.9, 61):
        atoms = built["Cu3Au L1_2"].copy()
        atoms.set_cell(3 * [length], scale_atoms=True)
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    assert found.energy == pytest.approx(min(energies), abs=1e-3)
