"""Reference energies from compositions, against numpy's least squares."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from rung.data.structure import Structure, composition_matrix
from rung.errors import FitError
from rung.fit.fidelities.composition import fit_composition


def structures_of(*names: str) -> list[Structure]:
    return [Structure(molecule(name), f"{index}-{name}", {}) for index, name in enumerate(names)]


def test_equals_weighted_least_squares_of_numpy() -> None:
    structures = structures_of("H2O", "CH4", "CO2", "CO", "H2", "C2H6")
    generator = np.random.default_rng(0)
    energies, stderr = generator.normal(-100.0, 50.0, 6), np.array([0.1, 0.5, np.nan, 0.3, 0.2, np.nan])
    fit = fit_composition(structures, energies, stderr, (1, 6, 8), floor=0.01)
    composition = composition_matrix(structures, (1, 6, 8))
    weight = 1 / np.sqrt(np.nan_to_num(stderr) ** 2 + (composition.sum(axis=1) * 0.01) ** 2)
    expected = np.linalg.lstsq(weight[:, None] * composition, weight * energies, rcond=None)[0]
    np.testing.assert_allclose(fit.energies, expected, rtol=1e-10)
    np.testing.assert_allclose(fit.residual, energies - composition @ expected, atol=1e-9)
    assert (fit.rank, fit.warnings) == (3, ())


def test_exact_energies_are_recovered() -> None:
    structures = structures_of("H2O", "CH4", "CO2", "CO")
    truth = np.array([-13.6, -1030.0, -2043.0])
    energies = composition_matrix(structures, (1, 6, 8)) @ truth
    fit = fit_composition(structures, energies, np.full(4, np.nan), (1, 6, 8), floor=0.005)
    np.testing.assert_allclose(fit.energies, truth, rtol=1e-12)


def test_one_composition_gives_the_least_change_and_says_so() -> None:
    structures = [Structure(bulk("NaCl", "rocksalt", a=5.6 + 0.1 * k), f"{k}", {}) for k in range(3)]
    fit = fit_composition(structures, np.array([4.0, 4.2, 3.8]), np.full(3, np.nan), (11, 17), floor=0.005)
    np.testing.assert_allclose(fit.energies, [2.0, 2.0], rtol=1e-12)
    assert fit.rank == 1
    assert "only 1 combination of the 2 reference energies (Na, Cl)" in fit.warnings[0]


def test_absent_energies_are_left_out() -> None:
    structures = structures_of("H2O", "H2", "O2")
    fit = fit_composition(structures, np.array([7.0, 2.0, np.nan]), np.full(3, np.nan), (1, 8), floor=0.005)
    np.testing.assert_allclose(fit.energies, [1.0, 5.0], rtol=1e-12)
    assert np.isnan(fit.residual[2])
    with pytest.raises(FitError, match="no training structure has an energy"):
        fit_composition(structures, np.full(3, np.nan), np.full(3, np.nan), (1, 8), floor=0.005)


def test_of_many_elements_the_first_are_named_and_the_others_counted() -> None:
    """As in every sentence of elements: a model of the whole periodic table would fill a page."""
    structures = [Structure(Atoms(numbers=range(1, 26)), "all", {})]
    (warning,) = fit_composition(structures, np.ones(1), np.full(1, np.nan), range(1, 26), floor=0.005).warnings
    assert "1 combination of the 25 reference energies (H, He, " in warning
    assert "K, Ca and 5 more) apart" in warning
