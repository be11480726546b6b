"""Models with a part that rung would drop are refused by its name."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rung.backends.mace import wrap
from rung.errors import ModelError
from tests.mace_models import made, modules, o3, tiny_mace

OPTIONS = {
    "r_max": 3.0,
    "num_bessel": 4,
    "num_polynomial_cutoff": 5,
    "max_ell": 1,
    "interaction_cls": modules.RealAgnosticResidualInteractionBlock,
    "interaction_cls_first": modules.RealAgnosticResidualInteractionBlock,
    "num_interactions": 2,
    "num_elements": 1,
    "hidden_irreps": o3.Irreps("4x0e+4x1o"),
    "MLP_irreps": o3.Irreps("4x0e"),
    "avg_num_neighbors": 1.0,
    "atomic_numbers": [1],
    "correlation": 1,
    "gate": torch.nn.functional.silu,
}


def test_dipole_models_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = modules.EnergyDipolesMACE(atomic_energies=np.zeros(1), **OPTIONS)
    with pytest.raises(ModelError, match="EnergyDipolesMACE"):
        wrap(model, "low")


def test_a_namesake_is_refused() -> None:
    class MACE(torch.nn.Module):
        pass

    with pytest.raises(ModelError, match="MACE"):
        wrap(MACE(), "low")


def test_embedded_charges_are_refused() -> None:
    specs = {"total_charge": {"type": "categorical", "per": "graph", "num_classes": 3, "emb_dim": 4, "in_dim": 1}}
    model = made(0, embedding_specs=specs, use_embedding_readout=True)
    with pytest.raises(ModelError, match="joint_embedding"):
        wrap(model, "low")


def test_converted_models_are_refused() -> None:
    model = tiny_mace()
    model.products[0].cueq_config = SimpleNamespace(enabled=True)
    with pytest.raises(ModelError, match="cuequivariance"):
        wrap(model, "low")


def test_unknown_activation_is_refused() -> None:
    model = tiny_mace()
    model.readouts[-1].non_linearity.acts[0].f = torch.nn.functional.gelu
    with pytest.raises(ModelError, match="gelu"):
        wrap(model, "low")


def test_unknown_readout_is_refused() -> None:
    model = tiny_mace()
    model.readouts[-1] = torch.nn.Linear(3, 3)
    with pytest.raises(ModelError, match="'Linear'; there is: LinearReadoutBlock"):
        wrap(model, "low")


def test_unknown_radial_basis_is_refused() -> None:
    model = tiny_mace()
    model.radial_embedding.bessel_fn = torch.nn.Identity()
    with pytest.raises(ModelError, match="Identity"):
        _ = wrap(model, "low").backbone.fingerprint
