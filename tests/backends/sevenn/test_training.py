"""SevenNet models in training: step zero is the base, and a fidelity of its own disturbs no other."""

import dataclasses
from pathlib import Path

import pytest
import torch

from rung.backends import load_base
from rung.backends.fidelity_vectors import width_of
from rung.backends.sevenn.blocks import BLOCKS
from rung.backends.sevenn.modalities import backbone_sites
from rung.backends.sevenn.rebuild import copied
from rung.backends.training import trainable, with_lora
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.features.weights import moving_tensors
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.trainable import TrainablePotential
from tests.contract.checks import predict, same_predictions
from tests.contract.test_training import START, check_others_stay, check_step_zero, said_by
from tests.sevennet_models import tiny_sevennet
from tests.several_fidelities import CONDITIONINGS, different_references, own, stirred

every_conditioning = pytest.mark.parametrize("conditioning", CONDITIONINGS)


def several(conditioning: Conditioning, **options: object) -> ReadoutPotential:
    """Return a potential of ``low`` and ``high`` in which what each has of its own differs."""
    model = trainable(tiny_sevennet(**options), {"low": "low", "high": "low"}, conditioning)
    stirred(model, own(model, "low", "high"))
    different_references(model)
    return model.frozen()


@every_conditioning
def test_step_zero_of_a_base_of_two_fidelities(conditioning: Conditioning) -> None:
    base = several(conditioning)
    check_step_zero(base, trainable(base, START, conditioning), START)


@pytest.mark.parametrize("conditioning", ["readouts", "embedding", "all"])
def test_a_fidelity_of_its_own_disturbs_no_other(conditioning: Conditioning) -> None:
    model = trainable(several(conditioning), START, conditioning)
    check_others_stay(model, lambda model: stirred(model, own(model, "high")))


def test_the_modalities_of_a_file_are_what_onehot_trains(two_modalities: Path, structures: list[Structure]) -> None:
    """A file's modalities are vectors at the places where ``onehot`` has its own, and go on from there."""
    base = load_base(two_modalities, fidelity="low", head={"low": "a", "high": "b"}, dtype="float64")
    model = trainable(base, START, "all")
    assert set(model.vectors_of(0)) == set(backbone_sites(base.backbone.description, "all"))
    for fidelity, source in START.items():
        wanted, found = predict(base, structures, source), said_by(model, structures, fidelity)
        torch.testing.assert_close(found.energy, wanted.energy, rtol=1e-12, atol=1e-10)
    with pytest.raises(ModelError, match="differ before the readout"):
        trainable(base, START, "shared")
    one = {"low": "high", "high": "high"}
    check = trainable(base, one, "shared")
    found, wanted = said_by(check, structures, "low"), predict(base, structures, "high")
    torch.testing.assert_close(found.energy, wanted.energy, rtol=0, atol=1e-9)


def test_scales_of_elements_stay(structures: list[Structure]) -> None:
    base = tiny_sevennet(element_scales=(1.3, 0.6, 2.1), use_bias_in_linear=True)
    check_step_zero(base, trainable(base, {"low": "low"}, "shared"), {"low": "low"})


def test_what_moves(structures: list[Structure]) -> None:
    """Every tensor that moves has a gradient; denominators, scale, shift and the readout's constants stay."""
    model = trainable(tiny_sevennet(use_bias_in_linear=True), {"low": "low"}, "shared")
    moving = moving_tensors(model, ".*")
    still = {name for name, _ in model.named_parameters()} - set(moving)
    assert {name for name in still if model.get_parameter(name).numel()} == {
        *(f"module.{layer}_convolution.denominator" for layer in range(3)),
        "module.reduce_input_to_hidden.linear.bias",
        "module.reduce_hidden_to_energy.linear.bias",
        "module.rescale_atomic_energy.shift",
        "module.rescale_atomic_energy.scale",
    }
    batch = collate(structures, ["low"] * len(structures), model.cutoff, names=["low"])
    energy = model.train()(batch, forces=False).energy.square().sum()
    gradients = torch.autograd.grad(energy, list(moving.values()), allow_unused=True)
    without = [name for name, gradient in zip(moving, gradients, strict=True) if gradient is None]
    assert not without


def test_blocks_and_layers() -> None:
    model = trainable(tiny_sevennet(), {"low": "low", "high": "low"}, "all")
    blocks = model.blocks()
    assert set(blocks) == set(BLOCKS)
    assert len(blocks["readouts"]) == 2
    assert {model.layer_of(name) for name in blocks["last_layer"]} == {"readouts", "layers.2"}
    assert {model.layer_of(name) for name in blocks["all"]} == {
        "readouts", "layers.0", "layers.1", "layers.2", "edge_embedding", "onehot_to_feature_x", "conditions",
    }  # fmt: skip
    assert not any(model.layer_of(name) == "onehot_to_feature_x" for name in blocks["layers"])


def test_gradients_of_training_are_those_of_differences(structures: list[Structure]) -> None:
    """The loss of energies and forces moves along the gradient as a difference of it does."""
    model = trainable(tiny_sevennet(), {"low": "low"}, "shared").train()
    batch = collate(structures[:2], ["low"] * 2, model.cutoff, names=["low"])

    def loss(model: TrainablePotential) -> torch.Tensor:
        prediction = model(batch)
        assert prediction.forces is not None
        return prediction.energy.square().sum() * 1e-3 + prediction.forces.square().sum()

    tensors = list(moving_tensors(model, ".*").values())
    gradients = torch.autograd.grad(loss(model), tensors, allow_unused=True)
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in tensors]
    wanted = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    values = []
    for step in (-1e-5, 2e-5):
        with torch.no_grad():
            for tensor, direction in zip(tensors, directions, strict=True):
                tensor.add_(step * direction)
        values.append(float(loss(model).detach()))
    assert wanted == pytest.approx((values[1] - values[0]) / 2e-5, rel=1e-6)


def test_a_copy_shares_nothing() -> None:
    potential = tiny_sevennet()
    module = potential.backbone.module
    again = copied(module)
    for name, tensor in again.state_dict().items():
        if "self_" in name:
            tensor.zero_()
    assert list(again.state_dict()) == list(module.state_dict())
    structure = [Structure(one, "", {}) for one in [_dimer()]]
    assert same_predictions(predict(potential, structure), predict(tiny_sevennet(), structure))
    zero = dataclasses.replace(potential.backbone, module=again)
    batch = collate(structure, ["low"], 4.0, names=["low"])
    assert float(zero.features(batch).abs().max()) == 0.0


def _dimer() -> object:
    from ase import Atoms

    return Atoms("CO", positions=[[0, 0, 0], [0, 0.2, 1.1]])


def test_there_are_no_adapters() -> None:
    model = trainable(tiny_sevennet(), {"low": "low"}, "shared")
    with pytest.raises(ModelError, match="low-rank adapters"):
        with_lora(model, rank=2, alpha=1.0)


def test_vectors_have_the_width_of_scalars() -> None:
    backbone = tiny_sevennet(is_parity=True).backbone
    for site in backbone_sites(backbone.description, "all"):
        assert width_of(backbone.module, site) == backbone.module.get_submodule(site).irreps_out.count("0e")
