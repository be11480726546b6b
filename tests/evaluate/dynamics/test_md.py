"""Dynamics: the same trajectory after a stop, why runs end, and statistics with known answers."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import read

from rung.data.trajectory import read_trajectory
from rung.errors import DataError, StorageError
from rung.evaluate.dynamics.md import FOR_LABELLING, SAMPLES, STATE, TRAJECTORY, MDSettings, Trajectory, run_md
from rung.evaluate.dynamics.radial import radial_distribution
from rung.evaluate.dynamics.statistics import inefficiency, line, mean_error, statistics
from rung.storage import DamagedFileWarning
from rung.units import BOLTZMANN
from tests.evaluate.series import correlated
from tests.full_disk import small_files


def copper(repeat=1):
    atoms = bulk("Cu", cubic=True) * (repeat, repeat, repeat)
    atoms.rattle(0.02, seed=1)
    return atoms


def settings(**changes):
    given = {
        "temperature": 600.0,
        "steps": 60,
        "timestep": 3.0,
        "sample_every": 5,
        "frame_every": 10,
        "save_every": 20,
    }
    return MDSettings(**{**given, **changes})


class Killed(EMT):
    """Dies after so many calls, as a process does."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def calculate(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().calculate(*args, **kwargs)


def files(folder):
    return {name: (folder / name).read_bytes() for name in (TRAJECTORY, SAMPLES)}


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
def test_a_run_that_died_goes_on_to_the_same_bits(tmp_path, ensemble):
    run_md(copper(), EMT(), settings(ensemble=ensemble), tmp_path / "whole")
    for calls in (0, 13, 17, 35):
        with pytest.raises(KeyboardInterrupt):
            run_md(copper(), Killed(calls), settings(ensemble=ensemble), tmp_path / "broken")
    run_md(copper(), EMT(), settings(ensemble=ensemble), tmp_path / "broken")
    assert files(tmp_path / "broken") == files(tmp_path / "whole")
    assert len(read(tmp_path / "whole" / TRAJECTORY, ":")) == 7
    states = [np.load(tmp_path / name / STATE) for name in ("whole", "broken")]
    for name in ("positions", "momenta", "generator"):
        assert (states[0][name] == states[1][name]).all()


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_to_the_same_bits(tmp_path):
    run_md(copper(), EMT(), settings(), tmp_path / "whole")
    with small_files(800), pytest.raises(StorageError, match=r"trajectory\.extxyz: File too large"):
        run_md(copper(), EMT(), settings(), tmp_path / "full")
    run_md(copper(), EMT(), settings(), tmp_path / "full")
    assert files(tmp_path / "full") == files(tmp_path / "whole")


def test_more_steps_go_on_from_the_end(tmp_path):
    run_md(copper(), EMT(), settings(steps=20), tmp_path / "longer")
    run_md(copper(), EMT(), settings(steps=60), tmp_path / "longer")
    run_md(copper(), EMT(), settings(steps=60), tmp_path / "whole")
    assert files(tmp_path / "longer") == files(tmp_path / "whole")


def test_frames_say_their_time_and_that_they_run_on(tmp_path):
    run_md(copper(), EMT(), settings(), tmp_path)
    series = read_trajectory(tmp_path / TRAJECTORY)
    assert series.frame_fs == pytest.approx(30.0) and series.unwrapped


def test_a_run_whose_frames_say_no_time_goes_on_without_it(tmp_path):
    """As one that rung 0.1 began: frames of one file say it, or none."""
    run_md(copper(), EMT(), settings(steps=20), tmp_path)
    log, state = tmp_path / TRAJECTORY, tmp_path / STATE
    log.write_text(re.sub(r" (time_fs|unwrapped_positions)=\S+", "", log.read_text()))
    kept = dict(np.load(state))
    del kept["timed"], kept["trajectory_hash"]
    np.savez(state, **{**kept, "trajectory_bytes": log.stat().st_size})
    run_md(copper(), EMT(), settings(steps=60), tmp_path)
    series = read_trajectory(log)
    assert len(series.frames) == 7 and series.frame_fs is None and not series.unwrapped


def test_a_folder_of_another_run_is_refused(tmp_path):
    run_md(copper(), EMT(), settings(steps=5), tmp_path)
    with pytest.raises(DataError, match="another start or setting"):
        run_md(copper(), EMT(), settings(steps=5, seed=1), tmp_path)
    with pytest.raises(DataError, match="another potential"):
        run_md(copper(), LennardJones(sigma=2.3, epsilon=0.4), settings(steps=5), tmp_path)


@pytest.mark.parametrize("name", [TRAJECTORY, SAMPLES, STATE])
@pytest.mark.parametrize("how", ["missing", "cut", "flipped"])
def test_a_file_that_is_not_what_was_written_is_named_and_the_run_is_made_again(tmp_path, name, how):
    run_md(copper(), EMT(), settings(), tmp_path)
    whole, path = files(tmp_path), tmp_path / name
    content = path.read_bytes()
    middle = len(content) // 2
    path.unlink()
    if how != "missing":
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(content[:middle] if how == "cut" else flipped)
    if how == "missing" and name == STATE:
        run_md(copper(), EMT(), settings(), tmp_path)
    else:
        with pytest.warns(DamagedFileWarning, match=rf"{name} is (missing|damaged .* it is kept as {name}\.damaged)"):
            run_md(copper(), EMT(), settings(), tmp_path)
    assert files(tmp_path) == whole


def test_a_run_that_breaks_says_when_and_why(tmp_path):
    close = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 1.5]], cell=[20, 20, 20], pbc=True)
    pulled = LennardJones(sigma=0.5, epsilon=30.0, rc=9.0)  # a well so deep that the atoms fall into each other
    found = run_md(close, pulled, settings(steps=4000, timestep=20.0, ensemble="nve", temperature=50.0), tmp_path)
    assert 0 < found.steps < 4000
    assert found.reason.startswith(f"at step {found.steps} ({20 * found.steps} fs): ")
    assert "atoms 0 and 1 are" in found.reason or "force" in found.reason or "temperature" in found.reason
    kept = read(tmp_path / FOR_LABELLING)
    assert kept.info["step"] == found.steps
    again = run_md(close, pulled, settings(steps=4000, timestep=20.0, ensemble="nve", temperature=50.0), tmp_path)
    assert (again.reason, again.steps) == (found.reason, found.steps)


def test_numbers_that_are_none_end_a_run(tmp_path):
    class Hole(EMT):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            if np.abs(self.atoms.positions - copper().positions).max() > 0.05:
                self.results["forces"] = np.full((len(self.atoms), 3), np.nan)

    found = run_md(copper(), Hole(), settings(), tmp_path)
    assert "not finite" in found.reason


def test_atoms_unlike_the_known_ones_end_a_run(tmp_path):
    start = copper()

    class Bars:
        def of_atoms(self, atoms):
            return 0.01 + np.linalg.norm(atoms.positions - start.positions, axis=1)

    limit = settings(leverage_limit=10.0, leverage_every=1, steps=200)
    found = run_md(start, EMT(), limit, tmp_path, error_bars=Bars(), reference_errors={29: 0.01})
    assert "times that of the reference structures" in found.reason
    moved = np.linalg.norm(read(tmp_path / FOR_LABELLING).positions - start.positions, axis=1).max()
    assert 0.09 < moved < 0.11
    calm = settings(leverage_limit=1e6, leverage_every=1, steps=20)
    assert not run_md(start, EMT(), calm, tmp_path / "b", error_bars=Bars(), reference_errors={29: 0.01}).reason


def test_the_kinetic_temperature_is_canonical(tmp_path):
    class Free(LennardJones):
        """No forces: the thermostat alone decides."""

        def calculate(self, atoms=None, properties=(), system_changes=()):
            super(LennardJones, self).calculate(atoms, properties, system_changes)
            self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}

    free = Atoms("He8", positions=np.random.default_rng(0).uniform(0, 90, (8, 3)), cell=[99, 99, 99], pbc=True)
    long = settings(steps=2500, friction=0.2, timestep=5.0, frame_every=2500, sample_every=2, save_every=2500)
    found = statistics(run_md(free, Free(), long, tmp_path), 5.0, discard=0.05)
    assert found.temperature == pytest.approx(600.0, abs=4 * found.temperature_stderr)
    assert found.temperature_stderr < 15
    assert found.temperature_variance_ratio == pytest.approx(1.0, abs=0.2)


def test_drift_and_its_error_are_those_of_a_known_line():
    scores = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        steps = np.arange(800) * 10.0
        total = 1e-3 * 4 * (0.7 * steps * 2.0 / 1000 + correlated(800, 0.9, rng))  # eV of 4 atoms: 0.7 meV/atom/ps
        kinetic = np.full(800, 4.5 * BOLTZMANN * 300)
        samples = np.column_stack([steps, total - kinetic, kinetic, np.full(800, 300.0) + rng.normal(size=800)])
        found = statistics(Trajectory(samples, 8000, "", 9, 4), 2.0, discard=0.0)
        scores.append((found.drift - 0.7) / found.drift_stderr)
    assert 0.75 < np.sqrt(np.mean(np.square(scores))) < 1.3
    assert abs(np.mean(scores)) < 0.4


def test_series_statistics():
    rng = np.random.default_rng(1)
    series = correlated(40000, 0.8, rng)
    assert inefficiency(series) == pytest.approx(9.0, rel=0.15)  # (1 + ρ)/(1 − ρ)
    assert inefficiency(rng.normal(size=20000)) == pytest.approx(1.0, abs=0.1)
    assert inefficiency(np.ones(100)) == 1.0
    assert mean_error(series) == pytest.approx(3 / np.sqrt(40000), rel=0.1)
    slope, error, rest = line(np.arange(5.0), 2.0 + 3.0 * np.arange(5.0))
    assert (slope, error) == (pytest.approx(3.0), pytest.approx(0.0, abs=1e-12))
    np.testing.assert_allclose(rest, 0.0, atol=1e-12)


def test_g_of_r_counts_the_neighbours_of_a_lattice():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    found = radial_distribution([atoms, atoms], reach=5.0, bins=500)
    density = 4 / 3.6**3
    edges = np.linspace(0, 5.0, 501)
    counted = found.pairs["Cu-Cu"] * density * 4 / 3 * np.pi * np.diff(edges**3)
    for distance, neighbours in ((3.6 / np.sqrt(2), 12), (3.6, 6), (3.6 * np.sqrt(1.5), 24)):
        near = np.abs(found.distance - distance) < 0.02
        assert counted[near].sum() == pytest.approx(neighbours, rel=1e-9)
    assert counted.sum() == pytest.approx(42, rel=1e-9)
    assert found.frames == 2


def test_g_of_r_of_two_elements_is_weighted_by_their_densities():
    rock_salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    found = radial_distribution([rock_salt], reach=4.2, bins=420)
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 4.2, 421) ** 3)
    density = 4 / 5.6**3
    assert (found.pairs["Na-Cl"] * density * shells).sum() == pytest.approx(6)
    assert (found.pairs["Na-Na"] * density * shells).sum() == pytest.approx(12)
    assert set(found.pairs) == {"Na-Cl", "Na-Na", "Cl-Cl"}


def test_an_ideal_gas_has_no_order_and_a_molecule_no_g():
    rng = np.random.default_rng(0)
    gas = [Atoms("He60", positions=rng.uniform(0, 12, (60, 3)), cell=[12, 12, 12], pbc=True) for _ in range(15)]
    found = radial_distribution(gas, reach=5.0, bins=10)
    np.testing.assert_allclose(found.pairs["He-He"][3:], 1.0, atol=0.1)
    assert radial_distribution([Atoms("He2", positions=[[0, 0, 0], [0, 0, 1]])]).pairs == {}
