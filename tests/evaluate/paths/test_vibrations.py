"""Modes and rates against analytic Hessians, ASE's own vibrations and known limits."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc100, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian, FixedLine, FixedPlane, FixInternals
from ase.optimize import BFGS
from ase.vibrations import Vibrations as OtherVibrations

from rung.data.held import Held
from rung.errors import DataError
from rung.evaluate.identity import exact_geometry
from rung.evaluate.paths.kept_rows import KeptRows
from rung.evaluate.paths.rates import along_band, harmonic_rate, saddle_sentence, vineyard_prefactor
from rung.evaluate.paths.vibrations import Vibrations, VibrationSettings, vibrations
from rung.storage import DamagedFileWarning, content_hash
from tests.evaluate.paths.wells import DoubleWell, at

WELL = DoubleWell()
FINE = VibrationSettings(step=1e-3)


def hessian(x):
    """Second derivatives on the valley floor of the double well."""
    bend = 2 * WELL.bend * x
    along = WELL.height * (12 * x**2 - 4) + WELL.stiffness * bend**2
    across = WELL.stiffness * bend
    return np.array([[along, across, 0], [across, WELL.stiffness, 0], [0, 0, WELL.stiffness]])


def on_floor(x):
    return at(x, WELL.bend * (1 - x**2))


def in_hertz(second_derivatives):
    """Frequencies of a hydrogen atom, 1/s, imaginary ones negative, in SI units."""
    mass = at(0).get_masses()[0] * units._amu
    squares = np.linalg.eigvalsh(second_derivatives * units._e * 1e20 / mass)
    return np.sign(squares) * np.sqrt(np.abs(squares)) / (2 * np.pi)


@pytest.fixture(scope="module")
def ends():
    left, top, _ = WELL.stationary()
    return vibrations(on_floor(left), WELL, FINE), vibrations(on_floor(top), WELL, FINE)


def test_modes_are_those_of_the_analytic_hessian(ends):
    for found, x in zip(ends, WELL.stationary()[:2], strict=True):
        assert found.quanta / (units._hplanck / units._e) == pytest.approx(in_hertz(hessian(x)), rel=1e-5)
        assert found.n_rigid == 0
    assert [one.n_imaginary for one in ends] == [0, 1]
    assert "exactly one imaginary mode, 927i" in saddle_sentence(ends[1])
    assert "no imaginary mode" in saddle_sentence(ends[0])


def test_prefactor_and_rate_are_vineyards(ends):
    left, top, _ = WELL.stationary()
    expected = np.prod(in_hertz(hessian(left))) / np.prod(in_hertz(hessian(top))[1:])
    assert vineyard_prefactor(*ends) == pytest.approx(expected, rel=1e-5)
    found = harmonic_rate(*ends, 0.7, 500.0, barrier_stderr=0.05)
    assert found.rate == pytest.approx(expected * np.exp(-0.7 / (units.kB * 500)), rel=1e-5)
    assert found.factor == pytest.approx(np.exp(0.05 / (units.kB * 500)))
    assert np.isnan(harmonic_rate(*ends, 0.7, 500.0).factor)
    cold = harmonic_rate(*ends, 0.7, 10.0, barrier_stderr=0.9)  # exp(1044) is beyond floats
    assert cold.factor == np.inf and np.isfinite([cold.rate, cold.quantum_rate]).all()


def test_quantised_modes_have_the_right_limits(ends):
    hot = harmonic_rate(*ends, 0.7, 1e6)
    assert hot.quantum_rate == pytest.approx(hot.rate, rel=1e-5)
    kelvin = 60.0
    cold = harmonic_rate(*ends, 0.7, kelvin)
    lower = ends[1].zero_point_energy - ends[0].zero_point_energy
    thermal = units.kB * kelvin
    expected = thermal / (units._hplanck / units._e) * np.exp(-(0.7 + lower) / thermal)
    assert cold.quantum_rate == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "free"), [("CO2", 5), ("H2O", 6)])
def test_modes_of_a_molecule_are_those_of_ase(name, free, tmp_path):
    atoms = molecule(name)
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-4)
    other = OtherVibrations(atoms, name=str(tmp_path / "vib"))
    other.run()
    frequencies = other.get_frequencies()
    whole = np.sort((frequencies.real - frequencies.imag)[np.abs(frequencies) > 40])
    found = vibrations(atoms, EMT())
    assert found.n_rigid == free
    assert np.sort(found.wavenumbers) == pytest.approx(whole, rel=1e-4)


class Chain(Calculator):
    """Three carbon atoms in a line: stiff bonds and a soft bend, in closed form."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        place, forces, energy = self.atoms.positions, np.zeros((3, 3)), 0.0
        for first, second in ((0, 1), (1, 2)):
            apart = place[second] - place[first]
            length = np.linalg.norm(apart)
            energy += 0.5 * 60.0 * (length - 1.28) ** 2
            pull = 60.0 * (length - 1.28) * apart / length
            forces[first] += pull
            forces[second] -= pull
        bend = place[0] + place[2] - 2 * place[1]
        energy += 0.5 * 0.03 * bend @ bend
        forces -= 0.03 * np.outer([1.0, -2.0, 1.0], bend)
        self.results = {"energy": energy, "forces": forces}


@pytest.mark.parametrize("off", [0.0, 1e-4, 0.008])
def test_a_linear_molecule_that_is_relaxed_roughly_keeps_its_bends(off):
    """The turn about its own axis would be the soft bend itself, and its zero-point energy would be gone."""
    atoms = Atoms("C3", positions=[[-1.2775, 0, 0], [0, off, 0], [1.2775, 0, 0]])
    found = vibrations(atoms, Chain())
    assert found.n_rigid == 5 and len(found.quanta) == 4
    line = vibrations(Atoms("C3", positions=[[-1.2775, 0, 0], [0, 0, 0], [1.2775, 0, 0]]), Chain())
    assert found.wavenumbers == pytest.approx(line.wavenumbers, rel=0.02, abs=1.0)


def test_a_wire_turns_about_itself_freely():
    """Its turn is no mode: near zero and mostly imaginary, it made a start that was relaxed look like a saddle."""
    places = [
        (2.0 * ring, 1.5 * np.cos(angle), 1.5 * np.sin(angle))
        for ring in range(4)
        for angle in 2 * np.pi * np.arange(3) / 3 + np.pi / 3 * (ring % 2)
    ]
    wire = Atoms("Cu12", positions=places, cell=[8.0, 0, 0], pbc=[True, False, False])
    wire.calc = EMT()
    BFGS(wire, logfile=None).run(fmax=1e-3, steps=200)
    found = vibrations(wire, EMT())
    assert found.n_rigid == 4
    assert found.wavenumbers[0] > 20
    chain = Atoms("Cu2", positions=[[0, 0, 0], [2.3, 0, 0]], cell=[4.6, 0, 0], pbc=[True, False, False])
    assert vibrations(chain, EMT()).n_rigid == 3  # and on a line there is no turn


@pytest.mark.parametrize("atoms", [Atoms("Cu", positions=[[1, 2, 3]]), bulk("Cu", "fcc", 3.6)])
def test_what_moves_as_a_whole_alone_has_no_vibrations(atoms):
    with pytest.raises(DataError, match="moves as a whole and in no other way"):
        vibrations(atoms, EMT())


def test_shifts_of_a_cell_are_taken_out_and_those_of_held_atoms_are_not():
    slab = fcc100("Al", (2, 2, 2), vacuum=5.0, periodic=True)
    slab.calc = EMT()
    BFGS(slab, logfile=None).run(fmax=1e-3)
    whole = vibrations(slab, EMT())
    assert whole.n_rigid == 3
    assert len(whole.quanta) == 21
    assert whole.quanta.min() > 0
    slab.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in slab]))
    held = vibrations(slab, EMT())
    assert held.n_rigid == 0
    assert len(held.quanta) == 12
    assert not held.modes[:, [atom.tag > 1 for atom in slab]].any()
    one = vibrations(slab, EMT(), VibrationSettings(moving=(5,)))
    assert len(one.quanta) == 3


def test_what_cannot_be_is_refused(ends):
    with pytest.raises(DataError, match="no minimum"):
        vineyard_prefactor(ends[1], ends[1])
    with pytest.raises(DataError, match="0 imaginary modes"):
        vineyard_prefactor(ends[0], ends[0])
    with pytest.raises(DataError, match="above 0 K"):
        harmonic_rate(*ends, 0.7, 0.0)
    held = at(0.0)
    held.set_constraint(FixAtoms([0]))
    with pytest.raises(DataError, match="No atom may move"):
        vibrations(held, WELL)
    held.set_constraint(FixInternals())
    with pytest.raises(DataError, match="FixInternals"):
        vibrations(held, WELL)
    with pytest.raises(DataError, match="indices from 0 to 0"):
        vibrations(at(0.0), WELL, VibrationSettings(moving=(3,)))


def test_a_second_imaginary_mode_is_said():
    two = Vibrations(np.array([-0.05, -0.01, 0.03]), np.zeros((3, 1, 3)), 0, 0.002)
    assert "2 imaginary modes (403i, 81i cm⁻¹)" in saddle_sentence(two)


def test_the_imaginary_mode_points_along_the_band(ends):
    _, top, _ = WELL.stationary()
    before, after = (on_floor(top + step).positions for step in (-0.01, 0.01))
    masses = at(0).get_masses()
    assert along_band(ends[1], before, after, masses) == pytest.approx(1.0, abs=1e-3)
    sideways = np.array([[0.0, 0.0, 0.01]])
    assert along_band(ends[1], -sideways, sideways, masses) == pytest.approx(0.0, abs=1e-6)


def test_an_atom_on_a_line_has_the_mode_along_it():
    """Along a direction u the Hessian of the double well at its minimum is u·H·u, whatever the rest would do."""
    well = DoubleWell()
    minimum = at(well.stationary()[2], well.bend * (1 - well.stationary()[2] ** 2))
    whole = vibrations(minimum, well, FINE)
    hessian = np.einsum("mi,m,mj->ij", whole.modes[:, 0], np.sign(whole.quanta) * whole.quanta**2, whole.modes[:, 0])
    for direction in ([1, 0, 0], [1, 2, 0.5]):
        held = minimum.copy()
        held.set_constraint(FixedLine(0, direction))
        found = vibrations(held, well, FINE)
        unit = np.array(direction) / np.linalg.norm(direction)
        assert found.quanta == pytest.approx([np.sqrt(unit @ hessian @ unit)], rel=1e-5)
        np.testing.assert_allclose(np.abs(found.modes[0, 0]), np.abs(unit), atol=1e-12)
    held.set_constraint(FixedPlane(0, [0, 0, 1]))
    np.testing.assert_allclose(
        vibrations(held, well, FINE).quanta, np.sqrt(np.linalg.eigvalsh(hessian[:2, :2])), rtol=1e-5
    )


def test_a_crystal_held_across_a_plane_loses_its_shifts_in_it():
    atoms = bulk("Cu", cubic=True)
    assert vibrations(atoms, EMT()).n_rigid == 3
    atoms.set_constraint(FixCartesian([0], (False, False, True)))
    found = vibrations(atoms, EMT())
    assert (found.n_rigid, len(found.quanta)) == (2, 9)


def test_rows_of_another_potential_are_forgotten(tmp_path):
    water = molecule("H2O")
    coordinates = Held.of(water).coordinates(np.arange(3))
    key = content_hash(*exact_geometry(water), 0.01, *coordinates)
    kept = KeptRows(tmp_path / "rows.npz", key, np.zeros((9, 9)), _saved=-1e9)
    kept.add(np.full(9, 7.0))
    assert (tmp_path / "rows.npz").exists()
    found = vibrations(water, EMT(), state=tmp_path / "rows.npz")
    np.testing.assert_allclose(found.quanta, vibrations(water, EMT()).quanta, rtol=0, atol=1e-12)


def test_a_hessian_that_was_broken_off_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("rung.evaluate.paths.kept_rows.SAVE_EVERY", 0.0)
    atoms, state, calls = bulk("Cu", cubic=True), tmp_path / "rows.npz", []

    class Breaks(EMT):
        def calculate(self, *arguments, **words):
            calls.append(1)
            if len(calls) == 11:
                raise KeyboardInterrupt
            super().calculate(*arguments, **words)

    with pytest.raises(KeyboardInterrupt):
        vibrations(atoms, Breaks(), state=state)
    assert state.exists()
    found = vibrations(atoms, Breaks(), state=state)
    assert found.quanta == pytest.approx(vibrations(atoms, EMT()).quanta, abs=1e-12)
    # five rows were kept, and the sixth was broken off; one of the five is held against the potential of now
    assert len(calls) == 11 + 2 * (12 - 5) + 2
    assert not state.exists()
    state.write_bytes(b"no archive")
    with pytest.warns(DamagedFileWarning, match=r"rows\.npz"):
        vibrations(atoms, EMT(), state=state)
