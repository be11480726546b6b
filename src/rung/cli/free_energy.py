# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung free-energy``: a free-energy barrier along a collective variable."""

from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from rung.cli.console import ERR, OUT, TerminalProgress, print_json

if TYPE_CHECKING:
    from rung.results.free_energy import FreeEnergyResult


def free_energy(
    model: str,
    start: Path,
    /,
    *,
    fidelity: str,
    cv: Path,
    temperature: float,
    windows: Annotated[tuple[float, float, int], Parameter(allow_leading_hyphen=True)],
    out: Path,
    steps: int = 4000,
    spring: float | None = None,
    timestep: float = 1.0,
    friction: float = 0.01,
    settings: Path | None = None,
    band: Path | None = None,
    reactant: Literal["low", "high"] = "low",
    transition_state: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    length: float = 1.0,
    bins: int = 60,
    draws: int = 32,
    target_energies: Path | None = None,
    target: str | None = None,
    free_drift: bool = False,
    seed: int = 0,
    trusted: bool = False,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] | None = None,
    json: bool = False,
) -> int:
    """Find a free-energy barrier along a collective variable by umbrella sampling and MBAR.

    Windows that are done are kept; the same command goes on where a broken one was. Exit code 1 says that there is no
    barrier to report, and why.

    Parameters
    ----------
    model
        A model.rung, a model file of a backend, or package.module:function that returns an ASE calculator.
    start
        A structure of the reactant; the first of the file.
    fidelity
        The fidelity to sample.
    cv
        YAML of the collective variable: distance_difference, projected_displacement or path.
    temperature
        K.
    windows
        Where the first and the last window are, in the unit of the variable, and how many there are.
    out
        The folder of windows and results.
    steps
        Steps of each window; more may be asked for later.
    spring
        Spring constant, eV over the unit of the variable squared; by default 4 kT over the spacing squared.
    timestep
        fs.
    friction
        1/fs.
    settings
        YAML of everything else about the sampling, such as sample_every and steering_steps.
    band
        Images from which the windows start; without it a path variable's own band, else a moving spring.
    reactant
        On which side of the top the reactant is.
    transition_state
        Where the top is; by default where the profile has it.
    length
        The length l0 that makes the barrier a free energy, in the unit of the variable.
    bins
        Bins of the profile.
    draws
        Posterior draws for the model's error.
    target_energies
        Structures of frames.extxyz that carry energies of another fidelity: the barrier is reweighted to it.
    target
        The fidelity of those energies.
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
    from rung.tasks.free_energy import FreeEnergyTask, find_free_energy
    from rung.tasks.opened import Source, open_calculator

    task = FreeEnergyTask.with_file(
        settings,
        start=start,
        variable=cv,
        windows=windows,
        sampling={
            "temperature": temperature,
            "steps": steps,
            "spring": spring,
            "timestep": timestep,
            "friction": friction,
            "remove_drift": not free_drift,
            "seed": seed,
        },
        band=band,
        analysis={"bins": bins, "reactant": reactant, "transition_state": transition_state, "length": length},
        draws=draws,
        target_energies=target_energies,
        target=target,
    )
    potential = open_calculator(Source(model=model, trusted=trusted, device=device, dtype=dtype), fidelity)
    result = find_free_energy(potential, task, out, progress=TerminalProgress())
    if json:
        print_json({key: value for key, value in result.as_json().items() if key != "samples"})
    else:
        _print(result)
    for sentence in result.warnings:
        ERR.print(f"warning: {sentence}", markup=False)
    if result.reason:
        ERR.print(f"rung: {result.reason} What was sampled is kept in {out}.", markup=False)
    return int(bool(result.reason))


def _print(result: "FreeEnergyResult") -> None:
    from rich.table import Table

    barrier = result.barrier
    if barrier is None:
        return
    unit = "" if result.unit == "1" else f" {result.unit}"
    table = Table(title=f"Free energy of {result.fidelity} at {result.temperature:.0f} K")
    table.add_column("quantity")
    table.add_column("value", justify="right")
    table.add_column("standard error", justify="right")
    table.add_row("top ξ‡" + (f",{unit}" if unit else ""), f"{barrier.transition_state:.3f}", "")
    for name, value, stderr in (
        (f"ΔF‡, ℓ0 = {barrier.length:g}{unit}, eV", barrier.barrier, barrier.barrier_stderr),
        ("ΔF‡ from the other side, eV", barrier.reverse, barrier.reverse_stderr),
        ("reaction ΔF, eV", barrier.reaction, barrier.reaction_stderr),
        ("activation −kT ln(hk/kT), eV", barrier.activation, barrier.activation_stderr),
    ):
        table.add_row(name, f"{value:.3f}", f"{stderr:.3f}")
    table.add_row("transition-state rate, 1/s", f"{barrier.rate:.3g}", f"×/÷ {exp(barrier.rate_log_stderr):.2f}")
    draws, target = result.model_error, result.reweighted
    if draws is not None:
        spread = "refused" if draws.reason else f"{draws.spread_of_change:.3f}"
        first_order = f"first order {draws.spread_of_first_order:.3f}"
        table.add_row("model error of ΔF‡, posterior draws, eV", f"{spread}; {first_order}", "")
    if target is not None:
        change = "refused" if target.reason else f"{target.change:+.3f}"
        stderr_of_change = "" if target.reason else f"{target.statistical_stderr:.3f}"
        table.add_row(f"ΔF‡ change to {target.fidelity}, eV", change, stderr_of_change)
    OUT.print(table)
