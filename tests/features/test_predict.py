"""Predictions from designs against the potential itself, with bars that read the posterior by name."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rung.data.batch import by_count
from rung.features.predict import difference_variance, predict_designs, surface_energies
from rung.model.predictions import predict_structures
from tests.features.test_errorbars import ELEMENTS, designs, posterior, potential, structures


def test_energies_and_forces_are_the_potentials() -> None:
    surface = potential().surface("high")
    expected = list(predict_structures(potential(), by_count(structures(), 3), "high"))
    for item, wanted in zip(predict_designs(designs(forces=True), surface, ELEMENTS), expected, strict=True):
        assert item.energy == pytest.approx(wanted.energy, rel=1e-12)
        assert_allclose(item.forces, wanted.forces, atol=1e-10)
        assert np.isnan(item.energy_variance) and np.isnan(item.force_variance).all()
    energies = surface_energies(designs(), surface.readout, surface, ELEMENTS)
    assert_allclose(energies, [wanted.energy for wanted in expected], rtol=1e-12)
    assert predict_designs(designs(), surface, ELEMENTS)[0].forces.shape == (0, 3)


def test_an_unknown_reference_energy_matters_where_its_element_is() -> None:
    surface = potential().surface("high")
    without = replace(surface, reference=replace(surface.reference, energies={6: -9.0}))
    carbon = replace(designs()[0], composition=np.array([8.0, 0.0]))
    energies = surface_energies([carbon, designs()[0]], surface.readout, without, ELEMENTS)
    assert np.isfinite(energies).tolist() == [True, False]


def test_bars_do_not_depend_on_the_order_of_reference_energies() -> None:
    surface, made = potential().surface("high"), designs(forces=True)
    one, other = (predict_designs(made, surface, ELEMENTS, posterior(order)) for order in ((6, 8), (8, 6)))
    for first, second in zip(one, other, strict=True):
        assert first.energy == second.energy
        assert first.energy_variance == pytest.approx(second.energy_variance, rel=1e-12)
        assert first.energy_total_variance == pytest.approx(second.energy_total_variance, rel=1e-12)
        assert_array_equal(first.force_total_variance, second.force_total_variance)
        assert (first.force_total_variance - first.force_variance >= 0.1**2 * (1 - 1e-9)).all()
    differences = [difference_variance(made[0], made[1], ELEMENTS, posterior(order)) for order in ((6, 8), (8, 6))]
    assert differences[0].weights == pytest.approx(differences[1].weights, rel=1e-12)


def test_what_no_label_identifies_has_an_infinite_bar() -> None:
    direction = np.zeros((1, len(posterior().parameters)))
    direction[0, -1] = 1.0  # E0 of oxygen
    unknown = replace(posterior(), unidentified=direction)
    surface, made = potential().surface("high"), designs()
    carbon = replace(made[0], composition=np.array([8.0, 0.0]))
    one, other = predict_designs([made[0], carbon], surface, ELEMENTS, unknown)
    assert np.isinf(one.energy_variance) and np.isinf(one.energy_total_variance)
    assert np.isfinite(other.energy_variance)
    assert np.isfinite(difference_variance(made[0], made[0], ELEMENTS, unknown).weights)
