"""Checkpoints are opened as data, known by their content, and refused in one sentence where they cannot be used."""

import _codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rung.backends import describe, load_base
from rung.backends.inert import read_inert
from rung.backends.precision import HalfPrecisionWarning
from rung.backends.registry import detect
from rung.errors import ConfigError, ModelError
from tests.contract.checks import predict
from tests.sevennet_models import checkpoint, shipped, tiny_sevennet

WHEEL = ("SevenNet_0__11Jul2024", "SevenNet_0__22May2024", "SevenNet_l3i5", "SevenNet_MF_0")
HARMLESS = [
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    _codecs.encode,
    type(np.dtype("float32")),
    type(np.dtype("float64")),
]


@pytest.mark.parametrize("name", WHEEL)
def test_shipped_checkpoints_are_known_and_read_as_data(name: str) -> None:
    """Nothing in them runs, and what is read is what torch's own safe loading reads."""
    path = shipped(name)
    assert detect(path).name == "sevenn"
    with torch.serialization.safe_globals(HARMLESS):
        wanted = torch.load(path, weights_only=True, map_location="cpu")["model_state_dict"]
    found = read_inert(path)["model_state_dict"]
    assert list(found) == list(wanted)
    assert all(torch.equal(found[key], tensor) for key, tensor in wanted.items())


def test_what_sevennet_writes_itself_is_known(tmp_path: Path) -> None:
    """Its tools write the state first, or the config."""
    content = checkpoint()
    for keys in (("model_state_dict", "config"), ("config", "epoch", "model_state_dict")):
        torch.save({key: content[key] for key in keys}, tmp_path / "a.pth")
        assert detect(tmp_path / "a.pth").name == "sevenn"
        load_base(tmp_path / "a.pth", fidelity="low")


@pytest.mark.parametrize("content", [{"model_state_dict": {"a": 1}}, {"config": {"b": 2}}, [1], {"x": "config"}])
def test_other_dictionaries_are_not_taken_for_sevennet(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="neither a checkpoint of rung"):
        load_base(tmp_path / "a.pth", fidelity="low")


def _with(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["config"].update(changes)


def _without_a_tensor(content: dict[str, Any]) -> None:
    del content["model_state_dict"]["1_self_interaction_1.linear.weight"]


def _with_a_tensor(content: dict[str, Any]) -> None:
    content["model_state_dict"]["9_self_interaction_1.linear.weight"] = torch.zeros(3)


def _with_another_shape(content: dict[str, Any]) -> None:
    content["model_state_dict"]["1_self_interaction_1.linear.weight"] = torch.zeros(3)


def _with_another_sign(content: dict[str, Any]) -> None:
    for name, tensor in content["model_state_dict"].items():
        if "_w3j_1_1_1" in name:
            tensor.mul_(-1.0)


def _without_version(content: dict[str, Any]) -> None:
    del content["config"]["version"]


TROUBLE = [
    pytest.param(_with(readout_as_fcn=True), "readout is a network", id="network"),
    pytest.param(_with(interaction_type="mace"), "interaction_type", id="interaction"),
    pytest.param(_with(act_radial="none such"), "do not fit each other", id="activation"),
    pytest.param(_with(cutoff=-1.0), "config.cutoff", id="cutoff"),
    pytest.param(_with(channel=60_000), "far more than the file holds", id="channels"),
    pytest.param(_with(num_convolution_layer=40), "40 layers and its tensors are those of 3", id="layers"),
    pytest.param(_with(irreps_manual=["4x0e", "nonsense", "4x0e", "4x0e"]), "irreps", id="irreps"),
    pytest.param(_with(radial_basis={"radial_basis_name": "bessel", "new": 1}), "radial_basis", id="radial"),
    pytest.param(_with(_type_map={6: 0, 1: 2, 8: 1, 7: 9}), "map of elements", id="elements"),
    pytest.param(_without_version, "version", id="version"),
    pytest.param(_without_a_tensor, "1_self_interaction_1.linear.weight is missing", id="missing"),
    pytest.param(_with_a_tensor, "9_self_interaction_1.linear.weight has no place", id="superfluous"),
    pytest.param(_with_another_shape, "has shape", id="shape"),
    pytest.param(_with_another_sign, "coupling coefficients", id="convention"),
]


@pytest.mark.parametrize(("change", "said"), TROUBLE)
def test_a_model_that_rung_cannot_use_is_refused(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    content = checkpoint()
    change(content)
    path = tmp_path / "strange.pth"
    torch.save(content, path)
    with pytest.raises(ModelError, match=said) as caught:
        load_base(path, fidelity="low")
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(one_modality: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(one_modality.read_bytes()[:3000])
    with pytest.raises(ModelError, match="truncated"):
        load_base(tmp_path / "cut.pth", fidelity="low")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (None, "name the one to use as head: a, b"),
        ("c", "There is no modality 'c'|modality"),
        ({"low": "c"}, "modality"),
    ],
)
def test_modalities_must_be_named(head: Any, said: str, two_modalities: Path) -> None:
    with pytest.raises(ModelError, match=said):
        load_base(two_modalities, fidelity="low", head=head)
    with pytest.raises(ConfigError):
        load_base(two_modalities, fidelity="low", head={"other": "a"})


def test_a_file_without_modalities_has_no_head(one_modality: Path) -> None:
    with pytest.raises(ModelError, match="no modalities"):
        load_base(one_modality, fidelity="low", head="PBE")


def test_half_precision_is_cast_and_said(tmp_path: Path, structures: list[Any]) -> None:
    content = checkpoint()
    content["model_state_dict"] = {name: tensor.half() for name, tensor in content["model_state_dict"].items()}
    torch.save(content, tmp_path / "half.pth")
    with pytest.warns(HalfPrecisionWarning, match="float16"):
        potential = load_base(tmp_path / "half.pth", fidelity="low")
    assert potential.dtype == torch.float32
    assert torch.isfinite(predict(potential, structures).energy).all()


def test_a_checkpoint_of_an_accelerator_is_computed_without(tmp_path: Path, structures: list[Any]) -> None:
    """The accelerator's classes leave out the coupling coefficients and keep weights in another shape."""
    content = checkpoint()
    state = {
        name: tensor.reshape(1, -1) if name.endswith("linear.weight") else tensor
        for name, tensor in content["model_state_dict"].items()
        if ".convolution." not in name
    }
    content |= {"model_state_dict": state}
    content["config"] |= {"cuequivariance_config": {"use": True}}
    torch.save(content, tmp_path / "cueq.pth")
    found = predict(load_base(tmp_path / "cueq.pth", fidelity="low", dtype="float64"), structures)
    wanted = predict(tiny_sevennet(), structures)
    torch.testing.assert_close(found.energy, wanted.energy, rtol=0, atol=1e-12)


def test_a_file_is_described_without_the_engine(two_modalities: Path) -> None:
    facts = describe(two_modalities)
    assert (facts.backend, facts.heads, facts.elements) == ("sevenn", ("a", "b"), ("C", "H", "O"))
    assert (facts.cutoff, facts.receptive_field, facts.trouble) == (4.0, 12.0, "")
    assert facts.reference_energies["a"] != facts.reference_energies["b"]
    assert "SO(3)" in str(facts.details["symmetry"])
