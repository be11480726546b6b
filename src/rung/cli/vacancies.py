# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung vacancies``: parses, calls one public function and prints."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from rung.cli.console import ERR, OUT, TerminalProgress, print_json

if TYPE_CHECKING:
    from rung.results.vacancies import VacanciesResult

UNKNOWN = "–"


def vacancies(
    model: str,
    /,
    *,
    fidelity: Annotated[list[str], Parameter(consume_multiple=True)],
    out: Path = Path("vacancies"),
    metal: str = "Mo",
    chalcogen: str = "S",
    lattice: float = 3.18,
    thickness: float = 3.13,
    counts: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (1, 2, 3, 4, 5, 6),
    ways: Annotated[tuple[Literal["concerted", "sequential"], ...], Parameter(consume_multiple=True)] = ("concerted",),
    margin: int = 2,
    most_margin: int = 4,
    tolerance: float = 0.02,
    images: int = 5,
    fmax: float = 0.05,
    steps: int = 500,
    chemical_potential: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Find barriers of rows of vacancies in an MX2 monolayer, converged in cell size, and what vacancies cost.

    What was finished is kept; the same command goes on where a broken one was. Exit code 1 says that some number is
    missing or not converged in cell size.

    Parameters
    ----------
    model
        A model.rung, a model file of a backend, or package.module:function that returns an ASE calculator.
    fidelity
        The fidelity, or several to put side by side.
    out
        The folder of bands and results.
    metal, chalcogen
        Symbols of the elements.
    lattice, thickness
        Lattice constant, and distance of the two planes of chalcogen, Å.
    counts
        Numbers of vacancies in a row.
    ways
        All atoms of the row at once, or one after the other.
    margin, most_margin
        Repeats of the first and of the largest cell beyond the row.
    tolerance
        The barrier for each atom counts as converged where a larger cell changes it by less, eV.
    images
        Images of each band, both ends counted.
    fmax
        Largest force on an atom at which a band counts as relaxed, eV/Å.
    steps
        Steps that a band may take.
    chemical_potential
        Of the chalcogen, for each fidelity: pbe=-4.13, eV an atom on that fidelity's scale of energies. Without it
        there are binding energies and no energy of formation.
    trusted
        The model file may run code while it loads: you know where it comes from.
    device
        Where the model runs: cpu, cuda.
    dtype
        The type in which it runs; by default its own.
    json
        Print JSON in place of a table.
    """
    from rung.tasks.opened import Source, open_fidelities
    from rung.tasks.vacancies import VacancyTask, study_vacancies

    task = VacancyTask.read(
        {
            "monolayer": {"metal": metal, "chalcogen": chalcogen, "lattice": lattice, "thickness": thickness},
            "counts": counts,
            "ways": ways,
            "margin": margin,
            "most": most_margin,
            "tolerance": tolerance,
            "images": images,
            "band": {"fmax": fmax, "max_steps": steps},
            "chemical_potentials": dict(_pair(text) for text in chemical_potential),
        },
        "options",
    )
    potentials = open_fidelities(Source(model=model, trusted=trusted, device=device, dtype=dtype), fidelity)
    result = study_vacancies(potentials, task, out, progress=TerminalProgress())
    if json:
        print_json(result.as_json())
    else:
        _print(result)
    for hop in result.hops:
        if hop.reason:
            ERR.print(f"rung: {hop.fidelity}, {hop.vacancies} vacancies: {hop.reason}.", markup=False)
    for entry in result.defects:
        if entry.refused:
            ERR.print(f"rung: {entry.fidelity}: {entry.refused}", markup=False)
    return int(any(hop.reason for hop in result.hops) or any(entry.refused for entry in result.defects))


def _pair(text: str) -> tuple[str, str]:
    from rung.errors import ConfigError

    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"A chemical potential is written as fidelity=value, not {text!r}.")
    return name, value


def _print(result: "VacanciesResult") -> None:
    from rich.table import Table

    table = Table(title="Hops of rows of vacancies")
    for heading in ("fidelity", "way"):
        table.add_column(heading)
    for heading in ("vacancies", "cell", "barrier, eV", "for each atom", "± weights", "± in all"):
        table.add_column(heading, justify="right")
    for hop in result.hops:
        cell = "x".join(str(side) for side in hop.size) + ("" if hop.converged else "?")
        numbers = (_number(value) for value in (hop.barrier, hop.per_atom, hop.stderr, hop.stderr_total))
        table.add_row(hop.fidelity, hop.way, str(hop.vacancies), cell, *numbers)
    OUT.print(table)
    defects = Table(title="Energies of vacancies")
    defects.add_column("fidelity")
    defects.add_column("energy")
    for heading in ("eV", "± weights", "± in all"):
        defects.add_column(heading, justify="right")
    for entry in result.defects:
        for energy in entry.energies:
            numbers = (_number(value) for value in (energy.value, energy.stderr, energy.stderr_total))
            defects.add_row(entry.fidelity, energy.name, *numbers)
    OUT.print(defects)


def _number(value: float) -> str:
    return UNKNOWN if isnan(value) else f"{value:.3f}"
