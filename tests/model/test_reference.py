"""Reference energies: exact, by element, and an unknown element raises."""

import numpy as np
import pytest
import torch
from ase.data import chemical_symbols
from numpy.testing import assert_allclose

from rung.errors import ModelError
from rung.model.reference import ReferenceEnergies


def test_reference_energies_of_unknown_elements_raise():
    energies = ReferenceEnergies({1: -13.6, 8: -2040.5})
    assert_allclose(energies.of(torch.tensor([8, 1, 1])), [-2040.5, -13.6, -13.6])
    for number in (6, 92):
        with pytest.raises(ModelError, match=rf"for {chemical_symbols[number]}\."):
            energies.of(torch.tensor([1, number]))
    moved = energies.moved((1, 8), np.array([0.5, 0.0]))
    assert dict(moved.energies) == {1: -13.1, 8: -2040.5}


def test_a_change_of_zero_keeps_every_bit_and_energies_are_float64() -> None:
    energies = ReferenceEnergies({8: -2040.123456789012, 1: -13.6})
    assert energies.elements == (1, 8)
    assert dict(energies.moved((1, 8), np.zeros(2)).energies) == dict(energies.energies)
    values = energies.of(torch.tensor([8], dtype=torch.int64))
    assert values.dtype == torch.float64 and values.item() == -2040.123456789012
