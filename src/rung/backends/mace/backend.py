"""What rung asks of MACE, as one object; what needs mace-torch is imported when it is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rung.backends.archive import pickle_start
from rung.backends.mace.backbone import MaceBackbone
from rung.backends.mace.blocks import BLOCKS
from rung.backends.mace.settings import MaceArchitecture, SmallMaceArchitecture
from rung.backends.protocol import Backend, Heads
from rung.backends.routes import Route
from rung.errors import ModelError
from rung.model.architecture import Architecture
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Backbone
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from rung.results.inspection import ModelFacts


class MaceBackend(Backend):
    """Models of mace-torch."""

    name = "mace"
    reads = "pickled MACE and ScaleShiftMACE models"
    suffix = ".model"
    packages = ("mace-torch", "e3nn")
    architecture = MaceArchitecture
    small_architecture = SmallMaceArchitecture
    blocks = BLOCKS

    def detects(self, path: Path) -> bool:
        """Whether the file is a pickle of one object of a class of mace."""
        begins = pickle_start(path)
        return begins is not None and begins.kind.startswith("mace.")

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
        """Return the potential of a ``.model`` file."""
        from rung.backends.mace.files import load

        return load(path, fidelity=fidelity, head=head, trusted=trusted, dtype=dtype, device=device)

    def describe(self, path: Path, *, trusted: bool) -> ModelFacts:
        """Return what a ``.model`` file is, one that rung cannot use too; without trust nothing in it runs."""
        from rung.backends.mace.facts import facts_of_file

        return facts_of_file(path, trusted=trusted)

    def facts(self, backbone: Backbone) -> ModelFacts:
        """Return what a MACE model is."""
        from rung.backends.mace.facts import facts_of_model

        return facts_of_model(_own(backbone).module)

    def routes(self) -> Mapping[str, Route]:
        """Return the three ways to LAMMPS."""
        from rung.backends.mace.routes import ROUTES

        return ROUTES

    def export(self, potential: ReadoutPotential, fidelity: str, path: Path) -> None:
        """Write one fidelity as a ``.model`` file of mace's and e3nn's classes only."""
        from rung.backends.mace.export import export

        export(potential, fidelity, path)

    def owns(self, backbone: Backbone) -> bool:
        """Whether the backbone is a MACE model."""
        return isinstance(backbone, MaceBackbone)

    def dump(self, backbone: Backbone) -> dict[str, Any]:
        """Return a description of the model, its tensors, and what each fidelity adds."""
        from rung.backends.mace.plain import dump

        return dump(_own(backbone))

    def restore(self, data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> Backbone:
        """Return the backbone that :meth:`dump` wrote."""
        from rung.backends.mace.plain import restore

        return restore(data, dtype=dtype, device=device)

    def build(
        self,
        architecture: Architecture,
        *,
        references: Mapping[str, ReferenceEnergies],
        elements: Sequence[int],
        avg_num_neighbors: float,
        scales: Mapping[str, tuple[float, float]],
        seed: int,
        dtype: torch.dtype,
        conditioning: Conditioning,
    ) -> TrainablePotential:
        """Return a new ``ScaleShiftMACE`` with random weights."""
        from rung.backends.mace.start import build_trainable

        if not isinstance(architecture, MaceArchitecture):
            raise ModelError(f"A {type(architecture).__name__} is not the architecture of a MACE model.")
        return build_trainable(
            architecture,
            references=references,
            elements=elements,
            avg_num_neighbors=avg_num_neighbors,
            scales=scales,
            seed=seed,
            dtype=dtype,
            conditioning=conditioning,
        )

    def trainable(
        self, potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning
    ) -> TrainablePotential:
        """Return surfaces of a potential as a model to train."""
        from rung.backends.mace.start import trainable

        return trainable(potential, start, conditioning)


def _own(backbone: Backbone) -> MaceBackbone:
    if not isinstance(backbone, MaceBackbone):
        raise ModelError(f"A {type(backbone).__name__} is not MACE.")
    return backbone


BACKEND = MaceBackend()
