"""Which backends there are: those of rung, and those that other installed packages bring.

A package brings a backend by an entry point of the group ``rung.backends`` in its ``pyproject.toml``:

.. code-block:: toml

    [project.entry-points."rung.backends"]
    mine = "my_package.backend:BACKEND"

The object is an instance of a subclass of :class:`~rung.backends.protocol.Backend`, its module imports no engine. Every
process of that environment finds it, workers of a study among them.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from rung.backends.archive import content_of, is_checkpoint, refuse_damaged, require_file
from rung.backends.protocol import Backend
from rung.errors import ModelError, one_of
from rung.model.protocols import Backbone

GROUP = "rung.backends"
"""The group of entry points."""

DEFAULT = "mace"
"""The backend of a new model where the settings name none."""

BUILT_IN = (
    EntryPoint("mace", "rung.backends.mace.backend:BACKEND", GROUP),
    EntryPoint("sevenn", "rung.backends.sevenn.backend:BACKEND", GROUP),
)


@cache
def backends() -> Mapping[str, Backend]:
    """Return all backends by name, those of rung first.

    Raises
    ------
    ModelError
        When an installed package's backend cannot be imported, is none, or has a name that is taken.
    """
    return _by_name((*BUILT_IN, *entry_points(group=GROUP)))


def named(name: str) -> Backend:
    """Return the backend of a name; an unknown one raises and lists what there is."""
    if name not in backends():
        raise ModelError(one_of(name, backends(), "backend"))
    return backends()[name]


def owner(backbone: Backbone) -> Backend | None:
    """Return the backend that made a backbone; None where no backend did."""
    return next((backend for backend in backends().values() if backend.owns(backbone)), None)


def detect(path: Path) -> Backend:
    """Return the backend that reads a file, by its content; no engine is imported and nothing in the file runs.

    Raises
    ------
    ModelError
        When there is no such file, it is damaged, or no backend knows it: the sentence lists what there is.
    """
    require_file(path)
    for backend in backends().values():
        if backend.detects(path):
            return backend
    refuse_damaged(path)
    if is_checkpoint(path):
        raise ModelError(f"{path} is a checkpoint of rung: open it with rung.checkpoint.open_model.")
    there = "; ".join(f"{backend.name}: {backend.reads}" for backend in backends().values())
    raise ModelError(
        f"{path} is neither a checkpoint of rung nor a model that a backend reads ({there}): {content_of(path)}."
    )


def _by_name(entries: Iterable[EntryPoint]) -> dict[str, Backend]:
    found: dict[str, Backend] = {}
    for entry in entries:
        backend = _loaded(entry)
        if backend.name in found:
            raise ModelError(
                f"Two packages bring a backend of the name {backend.name!r} (the second is {entry.value}); "
                "uninstall one of them."
            )
        found[backend.name] = backend
    return found


def _loaded(entry: EntryPoint) -> Backend:
    try:
        backend = entry.load()
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"The backend {entry.name!r} of an installed package cannot be imported ({error}); repair or uninstall "
            f"what brings {entry.value}."
        ) from error
    if not isinstance(backend, Backend):
        raise ModelError(
            f"{entry.value}, which an installed package calls a backend, is none: it is no instance of a subclass of "
            "rung.backends.protocol.Backend."
        )
    return backend
