"""What a run was made of: hashes of its files, versions of its packages, its seed and device."""

import platform
from collections.abc import Mapping
from typing import Any

from rung import __version__
from rung.backends.archive import model_within
from rung.backends.versions import versions
from rung.config import DataSettings, RunConfig
from rung.errors import DataError
from rung.results.provenance import FileRecord, Provenance
from rung.storage import content_hash, file_hash, jsonable

PLACES: dict[str, bool | dict[str, bool]] = {
    **dict.fromkeys(("run", "cache", "threads", "data", "bands", "executor"), True),
    "base": {"file": True, "trusted": True},
    "noise": {"exact": True},
}
"""Keys of a config that say where things are; what is in the files counts by its hash."""

LATER: Mapping[str, Any] = {
    "force_error": "assumed",
    "label_error": 0.0,
    "probes": "auto",
    "probe_seed": 0,
    "least_rows": 0,
    "opening_readout": None,
}
"""Keys of settings that folders of 0.1.0 did not know, and what they then stood for: those folders stay theirs."""

LATER_OF: Mapping[str, Mapping[str, Any]] = {name: {"closing_readout": None} for name in ("joint", "onehot")}
"""The same for keys that 0.1.0 knew of other methods, by the name of the method."""

SINGLE_ATOMS = DataSettings.model_fields["single_atoms"].default


def require_files(config: RunConfig) -> None:
    """Raise a :class:`~rung.errors.DataError` that names the first file of ``config`` that does not exist."""
    for key, path in config.files().items():
        if path.is_dir():
            raise DataError(f"{path} is a folder and no file ({key}); {model_within(path)}.")
        if not path.is_file():
            raise DataError(f"There is no file {path} ({key}).")


def ingredients(config: RunConfig) -> dict[str, str]:
    """Return what determines the result of a run, by key: settings as they are, files by their content.

    Two configs with equal ingredients give the same run, wherever their files lie.
    """
    settings = config.model_dump(mode="json", exclude=PLACES)
    if config.data.single_atoms != SINGLE_ATOMS:  # folders of runs that did not know the key stay theirs
        settings["data.single_atoms"] = config.data.single_atoms
    found = {key: content_hash(_plain(value)) for key, value in settings.items()}
    return {**found, **{key: file_hash(path) for key, path in config.files().items()}}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys in which two sets of ingredients differ, sorted."""
    return tuple(sorted(key for key in {*before, *now} if before.get(key) != now.get(key)))


def provenance(config: RunConfig, hashes: Mapping[str, str]) -> Provenance:
    """Return the content of ``provenance.json`` for a run whose ingredients are ``hashes``."""
    files = {key: FileRecord(path=str(path), sha256_32=hashes[key]) for key, path in config.files().items()}
    return Provenance(
        rung=__version__,
        python=platform.python_version(),
        packages=versions("pydantic"),
        platform=platform.platform(),
        seed=config.seed,
        device=config.device,
        dtype=config.dtype,
        files=files,
        ingredients=dict(hashes),
    )


def _plain(value: Any) -> Any:
    """Return ``value`` as nested tuples, which a content hash takes, mappings sorted by key."""
    if isinstance(value, Mapping):
        later = {**LATER, **LATER_OF.get(str(value.get("name")), {})}
        known = (key for key in sorted(value) if not (key in later and value[key] == later[key]))
        return tuple((str(key), _plain(value[key])) for key in known)
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value if isinstance(value, (float, int, bool, str)) or value is None else str(jsonable(value))
