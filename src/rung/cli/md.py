# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung md``: dynamics, and whether they are stable."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rung.cli.console import ERR, OUT, TerminalProgress, print_json

if TYPE_CHECKING:
    from rung.results.md import MDResult


def md(
    model: str,
    start: Path,
    /,
    *,
    fidelity: str,
    temperature: float,
    steps: int,
    out: Path,
    ensemble: Literal["nve", "nvt"] = "nvt",
    timestep: float = 1.0,
    friction: float = 0.01,
    sample_every: int = 10,
    frame_every: int = 50,
    save_every: int = 500,
    leverage_limit: float | None = None,
    leverage_reference: Path | None = None,
    discard: float = 0.2,
    settings: Path | None = None,
    free_drift: bool = False,
    seed: int = 0,
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Run dynamics, and say whether they are stable: energy drift, temperature, close contacts, atoms unlike any known.

    A run that was stopped goes on to the same trajectory when the same command is given again. Exit code 1 says that
    the run ended before its time, and why; its last frame is in for_labelling.extxyz.

    Parameters
    ----------
    model
        A model.rung, a model file of a backend, or package.module:function that returns an ASE calculator.
    start
        Where it begins; the first structure of the file.
    fidelity
        The fidelity to run at.
    temperature
        K: of the thermostat and of the first momenta.
    steps
        Steps in all; more may be asked for later.
    out
        The folder of the run.
    ensemble
        nve: constant energy. nvt: constant temperature by Langevin dynamics.
    timestep
        fs.
    friction
        Of the thermostat, 1/fs.
    sample_every
        Steps from one line of energies to the next.
    frame_every
        Steps from one frame of the trajectory to the next.
    save_every
        Steps from one restart file to the next.
    leverage_limit
        Stop where an atom's error from the fitted weights is so many times that of the reference structures.
    leverage_reference
        Structures that are known, such as the training set; by default the start alone.
    discard
        Part of the run that is left out of averages.
    settings
        YAML of everything else about the run, such as leverage_every and limits.
    free_drift
        The centre of mass may move: for a potential from outside.
    seed
        Of the random numbers.
    trusted
        The model file may run code while it loads: you know where it comes from.
    device
        Where the model runs: cpu, cuda.
    dtype
        The type in which it runs; by default its own.
    json
        Print JSON in place of a table.
    """
    from rung.tasks.md import MDTask, find_md
    from rung.tasks.opened import Source, open_calculator

    task = MDTask.with_file(
        settings,
        start=start,
        dynamics={
            "ensemble": ensemble,
            "temperature": temperature,
            "steps": steps,
            "timestep": timestep,
            "friction": friction,
            "sample_every": sample_every,
            "frame_every": frame_every,
            "save_every": save_every,
            "leverage_limit": leverage_limit,
            "remove_drift": not free_drift,
            "seed": seed,
        },
        leverage_reference=leverage_reference,
        discard=discard,
    )
    potential = open_calculator(Source(model=model, trusted=trusted, device=device, dtype=dtype), fidelity)
    result = find_md(potential, task, out, progress=TerminalProgress())
    if json:
        print_json({key: value for key, value in result.as_json().items() if key not in ("samples", "radial")})
    else:
        _print(result)
    if result.reason:
        ERR.print(f"rung: The run ended {result.reason}. What there is is kept in {out}.", markup=False)
    return int(bool(result.reason))


def _print(result: "MDResult") -> None:
    from rich.table import Table

    averages = result.statistics
    if averages is None:
        ERR.print("The run is too short for averages.", markup=False)
        return
    table = Table(title=f"{result.settings.ensemble.upper()} of {result.fidelity}, {result.picoseconds:.3g} ps")
    table.add_column("quantity")
    table.add_column("value", justify="right")
    table.add_column("standard error", justify="right")
    table.add_row("temperature, K", f"{averages.temperature:.1f}", f"{averages.temperature_stderr:.1f}")
    table.add_row("its variance over the canonical one", f"{averages.temperature_variance_ratio:.2f}", "")
    table.add_row("potential energy, eV/atom", f"{averages.potential:.4f}", f"{averages.potential_stderr:.4f}")
    table.add_row("drift of the total energy, meV/atom/ps", f"{averages.drift:.3f}", f"{averages.drift_stderr:.3f}")
    table.add_row("fluctuation about it, meV/atom", f"{averages.fluctuation:.3f}", "")
    OUT.print(table)
