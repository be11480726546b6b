"""``rung vibrations``: modes, errors and trajectories of a structure, in a folder that goes on."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read, write

from rung import RungCalculator
from rung.checkpoint import Checkpoint
from rung.cli import main
from rung.errors import DataError
from rung.evaluate.paths.vibrations import QUANTUM, WAVENUMBER, Vibrations, vibrations
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.methods.tangent import TangentSettings, fit_tangent
from rung.results.vibrations import VibrationsResult
from rung.tasks.opened import Opened
from rung.tasks.vibrations import VibrationsTask, find_vibrations
from tests.fit.lifts import lift_of
from tests.fit.methods.test_tangent import CONTEXT, frames


def emt() -> dict[str, Opened]:
    return {"emt": Opened.of(EMT(), fidelity="emt")}


def water(folder: Path) -> Path:
    write(folder / "water.xyz", molecule("H2O"), format="extxyz")
    return folder / "water.xyz"


def test_modes_are_those_of_the_relaxed_molecule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = water(tmp_path)
    words = ["vibrations", "ase.calculators.emt:EMT", str(start), "--fidelity", "emt", "--trusted"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    result = VibrationsResult.read(tmp_path / "out" / "vibrations.json")
    (one,) = result.fidelities
    atoms = relax(read(start), EMT(), RelaxationSettings(fmax=1e-3)).atoms
    expected = vibrations(atoms, EMT())
    assert one.wavenumbers == pytest.approx(expected.wavenumbers, abs=0.1)
    assert one.zero_point_energy == pytest.approx(expected.zero_point_energy, abs=1e-5)
    assert (one.n_rigid, one.n_imaginary, one.relaxed, result.periodic) == (6, 0, True, False)
    assert np.isnan(one.stderr).all()
    assert "Zero-point energy" in said
    assert f"{one.wavenumbers[0]:.1f}" in said
    assert all(sum(share.values()) == pytest.approx(1.0) for share in one.shares)
    assert (tmp_path / "out" / "vibrations.html").stat().st_size > 1000


@pytest.mark.parametrize(("kind", "boxed"), [("molecule", True), ("free", False), ("metal", False), ("gas", False)])
def test_turns_of_a_molecule_in_a_box_are_said_to_be_modes(tmp_path: Path, kind: str, boxed: bool) -> None:
    atoms = {
        "metal": bulk("Cu", cubic=True),
        "gas": Atoms("N2", [[0, 0, 0], [4.5, 4.5, 4.5]], cell=[9] * 3, pbc=True),
    }.get(kind, molecule("N2"))
    if kind == "molecule":
        atoms.set_cell([8, 8, 8])
        atoms.center()
        atoms.pbc = True
    write(tmp_path / "start.extxyz", atoms)
    task = VibrationsTask(structure=tmp_path / "start.extxyz", relax=False)
    said = " ".join(find_vibrations(emt(), task, tmp_path / "out").warnings)
    assert ("its turns are among the modes" in said) == boxed


def test_a_trajectory_swings_along_its_mode(tmp_path: Path) -> None:
    find_vibrations(emt(), VibrationsTask(structure=water(tmp_path)), tmp_path / "out")
    result = VibrationsResult.read(tmp_path / "out" / "vibrations.json")
    rest = read(tmp_path / "out" / "emt" / "structure.extxyz")
    files = sorted((tmp_path / "out" / "emt" / "modes").glob("*.extxyz"))
    assert [one.name for one in files] == ["mode-001.extxyz", "mode-002.extxyz", "mode-003.extxyz"]
    for place, file in enumerate(files):
        swing = read(file, ":")
        moves = np.array([image.positions - rest.positions for image in swing])
        assert np.linalg.norm(moves, axis=2).max() == pytest.approx(0.3, rel=1e-6)
        assert np.abs(moves.mean(axis=0)).max() < 1e-9
        centre = np.einsum("ina,n->ia", moves, rest.get_masses()) / rest.get_masses().sum()
        assert np.abs(centre).max() < 1e-6
        assert swing[0].info["wavenumber"] == pytest.approx(result.fidelities[0].wavenumbers[place], abs=1e-3)


def test_a_folder_keeps_what_it_has_and_refuses_other_work(tmp_path: Path) -> None:
    calls = []

    class Counted(EMT):
        def calculate(self, *arguments, **words) -> None:
            calls.append(1)
            super().calculate(*arguments, **words)

    potentials = {"emt": Opened.of(Counted(), fidelity="emt")}
    task = VibrationsTask(structure=water(tmp_path))
    first = find_vibrations(potentials, task, tmp_path / "out")
    before = len(calls)
    again = find_vibrations(potentials, task, tmp_path / "out")
    assert again.fidelities[0].wavenumbers == first.fidelities[0].wavenumbers
    assert len(calls) - before < 5  # the relaxed structure alone is looked at again
    write(tmp_path / "other.xyz", molecule("CO2"), format="extxyz")
    with pytest.raises(DataError, match="vibrations of another start"):
        find_vibrations(potentials, VibrationsTask(structure=tmp_path / "other.xyz"), tmp_path / "out")
    with pytest.raises(DataError, match="of another setting"):
        find_vibrations(potentials, VibrationsTask(structure=task.structure, fmax=0.01), tmp_path / "out")


def test_a_function_whose_code_changed_is_another_potential(tmp_path: Path) -> None:
    """Its fingerprint is its name, so the old modes came back as those of the new code."""

    class Spring(Calculator):
        implemented_properties: ClassVar[list[str]] = ["energy", "forces"]
        stiffness = 10.0

        def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, system_changes)
            along = self.atoms.positions[1] - self.atoms.positions[0]
            length = np.linalg.norm(along)
            force = self.stiffness * (length - 0.75) * along / length
            energy = 0.5 * self.stiffness * (length - 0.75) ** 2
            self.results = {"energy": energy, "forces": np.array([force, -force])}

    write(tmp_path / "h2.xyz", Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.75]]), format="extxyz")
    task = VibrationsTask(structure=tmp_path / "h2.xyz")
    find_vibrations({"x": Opened.of(Spring(), fidelity="x")}, task, tmp_path / "out")
    find_vibrations({"x": Opened.of(Spring(), fidelity="x")}, task, tmp_path / "out")
    Spring.stiffness = 40.0
    with pytest.raises(DataError, match="holds modes of another potential"):
        find_vibrations({"x": Opened.of(Spring(), fidelity="x")}, task, tmp_path / "out")


def test_what_did_not_relax_has_no_modes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["vibrations", "ase.calculators.emt:EMT", str(water(tmp_path)), "--fidelity", "emt", "--trusted"]
    assert main([*words, "--steps", "1", "--out", str(tmp_path / "out")]) == 1
    assert "No modes of emt: the largest force is still" in capsys.readouterr().err.replace("\n", " ")
    assert main([*words, "--out", str(tmp_path / "out")]) == 0


def test_a_structure_may_stay_where_it_is_and_says_that_it_is_no_minimum(tmp_path: Path) -> None:
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.2, seed=1)
    crystal.set_constraint(FixAtoms([0, 1]))
    write(tmp_path / "copper.xyz", crystal, format="extxyz")
    result = find_vibrations(emt(), VibrationsTask(structure=tmp_path / "copper.xyz", relax=False), tmp_path / "out")
    (one,) = result.fidelities
    assert "no stationary point" in one.notes[0]
    assert "Γ" in result.warnings[0]
    assert (len(one.wavenumbers), one.n_rigid) == (6, 0)
    kept = read(tmp_path / "out" / "emt" / "structure.extxyz")
    assert kept.positions == pytest.approx(crystal.positions)


@pytest.fixture(scope="module")
def structures(molecules):
    return frames(molecules[:1], 6, 6)


@pytest.mark.parametrize(
    ("fit", "settings"),
    [(fit_readout, ReadoutSettings()), (fit_tangent, TangentSettings())],
    ids=["readout", "tangent"],
)
def test_fits_have_errors_of_modes(tmp_path: Path, structures, tiny_potential, fit, settings) -> None:
    lifted = fit(lift_of(structures, tiny_potential), settings, CONTEXT)
    calculator = RungCalculator(Checkpoint(lifted.potential, lifted.posterior, {"target": "high"}), fidelity="high")
    write(tmp_path / "water.xyz", structures[0].atoms, format="extxyz")
    task = VibrationsTask(structure=tmp_path / "water.xyz", relax=False)
    (one,) = find_vibrations({"high": Opened.of(calculator, fidelity="high")}, task, tmp_path / "out").fidelities
    assert one.domain in ("inside", "outside")
    weights, smooth = np.array(one.stderr), np.array(one.stderr_smooth)
    assert (weights > 0).all()
    assert (smooth >= weights).all()
    modes = vibrations(structures[0].atoms, calculator)
    drawn = [stiffest(structures[0].atoms, modes, calculator.draw(index)) for index in range(12)]
    apart = np.array(drawn) - stiffest(structures[0].atoms, modes, calculator)
    # ħω = q √κ, so the error of κ is that of ħω times 2ħω/q²; three times what 12 draws leave open
    expected = 2.0 * modes.quanta[-1] * weights[-1] * WAVENUMBER / QUANTUM**2
    assert np.sqrt(np.mean(apart**2)) == pytest.approx(expected, rel=0.6)


def stiffest(atoms: Atoms, modes: Vibrations, calculator: RungCalculator) -> float:
    """Return the second derivative of the energy along the stiffest mode, from forces, eV/Å²/amu."""
    along, pulls = modes.modes[-1] / np.sqrt(atoms.get_masses())[:, None], []
    for way in (0.02, -0.02):
        image = atoms.copy()
        image.positions += way * along
        pulls.append(np.sum(calculator.get_forces(image) * along))
    return float((pulls[1] - pulls[0]) / 0.04)
