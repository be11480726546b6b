"""``model.rung``: a potential, what its fit knows of it, and where it came from, as versioned plain data.

The file is an archive that ``torch.load`` reads with ``weights_only=True``: dictionaries, lists, strings, numbers and
tensors, so opening it runs nothing.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue

from rung.backends import dump, load_base, restore
from rung.backends.archive import TorchArchive, check_archive, is_checkpoint
from rung.backends.parts import DAMAGE, Part, check_posterior, part_of
from rung.backends.posteriors import posterior_from_plain, posterior_to_plain
from rung.backends.precision import say_precision
from rung.backends.registry import detect
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.model.device import require_device
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior
from rung.results.origin import ORIGIN, Origin
from rung.storage import atomic_path, jsonable

FORMAT = "rung"
VERSION = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a model file holds.

    Parameters
    ----------
    potential
        Offers the fidelities of the file.
    posterior
        What the fit knows of the readout of ``metadata["target"]``; None where it knows nothing.
    metadata
        Plain JSON, such as ``target``, the settings and hashes of the data.
    """

    potential: ReadoutPotential
    posterior: Posterior | TangentPosterior | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> Origin | None:
        """What the potential was made from; None where nobody knows, as in files of rung 0.1.

        Raises
        ------
        StorageError
            When what the file says of it is damaged.
        """
        content = self.metadata.get(ORIGIN)
        return None if content is None else Origin.of(content, f"the entry {ORIGIN!r} of a checkpoint's metadata")


def save(
    path: Path | str,
    potential: ReadoutPotential,
    *,
    posterior: Posterior | TangentPosterior | None = None,
    metadata: Mapping[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    ModelError
        When the potential's backbone belongs to no backend.
    StorageError
        When the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "potential": dump(potential),
        "posterior": None if posterior is None else posterior_to_plain(posterior),
        "metadata": jsonable(metadata),
    }
    with atomic_path(Path(path)) as temporary:
        torch.save(content, temporary)


def load(path: Path | str, *, dtype: str | None = None, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint of this version of the format or an older one.

    Parameters
    ----------
    path
        A file that :func:`save` wrote.
    dtype
        ``float32`` or ``float64``; by default that of the file.
    device
        Where the potential should live.

    Raises
    ------
    ModelError
        When the file is missing, damaged, not a checkpoint of rung, or of a newer version.
    """
    path = Path(path)
    require_device(device)
    if not is_checkpoint(path):
        backend = detect(path)  # or one sentence that says what the file is
        raise ModelError(
            f"{path} is not a checkpoint of rung but a model of the backend {backend.name!r}: open it with "
            "rung.checkpoint.open_model."
        )
    return _checkpoint(path, _read(path), dtype, device)


def open_model(
    path: Path | str,
    *,
    fidelity: str,
    head: str | Mapping[str, str] | None = None,
    trusted: bool = False,
    dtype: str | None = None,
    device: str = "cpu",
) -> Checkpoint:
    """Open a checkpoint of rung or another library's model, whichever ``path`` is.

    Parameters
    ----------
    path
        ``model.rung``, or a file for :func:`rung.backends.load_base`.
    fidelity
        One that the checkpoint holds, or the one that the other library's model was trained on.
    head, trusted
        As for :func:`rung.backends.load_base`; a checkpoint needs neither.
    dtype, device
        As for :func:`load`.

    Raises
    ------
    ModelError
        When the file cannot be used; see :func:`load` and :func:`rung.backends.load_base`.
    ConfigError
        When a checkpoint does not hold the fidelity.
    """
    path = Path(path)
    require_device(device)
    if not is_checkpoint(path):
        potential = load_base(path, fidelity=fidelity, head=head, trusted=trusted, dtype=dtype, device=device)
        return Checkpoint(potential)
    checkpoint = _checkpoint(path, _read(path), dtype, device)
    require_fidelity(fidelity, checkpoint.potential.fidelities)
    return checkpoint


class _Content(Part):
    """What stands at the top of a checkpoint."""

    potential: dict[str, Any]
    posterior: dict[str, Any] | None
    metadata: dict[str, JsonValue]


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a file that begins as a checkpoint does."""
    check_archive(path)
    TorchArchive.open(path)  # nothing in it unpacks to more than the file has
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} is not a checkpoint of rung: it asks for code to be run.") from error
    except (EOFError, *DAMAGE) as error:
        raise ModelError(f"{path} is damaged ({' '.join(str(error).split())[:200]}): copy it again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a checkpoint of rung: it holds a {type(content).__name__}.")
    return content


def _checkpoint(path: Path, content: Mapping[str, Any], dtype: str | None, device: str) -> Checkpoint:
    version = content.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        shown = version if isinstance(version, (int, float)) else f"of a {type(version).__name__}"
        raise ModelError(
            f"{path} has version {shown} of the format; this rung reads up to {VERSION}: install a newer rung."
        )
    if missing := [name for name in _Content.model_fields if name not in content]:
        raise ModelError(f"{path} lacks {missing[0]!r} and is no complete checkpoint of rung.")
    try:
        whole = part_of(_Content, content, "checkpoint")
        potential = say_precision(restore(whole.potential, dtype=dtype, device=device), path)
        posterior = None
        if whole.posterior is not None:
            posterior = posterior_from_plain(whole.posterior, "checkpoint.posterior", dtype=dtype, device=device)
        if isinstance(posterior, Posterior):
            sizes = {name: len(surface.readout.weights) for name, surface in potential.surfaces.items()}
            check_posterior(posterior, sizes, whole.metadata.get("target"))
    except ModelError as error:
        raise ModelError(f"{path} cannot be read as a checkpoint of rung: {error}") from error
    return Checkpoint(potential, posterior, whole.metadata)
