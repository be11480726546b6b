"""What may change in the config of a campaign from one call to the next, and the names of what did but may not."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rung.campaign.config import CampaignConfig
from rung.config import read_config
from rung.errors import StorageError
from rung.results.config import CONFIG_FILE

MAY_CHANGE = ("tolerance",)
"""Settings of a question that may change: what was computed stays right."""

COMPARED = ("questions", "engine")
"""Keys whose parts are compared here, so that a refusal names the part."""

GROWING = frozenset({*COMPARED, "budget", "pool", "batch", "rounds_inside", "executor", "time_limit", "attempts"})
"""Keys of the config that may change, or are compared here, or whose files count by their content."""


def require_same(config: CampaignConfig) -> None:
    """Raise where the folder of a campaign holds one with other questions or another engine.

    Raises
    ------
    StorageError
        Names every setting that differs, with both values.
    """
    stored = config.run / CONFIG_FILE
    if not stored.exists():
        return
    # read as a config, so that a key that a later version of rung has counts with its default
    kept, told = read_config(stored, CampaignConfig).model_dump(mode="json"), config.model_dump(mode="json")
    before = dict(_flat({key: kept[key] for key in COMPARED}))
    now = dict(_flat({key: told[key] for key in COMPARED}))
    changed = [f"{name} ({_shown(before, name)}, now {_shown(now, name)})" for name in _unlike(before, now)]
    if changed:
        raise StorageError(
            f"{config.run} is another campaign: {', '.join(changed)} changed since; only tolerances and the "
            "budget may. Name another folder as run."
        )


def _unlike(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted(before.keys() | now.keys())
    return [name for name in names if not _is_place(before, now, name) and before.get(name) != now.get(name)]


def _is_place(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting may differ: files count by their content, as ``questions.<name>.<key>`` elsewhere."""
    values = [one[name] for one in (before, now) if name in one]
    paths = len(values) == 2 and all(isinstance(one, str) and Path(one).is_absolute() for one in values)
    if paths and name.startswith("engine."):  # what an engine reads counts by its name: a campaign may be moved
        paths = Path(values[0]).name == Path(values[1]).name
    return name.rpartition(".")[2] in MAY_CHANGE or paths


def _shown(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "not there before"


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _flat(one, f"{place}.{index}")
    else:
        yield place, value
