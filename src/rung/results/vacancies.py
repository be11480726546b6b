"""``vacancies.json``: hops of rows of vacancies by number and cell, and what vacancies cost."""

from collections.abc import Mapping
from typing import Literal

from rung.results.base import DomainWord, Entry, Number, Result
from rung.results.settings import SettingsEntry

VACANCIES_FILE = "vacancies.json"
HOP_FILE = "hop.json"

Way = Literal["concerted", "sequential"]
"""All atoms of the row at once, or one after the other."""


class HopInCell(Result):
    """``hop.json``: the hop of one row in one cell."""

    key: str
    """A hash of the settings that decide the number."""
    potential: str = ""
    """The fingerprint of the potential; empty where rung 0.1 wrote the file."""
    size: tuple[int, int]
    """Repeats of the cell."""
    atoms: int
    """Atoms of the cell."""
    barrier: Number
    """Highest point above the beginning, eV; null where a band did not converge."""
    per_atom: Number
    """The same for each atom that moves at once, eV."""
    stderr: Number
    """One-sigma error of the whole barrier from the fitted weights alone, eV; null where it is not known."""
    stderr_total: Number
    """The same with the model's own error, eV."""
    reason: str
    """Why there is no number; empty where there is one."""
    domain: DomainWord = "unknown"
    """Whether the highest and the first image are like training structures."""
    outside: tuple[str, ...] = ()
    """Why it is outside; empty where it is not."""


class RowHop(Entry):
    """The hop of one row, converged in cell size or not."""

    fidelity: str
    """The fidelity."""
    vacancies: int
    """Vacancies of the row."""
    way: Way
    """How they move."""
    barrier: Number
    """In the largest cell, eV."""
    per_atom: Number
    """The same for each atom that moves at once, eV."""
    stderr: Number
    """One-sigma error of the barrier from the fitted weights alone, eV."""
    stderr_total: Number
    """The same with the model's own error, eV."""
    size: tuple[int, int]
    """The largest cell."""
    converged: bool
    """Whether a larger cell changed the barrier by less than the tolerance."""
    reason: str
    """Why not; empty where it did."""
    cells: tuple[HopInCell, ...]
    """All cells, smallest first."""
    domain: DomainWord = "unknown"
    """Whether the highest and the first image in the largest cell are like training structures."""
    outside: tuple[str, ...] = ()
    """Why it is outside; empty where it is not."""


class DefectEnergy(Entry):
    """An energy of formation or binding."""

    name: str
    """What it is."""
    value: Number
    """eV."""
    stderr: Number
    """One-sigma error from weights and reference energies alone, eV; null where it is not known."""
    stderr_total: Number
    """The same with the model's own error, eV."""


class Defects(Entry):
    """What vacancies cost at one fidelity."""

    fidelity: str
    """The fidelity."""
    size: tuple[int, int]
    """Repeats of the cell."""
    chemical_potential: float | None
    """Of the chalcogen, eV an atom; null where none was stated."""
    energies: tuple[DefectEnergy, ...]
    """What was found."""
    refused: str
    """Why some or all are missing; empty where none is."""
    domain: DomainWord = "unknown"
    """Whether the layers are like training structures."""
    outside: tuple[str, ...] = ()
    """Why it is outside; empty where it is not."""


class MonolayerEntry(SettingsEntry):
    """The layer."""

    metal: str
    """Symbol of the metal."""
    chalcogen: str
    """Symbol of the chalcogen."""


class VacanciesResult(Result):
    """What ``rung vacancies`` found."""

    monolayer: MonolayerEntry
    """The layer, with the settings of its geometry."""
    hops: tuple[RowHop, ...]
    """By fidelity, way and number of vacancies."""
    defects: tuple[Defects, ...]
    """One a fidelity."""
    chemical_potentials: Mapping[str, float]
    """By fidelity, eV an atom."""
