"""A new MACE model of mace-torch's own classes, from rung's settings."""

from collections.abc import Sequence

import numpy as np
import torch

from rung.backends.mace.engine import modules, o3
from rung.backends.mace.rebuild import GATES, building
from rung.backends.mace.settings import MaceArchitecture

_TRANSFORMS = {"none": "None", "agnesi": "Agnesi", "soft": "Soft"}


def new_model(
    architecture: MaceArchitecture,
    *,
    elements: Sequence[int],
    avg_num_neighbors: float,
    scale: float,
    shift: float,
    seed: int,
    dtype: torch.dtype,
) -> torch.nn.Module:
    """Return a ``ScaleShiftMACE`` with random weights and reference energies of zero.

    Parameters
    ----------
    architecture
        The shape of the model.
    elements
        Atomic numbers that it should know, ascending.
    avg_num_neighbors
        Mean number of neighbours, by which messages are divided.
    scale, shift
        Factor of the interaction energy, and eV per atom added to it.
    seed
        Of the weights; the random state of the process is left as it was.
    dtype
        Type of all real tensors.

    Notes
    -----
    The first layer has no residual connection (mace-torch's ``RealAgnosticInteractionBlock``), so an isolated atom has
    its reference energy plus ``shift``.
    """
    hidden = "+".join(f"{architecture.channels}x{order}{'eo'[order % 2]}" for order in range(architecture.max_l + 1))
    with building(dtype):
        torch.manual_seed(seed)
        return modules.ScaleShiftMACE(
            atomic_inter_scale=scale,
            atomic_inter_shift=shift,
            r_max=architecture.cutoff,
            num_bessel=architecture.radial_functions,
            num_polynomial_cutoff=architecture.cutoff_power,
            max_ell=architecture.max_harmonic,
            interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
            interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
            num_interactions=architecture.layers,
            num_elements=len(elements),
            hidden_irreps=o3.Irreps(hidden),
            MLP_irreps=o3.Irreps(f"{architecture.readout_units}x0e"),
            atomic_energies=np.zeros(len(elements)),
            avg_num_neighbors=avg_num_neighbors,
            atomic_numbers=[int(number) for number in elements],
            correlation=architecture.correlation,
            gate=GATES[architecture.activation],
            pair_repulsion=architecture.pair_repulsion,
            distance_transform=_TRANSFORMS[architecture.distance_transform],
            radial_MLP=list(architecture.radial_units),
            radial_type=architecture.radial_basis,
        )
