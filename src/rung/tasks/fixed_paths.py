"""Bands that stay as they are: what potentials say along them, and single energies of a target beside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.readers.structures import read_structures
from rung.errors import ConfigError
from rung.evaluate.paths.band import StaticBarrier, static_barrier
from rung.evaluate.paths.noisy_band import NoisyBarrier, noisy_barrier
from rung.tasks.opened import Opened


def static_panel(path: Path, potentials: Mapping[str, Opened]) -> dict[str, Any]:
    """Return a panel of ``barrier.json``: what each potential says along the band in a file."""
    found = _along([structure.atoms for structure in read_structures(path)], potentials)
    return {
        "title": f"Along {path.name} as it is",
        "kind": "fixed",
        "curves": [band.curve(name) for name, band in found.items()],
        "barriers": _static_entries(found, potentials),
        "notice": "",
    }


def target_panel(path: Path, target: str | None, potentials: Mapping[str, Opened]) -> dict[str, Any]:
    """Return a panel of ``barrier.json``: a band with energies of ``target``, and the potentials along it.

    The barrier of the energies themselves stands there as their highest, with by how much that is too high, and as the
    maximum of a smooth curve, with and without the shape that a potential gives to the band.

    Raises
    ------
    ConfigError
        When no target is named.
    DataError
        When the file does not label it with errors.
    """
    if target is None:
        raise ConfigError(f"Name the fidelity of the energies in {path} with --target.")
    structures = read_structures(path, fidelities=[target])
    labels = [structure.labelled(target) for structure in structures]
    energies = np.array([label.energy for label in labels])
    errors = np.array([label.energy_stderr for label in labels])
    found = _along([structure.atoms for structure in structures], potentials)
    coordinate = next(iter(found.values())).coordinate
    smooth = noisy_barrier(coordinate, energies, errors)
    entries = _static_entries(found, potentials)
    entries += _entries(f"{target} energies", smooth)
    for name, band in found.items():
        shaped = noisy_barrier(coordinate, energies, errors, shape=band.energies)
        entries.append(_fitted(f"{target} energies on the shape of {name}", shaped))
    return {
        "title": f"{target} energies along {path.name}",
        "kind": "energies",
        "curves": [
            *(band.curve(name) for name, band in found.items()),
            {"name": f"{target} energies, smooth", "coordinate": coordinate, "energies": smooth.curve},
        ],
        "points": {"name": f"{target} energies", "coordinate": coordinate, "energies": smooth.points, "stderr": errors},
        "barriers": entries,
        "notice": "",
    }


def _along(images: Sequence[Atoms], potentials: Mapping[str, Opened]) -> dict[str, StaticBarrier]:
    return {
        name: static_barrier(images, potential.calculator, error_bars=potential.error_bars)
        for name, potential in potentials.items()
    }


def _static_entries(found: Mapping[str, StaticBarrier], potentials: Mapping[str, Opened]) -> list[dict[str, Any]]:
    entries = []
    for name, band in found.items():
        note = potentials[name].domain_note(band.images[band.saddle], band.images[0])
        entry = band.entry(name)
        entries.append({**entry, "notes": [*entry["notes"], *([note] if note else [])]})
    return entries


def _entries(name: str, found: NoisyBarrier) -> list[dict[str, Any]]:
    highest = {
        "name": f"{name}, highest",
        "value": found.highest,
        "stderr": None,
        "stderr_total": found.highest_stderr,
        "reaction": float(found.points[-1] - found.points[0]),
        "bias": found.bias,
        "notes": [
            f"The highest of noisy energies is too high on average, here by {found.bias:.3f} eV: {found.highest:.3f} "
            f"becomes {found.highest - found.bias:.3f} eV."
        ],
    }
    return [highest, _fitted(f"{name}, smooth curve", found)]


def _fitted(name: str, found: NoisyBarrier) -> dict[str, Any]:
    notes = []
    if found.chi2 > 3:
        notes.append(
            f"The energies scatter about the curve of {name} more than their errors say (χ² {found.chi2:.1f} per "
            "degree of freedom)."
        )
    return {
        "name": name,
        "value": found.fitted,
        "stderr": None,
        "stderr_total": found.fitted_stderr,
        "reaction": float(found.curve[-1]),
        "bias": found.fitted_bias,
        "degree": found.degree,
        "chi2": found.chi2,
        "notes": notes,
    }
