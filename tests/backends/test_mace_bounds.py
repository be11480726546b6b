"""Descriptions and files of MACE models that ask for more than a model has are refused before anything is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from rung.backends import load_base
from rung.backends.mace import rebuild
from rung.backends.mace.bounds import check_bounds
from rung.backends.mace.describe import describe
from rung.errors import ModelError, UntrustedError
from tests.backends.changed_models import open_all
from tests.mace_models import tiny_mace

CASES: Mapping[str, tuple[str, Any]] = {
    "layers": ("num_interactions", 10**6),
    "no layers": ("num_interactions", 0),
    "degree": ("max_ell", 10**9),
    "truth value": ("max_ell", True),
    "text": ("num_bessel", "8"),
    "basis": ("num_bessel", 10**12),
    "cutoff": ("r_max", 1e300),
    "no cutoff": ("r_max", 0.0),
    "cutoff that is no number": ("r_max", float("nan")),
    "neighbours": ("avg_num_neighbors", 0.0),
    "power": ("num_polynomial_cutoff", float("inf")),
    "hidden": ("hidden_irreps", "999999x0e"),
    "hidden in many digits": ("hidden_irreps", "1000000000000x0e"),
    "hidden of many terms": ("hidden_irreps", "+".join(["1x0e"] * 10_000)),
    "irreps that are none": ("last_irreps", None),
    "readout": ("mlp_units", 10**9),
    "radial": ("radial_mlp", [65536, 65536]),
    "radial of many layers": ("radial_mlp", [8] * 1000),
    "element": ("atomic_numbers", [0, 1]),
    "element twice": ("atomic_numbers", [1, 1]),
    "no element": ("atomic_numbers", []),
    "correlation": ("correlation", [10, 10]),
    "reference energies": ("energies_shape", [10**12, 1]),
    "scales": ("scale_shape", [10**6, 10**6]),
    "heads": ("heads", ["a"] * 10**6),
    "heads in one word": ("heads", "abc"),
    "no heads": ("heads", []),
}


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_mace(layers=2, hidden="4x0e", max_ell=1)


@pytest.mark.parametrize("case", CASES)
def test_a_number_that_no_model_has(model: torch.nn.Module, case: str) -> None:
    name, value = CASES[case]
    description, tensors = describe(model), model.state_dict()
    check_bounds(description, tensors)
    with pytest.raises(ModelError, match=name):
        check_bounds({**description, name: value}, tensors)


def _refused(model: torch.nn.Module, path: Path, match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(model, path)
    monkeypatch.setattr(rebuild.modules, "MACE", None)
    monkeypatch.setattr(rebuild.modules, "ScaleShiftMACE", None)  # building would end in another error
    with pytest.raises(ModelError, match=match):
        load_base(path, fidelity="low")


def test_a_head_of_a_million_million(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stride of zero makes any number of reference energies out of one."""
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    model.atomic_energies_fn.atomic_energies = torch.zeros(1, 1).expand(10**12, 3)
    _refused(model, tmp_path / "a.model", "more numbers than the file has bytes", monkeypatch)


def test_a_million_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    layer = model.interactions[0]
    model.interactions._modules.update({str(k): layer for k in range(1000)})
    _refused(model, tmp_path / "a.model", "no more than 200 members", monkeypatch)


def test_modules_that_double_at_every_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    inner = torch.nn.Sequential(torch.nn.Identity())
    for _ in range(25):
        outer = torch.nn.Sequential(inner)
        outer._modules["again"] = inner
        inner = outer
    model.inner = inner
    _refused(model, tmp_path / "a.model", "more than 10000 modules", monkeypatch)


def test_a_module_within_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    model._modules["self"] = model
    _refused(model, tmp_path / "a.model", "levels", monkeypatch)


@pytest.mark.parametrize(
    "damage",
    [
        {"readouts": None},
        {"interactions": torch.nn.ModuleList()},
        {"r_max": "much"},
        {"atomic_numbers": "none"},
        {"heads": 10**12},
        {"radial_embedding": torch.nn.Identity()},
        {"_modules": []},
    ],
    ids=lambda damage: next(iter(damage)),
)
def test_a_part_of_another_kind(damage: Mapping[str, Any], tmp_path: Path) -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    for name, value in damage.items():
        model._modules.pop(name, None)
        model._buffers.pop(name, None)
        model.__dict__[name] = value
    path = tmp_path / "a.model"
    torch.save(model, path)
    with pytest.raises(UntrustedError) as caught:
        load_base(path, fidelity="low")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_file_with_any_value_replaced(tmp_path: Path) -> None:
    """A child opens a file in which numbers, words and references are others: a model, or one sentence."""
    path = tmp_path / "a.model"
    torch.save(tiny_mace(layers=1, hidden="4x0e", max_ell=1), path)
    found = open_all(path, 300, 3)
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr[-3000:]}"
    assert "'an error of rung'" in found.stdout
