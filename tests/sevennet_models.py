"""SevenNet's own checkpoints: small seeded ones built in code, and those that its wheel ships."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rung.backends import load_base
from rung.backends.protocol import Heads
from rung.model.potential import ReadoutPotential

CONFIG: Mapping[str, Any] = {
    "version": "0.13.0",
    "_model_type": "E3_equivariant_model",
    "channel": 4,
    "cutoff": 4.0,
    "irreps_manual": False,
    "lmax": 1,
    "lmax_edge": -1,
    "lmax_node": -1,
    "is_parity": False,
    "num_convolution_layer": 3,
    "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": 4},
    "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 6},
    "act_radial": "silu",
    "act_scalar": {"e": "silu", "o": "tanh"},
    "act_gate": {"e": "silu", "o": "tanh"},
    "weight_nn_hidden_neurons": [8],
    "self_connection_type": "linear",
    "interaction_type": "nequip",
    "train_denominator": False,
    "train_shift_scale": False,
    "use_bias_in_linear": False,
    "readout_as_fcn": False,
    "_normalize_sph": True,
    "use_modality": False,
    "use_modal_node_embedding": False,
    "use_modal_self_inter_intro": False,
    "use_modal_self_inter_outro": False,
    "use_modal_output_block": False,
}


def checkpoint(
    seed: int = 0,
    *,
    elements: Sequence[int] = (6, 1, 8),
    element_scales: Sequence[float] = (),
    modalities: Sequence[str] = (),
    apart: float = 1.0,
    **options: object,
) -> dict[str, Any]:
    """Return the content of a checkpoint in which scale, shift, biases and modalities all matter.

    ``apart`` multiplies what sets modalities apart from the first of them.
    """
    from rung.backends.sevenn.engine import model_build
    from rung.backends.sevenn.rebuild import building

    rng = np.random.default_rng(seed)
    config = {
        **CONFIG,
        "_type_map": {number: index for index, number in enumerate(elements)},
        "_number_of_species": len(elements),
        "chemical_species": [str(number) for number in elements],
        "conv_denominator": [5.0] * 3,
        "shift": rng.normal(-5.0, 3.0, len(elements)).tolist(),
        "scale": [3.0 * factor for factor in element_scales or [1.0] * len(elements)],
        **options,
    }
    if modalities:
        config |= {
            "use_modality": True,
            "_modal_map": {name: index for index, name in enumerate(modalities)},
            "_number_of_modalities": len(modalities),
            "use_modal_node_embedding": True,
            "use_modal_self_inter_intro": True,
            "use_modal_self_inter_outro": True,
            "use_modal_output_block": True,
            "use_modal_wise_shift": True,
            "use_modal_wise_scale": False,
            "shift": rng.normal(-5.0, 3.0, (len(modalities), len(elements))).tolist(),
        }
    with building():
        torch.manual_seed(seed)
        model = model_build.build_E3_equivariant_model(dict(config))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):  # e3nn starts them at zero, where a mistake in them would not show
                    parameter.copy_(0.3 * torch.randn_like(parameter))
            for block in model:
                if apart != 1.0 and getattr(block, "num_modalities", 0) > 1:
                    added = list(block.linear.weight_views())[-1]
                    added[1:] = added[:1] + apart * (added[1:] - added[:1])
    state = {name: tensor.detach().float() for name, tensor in model.state_dict().items()}  # as sevenn writes them
    return {"model_state_dict": state, "config": config, "epoch": 1, "time": "", "hash": ""}


def write_sevennet(path: Path, seed: int = 0, **options: object) -> Path:
    """Write :func:`checkpoint` to a file."""
    torch.save(checkpoint(seed, **options), path)
    return path


def tiny_sevennet(
    seed: int = 0, *, fidelity: str = "low", head: Heads = None, dtype: str = "float64", **options: object
) -> ReadoutPotential:
    """Return a small model that knows H, C and O as a potential."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_sevennet(Path(folder) / "tiny.pth", seed, **options)
        return load_base(path, fidelity=fidelity, head=head, dtype=dtype)


def shipped(name: str) -> Path:
    """Return the path of a checkpoint in sevenn's wheel by the name of its folder."""
    spec = find_spec("sevenn")
    assert spec is not None and spec.origin is not None
    (path,) = (Path(spec.origin).parent / "pretrained_potentials" / name).glob("*.pth")
    return path


@cache
def calculator(path: Path, modal: str | None = None) -> Any:
    """Return SevenNet's own calculator, the independent reference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(str(path), modal=modal, device="cpu")
