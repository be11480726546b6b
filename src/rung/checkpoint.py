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

from rung.backends import dump, load_base, restore
from rung.backends.archive import check_archive, is_checkpoint
from rung.backends.plain import array_from_plain, array_to_plain, domain_from_plain, domain_to_plain
from rung.backends.registry import detect
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.model.device import require_device
from rung.model.environments import EnvironmentKernel
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
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
    posterior: Posterior | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def save(
    path: Path | str,
    potential: ReadoutPotential,
    *,
    posterior: Posterior | None = None,
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
        "posterior": None if posterior is None else _posterior_to_plain(posterior),
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


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a file that begins as a checkpoint does."""
    check_archive(path)
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} is not a checkpoint of rung: it asks for code to be run.") from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}): copy it again.") from error
    return content


def _checkpoint(path: Path, content: Mapping[str, Any], dtype: str | None, device: str) -> Checkpoint:
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ModelError(
            f"{path} has version {version} of the format; this rung reads up to {VERSION}: install a newer rung."
        )
    try:
        potential = restore(content["potential"], dtype=dtype, device=device)
        posterior = None if content["posterior"] is None else _posterior_from_plain(content["posterior"])
        return Checkpoint(potential, posterior, content["metadata"])
    except KeyError as error:
        raise ModelError(f"{path} lacks {error} and is no complete checkpoint of rung.") from error


def _posterior_to_plain(posterior: Posterior) -> dict[str, Any]:
    own = posterior.model_covariance
    return {
        "parameters": list(posterior.parameters),
        "mean": array_to_plain(posterior.mean),
        "covariance": array_to_plain(posterior.covariance),
        "unidentified": array_to_plain(posterior.unidentified),
        "model_error": float(posterior.model_error),
        "force_error": float(posterior.force_error),
        "model_covariance": None if own is None else array_to_plain(own),
        "rough_error": None if posterior.rough_error is None else float(posterior.rough_error),
        "environment_axes": None if posterior.environments is None else array_to_plain(posterior.environments.axes),
        "domain": None if posterior.domain is None else domain_to_plain(posterior.domain),
    }


def _posterior_from_plain(data: Mapping[str, Any]) -> Posterior:
    own = data["model_covariance"]
    axes = data.get("environment_axes")  # fits of 0.1.0 do not know which environments are alike
    domain = data.get("domain")  # nor where their training structures lie
    return Posterior(
        parameters=tuple(data["parameters"]),
        mean=array_from_plain(data["mean"]),
        covariance=array_from_plain(data["covariance"]),
        unidentified=array_from_plain(data["unidentified"]),
        model_error=data["model_error"],
        force_error=data["force_error"],
        model_covariance=None if own is None else array_from_plain(own),
        rough_error=data.get("rough_error"),
        environments=None if axes is None else EnvironmentKernel(array_from_plain(axes)),
        domain=None if domain is None else domain_from_plain(domain),
    )
