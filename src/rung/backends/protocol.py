"""What a backend is: all that rung asks of one library of models, and where else an answer is looked for.

A backend is one object, an instance of a subclass of :class:`Backend`. Its module imports no engine: the object is
asked about files and settings where the engine is not installed, and imports it when a model is loaded or built.

Two things that belong to a backend are asked of what it makes, because they belong to one model:

- a backbone (:class:`~rung.model.protocols.Backbone`) says how features are computed;
- a model in training (:class:`~rung.model.trainable.TrainablePotential`) says which of its parameters may move
  (those that require a gradient), which belong to which block, and whether adapters can be added to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from ase.data import chemical_symbols

from rung.backends.routes import Route
from rung.errors import ModelError, UntrustedError
from rung.model.architecture import Architecture
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Backbone
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from rung.results.inspection import ModelFacts

Heads = str | Mapping[str, str] | None
"""One of several outputs of a model (a head, a modality), the one of each of several fidelities, or None for the only
one there is."""


class Backend(ABC):
    """One library of models.

    A subclass gives the attributes below and the abstract methods. :meth:`build` and :meth:`trainable` refuse by
    default: a backend without them serves the methods that fit in closed form.
    """

    name: ClassVar[str]
    """One word: it stands in checkpoints, as ``kind`` of an architecture and in messages; it never changes."""
    reads: ClassVar[str]
    """What its files hold, for messages: "pickled models of ...". """
    suffix: ClassVar[str]
    """Of the files that :meth:`export` writes, with the dot."""
    runs_in: ClassVar[torch.dtype | None] = None
    """The type in which the library computes whatever type a file has; None where it is that of the file."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose version can change a result; a run keeps the versions of those that are installed."""
    architecture: ClassVar[type[Architecture] | None] = None
    """The settings of a new model, whose ``kind`` is the backend's name; None where it builds none."""
    small_architecture: ClassVar[type[Architecture] | None] = None
    """The same with defaults for a small model, which learns little and costs little; None takes ``architecture``."""
    blocks: ClassVar[Mapping[str, str]] = MappingProxyType({"all": "everything"})
    """The parts of a model that a user may let move, by name, each with a phrase that says what it is; which parameters
    belong to each, the model in training says (:meth:`rung.model.trainable.TrainablePotential.blocks`)."""

    other_engines: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What to do for an engine that :meth:`routes` has no way to, sentences by the engine's name."""

    @abstractmethod
    def detects(self, path: Path) -> bool:
        """Whether the content of a file is a model for :meth:`load`.

        It must be cheap, import no engine and run nothing from the file;
        :func:`rung.backends.archive.pickle_start` reads how a pickle begins. Any file may be asked about: for one that
        is damaged or of another kind the answer is no.
        """

    @abstractmethod
    def load(
        self,
        path: Path,
        *,
        fidelity: str,
        head: Heads,
        trusted: bool,
        dtype: torch.dtype | None,
        device: str,
    ) -> ReadoutPotential:
        """Return the potential of a file; parameters and errors as for :func:`rung.backends.load_base`."""

    @abstractmethod
    def export(self, potential: ReadoutPotential, fidelity: str, path: Path) -> None:
        """Write one fidelity as a file of the library; see :func:`rung.backends.export`."""

    @abstractmethod
    def owns(self, backbone: Backbone) -> bool:
        """Whether a backbone was made here; no engine need be imported to tell."""

    @abstractmethod
    def dump(self, backbone: Backbone) -> dict[str, Any]:
        """Return a backbone as dictionaries, lists, strings, numbers and tensors.

        Raises
        ------
        ModelError
            When a model built from these data would not be the same model.
        """

    @abstractmethod
    def restore(self, data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> Backbone:
        """Return the backbone that :meth:`dump` wrote, by this version or an older one: bit for bit without ``dtype``.

        Raises
        ------
        KeyError
            When the data are incomplete.
        ModelError
            When the model cannot be built from the data.
        """

    def describe(self, path: Path, *, trusted: bool) -> ModelFacts:
        """Return what a file of this backend is, for people; by default what its only head loads as.

        A backend that can look without loading does: then files that rung cannot use are described too.

        Raises
        ------
        UntrustedError
            When only trust would open the file.
        """
        try:
            potential = self.load(path, fidelity="model", head=None, trusted=trusted, dtype=None, device="cpu")
        except UntrustedError:
            raise
        except ModelError as error:
            return ModelFacts(backend=self.name, kind=self.reads, trouble=str(error))
        return self.facts(potential.backbone)

    def facts(self, backbone: Backbone) -> ModelFacts:
        """Return what a backbone of this backend is, for people; by default what every backbone tells."""
        return ModelFacts(
            backend=self.name,
            kind=type(backbone).__name__,
            elements=tuple(chemical_symbols[number] for number in sorted(backbone.elements)),
            cutoff=backbone.cutoff,
            receptive_field=backbone.receptive_field,
            dtype=str(backbone.dtype).removeprefix("torch."),
        )

    def routes(self) -> Mapping[str, Route]:
        """Return the engines that its files can be converted for, by name; none by default."""
        return {}

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
        """Return a new model; see :func:`rung.backends.training.build_trainable`.

        Raises
        ------
        ModelError
            When the backend builds no models, or not with this conditioning or these scales.
        """
        del architecture, references, elements, avg_num_neighbors, scales, seed, dtype, conditioning
        raise ModelError(f"The backend {self.name!r} builds no new models; use a method that starts from a base.")

    def trainable(
        self, potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning
    ) -> TrainablePotential:
        """Return surfaces of a potential as a model to train; see :func:`rung.backends.training.trainable`.

        Raises
        ------
        ModelError
            When the backend cannot train, or not with this conditioning.
        """
        del potential, start, conditioning
        raise ModelError(f"A model of the backend {self.name!r} cannot be trained; use a method that fits its readout.")
