# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung transport``: diffusivity and ionic conductivity from trajectories."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from rung.cli.console import ERR, OUT, TerminalProgress, print_json

if TYPE_CHECKING:
    from rung.results.transport import TransportResult

Several = Parameter(consume_multiple=True)


def transport(
    *files: Path,
    species: str,
    temperature: Annotated[list[float], Several],
    out: Path,
    frame_fs: float | None = None,
    charge: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    draw: Annotated[list[int] | None, Several] = None,
    axes: str = "xyz",
    skip_fs: float = 0.0,
    start_fs: float | None = None,
    longest: float = 0.5,
    slope_tolerance: float = 0.1,
    extrapolate: Annotated[list[float] | None, Several] = None,
    unwrapped: bool = False,
    model: str | None = None,
    fidelity: str | None = None,
    runs: int = 3,
    draws: int = 0,
    steps: int = 20000,
    timestep: float = 1.0,
    frame_every: int = 20,
    friction: float = 0.002,
    seed: int = 0,
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Find diffusivities, conductivities and activation energies from runs at constant volume.

    Give trajectories, three or more of each temperature; or, with --model, one structure from which the runs are made.
    Runs that were stopped go on when the same command is given again. Exit code 1 says that nothing was seen to
    diffuse at some temperature; the displacements are written all the same.

    Parameters
    ----------
    files
        Trajectories that ASE reads, one run a file, frames at equal times apart; with --model, the start structure.
    species
        Symbol of the element that moves; all others are the framework, held at rest.
    temperature
        K: one for all files, or one each in the order of the files; with --model, those to run at.
    out
        The folder of results: transport.json, msd.csv, transport.html.
    frame_fs
        Time between two frames of the files, fs.
    charge
        Charge of the mobile ion in elementary charges; without it there are no conductivities.
    draw
        Which draw of the potential moved each run, in the order of the files.
    axes
        Directions that count: xyz, or xy for a layer.
    skip_fs
        Time at the start of each run to leave out.
    start_fs
        Shortest time to fit; by default the first from which the slope is that of diffusion.
    longest
        Longest time to fit, as a part of the run.
    slope_tolerance
        How far the slope of ln MSD against ln t may be from 1.
    extrapolate
        Temperatures, K, at which to evaluate the Arrhenius fit.
    unwrapped
        The positions run on beyond the cell already.
    model
        Make the runs: a model.rung, a model file of a backend, or package.module:function for an ASE calculator.
    fidelity
        The fidelity to run; needed with --model.
    runs
        Runs at each temperature, and of each draw.
    draws
        Draws from the model's posterior to run in its place, for the error that the model has.
    steps
        Steps of each run; more may be asked for later.
    timestep
        fs.
    frame_every
        Steps from one frame to the next.
    friction
        Of the thermostat, 1/fs: it slows diffusion, so keep it weak.
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
    from rung.errors import ConfigError
    from rung.tasks.opened import Source, open_calculator
    from rung.tasks.transport import TransportTask, find_transport
    from rung.tasks.transport_runs import find_transport_of_model

    task = TransportTask.read(
        {
            "files": files,
            "temperatures": temperature,
            "frame_fs": frame_fs,
            "draw": draw or (),
            "unwrapped": unwrapped,
            "extrapolate": extrapolate or (),
            "diffusion": {
                "species": species,
                "charge": charge,
                "axes": axes,
                "skip_fs": skip_fs,
                "start_fs": start_fs,
                "longest": longest,
                "slope_tolerance": slope_tolerance,
            },
            "runs": {
                "runs": runs,
                "draws": draws,
                "steps": steps,
                "timestep": timestep,
                "frame_every": frame_every,
                "friction": friction,
                "seed": seed,
            },
        },
        "options",
    )
    if model is None:
        result = find_transport(task, out, progress=TerminalProgress())
    elif fidelity is None:
        raise ConfigError("Say which fidelity of the model to run: --fidelity.")
    elif len(files) != 1:
        raise ConfigError(f"With a model, give the one file of the start structure, not {len(files)} files.")
    else:
        potential = open_calculator(Source(model=model, trusted=trusted, device=device, dtype=dtype), fidelity)
        result = find_transport_of_model(potential, task, out, progress=TerminalProgress())
    if json:
        print_json(result.as_json())
    else:
        print_transport(result)
    if result.reason:
        ERR.print(f"rung: {result.reason} The displacements are kept in {out}.", markup=False)
    return int(bool(result.reason))


def print_transport(result: "TransportResult") -> None:
    """Print what ``transport.json`` says, and its warnings."""
    from rich.table import Table

    from rung.report.tasks.transport import scientific, values_of, with_total

    table = Table(title=f"Transport of {result.settings.species} (diffusivities cm²/s, conductivities S/cm)")
    for heading in ("T, K", "runs", "D tracer", "D collective", "Haven ratio", "σ", "σ Nernst–Einstein"):
        table.add_column(heading, justify="right")
    for one in result.temperatures:
        values = [with_total(value) for value in values_of(one)]
        table.add_row(f"{one.temperature:g}", str(one.n_runs), *values)
    OUT.print(table)
    for activation in result.activation.values():
        energy = activation.activation_energy
        sentence = f"Activation energy of the {activation.quantity.split(',')[0]}: "
        OUT.print(sentence + scientific(energy.value, energy.stderr_total), "eV", markup=False)
        for kelvin, (value, stderr) in activation.extrapolated.items():
            quantity = f"{activation.quantity}: {scientific(value, stderr)}"
            OUT.print(f"At {kelvin} K, if the same process rules there, {quantity}", markup=False)
    if any(isfinite(one.conductivity.value) for one in result.temperatures):
        OUT.print("The Nernst–Einstein conductivity takes the Haven ratio to be 1; the other one does not.")
    for one in result.temperatures:
        for sentence in one.warnings:
            ERR.print(f"warning: {sentence}", style="yellow", markup=False)
