"""PySCF: published energies, forces that are the derivative of the energy, and nothing from what did not converge."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from rung.collect.readers.pyscf import read
from rung.data.readers.structures import structure_from
from rung.errors import ConfigError, DataError, MissingExtraError, UnconvergedError
from rung.label.engine import Made, Subject
from rung.label.engines.pyscf import ENGINE, PyscfEngine, label
from rung.label.labelling import label_structures
from rung.units import BOHR, HARTREE

WATER = Atoms(
    "OHH",
    BOHR
    * np.array(
        [
            [0.0, -0.143225816552, 0.0],
            [1.638036840407, 1.136548822547, 0.0],
            [-1.638036840407, 1.136548822547, 0.0],
        ]
    ),
)
"""The water of the Crawford group's programming projects (github.com/CrawfordGroup/ProgrammingProjects), STO-3G."""


def run(atoms: Atoms, folder: Path, **settings: Any) -> Made:
    engine = PyscfEngine.read({"basis": "sto-3g", **settings})
    ENGINE.check(engine)
    return label(Subject("x", atoms, "cc"), engine, folder)


@pytest.mark.parametrize(
    ("method", "energy"),
    [
        ("hf", -74.942079928192),
        ("mp2", -74.942079928192 - 0.049149636120),
        ("ccsd", -74.942079928192 - 0.070680088376),
        ("ccsd(t)", -74.942079928192 - 0.070680088376 - 0.000099877272),
    ],
)
def test_energies_are_those_that_another_program_printed(method: str, energy: float, tmp_path: Path) -> None:
    made = run(WATER, tmp_path, method=method, forces=False)
    assert made.energy == pytest.approx(energy * 27.21138602, abs=3e-6)  # CODATA 2014
    assert made.method == f"R-{method.upper()}/sto-3g"
    assert made.forces is None


def test_coupled_cluster_tells_its_t1_and_warns_where_one_determinant_does_not_do(tmp_path: Path) -> None:
    """Ozone is the case of Lee and Taylor (T1 near 0.025); for UCCSD the diagnostic is not defined."""
    water = run(WATER, tmp_path, method="ccsd", forces=False)
    assert 0.003 < water.details["t1_diagnostic"] < 0.02 and not water.warnings
    ozone = run(molecule("O3"), tmp_path, method="ccsd", forces=False)
    assert ozone.details["t1_diagnostic"] > 0.02
    assert any("T1 diagnostic" in sentence for sentence in ozone.warnings)
    assert "t1_diagnostic" not in run(Atoms("H"), tmp_path, method="ccsd", forces=False).details
    assert "t1_diagnostic" not in run(WATER, tmp_path, method="mp2", forces=False).details


@pytest.mark.parametrize("method", ["mp2", "ccsd", "ccsd(t)"])
@pytest.mark.parametrize("element", ["H", "He"])
def test_where_nothing_correlates_the_energy_is_that_of_the_field(element: str, method: str, tmp_path: Path) -> None:
    """One electron, and a basis without an empty orbital: PySCF divided by zero, and E0 of hydrogen had no label."""
    made = run(Atoms(element), tmp_path, method=method)
    assert made.energy == made.details["scf_energy"]


def slope(atoms: Atoms, folder: Path, step: float = 0.002, **settings: Any) -> float:
    """Return the force on the last atom along y by a difference of energies."""
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[-1, 1] += sign * step
        ends.append(run(moved, folder, **settings, forces=False).energy)
    return -(ends[0] - ends[1]) / (2 * step)


RADICAL = Atoms("OH", [[0, 0, 0], [0, 1.05, 0]])

BENT = Atoms("NH2", [[0, 0, 0], [0.83, 0.62, 0], [-0.75, 0.75, 0]])
"""A radical of one state: the open shell of OH turns freely about its axis, and a coarse grid sees how it lies."""


@pytest.mark.parametrize(
    ("atoms", "settings"),
    [
        (WATER, {"method": "hf"}),
        (WATER, {"method": "mp2"}),
        (WATER, {"method": "ccsd"}),
        (WATER, {"method": "ccsd(t)"}),
        (RADICAL, {"method": "mp2"}),
        (RADICAL, {"method": "ccsd"}),
        (BENT, {"method": "dft", "xc": "pbe", "grid_level": 0}),
        (Atoms("HF", [[0, 0, 0], [0, 1.0, 0]]), {"method": "ccsd(t)", "ecp": "ccecp", "basis": "ccecp-ccpvdz"}),
    ],
)
def test_forces_are_the_derivative_of_the_energy(atoms: Atoms, settings: dict[str, Any], tmp_path: Path) -> None:
    made = run(atoms, tmp_path, **settings)
    assert made.forces is not None
    assert made.forces.shape == (len(atoms), 3)
    assert made.forces[-1, 1] == pytest.approx(slope(atoms, tmp_path, **settings), abs=2e-3)
    np.testing.assert_allclose(made.forces.sum(axis=0), 0, atol=2e-3)


def test_forces_that_have_no_right_gradient_are_left_out_or_differences(tmp_path: Path) -> None:
    triple = {"method": "ccsd(t)", "charge": 0}
    assert run(RADICAL, tmp_path, **triple).forces is None
    forces = run(RADICAL, tmp_path, **triple, numerical_forces=True).forces
    assert forces is not None
    assert forces[1, 1] == pytest.approx(slope(RADICAL, tmp_path, 0.01, **triple), abs=0.005)
    assert abs(forces[1, 1]) > 0.1
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-3)


def test_what_did_not_converge_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(UnconvergedError, match="self-consistent field did not converge in 1 cycle"):
        run(RADICAL, tmp_path, method="hf", max_cycle=1)
    with pytest.raises(UnconvergedError, match="amplitudes of CCSD did not converge in 9 cycles"):
        run(RADICAL, tmp_path, method="ccsd", max_cycle=9)
    engine = PyscfEngine(method="hf", basis="sto-3g", max_cycle=1)
    made = label_structures([structure_from(RADICAL, "OH")], "hf", engine, tmp_path / "labels")
    assert "did not converge" in made.failed["OH"]
    assert not made.file.exists()


def test_newton_s_method_goes_on_where_the_usual_way_fails(tmp_path: Path) -> None:
    assert run(WATER, tmp_path, method="hf", max_cycle=4).energy == pytest.approx(-74.942079928192 * HARTREE, abs=1e-6)
    assert "converged SCF energy" in (tmp_path / "pyscf.log").read_text()


def test_the_log_beside_a_label_tells_the_same(tmp_path: Path) -> None:
    made = run(WATER, tmp_path, method="hf")
    output = read(tmp_path / "pyscf.log")
    assert output.energies["scf"] == pytest.approx(made.energy, abs=1e-6)
    np.testing.assert_allclose(output.forces, made.forces, atol=1e-6)
    np.testing.assert_allclose(output.atoms.positions, WATER.positions, atol=1e-6)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(RADICAL, tmp_path, method="hf")
    run(RADICAL, tmp_path, method="hf")
    assert capfd.readouterr() == ("", "")
    assert "WARN" in (tmp_path / "pyscf.log").read_text()


def test_a_contaminated_spin_is_said(tmp_path: Path) -> None:
    far = Atoms("H2", [[0, 0, 0], [0, 0, 4.0]])
    triplet = run(far, tmp_path, method="hf", multiplicity=3)
    assert triplet.details["s_squared"] == pytest.approx(2.0)
    assert triplet.warnings == ()
    made = run(molecule("CN"), tmp_path, method="hf")
    assert made.details["s_squared"] > 0.85
    assert "contaminated" in made.warnings[0]


@pytest.mark.parametrize(
    ("atoms", "settings", "kind", "sentence"),
    [
        (WATER, {"method": "hf", "basis": "sto-33g"}, ConfigError, "sto-33g"),
        (WATER, {"method": "dft"}, ConfigError, "xc names the density functional"),
        (WATER, {"method": "hf", "xc": "pbe"}, ConfigError, "xc names the density functional"),
        (WATER, {"method": "dft", "xc": "pbee"}, ConfigError, "pbee"),
        (RADICAL, {"method": "hf", "reference": "restricted"}, DataError, "multiplicity of 2"),
        (Atoms("H2", cell=[5, 5, 5], pbc=True, positions=[[0, 0, 0], [0, 0, 1]]), {"method": "hf"}, DataError, "perio"),
    ],
)
def test_what_cannot_be_computed_is_one_sentence(
    atoms: Atoms, settings: dict[str, Any], kind: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        run(atoms, tmp_path, **settings)


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyscf", None)
    engine = PyscfEngine(method="hf", basis="sto-3g")
    with pytest.raises(MissingExtraError, match=r"rung\[pyscf\]"):
        label_structures([structure_from(WATER, "water")], "hf", engine, tmp_path / "labels")
    assert not (tmp_path / "labels").exists()
