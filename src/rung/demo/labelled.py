"""What the labels of a path say, in the shape of curves and barriers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rung.data.structure import Structure
from rung.results.barrier import BarrierEntry, Curve
from rung.results.base import Numbers


def only(structure: Structure, *fidelities: str) -> Structure:
    """Return a structure with the labels of some fidelities alone."""
    return replace(structure, labels={name: one for name, one in structure.labels.items() if name in fidelities})


def labelled_curves(
    path: Sequence[Structure], levels: Mapping[str, str], coordinate: Numbers | None
) -> tuple[Curve, ...]:
    """Return the energies of each level along the path less that of its first image, with their errors.

    Parameters
    ----------
    path
        Its images.
    levels
        What people call each fidelity.
    coordinate
        Where the images stand, shape ``(images,)``; None counts them.
    """
    curves = []
    for name, title in levels.items():
        labels = [one.labelled(name) for one in path]
        energies = np.array([one.energy for one in labels])
        stderr = np.hypot([one.energy_stderr for one in labels], labels[0].energy_stderr)
        stderr[0] = 0.0
        known = {} if np.isnan(stderr[1:]).all() else {"stderr_total": stderr}
        curves.append(Curve(name=f"{title} labels", coordinate=coordinate, energies=energies - energies[0], **known))
    return tuple(curves)


def labelled_barriers(path: Sequence[Structure], levels: Mapping[str, str], top: int = -1) -> tuple[BarrierEntry, ...]:
    """Return the image ``top`` of the path less its first one by the labels of each level."""
    entries = []
    for name, title in levels.items():
        first, last = path[0].labelled(name), path[top].labelled(name)
        entries.append(
            BarrierEntry(
                name=f"{title} labels",
                value=last.energy - first.energy,
                stderr_total=float(np.hypot(first.energy_stderr, last.energy_stderr)),
            )
        )
    return tuple(entries)
