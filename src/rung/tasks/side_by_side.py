"""Several fidelities of one model, opened to stand side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rung.calculator import RungCalculator
from rung.errors import ConfigError
from rung.tasks.opened import open_calculator


def open_fidelities(
    model: str | Path,
    fidelities: Sequence[str],
    *,
    trusted: bool = False,
    device: str = "cpu",
    dtype: str | None = None,
) -> dict[str, Any]:
    """Return an ASE calculator for each of ``fidelities``, by name.

    A backend's file and an imported calculator take whatever name they are given for the one surface that they have, so
    they are refused under two: they would show one surface as two levels.

    Parameters
    ----------
    model, trusted, device, dtype
        As for :func:`~rung.tasks.opened.open_calculator`.
    fidelities
        At least one.

    Raises
    ------
    ConfigError
        When none is named, or several of a model that has one.
    """
    names = list(dict.fromkeys(fidelities))
    if not names:
        raise ConfigError("Name a fidelity with --fidelity.")
    found = {}
    for name in names:
        found[name] = open_calculator(model, fidelity=name, trusted=trusted, device=device, dtype=dtype)
        offered = found[name].potential.fidelities if isinstance(found[name], RungCalculator) else (name,)
        if not set(names) <= set(offered):
            raise ConfigError(
                f"{model} holds one fidelity and was asked for {', '.join(names)}; name the one that it is, or give a "
                "model.rung that holds them all."
            )
    return found
