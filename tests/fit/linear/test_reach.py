"""Labels of one kind alone: said where many training structures lie beyond them in energy, and only there."""

import numpy as np
import pytest

from rung.fit.linear.reach import not_reached

SHIFTS = np.array([-1000.0, -50.0])


def world(kelvin, seed=0):
    """Energies of 200 structures of two compositions, each with a thermal energy of its own."""
    random = np.random.default_rng(seed)
    composition = np.where(random.random((200, 1)) < 0.5, [9.0, 18.0], [9.0, 17.0])
    thermal = 1e-4 * kelvin * composition.sum(axis=1) * (1.0 + 0.2 * random.normal(size=200))
    return composition @ SHIFTS + thermal, composition


@pytest.mark.parametrize("seed", range(10))
def test_labels_drawn_from_all_structures_reach_them(seed):
    energies, composition = world(np.repeat([300.0, 1500.0], 100), seed)
    chosen = np.random.default_rng(seed).choice(200, 15, replace=False)
    assert not not_reached(energies, composition, chosen)


def test_labels_of_hot_structures_do_not_reach_cold_ones():
    said = [
        not_reached(*world(np.repeat([300.0, 1500.0], 100), seed), np.arange(100, 115))
        for seed in range(20)  # in one of them a single label lies among the cold ones
    ]
    sentences = [one[0] for one in said if one]
    assert len(sentences) >= 19
    assert all(" lie below" in one and "label some of them" in one for one in sentences)


def test_another_composition_does_not_count():
    energies, composition = world(np.full(200, 300.0))
    energies[composition[:, 1] == 17.0] += 100.0
    one = np.flatnonzero(composition[:, 1] == 18.0)[:15]
    assert not not_reached(energies, composition, one)


def test_fewer_than_three_labels_have_no_range():
    energies, composition = world(np.repeat([300.0, 1500.0], 100))
    assert not not_reached(energies, composition, np.array([150, 151]))
    assert not not_reached(energies, composition, np.zeros(0, dtype=int))
