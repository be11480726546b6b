"""Adapters: nothing at first, the only weights that move, and merged into the weights in the end."""

import pytest
import torch

from rung.backends.mace import wrap
from rung.backends.mace.export import native_model
from rung.backends.training import trainable, with_lora
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.model.trainable import TrainablePotential
from tests.backends.comparison import direct
from tests.fit.toy_model import ToyTrainable
from tests.mace_models import tiny_mace
from tests.several_fidelities import stirred, trained


def adapters(model: TrainablePotential) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_merged_is_injected(molecules: list[Structure]) -> None:
    """Also where layers have biases, of which mace-torch's own merge makes weights."""
    model = trained("all", readout="NonLinearBiasReadoutBlock", hidden="4x0e+4x1o")
    adapted = with_lora(model, rank=2, alpha=4.0)
    batch = collate(molecules, ["high", "low", "high", "low"], model.cutoff)
    before, start = model.eval()(batch), adapted.eval()(batch)
    assert torch.equal(start.energy, before.energy)
    assert torch.equal(start.forces, before.forces)
    stirred(adapted, adapters(adapted))
    injected, merged = adapted(batch), adapted.frozen().predict(batch)
    assert float((merged.energy - before.energy.detach()).abs().max()) > 0.1
    torch.testing.assert_close(merged.energy, injected.energy, rtol=0, atol=1e-10)
    torch.testing.assert_close(merged.forces, injected.forces, rtol=0, atol=1e-10)
    assert torch.equal(model.eval()(batch).energy, before.energy)


def test_only_factors_move_and_shapes_stay(molecules: list[Structure]) -> None:
    base = wrap(tiny_mace(hidden="4x0e+4x1o"), "low")
    model = with_lora(trainable(base, {"high": "low"}), rank=1, alpha=1.0).train()
    moving = adapters(model)
    assert moving == {name for name, _ in model.named_parameters() if "lora_A" in name or "lora_B" in name}
    batch = collate(molecules, ["high"] * 4, model.cutoff)
    model(batch).forces.square().sum().backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} <= moving
    stirred(model, moving)
    native = native_model(model.frozen(), "high")
    old = native_model(base, "low").state_dict()
    assert {name: value.shape for name, value in native.state_dict().items()} == {
        name: value.shape for name, value in old.items()
    }
    frozen = model.frozen().predict(batch)
    torch.testing.assert_close(direct(native, batch).forces, frozen.forces, rtol=0, atol=1e-10)


def test_energies_without_gradients_follow_every_step(molecules: list[Structure]) -> None:
    """mace-torch's adapters keep merged weights when gradients are off, and would go on using them after a step."""
    model = with_lora(trained("shared", hidden="4x0e", max_ell=1), rank=2, alpha=1.0).eval()
    batch = collate(molecules, ["high"] * 4, model.cutoff)
    for seed in range(2):
        stirred(model, adapters(model), seed=seed)
        found = model(batch, forces=False).energy
        assert not found.requires_grad
        torch.testing.assert_close(found, model(batch).energy, rtol=0, atol=1e-11)


def test_the_seed_decides_the_factors_and_the_process_keeps_its_own_random_state() -> None:
    before, model = torch.random.get_rng_state(), trained("shared", hidden="4x0e", max_ell=1, layers=1)
    one, same, other = (dict(with_lora(model, rank=2, alpha=1.0, seed=seed).named_parameters()) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_model_of_no_backend_is_refused() -> None:
    with pytest.raises(ModelError, match="belongs to no backend"):
        with_lora(ToyTrainable(), rank=1, alpha=1.0)
