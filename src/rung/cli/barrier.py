# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung barrier``: parses, calls one public function and prints."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from rung.cli.console import ERR, OUT, TerminalProgress, print_json

if TYPE_CHECKING:
    from rung.results.barrier_task import Rate, TaskPanel

UNKNOWN = "–"


def barrier(
    model: str,
    initial: Path | None = None,
    final: Path | None = None,
    /,
    *,
    fidelity: Annotated[list[str], Parameter(consume_multiple=True)],
    out: Path = Path("barrier"),
    images: Literal["auto"] | int = 7,
    image_tolerance: float = 0.01,
    fmax: float = 0.05,
    steps: int = 500,
    endpoint_fmax: float = 0.02,
    keep_ends: bool = False,
    free_molecule: bool = False,
    match_atoms: bool = False,
    allow_exchange: bool = False,
    draws: int = 16,
    seed: int = 0,
    rate: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (),
    no_modes: bool = False,
    moving: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (),
    displacement: float = 0.01,
    path: Path | None = None,
    energies: Path | None = None,
    target: str | None = None,
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Find the barrier between two structures, with its error bar, on one fidelity or several.

    What was relaxed is kept; the same command goes on where a broken one was. Exit code 1 says that a band did not
    converge: then there is no barrier, but the band is there.

    Parameters
    ----------
    model
        A model.rung, a model file of a backend, or package.module:function that returns an ASE calculator.
    initial, final
        Files of the two ends: the same atoms in one order and one cell.
    fidelity
        The fidelity, or several to put side by side.
    out
        The folder of bands and results.
    images
        Images of the band, both ends counted; auto: more and more until the barrier stands still.
    image_tolerance
        With auto: the change of the barrier, eV, at which it does.
    fmax
        Largest force on an atom at which the band counts as relaxed, eV/Å.
    steps
        Steps that the band may take.
    endpoint_fmax
        Largest force on an atom of a relaxed end, eV/Å.
    keep_ends
        The ends stay as they are given.
    free_molecule
        Whole turns and shifts are taken out.
    match_atoms
        Like atoms of the final structure are renumbered by the shortest way from the initial one.
    allow_exchange
        Like atoms truly change places.
    draws
        Posterior draws on which the band is relaxed again; 0: the error bar of first order.
    seed
        Which draws.
    rate
        Temperatures, K: zero-point energy, Vineyard prefactor and harmonic rate.
    no_modes
        The modes of the saddle are not computed.
    moving
        Indices of the atoms that move in the modes, from 0; by default all that are not held.
    displacement
        Step of the finite differences of the modes, Å.
    path
        A band to evaluate as it is.
    energies
        A band with single energies and errors of another fidelity, to draw beside.
    target
        The fidelity of those energies.
    trusted
        The model file may run code while it loads: you know where it comes from.
    device
        Where the model runs: cpu, cuda.
    dtype
        The type in which it runs; by default its own.
    json
        Print JSON in place of a table.
    """
    from rung.tasks.barrier import BarrierTask, find_barriers
    from rung.tasks.opened import Source, open_fidelities

    task = BarrierTask.read(
        {
            "initial": initial,
            "final": final,
            "images": images,
            "refinement": {"tolerance": image_tolerance},
            "band": {
                "fmax": fmax,
                "max_steps": steps,
                "endpoint_fmax": endpoint_fmax,
                "relax_endpoints": not keep_ends,
                "free_molecule": free_molecule,
                "match_atoms": match_atoms,
                "allow_exchange": allow_exchange,
            },
            "draws": draws,
            "seed": seed,
            "check_saddle": not no_modes,
            "temperatures": rate,
            "vibrations": {"moving": moving or None, "step": displacement},
            "path": path,
            "energies": energies,
            "target": target,
        },
        "options",
    )
    potentials = open_fidelities(Source(model=model, trusted=trusted, device=device, dtype=dtype), fidelity)
    panels = find_barriers(potentials, task, out, progress=TerminalProgress())
    if json:
        print_json([panel.as_json() for panel in panels])
    else:
        _print(panels)
    failed = [entry for panel in panels for entry in panel.barriers if entry.reason]
    for entry in failed:
        ERR.print(f"rung: no barrier of {entry.name}: {entry.reason}. The band is kept in {out}.", markup=False)
    return int(bool(failed))


def _print(panels: "Sequence[TaskPanel]") -> None:
    from rich.table import Table

    for panel in panels:
        table = Table(title=panel.title)
        table.add_column("potential")
        for heading in ("barrier, eV", "± weights", "± in all", "reverse, eV", "reaction, eV"):
            table.add_column(heading, justify="right")
        for entry in panel.barriers:
            values = (entry.value, entry.stderr, entry.stderr_total, entry.reverse, entry.reaction)
            table.add_row(entry.name, *(_number(value) for value in values))
        OUT.print(table)
        for entry in panel.barriers:
            for rate in entry.rates:
                OUT.print(f"{entry.name}: {_rate(rate)}", markup=False)
            for note in entry.notes:
                OUT.print(f"{entry.name}: {note}", markup=False)


def _rate(rate: "Rate") -> str:
    factor = "" if isnan(rate.factor) else f" (×/÷ {rate.factor:.2g} for one standard error)"
    return (
        f"at {rate.temperature:.0f} K {rate.rate:.3g} /s{factor}, with quantised modes "
        f"{rate.quantum_rate:.3g} /s; Vineyard prefactor {rate.prefactor:.3g} /s."
    )


def _number(value: float) -> str:
    return UNKNOWN if isnan(value) else f"{value:.3f}"
