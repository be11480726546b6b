"""Predictions in batches are those of each structure alone, and go to the structure that they belong to."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rung.data.batch import by_atoms, by_count, collate
from rung.data.frames import stream_structures
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError
from rung.model.predictions import predict_rows, predict_structures
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from tests.fit.toy_model import ToyJoint
from tests.fit.toy_surface import REFERENCE, toy_structures
from tests.geometries import molecule_structures
from tests.pair_backbone import PairBackbone, pair_potential, pair_structures


def joint_model() -> TrainablePotential:
    return ToyJoint({name: ReferenceEnergies(REFERENCE) for name in ("low", "high")})


def known_structures() -> list[Structure]:
    return pair_structures(PairBackbone())


@pytest.mark.parametrize("count", [1, 2, 100])
def test_every_structure_gets_what_it_gets_alone(count: int) -> None:
    potential, structures = pair_potential(), known_structures()
    predictions = predict_structures(potential, by_count(structures, count), "low", stress=True)
    for structure, prediction in zip(structures, predictions, strict=True):
        expected = potential.predict(collate([structure], ["low"], potential.cutoff), stress=True)
        assert prediction.energy == pytest.approx(expected.energy.item(), rel=1e-12)
        assert_allclose(prediction.atom_energies, expected.atom_energies.numpy(), rtol=1e-12)
        assert prediction.forces.shape == (len(structure), 3)
        assert_allclose(prediction.forces, expected.forces.numpy(), atol=1e-12)
        assert prediction.stress.shape == (6,)
        assert_allclose(prediction.stress, expected.stress[0].numpy(), atol=1e-14)


def test_what_was_not_asked_for_is_none_and_numbers_are_float64() -> None:
    potential, structures = pair_potential(PairBackbone(dtype=torch.float32)), known_structures()
    for prediction in predict_structures(potential, by_atoms(structures, 20), "low", forces=False):
        assert prediction.forces is None and prediction.stress is None
        assert prediction.atom_energies.dtype == np.float64
    for prediction in predict_structures(potential, by_atoms(structures, 20), "low"):
        assert prediction.forces.dtype == np.float64


def test_rows_are_predicted_at_their_own_fidelity_and_the_models_mode_stays() -> None:
    model, structures = joint_model(), toy_structures(4)
    names = ["low", "high", "high", "low"]
    separate = {name: list(predict_structures(model, [structures], name)) for name in ("low", "high")}
    for training in (True, False):
        model.train(training)
        mixed = list(predict_rows(model, [collate(structures, names, model.cutoff)]))
        assert model.training == training
        for k, name in enumerate(names):
            assert mixed[k].energy == pytest.approx(separate[name][k].energy, rel=1e-12)
            assert_allclose(mixed[k].forces, separate[name][k].forces, atol=1e-12)
    assert separate["low"][0].energy != separate["high"][0].energy


def test_streamed_structures_are_predicted_as_those_in_memory(tmp_path: Path) -> None:
    model, structures = joint_model(), toy_structures(7)
    write_structures(tmp_path / "frames.extxyz", structures)
    streamed = stream_structures(tmp_path / "frames.extxyz")
    pairs = zip(
        predict_structures(model, by_count(streamed, 3), "low"),
        predict_structures(model, by_count(structures, 3), "low"),
        strict=True,
    )
    assert all(one.energy == two.energy and np.array_equal(one.forces, two.forces) for one, two in pairs)


def test_an_unknown_fidelity_and_an_unknown_element_are_refused() -> None:
    structures = known_structures()
    with pytest.raises(ConfigError, match="'lwo'"):
        list(predict_structures(pair_potential(), [structures], "lwo"))
    with pytest.raises(ModelError, match="does not know"):
        list(predict_structures(pair_potential(), [molecule_structures()], "low"))
    assert list(predict_structures(pair_potential(), [], "low")) == []
