"""The domain of a fit: distances to the nearest environment and leverages, written out, and what they call outside."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.model import domain as module
from rung.model.domain import DISTANCE_LIMIT, Domain, domain_of, element_domains
from rung.model.environments import environment_kernel, overlaps

RANDOM = np.random.default_rng(8)
FEATURES = [RANDOM.normal(size=(6, 4)) * [3.0, 1.0, 0.3, 0.1] for _ in range(200)]
NUMBERS = [np.array([6, 6, 6, 6, 8, 8])] * 200
COMPOSITION = np.tile([4.0, 2.0], (200, 1))
ROWS = np.array([rows.sum(axis=0) for rows in FEATURES])


def known() -> Domain:
    return domain_of(ROWS, COMPOSITION, np.ones(4), element_domains(FEATURES, NUMBERS))


def test_distance_is_that_of_the_nearest_environment_in_spreads_of_its_element() -> None:
    atoms = RANDOM.normal(size=(6, 4))
    place = known().place(atoms.sum(axis=0), COMPOSITION[0], atoms, NUMBERS[0])
    distances = []
    for atom, number in zip(atoms, NUMBERS[0], strict=True):
        own = np.concatenate([f[n == number] for f, n in zip(FEATURES, NUMBERS, strict=True)])
        inverse = np.linalg.inv(np.cov(own.T, bias=True))
        apart = own - atom
        distances.append(np.sqrt(np.einsum("ij,jk,ik->i", apart, inverse, apart).min() / 4))
    assert place.distance == pytest.approx(max(distances), rel=1e-4)
    assert place.atom == int(np.argmax(distances))


def test_training_structures_are_inside_and_far_ones_are_named() -> None:
    domain = known()
    places = [
        domain.place(*one, *atoms)
        for one, atoms in zip(zip(ROWS, COMPOSITION, strict=True), zip(FEATURES, NUMBERS, strict=True), strict=True)
    ]
    assert sum(place.outside for place in places) <= 2
    assert max(place.distance for place in places) == pytest.approx(0.0, abs=1e-5)
    moved = FEATURES[0].copy()
    moved[4] += [0.0, 0.0, 0.0, 3.0]
    place = domain.place(moved.sum(axis=0), COMPOSITION[0], moved, NUMBERS[0])
    assert place.distance > DISTANCE_LIMIT
    assert "atom 4" in place.reasons[0]
    assert "leverage" in place.reasons[1]
    assert domain.place(ROWS[0], COMPOSITION[0], FEATURES[0], np.array([6, 6, 6, 6, 8, 7])).distance == np.inf


def test_leverage_is_the_mean_square_in_units_of_training() -> None:
    rest = (ROWS - ROWS.mean(axis=0)) / np.sqrt(6)
    expected = np.einsum("ij,jk,ik->i", rest, np.linalg.inv(rest.T @ rest / 200), rest) / 4
    domain = known()
    assert_allclose(module.leverages(ROWS, COMPOSITION, domain.absorbed, domain.row_axes), expected, rtol=1e-9)
    others = expected / (1 - expected * 4 / 200 - 1 / 200)
    assert domain.leverage_limit == pytest.approx(1.5 * np.quantile(others, 0.95, method="higher"))


def test_too_few_rows_to_tell_a_leverage_tell_none() -> None:
    few = domain_of(ROWS[:4], COMPOSITION[:4], np.ones(4), element_domains(FEATURES[:4], NUMBERS[:4]))
    assert few.leverage_limit == np.inf
    assert not few.place(100 * ROWS[0], COMPOSITION[0], FEATURES[0], NUMBERS[0]).outside


def test_far_apart_environments_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENVIRONMENTS", 50)
    thinned = known()
    assert thinned.elements[6].environments.shape == (50, 4)
    distances = [thinned.elements[6].distances(rows[:4]).max() for rows in FEATURES]
    assert max(distances) < 1.0  # no corner of the training set is left out


def test_one_environment_alone_knows_no_other() -> None:
    (only,) = element_domains([np.ones((2, 3))], [np.array([6, 6])]).values()
    assert only.distances(np.array([[1.0, 1.0, 1.0], [1.0, 1.2, 1.0]])).tolist() == [0.0, np.inf]


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-6])
def test_equal_environments_are_one_up_to_rounding(noise: float) -> None:
    """The same crystal, turned or in float32, lay some spreads of its own rounding away."""
    random = np.random.default_rng(0)
    features = 3.0 * random.normal(size=16)
    numbers = np.full(8, 14)
    found, again, other = (features * (1.0 + size * random.normal(size=(8, 16))) for size in (noise, noise, 0.1))
    domain = element_domains([found], [numbers])[14]
    assert domain.distances(again).max() == 0.0
    assert np.isinf(domain.distances(other)).all()
    kernel = environment_kernel([found], [numbers])
    assert overlaps([kernel.environments(found, numbers)])[0, 0] == pytest.approx(64.0)
