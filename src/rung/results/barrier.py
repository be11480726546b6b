"""``barrier.json``: panels of curves along a path, and the barriers that they hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from rung.errors import counted
from rung.results.base import Entry, Number, Numbers, entries_of
from rung.storage import read_json, write_json

BARRIER_FILE = "barrier.json"


class Curve(Entry):
    """Energies along a path, one number an image."""

    name: str
    """The potential, or ``truth``, or what else the energies are of."""
    coordinate: Numbers | None = None
    """Length of the path up to each image, Å; null where only the order of the images counts."""
    energies: Numbers
    """Energy of each image less that of the first, eV."""
    stderr: Numbers | None = None
    """One-sigma error of each energy from the fitted weights alone, eV; null where it is not known."""
    stderr_total: Numbers | None = None
    """The same with the model's own error, eV; null where it is not known."""

    @model_validator(mode="after")
    def _one_number_an_image(self) -> Self:
        for name in ("coordinate", "stderr", "stderr_total"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.energies):
                raise ValueError(
                    f"{name} has {counted(len(values), 'number')} for "
                    f"{counted(len(self.energies), 'energy', 'energies')}"
                )
        return self


class BarrierEntry(Entry):
    """One barrier."""

    name: str
    """The potential, or ``truth``, or what else the barrier is of."""
    value: Number
    """Energy of the highest image less that of the first, eV; null where a band did not converge."""
    reaction: Number = float("nan")
    """Energy of the last image less that of the first, eV."""
    stderr: Number = float("nan")
    """One-sigma error of the barrier from the fitted weights alone, eV; null where it is not known."""
    stderr_total: Number = float("nan")
    """The same with the model's own error, eV; null where it is not known."""
    notes: tuple[str, ...] = ()
    """What a reader of the number should know, in sentences."""


class Panel(Entry):
    """Curves along one path, drawn as one figure, and their barriers."""

    title: str
    """What the figure shows."""
    curves: tuple[Curve, ...]
    """The curves."""
    barriers: tuple[BarrierEntry, ...]
    """The barriers, those of the curves first."""
    notice: str = ""
    """A sentence below the figure; empty for none."""

    @property
    def by_name(self) -> dict[str, BarrierEntry]:
        """The barriers by their names."""
        return {entry.name: entry for entry in self.barriers}


def read_panels(path: Path) -> tuple[Panel, ...]:
    """Read ``barrier.json``.

    Raises
    ------
    StorageError
        When it is absent or does not hold a list of panels: one sentence with the path and the key.
    """
    return entries_of(Panel, read_json(Path(path)), str(path))


def write_panels(path: Path, panels: Sequence[Panel]) -> None:
    """Write ``barrier.json``, whole or not at all; numbers that are not finite become null."""
    write_json(Path(path), [panel.as_json() for panel in panels])
