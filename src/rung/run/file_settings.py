"""What is told to the work on files outside any run; a module of its own, for it needs no torch."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rung.settings import Option, Settings
from rung.source import Opening

DataFiles = Annotated[tuple[Path, ...], Option(positional=True)]


class CheckSettings(Settings):
    """Which files to check."""

    files: DataFiles = ()
    """Files of labelled structures, each a split; a fit would learn from the first that has energies of the target."""
    labels: tuple[Path, ...] = ()
    """Tables (CSV) of energies of these structures, and of their differences."""
    target: str | None = None
    """The fidelity to lift to."""
    base: Path | None = None
    """The model file of the base, to compare with the labels of its own fidelity."""
    base_fidelity: str | None = None
    """The fidelity that the base was trained on; needed with a base."""
    base_head: str | None = None
    """The head (or modality) of a base that has several."""
    trusted: bool = False
    """The model file may be loaded though it could run code: you know where it comes from."""


class EvaluationSettings(Opening):
    """Which model to evaluate on which files."""

    model: Annotated[Path, Option(positional=True)]
    """A model.rung, or a model file of a backend."""
    files: DataFiles = ()
    """Files of labelled structures, each a split of its own."""
    fidelity: str
    """The fidelity to predict and to compare with."""
    labels: tuple[Path, ...] = ()
    """Tables (CSV) of energies of these structures, and of their differences."""
    base: Path | None = None
    """The model file of the base: its forces as they are, its energies after one offset per element, single
    atoms apart."""
    base_fidelity: str | None = None
    """The fidelity of the base; needed with a base."""
    base_head: str | None = None
    """The head (or modality) of a base that has several."""


class ExportSettings(Settings):
    """What to export, and where to."""

    model: Annotated[Path, Option(positional=True)]
    """A model.rung."""
    out: Annotated[Path | None, Option(positional=True)] = None
    """The file to write; by default the name of the fidelity with the ending of such files."""
    fidelity: str
    """The fidelity to write."""
    engine: Annotated[str | None, Option(("for",))] = None
    """Convert it for another engine: lammps; for MACE also mliap, symmetrix. An input script stands beside it."""
    structures: Path | None = None
    """Where a converted file is compared with rung, 20 structures at most; by default three that are made up."""
    committee: int = Field(default=0, ge=0, le=1000)
    """Write so many files more, each drawn from the posterior: the spread of what they say is an error bar."""
    model_error: bool = True
    """Whether the spread holds the smooth part of the model's own error too, and not the labels' noise alone."""
    seed: int = Field(default=0, ge=0)
    """Of the draws."""
    dtype: Literal["float32", "float64"] | None = None
    """The type of the file's numbers, by default the model's own; all-electron energies need float64."""
    trusted: bool = False
    """The model file may be loaded though it could run code: you know where it comes from."""


class InspectSettings(Settings):
    """What to look at."""

    file: Annotated[Path, Option(positional=True)]
    """A model.rung, the folder of a run, a model file of a backend, or a file that was exported from one."""
    trusted: bool = False
    """The model file may be loaded though it could run code: you know where it comes from."""


class InitSettings(Settings):
    """What a config is begun from."""

    files: DataFiles = ()
    """Files of labelled structures. Where one of several is called train, each is a split by its name; otherwise all
    are divided."""
    target: str | None = None
    """The fidelity to lift to; by default the one whose energies have errors, or the one with the fewest energies."""
    base: Path | None = None
    """The model file to lift; without one, a config that trains it is written too."""
    base_fidelity: str | None = None
    """The fidelity of the base; by default the one with the most forces beside the target."""
    base_head: str | None = None
    """The head (or modality) of a base that has several."""
    out: Path = Path("lift")
    """The folder to write to."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """The share of structures to hold out, where no file is called train."""
    group: str | None = None
    """What must not stand on both sides then: composition, or a key of the frames such as the name of a trajectory."""
    seed: int = Field(default=0, ge=0)
    """Of the division."""
    trusted: bool = False
    """The model file may be loaded though it could run code: you know where it comes from."""
