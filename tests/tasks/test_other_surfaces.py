"""What posterior draws say of a free-energy barrier, by hand."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from rung.calculator import RungCalculator
from rung.evaluate.free_energy.analysis import AnalysisSettings, FreeEnergy, FreeEnergyBarrier
from rung.evaluate.free_energy.umbrella import UmbrellaSettings, Window
from rung.evaluate.free_energy.window_statistics import WindowStatistics
from rung.tasks.error_bars import error_bars_of
from rung.tasks.other_surfaces import SampledBarrier, model_error
from rung.units import BOLTZMANN
from tests.run.small_world import SmallWorld

SAMPLING = UmbrellaSettings(temperature=600.0, centres=(0.9, 1.1), spring=40.0)
BARRIER = FreeEnergyBarrier(1.0, 0.1, 0.01, 0.1, 0.01, 0.0, 0.01, 1e10, 0.1, 0.4, 0.01, 1.0, 0.3)


def windows(count: int) -> list[Window]:
    """Two windows along one bond of water, a structure a sample."""
    rng = np.random.default_rng(0)
    found = []
    for index, centre in enumerate(SAMPLING.centres):
        values = rng.normal(centre, 0.06, count)
        frames = np.array([stretched(value).positions for value in values])
        ones = np.ones(count)
        found.append(Window(index, centre, 40.0, values, ones, ones, frames, np.arange(count), count))
    return found


def stretched(length: float) -> Atoms:
    atoms = molecule("H2O")
    atoms.set_distance(0, 1, length, fix=0)
    return atoms


def test_first_order_is_the_mean_change_at_the_top_less_that_in_the_basin(finished: SmallWorld) -> None:
    calculator = RungCalculator(finished.folder / "run" / "model.rung", fidelity="high")
    sampled = windows(60)
    none = WindowStatistics(0.0, 0.0, 0.0, 0, 1.0, 60, float("nan"))
    found = FreeEnergy(None, BARRIER, (none, none), (), free_energies=np.zeros(2))
    barrier = SampledBarrier(molecule("H2O"), tuple(sampled), found, SAMPLING, AnalysisSettings())
    told = model_error(error_bars_of(calculator), barrier, 4)

    values = np.concatenate([window.values for window in sampled])
    beta = 1 / (BOLTZMANN * 600.0)
    weights = 1 / sum(60 * np.exp(-0.5 * beta * 40.0 * (values - centre) ** 2) for centre in SAMPLING.centres)
    structures = [stretched(value) for value in values]
    changes = calculator.energy_changes(structures, 4)  # which are the drawn potentials', as another test says
    top, basin = np.abs(values - 1.0) <= 0.1, values < 1.0
    differences = []
    for change in changes:
        ends = [np.average(change[inside], weights=weights[inside]) for inside in (top, basin)]
        differences.append(ends[0] - ends[1])
    assert told.first_order == pytest.approx(np.mean(differences), abs=1e-9)
    assert told.spread_of_first_order == pytest.approx(np.std(differences, ddof=1), rel=1e-6)
    assert told.frames == (60, 60)
    # small changes: the exact answer is near the first-order one
    assert told.spread_of_change == pytest.approx(told.spread_of_first_order, rel=0.3)


def test_without_a_posterior_there_is_none(finished: SmallWorld) -> None:
    base = RungCalculator(finished.folder / "run" / "model.rung", fidelity="low")
    found = FreeEnergy(None, BARRIER, (), (), free_energies=np.zeros(2))
    sampled = SampledBarrier(molecule("H2O"), tuple(windows(3)), found, SAMPLING, AnalysisSettings())
    assert model_error(error_bars_of(base), sampled, 4) is None
