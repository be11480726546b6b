"""What ``rung collect`` is told; a module of its own, for it needs no numpy."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rung.collect.units import EnergyUnit
from rung.settings import Option, Settings


class CollectSettings(Settings):
    """Which outputs become which labels."""

    paths: Annotated[tuple[Path, ...], Option(positional=True)] = ()
    """Outputs, or folders in which every output is looked for."""
    out: Path | None = None
    """The extended XYZ to write, with what it stands on beside it, or a name that ends in .csv for a table of the
    energies alone; without it, energies are printed."""
    structures: tuple[Path, ...] = ()
    """Files of the structures that the outputs belong to; their other labels are kept. Without any, outputs that hold
    their geometry are structures of their own."""
    fidelity: str | None = None
    """What the labels are called, such as dmc; needed with --out."""
    table: Path | None = None
    """CSV with columns path and structure_id, and cells and weight where they differ; paths start at its folder. A
    structure in the column minus, of the same walkers, is subtracted block by block."""
    columns: Annotated[dict[str, str], Option(form="meaning=column")] = Field(default={})
    """Take the paths for tables (CSV or other text, JSON, npz, HDF5): which column is structure_id and energy, and
    perhaps stderr, cells and minus, the structure whose energy was subtracted."""
    unit: EnergyUnit | None = None
    """Of the energies of tables; needed with --columns."""
    equilibration: int | None = Field(default=None, ge=0)
    """Rows to leave out at the beginning of each series; by default what is not in equilibrium."""
    level: str | None = None
    """Which energy of a deterministic calculation to take, such as ccsd(t), where an output holds several."""
    stderr: float | None = Field(default=None, gt=0)
    """The error of each energy of a deterministic calculation, eV; by default such labels carry none."""
    series: tuple[int, ...] = ()
    """Which series of QMCPACK to take, where a folder holds several."""
    twist_weights: tuple[float, ...] = ()
    """Weights of the twists in the order of their numbers; by default all alike."""
    join: bool = False
    """Take several runs of one structure as independent runs of one thing; without it they are refused."""
    cells: int = Field(default=1, ge=1)
    """How many times the simulation cell holds the structure's cell; energies and errors are divided by it."""
    mpc: bool = False
    """Add the MPC correction, MPC - ElecElec of each block, of QMCPACK."""
    correction: Annotated[dict[str, float], Option(form="name=eV")] = Field(default={})
    """Constants to add to every energy of the structure's cell, by name, eV, such as kinetic=0.012."""
    shared_stderr: Annotated[dict[str, float], Option(form="name=eV")] = Field(default={})
    """Errors that all labels share, by name, eV, such as finite_size=0.02; they never enter a label's own error."""

    @property
    def writes_table(self) -> bool:
        """Whether the labels go to a table, not onto structures."""
        return self.out is not None and self.out.suffix.lower() == ".csv"
