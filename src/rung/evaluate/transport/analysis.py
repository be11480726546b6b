"""Diffusivity and ionic conductivity from runs of molecular dynamics, with errors; arrays and ASE's structures in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import units

from rung.errors import DataError, counted
from rung.evaluate.transport.diffusion import SQUARE_CM_PER_SECOND, LineFit, combined, fit_line
from rung.evaluate.transport.regime import MeasuredRun, Run, TransportSettings, Window, diffusive_window, measured_run
from rung.progress import SILENT, Progress
from rung.results.transport import Displacement
from rung.units import BOLTZMANN

FEWEST_RUNS = 3
"""Runs of one kind below which their spread says too little."""

TOGETHER = 0.5
"""Part of the atoms that they are worth below which they are said to move together."""

_SAME_VOLUME = 1e-3
"""Of a volume: runs that differ by less are of one cell; what text files round off is smaller."""

_FRAMEWORK_MOVES = 1.0
"""Å: a framework whose atoms are further from where they were is none."""


@dataclass(frozen=True)
class Value:
    """A number with its error.

    Parameters
    ----------
    value
        The mean over runs, or over draws of the potential.
    stderr
        Its statistical error: what more or longer runs would reduce.
    stderr_model
        What draws of the potential scatter beyond that; NaN without draws.
    stderr_total
        The error to quote: without draws the statistical one, with draws their standard deviation.
    """

    value: float
    stderr: float
    stderr_model: float = float("nan")
    stderr_total: float = float("nan")


@dataclass(frozen=True)
class Transport:
    """Transport at one temperature.

    Parameters
    ----------
    temperature
        K.
    n_runs, n_draws
        Runs, and the draws of the potential among them (0 where it was the potential itself).
    window
        What was fitted.
    tracer_diffusivity
        Of one atom, cm²/s.
    collective_diffusivity
        Of all mobile atoms together, cm²/s: what the conductivity follows from.
    haven_ratio
        Tracer over collective diffusivity: 1 where atoms move independently.
    conductivity
        From the collective diffusivity, S/cm; NaN without a charge or a volume.
    conductivity_nernst_einstein
        From the tracer diffusivity, S/cm: the Nernst–Einstein relation, which takes the Haven ratio to be 1.
    run_scale
        Factor by which the spread of runs widened the error of the tracer diffusivity; 1 where they agree.
    runs
        The runs.
    by_draw
        The values above of each draw alone; empty without draws.
    warnings
        What a reader should know.
    """

    temperature: float
    n_runs: int
    n_draws: int
    window: Window
    tracer_diffusivity: Value
    collective_diffusivity: Value
    haven_ratio: Value
    conductivity: Value
    conductivity_nernst_einstein: Value
    run_scale: float
    runs: tuple[MeasuredRun, ...] = field(repr=False)
    by_draw: Mapping[int, Mapping[str, Value]] = field(repr=False)
    warnings: tuple[str, ...]


def transport(runs: Sequence[Run], settings: TransportSettings, *, progress: Progress = SILENT) -> list[Transport]:
    """Return diffusivities and conductivities at each temperature of ``runs``, coldest first.

    Parameters
    ----------
    runs
        At least one; three or more of each temperature and draw let their spread be seen.
    settings
        What moves, how far apart frames are, what is fitted.
    progress
        Where runs are reported.

    Raises
    ------
    DataError
        When a run cannot be used: see :func:`rung.evaluate.transport.displacement.displacements`.

    Notes
    -----
    Where atoms do not diffuse, ``window.diffusive`` is False, ``window.reason`` says why, and all numbers are NaN.
    """
    measured = []
    with progress.task("displacements", len(runs)) as task:
        for run in runs:
            measured.append(measured_run(run, settings))
            task.advance()
    temperatures = sorted({run.temperature for run in measured})
    return [
        at_temperature([run for run in measured if run.temperature == temperature], settings)
        for temperature in temperatures
    ]


def at_temperature(runs: Sequence[MeasuredRun], settings: TransportSettings) -> Transport:
    """Return the transport of runs of one temperature, of the potential or of draws of it."""
    first = runs[0]
    if len({run.n_mobile for run in runs}) > 1 or len({run.draw is None for run in runs}) > 1:
        raise DataError(
            f"The runs at {first.temperature:g} K have different numbers of {settings.species} atoms, or only some are "
            "of a draw; give runs of one cell, and of the potential or of draws."
        )
    _require_one_volume(runs)
    window = diffusive_window(runs, settings)
    warnings = list(_warnings(runs, window, settings))
    fitted = [_fitted(run, window, settings) for run in runs] if window.diffusive else list(runs)
    groups = {draw: [run for run in fitted if run.draw == draw] for draw in dict.fromkeys(run.draw for run in runs)}
    found = {draw: _group(group, settings) for draw, group in groups.items()}
    by_draw = {draw: one for draw, one in found.items() if draw is not None}
    values = {
        name: _over_draws([one[name] for one in found.values()], len(by_draw)) for name in next(iter(found.values()))
    }
    if window.diffusive and values["collective_diffusivity"].value <= 2 * values["collective_diffusivity"].stderr:
        warnings.append(
            "The collective diffusivity is less than two of its errors above zero: the runs are too short for a "
            "conductivity."
        )
    return Transport(
        temperature=first.temperature,
        n_runs=len(runs),
        n_draws=len(by_draw),
        window=window,
        run_scale=max(_scale(group) for group in groups.values()),
        runs=tuple(fitted),
        by_draw=by_draw,
        warnings=tuple(warnings),
        **values,
    )


def _require_one_volume(runs: Sequence[MeasuredRun]) -> None:
    """Refuse runs of different cells: each has a diffusivity of its own, and carriers of another density."""
    volumes = np.array([run.volume for run in runs])
    if np.isnan(volumes).all():
        return
    if np.isnan(volumes).any():
        raise DataError(
            f"Some of the runs at {runs[0].temperature:g} K have a cell that is periodic in three directions, and "
            "others have none; give all their cell."
        )
    if np.ptp(volumes) > _SAME_VOLUME * volumes.mean():
        raise DataError(
            f"The runs at {runs[0].temperature:g} K have cells of {volumes.min():.1f} to {volumes.max():.1f} Å³; give "
            "runs of one cell, and those of another one in a call of its own."
        )


def conductivity(diffusivity: float, *, charge: float, n_mobile: int, volume: float, temperature: float) -> float:
    """Return n (ze)² D / (V kT) in S/cm.

    Parameters
    ----------
    diffusivity
        D, cm²/s: collective for the conductivity itself, tracer for the Nernst–Einstein estimate.
    charge
        z, elementary charges.
    n_mobile, volume
        Ions in the cell, and its volume, Å³.
    temperature
        K.
    """
    per_metre = n_mobile / (volume * 1e-30) * charge**2 * float(units._e) * diffusivity * 1e-4
    return float(per_metre / (BOLTZMANN * temperature) / 100.0)


def _fitted(run: MeasuredRun, window: Window, settings: TransportSettings) -> MeasuredRun:
    first = round(window.start_fs / settings.frame_fs)
    lines = [
        fit_line(
            moments.between(first, int(moments.lags[-1])),
            n_frames=run.n_frames,
            frame_fs=settings.frame_fs,
            n_walkers=walkers,
            dimensions=len(settings.axes),
        )
        for moments, walkers in ((run.tracer, run.n_independent), (run.collective, 1.0))
    ]
    # without a framework, all atoms together stand still by construction
    together = lines[1] if np.isfinite(run.framework_rms) else None
    return replace(run, tracer_line=lines[0], collective_line=together)


def _group(runs: Sequence[MeasuredRun], settings: TransportSettings) -> dict[str, Value]:
    """Return the values of runs that one potential moved; NaN where they were not fitted."""
    tracer, together = _mean_line(runs, "tracer_line"), _mean_line(runs, "collective_line")
    known = settings.charge is not None and np.isfinite(runs[0].volume)
    per = (
        conductivity(
            1.0,
            charge=settings.charge or 0.0,
            n_mobile=runs[0].n_mobile,
            volume=runs[0].volume,
            temperature=runs[0].temperature,
        )
        if known
        else float("nan")
    )
    ratio = tracer.value / together.value if together.value else float("nan")
    relative = np.hypot(tracer.stderr / tracer.value, together.stderr / together.value)
    return {
        "tracer_diffusivity": tracer,
        "collective_diffusivity": together,
        "haven_ratio": Value(ratio, abs(ratio) * float(relative)),
        "conductivity": Value(per * together.value, per * together.stderr),
        "conductivity_nernst_einstein": Value(per * tracer.value, per * tracer.stderr),
    }


def _combined(runs: Sequence[MeasuredRun], which: str) -> tuple[float, float, float]:
    lines: list[LineFit | None] = [getattr(run, which) for run in runs]
    known = [line for line in lines if line is not None]
    if not known:
        return float("nan"), float("nan"), 1.0
    lengths = [run.n_frames for run in runs]
    return combined([line.diffusivity for line in known], [line.stderr for line in known], lengths)


def _mean_line(runs: Sequence[MeasuredRun], which: str) -> Value:
    mean, stderr, _ = _combined(runs, which)
    return Value(mean * SQUARE_CM_PER_SECOND, stderr * SQUARE_CM_PER_SECOND)


def _scale(runs: Sequence[MeasuredRun]) -> float:
    return _combined(runs, "tracer_line")[2]


def _over_draws(values: Sequence[Value], n_draws: int) -> Value:
    """Return the mean over draws; their standard deviation is the error to quote, for the truth is one such draw."""
    if n_draws < 2:
        return replace(values[0], stderr_total=values[0].stderr)
    each = np.array([one.value for one in values])
    sampling = np.square([one.stderr for one in values])
    between = float(each.var(ddof=1))
    stderr = float(np.sqrt(sampling.sum()) / len(each))
    model = float(np.sqrt(max(between - float(sampling.mean()), 0.0)))
    return Value(float(each.mean()), stderr, model, float(np.sqrt(max(between, stderr**2))))


def _warnings(runs: Sequence[MeasuredRun], window: Window, settings: TransportSettings) -> list[str]:
    said = []
    temperature = runs[0].temperature
    counts = {draw: sum(run.draw == draw for run in runs) for draw in {run.draw for run in runs}}
    fewest = min(counts.values())
    if runs[0].draw is None and fewest < FEWEST_RUNS:
        said.append(
            f"{'One run' if fewest == 1 else f'{fewest} runs'} at {temperature:g} K: the spread between runs is not "
            f"known, only the error within each; make at least {FEWEST_RUNS}."
        )
    if runs[0].draw is not None and len(counts) < FEWEST_RUNS:
        said.append(
            f"There {'is' if len(counts) == 1 else 'are'} {counted(len(counts), 'draw')} at {temperature:g} K: the "
            f"error of the model needs {FEWEST_RUNS}."
        )
    worth = sum(run.n_independent for run in runs) / sum(run.n_mobile for run in runs)
    if worth < TOGETHER:
        said.append(
            f"{settings.species} atoms move together: {runs[0].n_mobile} of them tell as much as "
            f"{worth * runs[0].n_mobile:.1f} that move alone, and errors count that."
        )
    if settings.charge is None:
        said.append("No charge was given, so there are no conductivities.")
    elif not np.isfinite(runs[0].volume):
        said.append("The cell is not periodic in three directions, so there are no conductivities.")
    moving = max((run.framework_rms for run in runs if np.isfinite(run.framework_rms)), default=float("nan"))
    if np.isnan(moving):
        said.append(
            "Every atom is mobile: the centre of mass of all was held at rest, and no collective motion is left."
        )
    elif moving > _FRAMEWORK_MOVES:
        said.append(
            f"Atoms of the framework are {moving:.1f} Å (r.m.s.) from where they were: it melts, or groups in it turn."
        )
    if not window.diffusive:
        said.append(f"At {temperature:g} K: {window.reason}")
    return said


def as_rows(results: Sequence[Transport], settings: TransportSettings) -> list[Displacement]:
    """Return the squared displacements of all runs as rows of a table: Å² against ps."""
    return [
        Displacement(
            temperature=run.temperature,
            run=run.name,
            draw=run.draw,
            time_ps=float(lag) * settings.frame_fs / 1000.0,
            msd=float(one),
            collective_msd=float(together),
        )
        for result in results
        for run in result.runs
        for lag, one, together in zip(run.tracer.lags, run.tracer.mean, run.collective.mean, strict=True)
    ]
