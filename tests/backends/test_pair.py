"""The tests' own backend keeps what the protocol says: files, plain data, models to train."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.backends import dump, export, load_base, native_suffix, restore
from rung.backends.registry import detect, owner
from rung.backends.training import build_trainable, trainable, with_lora
from rung.checkpoint import load, open_model, save
from rung.errors import ConfigError, ModelError
from rung.fit.training.blocks import moving_names
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Prediction
from rung.model.reference import ReferenceEnergies
from tests.contract.checks import predict, same_predictions
from tests.pair_backbone import PairBackbone, pair_potential, pair_structures
from tests.pair_backend import BACKEND, PairArchitecture

FRAMES = pair_structures(PairBackbone())
START = {"high": "low", "low": "low"}


@pytest.fixture
def potential() -> ReadoutPotential:
    return pair_potential(fidelities=("low", "high"))


def test_the_entry_point_of_an_installed_package_is_found(potential: ReadoutPotential) -> None:
    assert owner(potential.backbone) is not None
    assert owner(potential.backbone).name == "pair"
    assert native_suffix(potential, "low") == ".pair"


def test_a_library_s_dictionary_is_read_by_its_backend(potential: ReadoutPotential, tmp_path: Path) -> None:
    """It loads with ``weights_only``, as a checkpoint of rung does, and is none."""
    path = tmp_path / "high.pair"
    export(potential, "high", path)
    assert detect(path).name == "pair"
    for read in (load_base(path, fidelity="x"), open_model(path, fidelity="x").potential):
        assert same_predictions(predict(read, FRAMES, "x"), predict(potential, FRAMES, "high"))
    with pytest.raises(ModelError, match="a model of the backend 'pair'"):
        load(path)


def test_a_file_of_several_heads(potential: ReadoutPotential, tmp_path: Path) -> None:
    one, other = (export(potential, name, tmp_path / name) or torch.load(tmp_path / name) for name in ("low", "high"))
    torch.save({**one, "heads": {**one["heads"], **other["heads"]}}, tmp_path / "both")
    with pytest.raises(ModelError, match="there is: high, low"):
        load_base(tmp_path / "both", fidelity="x")
    read = load_base(tmp_path / "both", fidelity="x", head={"x": "high", "y": "low"})
    assert same_predictions(predict(read, FRAMES, "x"), predict(potential, FRAMES, "high"))
    assert same_predictions(predict(read, FRAMES, "y"), predict(potential, FRAMES, "low"))


def test_a_checkpoint_keeps_every_bit(tmp_path: Path) -> None:
    conditioned = pair_potential(PairBackbone(conditioning={"low": 1.0, "high": 0.6}), ("low", "high"))
    trained = trainable(pair_potential(fidelities=("low", "high")), START, "readouts").frozen()
    for potential in (conditioned, trained):
        save(tmp_path / "model.rung", potential, metadata={})
        read = load(tmp_path / "model.rung").potential
        assert read.fingerprint == potential.fingerprint
        assert all(same_predictions(predict(read, FRAMES, f), predict(potential, FRAMES, f)) for f in START)
    assert restore(dump(trained), dtype="float32").dtype == torch.float32


@pytest.mark.parametrize("conditioning", ["shared", "readouts"])
def test_step_zero_is_the_base(potential: ReadoutPotential, conditioning) -> None:
    start = {"high": "high"} if conditioning == "shared" else {"high": "high", "low": "low"}
    model = trainable(potential, start, conditioning)
    for name in start:
        wanted = predict(potential, FRAMES, name)
        assert same_predictions(predict(model.frozen(), FRAMES, name), wanted)
        found = predict(_Evaluated(model), FRAMES, name)
        torch.testing.assert_close(found.energy, wanted.energy, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.forces, wanted.forces, rtol=1e-10, atol=1e-10)
    model.get_parameter("tables.left").data.mul_(1.1)
    assert not same_predictions(predict(model.frozen(), FRAMES, "high"), predict(potential, FRAMES, "high"))


class _Evaluated:
    """A model in training under the face of a potential."""

    def __init__(self, model) -> None:
        self.model, self.cutoff, self.dtype, self.fidelities = model.eval(), model.cutoff, model.dtype, model.fidelities
        self.device = next(model.parameters()).device

    def predict(self, batch, **wanted):
        found = self.model(batch, **wanted)
        return Prediction(*(None if value is None else value.detach() for value in vars(found).values()))


def test_a_model_says_what_may_move(potential: ReadoutPotential) -> None:
    model = trainable(potential, START, "readouts")
    assert all(name.startswith("readouts.") for name in moving_names(model, "readouts"))
    assert set(model.parameters_of("low")) == {name for name in moving_names(model, "all") if "readouts.1." in name}
    with pytest.raises(ConfigError, match="'products'; there is: all, readouts"):
        moving_names(model, "products")


def test_what_a_backend_lacks_is_refused_in_one_sentence(potential: ReadoutPotential) -> None:
    with pytest.raises(ModelError, match=r"no backend that has low-rank adapters \(lora\)"):
        with_lora(trainable(potential, START), rank=1, alpha=1.0)
    with pytest.raises(ModelError, match="no place for a vector"):
        trainable(potential, START, "embedding")


def test_a_new_model_has_its_reference_energies() -> None:
    references = {"x": ReferenceEnergies({6: -3.0, 8: -5.0})}
    made = [
        build_trainable(
            PairArchitecture(n_radial=3),
            references=references,
            elements=(6, 8),
            avg_num_neighbors=4.0,
            scales={"x": (2.0, 0.0)},
            seed=seed,
            dtype=torch.float64,
        ).frozen()
        for seed in (0, 0, 1)
    ]
    assert made[0].fingerprint == made[1].fingerprint != made[2].fingerprint
    alone = replace(FRAMES[-1])
    assert float(predict(made[0], [alone], "x").energy) == pytest.approx(-5.0, abs=1e-12)
    assert np.abs(predict(made[0], FRAMES, "x").forces.numpy()).max() > 0


def test_the_object_of_the_entry_point_is_the_one_of_the_module() -> None:
    assert owner(PairBackbone()) is BACKEND
