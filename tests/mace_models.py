"""Small seeded MACE models of every shape that the backend reads, built in code."""

import io
import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from rung.backends.mace.importing import import_mace

import_mace()

from e3nn import o3  # noqa: E402
from mace import modules  # noqa: E402

GATES = {"silu": torch.nn.functional.silu, "tanh": torch.tanh, "abs": torch.abs, "identity": None}


def tiny_mace(seed: int = 0, **options: object) -> torch.nn.Module:
    """Return a new copy of the model that :func:`made` builds: building takes longer than most tests."""
    model: torch.nn.Module = torch.load(io.BytesIO(_bytes(seed, tuple(sorted(options.items())))), weights_only=False)
    return model


@cache
def _bytes(seed: int, options: tuple[tuple[str, object], ...]) -> bytes:
    buffer = io.BytesIO()
    torch.save(made(seed, **dict(options)), buffer)
    return buffer.getvalue()


def made(
    seed: int,
    *,
    layers: int = 2,
    hidden: str = "8x0e+8x1o",
    max_ell: int = 2,
    correlation: int = 2,
    elements: Sequence[int] = (1, 6, 8),
    heads: Sequence[str] = ("Default",),
    units: int = 6,
    gate: str = "silu",
    readout: str = "NonLinearReadoutBlock",
    scale_shift: bool = True,
    pair_repulsion: bool = False,
    cutoff: float = 4.0,
    scale: float = 9.1,
    strength: float = 1.0,
    dtype: torch.dtype = torch.float64,
    interaction: str = "RealAgnosticResidualInteractionBlock",
    interaction_first: str = "RealAgnosticResidualInteractionBlock",
    **options: object,
) -> torch.nn.Module:
    """Return a model whose scale, shift, biases and reference energies all matter.

    ``scale`` multiplies the energies of a ``ScaleShiftMACE``, ``strength`` the last readout's weights.
    """
    rng = np.random.default_rng(seed)
    arguments = {
        "r_max": cutoff,
        "num_bessel": 5,
        "num_polynomial_cutoff": 5,
        "max_ell": max_ell,
        "interaction_cls": modules.interaction_classes[interaction],
        "interaction_cls_first": modules.interaction_classes[interaction_first],
        "num_interactions": layers,
        "num_elements": len(elements),
        "hidden_irreps": o3.Irreps(hidden),
        "MLP_irreps": o3.Irreps(f"{units}x0e"),
        "atomic_energies": rng.normal(-5.0, 3.0, size=(len(heads), len(elements))),
        "avg_num_neighbors": 5.3,
        "atomic_numbers": list(elements),
        "correlation": correlation,
        "gate": GATES[gate],
        "pair_repulsion": pair_repulsion,
        "heads": list(heads),
        "readout_cls": modules.readout_classes[readout],
        "radial_MLP": [8, 8],
        **options,
    }
    if scale_shift:
        arguments["atomic_inter_scale"] = scale + 0.4 * np.arange(len(heads))
        arguments["atomic_inter_shift"] = -0.7 + 0.2 * np.arange(len(heads))
    default = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        torch.set_default_dtype(dtype)
        try:
            model = (modules.ScaleShiftMACE if scale_shift else modules.MACE)(**arguments)
            with torch.no_grad():  # e3nn starts biases at zero, where a mistake in them would not show
                model.readouts[-1].get_parameter("linear_2.weight" if layers > 1 else "linear.weight").mul_(strength)
                for name, parameter in model.named_parameters():
                    if name.endswith("bias"):
                        parameter.copy_(0.3 * torch.randn_like(parameter))
        finally:
            torch.set_default_dtype(default)
    return model.eval()
