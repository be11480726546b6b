# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung relax``: a structure at rest, with its cell where asked for."""

from pathlib import Path
from typing import Literal

from rung.cli.console import ERR, OUT, TerminalProgress, print_json


def relax(
    model: str,
    start: Path,
    /,
    *,
    fidelity: str,
    out: Path,
    fmax: float = 0.02,
    steps: int = 500,
    cell: bool = False,
    plane: bool = False,
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Relax a structure, and warn where its cell is a guess.

    Exit code 1 says that the forces asked for were not reached.

    Parameters
    ----------
    model
        A model.rung, a model file of a backend, or package.module:function that returns an ASE calculator.
    start
        The structure; the first of the file.
    fidelity
        The fidelity to relax at.
    out
        The folder of relaxed.extxyz and relax.json.
    fmax
        Largest force on an atom at the end, eV/A.
    steps
        Steps that it may take.
    cell
        The cell relaxes too.
    plane
        The first two vectors of the cell relax: for layers in vacuum.
    trusted
        The model file may run code while it loads: you know where it comes from.
    device
        Where the model runs: cpu, cuda.
    dtype
        The type in which it runs; by default its own.
    json
        Print JSON in place of lines.
    """
    from rung.evaluate.relaxation import RelaxationSettings
    from rung.tasks.opened import Source, open_calculator
    from rung.tasks.relaxation import relax_file

    found = relax_file(
        open_calculator(Source(model=model, trusted=trusted, device=device, dtype=dtype), fidelity),
        start,
        out,
        RelaxationSettings.read({"fmax": fmax, "steps": steps, "cell": cell, "plane": plane}, "options"),
        progress=TerminalProgress(),
    )
    for sentence in found["warnings"]:
        ERR.print(f"warning: {sentence}", markup=False)
    if json:
        print_json(found)
    else:
        OUT.print(
            f"energy {found['energy']:.6f} eV, largest force {found['max_force']:.4f} eV/Å, cell (Å):", markup=False
        )
        for vector in found["cell"]:
            OUT.print("  ".join(f"{component:12.6f}" for component in vector), markup=False)
    if not found["converged"]:
        ERR.print(f"rung: Not relaxed to {fmax} eV/Å in {found['steps']} steps; give more steps.", markup=False)
    return int(not found["converged"])
