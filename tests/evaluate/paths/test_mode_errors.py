"""Errors of modes against what they are errors of: modes found again on a surface that has changed."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator

from rung.evaluate.error_bars import Bar
from rung.evaluate.paths.mode_errors import mode_errors
from rung.evaluate.paths.vibrations import VibrationSettings, vibrations
from rung.evaluate.relaxation import RelaxationSettings, relax

FINE = VibrationSettings(step=2e-3)
TIGHT = RelaxationSettings(fmax=1e-6, steps=2000)
DEPTH, LENGTH = 4.0, 0.97


class MorseWater(Calculator):
    """Two Morse bonds and a bend; the weight of a further Morse term of other length and width is the one unknown."""

    implemented_properties = ("energy", "forces")

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = weight

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        super().calculate(atoms, properties, system_changes)
        positions = torch.tensor(atoms.positions, requires_grad=True)
        energy = base(positions) + self.weight * change(positions)
        (gradient,) = torch.autograd.grad(energy, positions)
        self.results = {"energy": energy.item(), "forces": -gradient.detach().numpy()}


def bonds(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    arms = positions[1:] - positions[0]
    lengths = arms.norm(dim=1)
    return lengths, arms[0] @ arms[1] / lengths.prod()


def base(positions: torch.Tensor) -> torch.Tensor:
    lengths, cosine = bonds(positions)
    return DEPTH * torch.sum((1 - torch.exp(-2.2 * (lengths - LENGTH))) ** 2) + 1.5 * (cosine + 0.25) ** 2


def change(positions: torch.Tensor) -> torch.Tensor:
    lengths, cosine = bonds(positions)
    return torch.sum(torch.exp(-1.4 * (lengths - 0.8))) + 0.3 * cosine


@dataclass(frozen=True)
class OneWeight:
    """Error bars where the only unknown is the weight of the change: energies are linear in it."""

    stderr: float

    def smooth_combinations(self, structures, coefficients) -> tuple[Bar, ...]:
        along = coefficients @ np.array([float(change(torch.tensor(one.positions))) for one in structures])
        return tuple(Bar(abs(value) * self.stderr, abs(value) * self.stderr) for value in along)


def found(weight: float, start: Atoms, *, moves: bool = True):
    calculator = MorseWater(weight)
    atoms = relax(start, calculator, TIGHT).atoms if moves else start
    return atoms, vibrations(atoms, calculator, FINE)


@pytest.mark.parametrize("stationary", [True, False])
def test_errors_are_how_modes_answer_the_unknown_weight(stationary: bool, water) -> None:
    atoms, modes = water
    step, stderr = 0.01, 0.05
    above = found(step, atoms, moves=stationary)[1]
    below = found(-step, atoms, moves=stationary)[1]
    expected = stderr * np.abs(above.quanta - below.quanta) / (2 * step)
    errors = mode_errors(atoms, modes, MorseWater(), OneWeight(stderr), stationary=stationary)
    assert [bar.weights for bar in errors.quanta] == pytest.approx(expected, rel=0.02)
    whole = stderr * abs(above.zero_point_energy - below.zero_point_energy) / (2 * step)
    assert errors.zero_point_energy.weights == pytest.approx(whole, rel=0.02)


@pytest.fixture(scope="module")
def water():
    return found(0.0, molecule("H2O"))


def test_a_minimum_that_moves_has_another_error_than_one_that_stays(water) -> None:
    atoms, modes = water
    moving, still = (
        mode_errors(atoms, modes, MorseWater(), OneWeight(0.05), stationary=way).quanta[-1].weights
        for way in (True, False)
    )
    assert abs(moving / still - 1) > 0.3


def test_a_mode_without_curvature_has_no_error_of_first_order(water) -> None:
    atoms, modes = water
    flat = replace(modes, quanta=np.array([0.0, *modes.quanta[1:]]))
    errors = mode_errors(atoms, flat, MorseWater(), OneWeight(0.05), stationary=True)
    assert errors.quanta[0].infinite
    assert errors.zero_point_energy.infinite
    assert not errors.quanta[1].infinite
