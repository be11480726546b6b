"""Which environments share an error: written out over pairs of atoms, and what copies and equal cells must give."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rung.model import environments
from rung.model.environments import EnvironmentKernel, environment_kernel, overlaps, self_overlap

RANDOM = np.random.default_rng(4)
FEATURES = [RANDOM.normal(size=(n, 5)) for n in (3, 6, 4)]
NUMBERS = [RANDOM.choice([6, 8], size=len(rows)) for rows in FEATURES]


def kernel(length: float = 2.0) -> EnvironmentKernel:
    return environment_kernel(FEATURES, NUMBERS, length=length)


def test_overlaps_are_sums_over_pairs_of_atoms_of_one_element() -> None:
    structures = [kernel().environments(*pair) for pair in zip(FEATURES, NUMBERS, strict=True)]
    expected = np.zeros((3, 3))
    for a, one in enumerate(structures):
        for b, other in enumerate(structures):
            for x, z in zip(one.coordinates, one.numbers, strict=True):
                for y, w in zip(other.coordinates, other.numbers, strict=True):
                    expected[a, b] += (z == w) * np.exp(-0.5 * np.sum((x.astype(float) - y) ** 2))
    found = overlaps(structures)
    assert_allclose(found, expected, rtol=1e-9)
    assert self_overlap(structures[1]) == pytest.approx(expected[1, 1], rel=1e-9)
    assert np.linalg.eigvalsh(found).min() > 0
    assert overlaps([]).shape == (0, 0)


def test_blocks_of_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    structures = [kernel().environments(*pair) for pair in zip(FEATURES, NUMBERS, strict=True)]
    whole = overlaps(structures)
    monkeypatch.setattr(environments, "PAIRS_AT_ONCE", 7)
    assert_allclose(overlaps(structures), whole, rtol=1e-12)


def test_a_short_length_leaves_each_atom_alone_and_a_long_one_joins_elements() -> None:
    for length, expected in ((1e-3, [len(rows) for rows in FEATURES]), (1e4, None)):
        structures = [kernel(length).environments(*pair) for pair in zip(FEATURES, NUMBERS, strict=True)]
        counts = np.array([[np.sum(numbers == element) for element in (6, 8)] for numbers in NUMBERS])
        found = np.diag(overlaps(structures))
        assert_allclose(found, np.sum(counts**2, axis=1) if expected is None else expected, rtol=1e-6)


def test_copies_of_a_cell_share_and_leave_nothing_over_in_a_difference() -> None:
    one = kernel().environments(FEATURES[0], NUMBERS[0])
    moved = kernel().environments(FEATURES[0] + [[0.4] * 5, [0.0] * 5, [0.0] * 5], NUMBERS[0])
    many = kernel().environments(np.tile(FEATURES[0], (16, 1)), np.tile(NUMBERS[0], 16))
    hop = kernel().environments(
        np.concatenate([FEATURES[0] + [[0.4] * 5, [0.0] * 5, [0.0] * 5], np.tile(FEATURES[0], (15, 1))]),
        np.tile(NUMBERS[0], 16),
    )
    alone, beside = overlaps([one, moved]), overlaps([many, hop])
    assert beside[0, 0] == pytest.approx(256 * alone[0, 0], rel=1e-9)
    apart = np.array([-1.0, 1.0])
    assert apart @ beside @ apart == pytest.approx(apart @ alone @ apart, rel=1e-6)
    assert np.array([1.0, -1.0]) @ overlaps([one, one]) @ [1.0, -1.0] == 0.0


def test_directions_that_hardly_vary_do_not_count() -> None:
    flat = [np.hstack([rows, np.full((len(rows), 1), 7.0)]) for rows in FEATURES]
    widened = environment_kernel(flat, NUMBERS, length=2.0)
    found = overlaps([widened.environments(*pair) for pair in zip(flat, NUMBERS, strict=True)])
    assert_allclose(
        found, overlaps([kernel().environments(*pair) for pair in zip(FEATURES, NUMBERS, strict=True)]), rtol=1e-5
    )


def test_too_many_pairs_are_compared_within_one_geometry_only(monkeypatch: pytest.MonkeyPatch) -> None:
    structures = [kernel().environments(*pair) for pair in zip(FEATURES, NUMBERS, strict=True)]
    structures.append(structures[0])
    whole = overlaps(structures, ["a", "b", "c", "a"])
    monkeypatch.setattr(environments, "MOST_PAIRS", 10)
    found = overlaps(structures, ["a", "b", "c", "a"])
    assert_allclose(np.diag(found), np.diag(whole), rtol=1e-12)
    assert found[0, 3] == found[3, 0] == found[0, 0]
    assert_array_equal(found[:3, :3], np.diag(np.diag(found)[:3]))
