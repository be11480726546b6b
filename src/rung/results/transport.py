"""``transport.json`` and ``msd.csv``: diffusivities and conductivities by temperature, and the displacements behind."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from rung.errors import StorageError
from rung.results.base import Entry, Number, Result
from rung.results.domain import FramesDomain
from rung.results.settings import SettingsEntry
from rung.storage import write_text

TRANSPORT_FILE = "transport.json"
DISPLACEMENTS_FILE = "msd.csv"


class ValueWithErrors(Entry):
    """A number with its errors."""

    value: Number
    """The mean over runs, or over draws of the potential; null where nothing diffuses."""
    stderr: Number
    """Its statistical error."""
    stderr_model: Number
    """What draws of the potential scatter beyond that; null without draws."""
    stderr_total: Number
    """The error to quote."""


class FittedWindow(Entry):
    """The lags that were fitted."""

    start_fs: Number
    """First lag, fs; null where none is fit to be the first."""
    end_fs: Number
    """Last lag, fs."""
    slope: Number
    """d ln MSD/d ln t there."""
    slope_stderr: Number
    """Its error."""
    diffusive: bool
    """Whether the slope is that of diffusion."""
    reason: str
    """Why not; empty where it is."""


class FittedLine(Entry):
    """A straight line through squared displacements."""

    diffusivity: Number
    """Å²/fs."""
    stderr: Number
    """Å²/fs."""
    intercept: Number
    """Å²."""


class FittedLines(Entry):
    """The lines of one run, in Å and fs; null where atoms do not diffuse."""

    tracer_line: FittedLine | None
    """Of single atoms."""
    collective_line: FittedLine | None
    """Of all mobile atoms together."""


class RunNumbers(Entry):
    """One run."""

    name: str
    """Its file."""
    draw: int | None
    """Which draw of the potential moved it; null where it was the potential itself."""
    n_frames: int
    """Frames that were used."""
    n_mobile: int
    """Mobile atoms."""
    volume: Number
    """Å³; null where the cell has none."""
    framework_rms: Number
    """How far an atom of the framework is from where it was at the longest lag, r.m.s., Å."""
    n_independent: Number = float("nan")
    """Atoms that move alone and would tell as much: fewer than there are where atoms move together."""
    lines_in_angstrom_and_fs: FittedLines
    """The fits."""


class AtTemperature(Entry):
    """Transport at one temperature."""

    temperature: Number
    """K."""
    n_runs: int
    """Runs."""
    n_draws: int
    """Draws of the potential among them."""
    window: FittedWindow
    """What was fitted."""
    tracer_diffusivity: ValueWithErrors
    """cm²/s."""
    collective_diffusivity: ValueWithErrors
    """cm²/s."""
    haven_ratio: ValueWithErrors
    """Tracer over collective diffusivity."""
    conductivity: ValueWithErrors
    """S/cm."""
    conductivity_nernst_einstein: ValueWithErrors
    """S/cm."""
    run_scale: Number
    """By what the spread of runs widened the error."""
    runs: tuple[RunNumbers, ...]
    """The runs."""
    by_draw: Mapping[int, Mapping[str, ValueWithErrors]]
    """The values of each draw alone."""
    warnings: tuple[str, ...]
    """What a reader should know."""
    domain: FramesDomain | None = None
    """Which frames are outside the domain of the fit; null without a model or its error bars."""


class ArrheniusLine(Entry):
    """A rate A exp(−E/kT)."""

    activation_energy: Number
    """eV."""
    activation_energy_stderr: Number
    """eV."""
    log_prefactor: Number
    """ln A."""
    log_prefactor_stderr: Number
    """Of ln A."""
    covariance: tuple[tuple[Number, Number], tuple[Number, Number]]
    """Of (ln A, E)."""
    scale: Number
    """By what points that scatter widened all errors."""
    temperatures: tuple[Number, ...]
    """K."""


class ActivationNumbers(Entry):
    """What temperatures say of one quantity."""

    quantity: str
    """Its name and unit."""
    fit: ArrheniusLine
    """The line."""
    activation_energy: ValueWithErrors
    """eV."""
    extrapolated: Mapping[float, tuple[Number, Number]]
    """Value and error at other temperatures, by K."""


class TransportSettingsEntry(SettingsEntry):
    """The settings of the analysis."""

    species: str
    """What moves."""


class TransportResult(Result):
    """What ``rung transport`` found."""

    units: Mapping[str, str]
    """Of each kind of number."""
    settings: TransportSettingsEntry
    """Of the analysis."""
    temperatures: tuple[AtTemperature, ...]
    """Coldest first."""
    activation: Mapping[str, ActivationNumbers]
    """By quantity; empty for one temperature."""
    reason: str
    """Why something does not diffuse; empty where all does."""


@dataclass(frozen=True)
class Displacement:
    """A line of ``msd.csv``.

    Parameters
    ----------
    temperature
        K.
    run, draw
        The run, and its draw of the potential; None where it was the potential itself.
    time_ps
        Lag, ps.
    msd, collective_msd
        Mean squared displacement of one mobile atom, and of all together over their number, Å².
    """

    temperature: float
    run: str
    draw: int | None
    time_ps: float
    msd: float
    collective_msd: float


def write_displacements(path: Path, rows: Iterable[Displacement]) -> None:
    """Write ``msd.csv``, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Displacement)])
    writer.writerows(["" if cell is None else cell for cell in astuple(row)] for row in rows)
    write_text(path, text.getvalue())


def read_displacements(path: Path) -> tuple[Displacement, ...]:
    """Read ``msd.csv``.

    Raises
    ------
    StorageError
        When it is absent or a line of it is damaged.
    """
    try:
        with Path(path).open(newline="") as file:
            return tuple(_displacement(row) for row in csv.DictReader(file))
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is damaged ({error}); delete it and run again.") from error


def _displacement(row: Mapping[str, str]) -> Displacement:
    numbers = (float(row[name]) for name in ("time_ps", "msd", "collective_msd"))
    return Displacement(float(row["temperature"]), row["run"], int(row["draw"]) if row["draw"] else None, *numbers)
