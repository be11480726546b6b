"""New MACE models, and bases as modules to be trained: step zero is the base."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from rung.backends.mace import wrap
from rung.backends.mace.settings import MaceArchitecture
from rung.backends.training import build_trainable, trainable
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError
from rung.model.potential import ReadoutPotential, Surface
from rung.model.protocols import Prediction
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from tests.mace_models import tiny_mace

REFERENCE = ReferenceEnergies({1: -13.6, 6: -1029.4, 8: -2043.8})
ARCHITECTURE = {"channels": 4, "max_l": 1, "cutoff": 4.0, "correlation": 2, "radial_units": (8,), "readout_units": 4}


def new(dtype: torch.dtype = torch.float64, seed: int = 0, **changes: object) -> TrainablePotential:
    return build_trainable(
        MaceArchitecture.read({**ARCHITECTURE, **changes}),
        references={"low": REFERENCE},
        elements=(1, 6, 8),
        avg_num_neighbors=7.5,
        scales={"low": (2.5, -0.25)},
        seed=seed,
        dtype=dtype,
    )


def predict(model: TrainablePotential | ReadoutPotential, structures: list[Structure], fidelity: str) -> Prediction:
    batch = collate(structures, [fidelity] * len(structures), 4.0, dtype=model.dtype)
    if isinstance(model, TrainablePotential):
        return model.eval()(batch, forces=True, stress=True)
    return model.predict(batch, forces=True, stress=True)


def agree(one: Prediction, two: Prediction, tolerance: float, *, by_atom: bool = True) -> None:
    for name in ("energy", "forces", "stress", *(("atom_energies",) if by_atom else ())):
        left, right = getattr(one, name), getattr(two, name)
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance, equal_nan=True, check_dtype=False)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_l": 0, "layers": 1, "radial_basis": "gaussian"},
        {"max_l": 2, "activation": "tanh", "distance_transform": "agnesi", "pair_repulsion": True},
        {"layers": 3, "max_harmonic": 1, "radial_basis": "chebyshev", "distance_transform": "soft"},
    ],
)
def test_frozen_predicts_as_the_module(
    changes: dict[str, object], molecules: list[Structure], cells: list[Structure]
) -> None:
    model = new(**changes)
    by_atom = "pair_repulsion" not in changes  # a frozen potential shares repulsion out evenly
    one, two = (predict(potential, [*molecules, *cells], "low") for potential in (model, model.frozen()))
    agree(one, two, 1e-10, by_atom=by_atom)


def test_an_isolated_atom_has_its_reference_energy_and_shift() -> None:
    model = new(layers=3)
    atoms = [Structure(Atoms(symbol), symbol, {}) for symbol in "HCO"]
    energy = predict(model, atoms, "low").energy.tolist()
    assert energy == pytest.approx([REFERENCE.energies[number] - 0.25 for number in (1, 6, 8)], abs=1e-12)


def test_settings_reach_the_model() -> None:
    module = new(channels=5, max_l=2, layers=3, readout_units=7, radial_units=(9, 11)).module
    assert str(module.products[0].linear.irreps_out) == "5x0e+5x1o+5x2e"
    assert len(module.interactions) == 3
    assert str(module.readouts[-1].hidden_irreps) == "7x0e"
    assert module.interactions[0].conv_tp_weights.hs[1:-1] == [9, 11]
    assert module.interactions[1].avg_num_neighbors == 7.5
    assert float(module.scale_shift.scale) == 2.5
    assert float(module.scale_shift.shift) == -0.25
    assert float(module.r_max) == 4.0


def test_seed_decides_the_weights_and_the_process_keeps_its_own_random_state() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (dict(new(seed=seed).named_parameters()) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"pair_repulsion": True, "layers": 1},
        {"scale_shift": False},
        {"heads": ("first", "second"), "hidden": "4x0e"},
        {"readout": "NonLinearBiasReadoutBlock", "layers": 3},
    ],
)
def test_step_zero_is_the_base(shape: dict[str, object], molecules: list[Structure], cells: list[Structure]) -> None:
    base = wrap(tiny_mace(**shape), "low", "second" if "heads" in shape else None)  # type: ignore[arg-type]
    structures = [*molecules, *cells]
    model = trainable(base, {"high": "low"})
    assert model.fidelities == ("high",)
    expected = predict(base, structures, "low")
    agree(predict(model, structures, "high"), expected, 1e-10, by_atom="pair_repulsion" not in shape)
    agree(predict(model.frozen(), structures, "high"), expected, 1e-10)


def test_step_zero_starts_from_a_surface_that_a_fit_has_moved(
    tiny_potential: ReadoutPotential, molecules: list[Structure]
) -> None:
    surface = tiny_potential.surface("low")
    change = np.random.default_rng(0).normal(0.0, 0.1, size=surface.readout.weights.shape)
    moved = Surface(surface.readout.moved(change), surface.reference.moved((6,), np.array([0.5])))
    lifted = tiny_potential.with_surface("high", moved)
    model = trainable(lifted, {"higher": "high"})
    agree(predict(model, molecules, "higher"), predict(lifted, molecules, "high"), 1e-10)
    assert model.references["higher"] == moved.reference


def test_training_does_not_reach_the_base(tiny_potential: ReadoutPotential, molecules: list[Structure]) -> None:
    before = predict(tiny_potential, molecules, "low")
    model = trainable(tiny_potential, {"high": "low"})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    after = predict(tiny_potential, molecules, "low")
    assert torch.equal(before.energy, after.energy)
    assert torch.equal(before.forces, after.forces)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_frozen_shares_nothing_with_the_module(molecules: list[Structure]) -> None:
    model = new()
    frozen = model.frozen()
    before = predict(frozen, molecules, "low")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    assert torch.equal(predict(frozen, molecules, "low").energy, before.energy)


def test_float32_model_keeps_reference_energies_exact(molecules: list[Structure]) -> None:
    """Reference energies of 2 keV: a float32 table would round each by 0.1 meV and a sum of them by more."""
    model = new(torch.float32)
    prediction = predict(model, molecules, "low")
    batch = collate(molecules, ["low"] * len(molecules), 4.0, dtype=torch.float32)
    exact = torch.tensor([REFERENCE.energies[int(number)] for number in batch.numbers], dtype=torch.float64)
    interaction = model.interaction(batch).double()
    torch.testing.assert_close(prediction.atom_energies, interaction + exact, rtol=0.0, atol=1e-12)
    assert model.frozen().surface("low").reference.energies == REFERENCE.energies


def test_loading_weights_of_another_model_leaves_reference_energies(tiny_potential: ReadoutPotential) -> None:
    """mace-torch's own fine-tuning copies the old table over the new where shapes agree; here there is no table."""
    donor, model = trainable(tiny_potential, {"high": "low"}), trainable(tiny_potential, {"high": "low"})
    given = ReferenceEnergies({1: -100.0, 6: -200.0, 8: -300.0})
    model.set_references({"high": given})
    model.load_state_dict(donor.state_dict())
    assert model.frozen().surface("high").reference == given
    assert not any(torch.any(value != 0) for name, value in model.state_dict().items() if "atomic_energies" in name)


def test_an_unknown_fidelity_is_refused(tiny_potential: ReadoutPotential) -> None:
    with pytest.raises(ConfigError, match=r"'lwo'.*low"):
        trainable(tiny_potential, {"high": "lwo"})


def test_a_backbone_of_no_backend_is_refused(tiny_potential: ReadoutPotential) -> None:
    class Odd:
        pass

    with pytest.raises(ModelError, match="cannot be trained"):
        trainable(ReadoutPotential(Odd(), tiny_potential.surfaces), {"high": "low"})  # type: ignore[arg-type]


def test_missing_reference_energy_is_refused() -> None:
    with pytest.raises(ModelError, match=r"\bO\b"):
        new().set_references({"low": ReferenceEnergies({1: 0.0, 6: 0.0})})


def test_forces_are_minus_the_slope_of_the_energy() -> None:
    model, atoms, step = new().eval(), molecule("CH4"), 1e-4
    atoms.rattle(0.1, seed=0)
    forces = predict(model, [Structure(atoms, "x", {})], "low").forces
    moved = []
    for sign in (1, -1):
        shifted = atoms.copy()
        shifted.positions[2, 1] += sign * step
        moved.append(predict(model, [Structure(shifted, "y", {})], "low").energy.item())
    assert forces[2, 1].item() == pytest.approx(-(moved[0] - moved[1]) / (2 * step), rel=1e-6)
