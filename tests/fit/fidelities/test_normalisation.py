"""What a model of several fidelities starts from."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.stream import pack
from rung.data.structure import Structure, composition_matrix
from rung.fit.fidelities.normalisation import normalisation
from rung.fit.fidelities.rows import rows_of
from tests.fit.levels import two_levels
from tests.fit.toy_surface import toy_structures

ELEMENTS = (1, 6, 8)


def least_squares(structures: list[Structure], fidelity: str) -> np.ndarray:
    counts = composition_matrix(structures, ELEMENTS)
    size = counts.sum(axis=1)
    energies = np.array([item.labels[fidelity].energy for item in structures])
    return np.linalg.lstsq(counts / size[:, None], energies / size, rcond=None)[0]


def test_each_fidelity_has_its_own_least_squares() -> None:
    frames = two_levels(12, 8)
    rows = rows_of(frames, ("high", "low"))
    found = normalisation(rows.structures, rows.packed(3.5), ELEMENTS, 0.005)
    for name, own in (("low", frames), ("high", frames[:8])):
        expected = least_squares(own, name)
        energies = [found.references[name].energies[number] for number in ELEMENTS]
        np.testing.assert_allclose(energies, expected, atol=1e-8)
    assert tuple(found.references) == ("high", "low")
    assert found.warnings == ()


def test_a_fidelity_without_forces_takes_the_scale_of_those_that_have_some() -> None:
    rows = rows_of(two_levels(12, 8), ("high", "low"))
    found = normalisation(rows.structures, rows.packed(3.5), ELEMENTS, 0.005)
    forces = np.concatenate([item.labels["low"].forces for item in two_levels(12, 8)])
    assert found.scales["high"] == found.scales["low"] == (pytest.approx(np.sqrt(np.mean(forces**2))), 0.0)
    rows = rows_of(two_levels(12, 8, forces=True), ("high", "low"))
    own = normalisation(rows.structures, rows.packed(3.5), ELEMENTS, 0.005)
    assert own.scales["high"][0] > 1.05 * own.scales["low"][0]


def test_what_few_compositions_do_not_tell_stays_as_at_the_other_fidelity() -> None:
    """Water alone tells 2 H + O: H − O / 2 is that of the cheap level, and carbon as well."""
    frames = two_levels(16, 16)
    water = {item.structure_id for item in frames if item.formula == "H2O"}
    cut = [item if item.structure_id in water else replace(item, labels={"low": item.labels["low"]}) for item in frames]
    rows = rows_of(cut, ("high", "low"))
    found = normalisation(rows.structures, rows.packed(3.5), ELEMENTS, 0.005)
    low, high = (found.references[name].energies for name in ("low", "high"))
    assert high[6] == low[6]
    change = {number: high[number] - low[number] for number in ELEMENTS}
    assert change[1] == pytest.approx(2 * change[8], abs=1e-10)
    energies = [item.labels["high"].energy for item in frames if item.structure_id in water]
    assert 2 * high[1] + high[8] == pytest.approx(np.mean(energies), abs=1e-8)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("Fidelity 'high': The compositions")


def test_a_fidelity_without_energies_is_warned_of() -> None:
    high = [
        replace(item, labels={"high": replace(item.labels["high"], energy=np.nan)})
        for item in toy_structures(4, seed=1, fidelity="high")
    ]
    low = toy_structures(8)
    packed = pack([*high, *low], ["high"] * 4 + ["low"] * 8, 3.5, names=("high", "low"))
    found = normalisation([*high, *low], packed, ELEMENTS, 0.005)
    assert found.references["high"] == found.references["low"]
    assert "no zero of their own" in found.warnings[0]


def test_given_reference_energies_are_those_of_their_fidelity_alone() -> None:
    rows = rows_of(two_levels(12, 8), ("high", "low"))
    packed = rows.packed(3.5)
    fitted = normalisation(rows.structures, packed, ELEMENTS, 0.005)
    given = normalisation(rows.structures, packed, ELEMENTS, 0.005, {"high": {"H": -1.0, "C": -2.0, "O": -3.0}})
    assert given.references["high"].energies == {1: -1.0, 6: -2.0, 8: -3.0}
    assert given.references["low"] == fitted.references["low"]
    assert given.scales["low"] == fitted.scales["low"]
    assert given.scales["high"][1] != 0.0
