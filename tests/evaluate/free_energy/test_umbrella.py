"""Windows: the same samples after a stop, what starts them, and what breaks them."""

import numpy as np
import pytest
from ase import Atoms
from ase.md.langevin import Langevin
from ase.units import fs

from rung.errors import ConfigError, DataError
from rung.evaluate.dynamics.integrator import integrator_of, surface_of
from rung.evaluate.dynamics.stability import LimitSettings
from rung.evaluate.free_energy.collective import (
    DistanceDifferenceSettings,
    ProjectedDisplacementSettings,
    collective_variable,
)
from rung.evaluate.free_energy.umbrella import (
    RestrainedCalculator,
    Restraint,
    UmbrellaSettings,
    centres_between,
    sample_windows,
)
from rung.units import BOLTZMANN
from tests.evaluate.paths.wells import DoubleWell, at

ALONG_X = ProjectedDisplacementSettings(atom=0, direction=(1, 0, 0), origin=(0, 0, 0))


def settings(**changes):
    given = {
        "temperature": 600.0,
        "centres": (-1.0, -0.6, -0.2),
        "spring": 5.0,
        "steps": 60,
        "friction": 0.05,
        "sample_every": 5,
        "frame_every": 10,
        "save_every": 20,
        "steering_steps": 25,
        "remove_drift": False,
    }
    return UmbrellaSettings(**{**given, **changes})


def run(folder, calculator=None, chosen=None, band=None, start=None):
    start = at(-1.0) if start is None else start
    variable = collective_variable(ALONG_X, start)
    return sample_windows(start, calculator or DoubleWell(), variable, chosen or settings(), folder, band=band)


class Killed(DoubleWell):
    """Dies after so many calls, as a process does."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def calculate(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().calculate(*args, **kwargs)


def same(one, two):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, two, strict=True)
        for name in ("values", "energies", "speeds", "frames", "frame_samples")
    )


@pytest.mark.parametrize("band", [None, [at(-1.0), at(-0.5, 0.4), at(0.0, 0.5)]])
def test_windows_that_died_go_on_to_the_same_samples(tmp_path, band):
    whole = run(tmp_path / "whole", band=band)
    assert [len(window.values) for window in whole] == [12, 12, 12]
    assert [len(window.frames) for window in whole] == [6, 6, 6]
    for calls in (0, 7, 45, 70, 55):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", Killed(calls), band=band)
    assert same(run(tmp_path / "broken", band=band), whole)
    again = Killed(1)  # everything is there: only the start structure is computed
    assert same(run(tmp_path / "broken", again, band=band), whole)


def test_more_steps_go_on_where_the_windows_ended(tmp_path):
    run(tmp_path / "longer", chosen=settings(steps=20))
    longer = run(tmp_path / "longer", chosen=settings(steps=60))
    assert same(longer, run(tmp_path / "whole", chosen=settings(steps=60)))


def test_windows_have_seeds_of_their_own(tmp_path):
    one, two = run(tmp_path / "a"), run(tmp_path / "b", chosen=settings(seed=1))
    assert not np.array_equal(one[0].values, two[0].values)
    assert not np.array_equal(one[0].values - one[0].centre, one[1].values - one[1].centre)


def test_a_spring_brings_the_windows_to_their_places(tmp_path):
    wide = settings(centres=(-1.2, -0.4, 0.4, 1.2), spring=20.0, steering_steps=200, steps=100)
    for window in run(tmp_path, chosen=wide, start=at(-0.3, 0.4)):
        assert abs(window.frames[0, 0, 0] - window.centre) < 0.4
        assert window.reason == ""


def test_samples_are_of_the_unbiased_energy(tmp_path):
    for window in run(tmp_path):
        well = DoubleWell()
        for frame, sample in zip(window.frames, window.frame_samples, strict=True):
            atoms = at(*frame[0])
            assert window.energies[sample] == pytest.approx(well.get_potential_energy(atoms), abs=1e-12)
            assert window.values[sample] == frame[0, 0]
        np.testing.assert_allclose(window.speeds, 1 / np.sqrt(1.008), rtol=1e-6)


def test_other_windows_or_another_potential_are_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(DataError, match="another start, variable or setting"):
        run(tmp_path, chosen=settings(spring=6.0))
    with pytest.raises(DataError, match="another potential"):
        run(tmp_path, DoubleWell(tilt=0.2))


def test_a_window_that_breaks_leaves_the_others(tmp_path):
    class Cliff(DoubleWell):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            if self.atoms.positions[0, 0] > -0.45:
                self.results["forces"] = np.full((1, 3), 1e4)

    found = run(tmp_path, Cliff(), chosen=settings(steps=40, limits=LimitSettings(largest_force=200.0)))
    assert found[0].reason == ""
    assert len(found[0].values) == 8
    assert "force" in found[2].reason
    assert len(found[2].values) == 0
    again = run(tmp_path, Cliff(), chosen=settings(steps=40, limits=LimitSettings(largest_force=200.0)))
    assert [window.reason for window in again] == [window.reason for window in found]


def test_the_restraint_is_the_same_for_ases_own_dynamics():
    """ASE's Langevin on the restrained calculator against ours: means and variances of one harmonic window."""
    start = Atoms("C2", positions=[[0, 0, 0], [1.5, 0, 0]])
    variable = collective_variable(DistanceDifferenceSettings(first=(0, 1)), start)

    class Nothing(DoubleWell):
        def calculate(self, atoms=None, properties=(), system_changes=()):
            super(DoubleWell, self).calculate(atoms, properties, system_changes)
            self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}

    restrained = RestrainedCalculator(Nothing(), variable, centre=1.5, spring=30.0)
    surface = Restraint(variable, 1.5, 30.0).on(surface_of(start, Nothing()))
    rng = np.random.default_rng(0)
    for _ in range(5):
        atoms = start.copy()
        atoms.positions += rng.normal(scale=0.2, size=(2, 3))
        energy, forces = surface(atoms.positions)
        assert restrained.get_potential_energy(atoms) == pytest.approx(energy, abs=1e-12)
        np.testing.assert_allclose(restrained.get_forces(atoms), forces, atol=1e-12)

    integrator = integrator_of(start, timestep=2.0, temperature=600.0, friction=0.05)
    motion = integrator.start(start.positions.copy(), integrator.thermal_momenta(rng), surface)
    ours = []
    for _ in range(2000):
        motion = integrator.advance(motion, rng, surface)
        ours.append(variable.evaluate(motion.positions)[0])
    start.calc = restrained
    theirs = []
    ase = Langevin(start, 2.0 * fs, temperature_K=600.0, friction=0.05 / fs, fixcm=False, rng=np.random.default_rng(1))
    ase.attach(lambda: theirs.append(restrained.results["xi"]))
    ase.run(2000)
    # p(r) ∝ r² exp(−β ½ κ (r − 1.5)²)
    width = np.sqrt(BOLTZMANN * 600.0 / 30.0)
    r = np.linspace(1.5 - 8 * width, 1.5 + 8 * width, 4001)
    weight = r**2 * np.exp(-0.5 * ((r - 1.5) / width) ** 2)
    mean = (r * weight).sum() / weight.sum()
    spread = np.sqrt((r**2 * weight).sum() / weight.sum() - mean**2)
    for series in (np.array(ours[200:]), np.array(theirs[200:])):
        assert series.mean() == pytest.approx(mean, abs=0.012)
        assert series.std() == pytest.approx(spread, rel=0.1)


def test_settings_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="must rise"):
        UmbrellaSettings.with_file(None, temperature=300.0, centres=(1.0, 0.0))
    with pytest.raises(ConfigError, match="multiple of sample_every"):
        UmbrellaSettings.with_file(None, temperature=300.0, centres=(0.0, 1.0), sample_every=7)
    (tmp_path / "more.yaml").write_text("steering_steps: 12\n")
    assert (
        UmbrellaSettings.with_file(tmp_path / "more.yaml", temperature=300.0, centres=(0.0, 1.0)).steering_steps == 12
    )
    (tmp_path / "more.yaml").write_text("temperature: 12\n")
    with pytest.raises(ConfigError, match="option of the command"):
        UmbrellaSettings.with_file(tmp_path / "more.yaml", temperature=300.0, centres=(0.0, 1.0))
    with pytest.raises(ConfigError, match="at least two"):
        centres_between(1.0, 0.0, 5)
    assert centres_between(0.0, 1.0, 3) == (0.0, 0.5, 1.0)
    assert settings(spring=None, centres=(0.0, 0.5)).constant == pytest.approx(16 * BOLTZMANN * 600.0)
