"""Motion: exact identities of the integrator, ASE's own as the reference, and states that survive the disk."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixCartesian, FixedLine, FixedPlane
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from rung.data.held import Held
from rung.errors import DataError
from rung.evaluate.dynamics.integrator import (
    Integrator,
    check_drift,
    integrator_of,
    read_motion,
    surface_of,
    write_motion,
)
from rung.storage import DamagedFileWarning
from rung.units import BOLTZMANN
from tests.evaluate.paths.wells import DoubleWell, at


def spring(stiffness):
    return lambda positions: (0.5 * stiffness * float((positions**2).sum()), -stiffness * positions)


def oscillators(count, timestep, friction, temperature=300.0):
    return Integrator(
        masses=np.full(count, 12.0),
        held=Held.none(count),
        timestep=timestep,
        temperature=temperature,
        friction=friction,
        remove_drift=False,
    )


def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def test_without_friction_it_is_ases_velocity_verlet():
    atoms = copper()
    integrator = integrator_of(atoms, timestep=2.0, temperature=500.0, friction=0.0)
    rng = np.random.default_rng(0)
    momenta = integrator.thermal_momenta(rng)
    motion = integrator.start(atoms.positions.copy(), momenta, surface_of(atoms, EMT()))
    for _ in range(40):
        motion = integrator.advance(motion, rng, surface_of(atoms, EMT()))
    atoms.calc = EMT()
    atoms.set_momenta(momenta)
    VelocityVerlet(atoms, timestep=2.0 * fs).run(40)
    np.testing.assert_allclose(motion.positions, atoms.positions, rtol=0, atol=1e-10)
    np.testing.assert_allclose(motion.momenta, atoms.get_momenta(), rtol=0, atol=1e-9)


def test_the_energy_error_of_nve_is_of_second_order_in_the_timestep():
    atoms = copper()
    worst = []
    for timestep, steps in ((4.0, 50), (2.0, 100)):
        integrator = integrator_of(atoms, timestep=timestep, temperature=500.0, friction=0.0)
        surface = surface_of(atoms, EMT())
        rng = np.random.default_rng(3)
        motion = integrator.start(atoms.positions.copy(), integrator.thermal_momenta(rng), surface)
        totals = []
        for _ in range(steps):
            motion = integrator.advance(motion, rng, surface)
            totals.append(motion.energy + integrator.kinetic_energy(motion.momenta))
        worst.append(np.ptp(totals))
    assert worst[0] / worst[1] == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize("timestep", [1.0, 8.0])
def test_baoab_samples_a_harmonic_well_without_an_error_of_the_timestep(timestep):
    stiffness = 20.0
    integrator = oscillators(4000, timestep, friction=0.05)
    surface = spring(stiffness)
    rng = np.random.default_rng(0)
    motion = integrator.start(np.zeros((4000, 3)), integrator.thermal_momenta(rng), surface)
    squares, kinetic = [], []
    for step in range(int(600 / timestep)):
        motion = integrator.advance(motion, rng, surface)
        if step * timestep > 200:
            squares.append((motion.positions**2).mean())
            kinetic.append((motion.momenta**2).mean() / 12.0)
    thermal = BOLTZMANN * 300.0
    shift = 1 - stiffness / 12.0 * (timestep * fs) ** 2 / 4  # of the momenta: Leimkuhler and Matthews, table 1
    assert np.mean(squares) == pytest.approx(thermal / stiffness, rel=0.01)
    assert np.mean(kinetic) == pytest.approx(thermal * shift, rel=0.01)
    if timestep > 4:
        assert shift < 0.9  # so that the test tells one from the other


def test_drift_is_removed_and_the_rest_stays_thermal():
    masses = np.array([1.0, 16.0, 40.0])
    integrator = Integrator(masses, Held.none(3), 1.0, 300.0, 0.1, True)
    rng = np.random.default_rng(0)
    drawn = np.array([integrator.thermal_momenta(rng) for _ in range(20000)])
    assert np.abs(drawn.sum(axis=1)).max() < 1e-12
    assert np.mean([integrator.temperature_of(one) for one in drawn]) == pytest.approx(300.0, rel=0.01)
    # the conditional variance of one momentum when the sum is zero
    wanted = BOLTZMANN * 300.0 * masses * (1 - masses / masses.sum())
    np.testing.assert_allclose((drawn**2).mean(axis=(0, 2)), wanted, rtol=0.02)


def test_held_atoms_stay_and_others_do_not_drift_back():
    atoms = copper()
    atoms.set_constraint(FixAtoms([0]))
    integrator = integrator_of(atoms, timestep=2.0, temperature=600.0, friction=0.02)
    assert not integrator.remove_drift
    assert integrator.degrees_of_freedom == 9
    surface = surface_of(atoms, EMT())
    rng = np.random.default_rng(0)
    motion = integrator.start(atoms.positions.copy(), integrator.thermal_momenta(rng), surface)
    for _ in range(10):
        motion = integrator.advance(motion, rng, surface)
    assert (motion.positions[0] == atoms.positions[0]).all()
    assert (motion.positions[1:] != atoms.positions[1:]).all()


def test_what_cannot_move_as_asked_is_refused():
    atoms = copper()
    atoms.set_constraint(FixBondLength(0, 1))
    with pytest.raises(DataError, match="FixBondLength"):
        integrator_of(atoms, timestep=1.0, temperature=300.0, friction=0.0)
    atoms.set_constraint(FixAtoms([0, 1, 2, 3]))
    with pytest.raises(DataError, match="nothing can move"):
        integrator_of(atoms, timestep=1.0, temperature=300.0, friction=0.0)


def test_a_field_from_outside_is_noticed():
    one = at(-0.5)
    integrator = integrator_of(one, timestep=1.0, temperature=300.0, friction=0.01)
    motion = integrator.start(one.positions, np.zeros((1, 3)), surface_of(one, DoubleWell()))
    with pytest.raises(DataError, match="One atom alone"):
        check_drift(integrator, motion)
    two = Atoms("H2", positions=[[0.5, 0, 0], [-0.5, 0, 0]])
    integrator = integrator_of(two, timestep=1.0, temperature=300.0, friction=0.01)
    motion = integrator.start(two.positions, np.zeros((2, 3)), lambda x: (0.0, np.ones((2, 3))))
    with pytest.raises(DataError, match=r"add up to 3\.46"):
        check_drift(integrator, motion)


def test_a_state_from_the_disk_goes_on_to_the_same_bits(tmp_path):
    atoms = copper()
    integrator = integrator_of(atoms, timestep=2.0, temperature=600.0, friction=0.02)
    rng = np.random.default_rng(7)
    motion = integrator.start(atoms.positions.copy(), integrator.thermal_momenta(rng), surface_of(atoms, EMT()))
    for _ in range(5):
        motion = integrator.advance(motion, rng, surface_of(atoms, EMT()))
    write_motion(tmp_path / "state.npz", motion, rng, extra=np.arange(3))
    again, other, more = read_motion(tmp_path / "state.npz")
    assert more["extra"].tolist() == [0, 1, 2]
    for _ in range(5):
        motion = integrator.advance(motion, rng, surface_of(atoms, EMT()))
        again = integrator.advance(again, other, surface_of(atoms, EMT()))
    assert (again.positions == motion.positions).all()
    assert (again.momenta == motion.momenta).all()
    assert again.step == motion.step == 10


def test_a_damaged_state_is_named_and_kept_and_there_is_none(tmp_path):
    (tmp_path / "state.npz").write_bytes(b"PK not a zip")
    with pytest.warns(DamagedFileWarning, match=r"state\.npz is damaged .* kept as state\.npz\.damaged"):
        assert read_motion(tmp_path / "state.npz") is None
    assert (tmp_path / "state.npz.damaged").read_bytes() == b"PK not a zip"
    assert read_motion(tmp_path / "state.npz") is None


@pytest.mark.parametrize(
    "constraint", [FixCartesian([0, 2], (True, False, False)), FixedLine(1, (1, 2, 0.5)), FixedPlane([0, 1], (0, 1, 1))]
)
def test_what_is_held_moves_as_in_ases_velocity_verlet(constraint):
    atoms = copper()
    atoms.set_constraint(constraint)
    integrator = integrator_of(atoms, timestep=2.0, temperature=500.0, friction=0.0, remove_drift=False)
    rng = np.random.default_rng(0)
    momenta = integrator.thermal_momenta(rng)
    motion = integrator.start(atoms.positions.copy(), momenta, surface_of(atoms, EMT()))
    for _ in range(20):
        motion = integrator.advance(motion, rng, surface_of(atoms, EMT()))
    atoms.calc = EMT()
    atoms.set_momenta(momenta)
    VelocityVerlet(atoms, timestep=2.0 * fs).run(20)
    np.testing.assert_allclose(motion.positions, atoms.positions, rtol=0, atol=1e-10)
    assert integrator.degrees_of_freedom == atoms.get_number_of_degrees_of_freedom()


def test_the_temperature_counts_what_may_move():
    atoms = copper() * (3, 3, 3)
    atoms.set_constraint(
        [FixAtoms([0]), FixCartesian(range(1, 40), (True, False, True)), FixedPlane([50, 51], (1, 1, 0))]
    )
    integrator = integrator_of(atoms, timestep=2.0, temperature=500.0, friction=0.05)
    assert integrator.degrees_of_freedom == 3 * 108 - 3 - 2 * 39 - 2
    assert not integrator.remove_drift
    rng = np.random.default_rng(0)
    found = [integrator.temperature_of(integrator.thermal_momenta(rng)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(500.0, abs=4 * np.std(found) / np.sqrt(200))
    free = spring(0.0)
    motion = integrator.start(atoms.positions.copy(), integrator.thermal_momenta(rng), free)
    for _ in range(20):
        motion = integrator.advance(motion, rng, free)
    moved = motion.positions - atoms.positions
    np.testing.assert_array_equal(moved[0], 0.0)
    np.testing.assert_array_equal(moved[1:40, [0, 2]], 0.0)
    np.testing.assert_allclose(moved[50:52, 0] + moved[50:52, 1], 0.0, atol=1e-12)


def test_the_drift_is_taken_out_along_what_nobody_holds():
    atoms = copper()
    atoms.set_constraint(FixCartesian(1, (False, False, True)))
    integrator = integrator_of(atoms, timestep=2.0, temperature=500.0, friction=0.05)
    assert integrator.remove_drift
    assert integrator.degrees_of_freedom == 12 - 1 - 2
    total = integrator.thermal_momenta(np.random.default_rng(0)).sum(axis=0)
    np.testing.assert_allclose(total[:2], 0.0, atol=1e-12)
    assert abs(total[2]) > 1e-3
