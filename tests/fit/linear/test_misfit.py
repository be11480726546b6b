"""The base's misfit: what many energies say, what few may not say, and what is usual where none say anything."""

import numpy as np
import pytest

from rung.fit.linear.gaussian import EnergyData
from rung.fit.linear.problem import spread_beyond
from rung.fit.linear.terms import MISFIT_SHARE, USUAL_MISFIT, misfit

SPREAD = 0.4


def energies(change, atoms=9.0):
    """Exact labels of one composition, whose base errs by ``change``, eV."""
    n = len(change)
    composition = np.full((n, 1), atoms)
    return EnergyData(np.zeros((n, 0)), composition, np.asarray(change), np.zeros((n, n)), atoms * np.eye(n))


def test_many_energies_tell_it():
    change = np.random.default_rng(0).normal(scale=0.3, size=400)
    assert misfit(energies(change), SPREAD) == pytest.approx(np.std(change, ddof=1) / 3.0, rel=0.01)


def test_two_energies_that_agree_by_chance_do_not():
    usual = MISFIT_SHARE * SPREAD
    for apart in (0.0, 1e-9, 1e-4, 1e-2):
        assert 0.4 * usual < misfit(energies([0.1, 0.1 + apart]), SPREAD) < usual
    assert misfit(energies([0.1, 0.1 + 3.0 * np.sqrt(2.0) * usual]), SPREAD) == pytest.approx(usual, rel=0.25)
    assert misfit(energies([0.1, 30.0]), SPREAD) > 10.0 * usual


def test_it_has_no_bias_whatever_their_number():
    """Draws of sizes as they are usual: the logarithm of what is found is that of the size, on the average."""
    random = np.random.default_rng(1)
    for n in (2, 3, 6, 20):
        ratios = []
        for _ in range(400):
            size = MISFIT_SHARE * SPREAD * np.exp(random.normal(scale=0.9))
            ratios.append(np.log(misfit(energies(random.normal(scale=3.0 * size, size=n)), SPREAD) / size))
        assert abs(np.mean(ratios)) < 0.1
        assert np.std(ratios) < 0.9  # better than what is usual alone


def test_without_a_contrast_it_is_what_is_usual():
    none = EnergyData(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)))
    for data in (none, energies([0.3])):
        assert misfit(data, SPREAD) == pytest.approx(MISFIT_SHARE * SPREAD)
        assert misfit(data, 0.0) == USUAL_MISFIT


def test_the_spread_is_what_composition_does_not_explain():
    random = np.random.default_rng(2)
    composition = random.integers(1, 6, (500, 2)).astype(float)
    atoms = composition.sum(axis=1)
    energy = composition @ [-3.0e4, -7.0] + random.normal(scale=SPREAD * np.sqrt(atoms))
    assert spread_beyond(energy, composition) == pytest.approx(SPREAD, rel=0.1)
    assert spread_beyond(energy[:2], composition[:2]) == 0.0
    assert spread_beyond(np.zeros(0), np.zeros((0, 2))) == 0.0


def repeated(times, apart, sigma=0.02):
    """Two geometries that differ by ``apart``, eV, each labelled several times."""
    shared = np.kron(9.0 * np.eye(2), np.ones((times, times)))
    count = 2 * times
    change = np.repeat([0.0, apart], times)
    return EnergyData(np.zeros((count, 0)), np.full((count, 1), 9.0), change, sigma**2 * np.eye(count), shared)


def test_labels_of_one_geometry_again_and_again_tell_it_once():
    once = misfit(repeated(1, 0.002), SPREAD)
    for times in (2, 5, 10):
        assert misfit(repeated(times, 0.002), SPREAD) == pytest.approx(once, rel=1e-6)


def test_labels_of_nearly_one_geometry_do_not_blow_it_up():
    """The scatter of two labels, over the little of the model's error in their difference, would be a huge error."""
    change = np.random.default_rng(0).normal(scale=0.3, size=40)
    before = misfit(energies(change), SPREAD)
    for alike in (1.0 - 1e-8, 1.0 - 1e-6, 1.0 - 1e-4):
        model = 9.0 * np.eye(41)
        model[0, 40] = model[40, 0] = 9.0 * alike
        again = np.append(change, change[0] + 0.03)
        data = EnergyData(np.zeros((41, 0)), np.full((41, 1), 9.0), again, 0.02**2 * np.eye(41), model)
        assert misfit(data, SPREAD) == pytest.approx(before, rel=0.05)


def test_where_all_that_is_compared_is_one_geometry_it_is_what_is_usual():
    count = 6
    change = np.random.default_rng(0).normal(scale=0.02, size=count)
    data = EnergyData(
        np.zeros((count, 0)), np.full((count, 1), 9.0), change, 0.02**2 * np.eye(count), np.full((count, count), 9.0)
    )
    assert misfit(data, SPREAD) == pytest.approx(MISFIT_SHARE * SPREAD)
    assert misfit(data, 0.0) == USUAL_MISFIT
