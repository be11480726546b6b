"""What rung asks of SevenNet, as one object; what needs sevenn is imported when it is asked for."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from rung.backends.archive import pickle_start
from rung.backends.protocol import Backend, Heads
from rung.backends.routes import Route
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.blocks import BLOCKS
from rung.errors import ModelError
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Backbone
from rung.model.trainable import TrainablePotential
from rung.results.inspection import ModelFacts

_FIRST_KEYS = ("model_state_dict", "config")
_SIGNS = ("onehot_to_feature_x.linear.weight", "E3_equivariant_model")
"""A tensor that every state has near its start, and the name of the architecture in every config."""


class SevenNetBackend(Backend):
    """Models of sevenn."""

    name = "sevenn"
    reads = "checkpoints of SevenNet"
    suffix = ".pth"
    packages = ("sevenn", "e3nn")
    blocks = BLOCKS
    runs_in = torch.float32
    other_engines = MappingProxyType(
        {
            "mliap": "rung converts no SevenNet model for ML-IAP: take --for lammps (pair_style e3gnn); or leave out "
            "--for, and convert the checkpoint by sevenn get_model FILE -mliap, where LAMMPS with ML-IAP is installed.",
            "symmetrix": "symmetrix runs MACE alone, and this model is SevenNet: take --for lammps (pair_style e3gnn).",
        }
    )

    def detects(self, path: Path) -> bool:
        """Whether the file is a pickle of a dictionary with a state or a config of SevenNet."""
        begins = pickle_start(path)
        if begins is None or begins.kind != "dict" or begins.strings[:1] not in [(key,) for key in _FIRST_KEYS]:
            return False
        return any(sign in begins.strings for sign in _SIGNS)

    def load(
        self,
        path: Path,
        *,
        fidelity: str,
        head: Heads = None,
        trusted: bool = False,
        dtype: torch.dtype | None = None,
        device: str = "cpu",
    ) -> ReadoutPotential:
        """Return the potential of a checkpoint; ``head`` is a modality."""
        from rung.backends.sevenn.files import load

        return load(path, fidelity=fidelity, head=head, trusted=trusted, dtype=dtype, device=device)

    def export(self, potential: ReadoutPotential, fidelity: str, path: Path) -> None:
        """Write one fidelity as a checkpoint without modalities."""
        from rung.backends.sevenn.export import export

        export(potential, fidelity, path)

    def describe(self, path: Path, *, trusted: bool) -> ModelFacts:
        """Return what a checkpoint is, from its config alone."""
        from rung.backends.sevenn.facts import facts_of_file

        del trusted  # nothing in it runs in either case
        return facts_of_file(path)

    def facts(self, backbone: Backbone) -> ModelFacts:
        """Return what a SevenNet model is."""
        from rung.backends.sevenn.facts import facts_of_backbone

        if not isinstance(backbone, SevenNetBackbone):
            raise ModelError(f"A {type(backbone).__name__} is not SevenNet.")
        return facts_of_backbone(backbone)

    def routes(self) -> Mapping[str, Route]:
        """Return the way to LAMMPS."""
        from rung.backends.sevenn.routes import ROUTES

        return ROUTES

    def owns(self, backbone: Backbone) -> bool:
        """Whether the backbone is a SevenNet model."""
        return isinstance(backbone, SevenNetBackbone)

    def dump(self, backbone: Backbone) -> dict[str, Any]:
        """Return a description of the model, its tensors, and what each fidelity adds."""
        from rung.backends.sevenn.plain import dump

        return dump(backbone)

    def restore(self, data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> Backbone:
        """Return the backbone that :meth:`dump` wrote."""
        from rung.backends.sevenn.plain import restore

        return restore(data, dtype=dtype, device=device)

    def trainable(
        self, potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning
    ) -> TrainablePotential:
        """Return surfaces of a potential as a model to train."""
        from rung.backends.sevenn.start import trainable

        return trainable(potential, start, conditioning)


BACKEND = SevenNetBackend()
