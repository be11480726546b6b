"""A model that trains: graphs in training mode alone, reference energies outside the weights."""

import numpy as np
import pytest
import torch
from ase.data import chemical_symbols
from numpy.testing import assert_allclose

from rung.data.batch import collate
from rung.errors import ConfigError, ModelError
from rung.model.reference import ReferenceEnergies
from tests.fit.toy_model import ToyJoint, ToyTrainable
from tests.fit.toy_surface import REFERENCE, toy_structures


def joint() -> ToyJoint:
    return ToyJoint({name: ReferenceEnergies(REFERENCE) for name in ("low", "high")})


def test_predictions_have_no_graph_in_any_mode_and_leave_the_mode() -> None:
    model, structures = joint(), toy_structures(3)
    batch = collate(structures, ["low", "high", "low"], model.cutoff)
    plain = model.eval()(batch, stress=True)
    for training in (True, False):
        model.train(training)
        prediction = model.predict(batch, stress=True)
        assert model.training == training
        for name in ("energy", "atom_energies", "forces", "stress"):
            values = getattr(prediction, name)
            assert not values.requires_grad
            assert torch.equal(torch.nan_to_num(values), torch.nan_to_num(getattr(plain, name).detach()))
    lean = model.predict(batch, forces=False)
    assert lean.forces is None and lean.stress is None
    assert torch.equal(lean.energy, plain.energy.detach())


def test_the_mode_stays_also_where_a_prediction_fails() -> None:
    model = joint().train()
    with pytest.raises(ConfigError, match="'dear'"):
        model.predict(collate(toy_structures(1), ["dear"], model.cutoff))
    assert model.training


def test_energies_and_forces_of_training_mode_can_be_differentiated_by_the_weights() -> None:
    model = joint().train()
    batch = collate(toy_structures(2), ["low", "high"], model.cutoff)
    prediction = model(batch)
    (prediction.energy.sum() + prediction.forces.square().sum()).backward()
    assert model.inner.grad.abs().max() > 0 and model.outer.grad.abs().max() > 0


def test_forces_are_minus_the_slope_of_the_energy() -> None:
    model = joint().eval()
    structure = next(one for one in toy_structures(20) if len(one) > 2)
    forces = model.predict(collate([structure], ["high"], model.cutoff)).forces.numpy()
    energies = []
    for sign in (1, -1):
        atoms = structure.atoms.copy()
        atoms.positions[1, 2] += sign * 1e-4
        moved = type(structure)(atoms, "moved", {})
        energies.append(model.predict(collate([moved], ["high"], model.cutoff), forces=False).energy.item())
    assert forces[1, 2] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, rel=1e-5, abs=1e-7)


def test_reference_energies_are_exact_whatever_the_type_of_the_weights() -> None:
    model = ToyTrainable(references={"low": ReferenceEnergies(dict.fromkeys(REFERENCE, 0.0))})
    structures = toy_structures(4)
    batch = collate(structures, ["low"] * 4, model.cutoff)
    before = model.predict(batch, forces=False).energy
    heavy = dict.fromkeys(REFERENCE, -4096.123456789)
    model.set_references({"low": ReferenceEnergies(heavy)})
    sizes = np.array([len(structure) for structure in structures])
    assert_allclose(model.predict(batch, forces=False).energy - before, -4096.123456789 * sizes, rtol=1e-14)
    assert "_table" not in dict(model.named_parameters()) and "_table" not in model.state_dict()
    model.to(torch.float32)
    assert dict(model.references["low"].energies) == heavy
    assert model.dtype == torch.float32 and model.device == torch.device("cpu")


def test_reference_energies_of_other_fidelities_or_without_an_element_are_refused() -> None:
    model = joint()
    with pytest.raises(ModelError, match="the model has the fidelities low, high"):
        model.set_references({"low": ReferenceEnergies(REFERENCE)})
    number = min(REFERENCE)
    without = ReferenceEnergies({key: value for key, value in REFERENCE.items() if key != number})
    with pytest.raises(ModelError, match=rf"'high' has no reference energy for {chemical_symbols[number]}"):
        model.set_references({"low": ReferenceEnergies(REFERENCE), "high": without})


def test_each_atom_is_of_its_rows_fidelity_however_the_batch_counts_them() -> None:
    model, structures = joint(), toy_structures(2)
    for names in (None, ("high", "low")):
        batch = collate(structures, ["high", "low"], model.cutoff, names=names)
        expected = [1] * len(structures[0]) + [0] * len(structures[1])
        assert model.fidelity_of_atoms(batch).tolist() == expected
    with pytest.raises(ConfigError, match="'dear'"):
        model.fidelity_of_atoms(collate(structures[:1], ["dear"], model.cutoff))


def test_a_model_without_parts_moves_as_a_whole_and_has_no_adapters() -> None:
    model = joint()
    assert set(model.blocks()["all"]) == {"inner", "outer"}
    assert model.parameters_of("low") == ()
    with pytest.raises(ConfigError, match="'dear'"):
        model.parameters_of("dear")
    assert model.layer_of("layers.3.linear.weight") == "layers.3"
    assert model.layer_of("inner") == "inner"
    with pytest.raises(ModelError, match="ToyJoint belongs to no backend"):
        model.adapted(rank=2, alpha=1.0, seed=0)
