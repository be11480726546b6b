# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung transport``: diffusivity and ionic conductivity from trajectories."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from rung.cli.console import ERR, OUT, TerminalProgress, print_json

Several = Parameter(consume_multiple=True)


def transport(
    *files: Path,
    species: str,
    temperature: Annotated[list[float], Several],
    frame_fs: float,
    out: Path,
    charge: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    draw: Annotated[list[int] | None, Several] = None,
    axes: str = "xyz",
    skip_fs: float = 0.0,
    start_fs: float | None = None,
    longest: float = 0.5,
    slope_tolerance: float = 0.1,
    extrapolate: Annotated[list[float] | None, Several] = None,
    unwrapped: bool = False,
    json: bool = False,
) -> int:
    """Find diffusivities, conductivities and activation energies from runs at constant volume.

    Give three runs or more of each temperature. Exit code 1 says that nothing was seen to diffuse at some temperature;
    the displacements are written all the same.

    Parameters
    ----------
    files
        Trajectories that ASE reads, one run a file, frames at equal times apart.
    species
        Symbol of the element that moves; all others are the framework, held at rest.
    temperature
        K: one for all files, or one each in the order of the files.
    frame_fs
        Time between two frames, fs.
    out
        The folder of results: transport.json, msd.csv, transport.html.
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
    json
        Print JSON in place of a table.
    """
    from rung.evaluate.regime import TransportSettings
    from rung.run.transports import find_transport

    settings = TransportSettings.read(
        {
            "species": species,
            "frame_fs": frame_fs,
            "charge": charge,
            "axes": axes,
            "skip_fs": skip_fs,
            "start_fs": start_fs,
            "longest": longest,
            "slope_tolerance": slope_tolerance,
            "unwrapped": unwrapped,
        },
        "options",
    )
    found = find_transport(
        files,
        out,
        settings,
        temperatures=temperature,
        draws=draw or (),
        extrapolate=extrapolate or (),
        progress=TerminalProgress(),
    )
    if json:
        print_json(found)
    else:
        print_transport(found)
    if found["reason"]:
        ERR.print(f"rung: {found['reason']} The displacements are kept in {out}.", markup=False)
    return int(bool(found["reason"]))


def print_transport(found: Mapping[str, Any]) -> None:
    """Print what ``transport.json`` says, and its warnings."""
    from rich.table import Table

    from rung.report.transport import scientific, with_total
    from rung.storage import jsonable

    found = jsonable(found)
    table = Table(title=f"Transport of {found['settings']['species']} (diffusivities cm²/s, conductivities S/cm)")
    for heading in ("T, K", "runs", "D tracer", "D collective", "Haven ratio", "σ", "σ Nernst–Einstein"):
        table.add_column(heading, justify="right")
    names = ("tracer_diffusivity", "collective_diffusivity", "haven_ratio", "conductivity")
    for one in found["temperatures"]:
        values = [with_total(one[name]) for name in (*names, "conductivity_nernst_einstein")]
        table.add_row(f"{one['temperature']:g}", str(one["n_runs"]), *values)
    OUT.print(table)
    for one in found["activation"].values():
        energy = one["activation_energy"]
        said = f"Activation energy of the {one['quantity'].split(',')[0]}: "
        OUT.print(said + scientific(energy["value"], energy["stderr_total"]), "eV", markup=False)
        for kelvin, (value, stderr) in one["extrapolated"].items():
            quantity = f"{one['quantity']}: {scientific(value, stderr)}"
            OUT.print(f"At {kelvin} K, if the same process rules there, {quantity}", markup=False)
    if any(one["conductivity"]["value"] is not None for one in found["temperatures"]):
        OUT.print("The Nernst–Einstein conductivity takes the Haven ratio to be 1; the other one does not.")
    for one in found["temperatures"]:
        for sentence in one["warnings"]:
            ERR.print(f"warning: {sentence}", style="yellow", markup=False)
