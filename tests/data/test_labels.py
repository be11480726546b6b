"""Label keys: what is written is read, what is absent stays absent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from rung.data.labels import Labels, empty_labels, fidelities_in, read_labels, split_key, write_labels


def test_keys_split_at_the_longest_suffix():
    assert split_key("dmc_energy_stderr") == ("dmc", "_energy_stderr")
    assert split_key("dmc_energy") == ("dmc", "_energy")
    assert split_key("my_level_forces") == ("my_level", "_forces")
    assert split_key("energy") is None
    assert split_key("_energy") is None
    assert fidelities_in(["pbe_energy", "pbe_forces", "dmc_energy", "kind", "energy"]) == ("dmc", "pbe")


@given(
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.integers(1, 4),
    st.floats(-1e6, 1e6),
    st.integers(0, 1000),
)
def test_a_round_trip_keeps_what_is_there_and_adds_nothing(present, n_atoms, energy, seed):
    random = np.random.default_rng(seed)
    empty = empty_labels(n_atoms)
    labels = Labels(
        energy if present[0] else np.nan,
        0.01 if present[1] else np.nan,
        random.normal(size=(n_atoms, 3)) if present[2] else empty.forces,
        random.uniform(size=(n_atoms, 3)) if present[3] else empty.forces_stderr,
        random.normal(size=6) if present[4] else empty.stress,
    )
    info, arrays = {}, {}
    write_labels(labels, info, arrays, "dmc")
    assert len(info) + len(arrays) == sum(present)
    found = read_labels(info, arrays, "dmc", n_atoms)
    for name in ("energy", "energy_stderr", "forces", "forces_stderr", "stress"):
        assert_allclose(getattr(found, name), getattr(labels, name))
    assert (found.has_energy, found.has_forces, found.has_stress) == (present[0], present[2], present[4])


def test_a_full_stress_tensor_becomes_voigt():
    tensor = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    assert_allclose(read_labels({"a_stress": tensor.ravel()}, {}, "a", 1).stress, [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("info", "arrays", "sentence"),
    [
        ({"a_energy": "low"}, {}, "a_energy is not a number"),
        ({"a_energy": [1.0, 2.0]}, {}, r"a_energy has shape \(2,\)"),
        ({}, {"a_forces": np.zeros((3, 3))}, r"a_forces has shape \(3, 3\), not \(2, 3\)"),
    ],
)
def test_a_label_of_another_shape_is_named(info, arrays, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_labels(info, arrays, "a", 2)
