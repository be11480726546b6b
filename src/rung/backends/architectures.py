"""Architectures in settings: the value names its backend by ``kind``, and the backend says which keys there are."""

from collections.abc import Mapping
from typing import Annotated

from rung.backends.registry import DEFAULT, backends
from rung.model.architecture import Architecture
from rung.settings import ChosenBy


def architectures() -> Mapping[str, type[Architecture]]:
    """Return the architecture of every backend that builds new models, by the backend's name."""
    return {name: backend.architecture for name, backend in backends().items() if backend.architecture is not None}


def small_architectures() -> Mapping[str, type[Architecture]]:
    """Return the same with the defaults of a small model, which stands beside a base."""
    return {name: backends()[name].small_architecture or shape for name, shape in architectures().items()}


def new_architecture() -> Architecture:
    """Return the architecture of a new model where the settings say nothing."""
    return architectures()[DEFAULT].read({})


def small_architecture() -> Architecture:
    """Return the architecture of a small model where the settings say nothing."""
    return small_architectures()[DEFAULT].read({})


AnyArchitecture = Annotated[Architecture, ChosenBy("kind", architectures, DEFAULT)]
"""The shape of a new model of any backend; without ``kind`` that of the default backend."""

SmallArchitecture = Annotated[Architecture, ChosenBy("kind", small_architectures)]
"""The shape of a small model of any backend, by ``kind``."""
