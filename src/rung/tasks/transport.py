"""Transport from files: trajectories in, a folder of results out."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read

from rung.errors import ConfigError, DataError
from rung.evaluate.dynamics.md import MARKER
from rung.evaluate.transport.analysis import Transport, as_rows, transport
from rung.evaluate.transport.arrhenius import activations
from rung.evaluate.transport.regime import MeasuredRun, Run, TransportSettings
from rung.progress import SILENT, Progress
from rung.report.tasks.transport import PAGE, write_transport_report
from rung.storage import write_json, write_text
from rung.tasks.folder import TaskFolder

RESULT = "transport.json"
TABLE = "msd.csv"
RUNS = "runs"
FOLDER = TaskFolder("transport", (RESULT, TABLE, PAGE), begun=(RESULT, f"{RUNS}/*/{MARKER}"), inside=(RUNS,))
UNITS = {
    "temperature": "K",
    "diffusivity": "cm²/s",
    "conductivity": "S/cm",
    "activation_energy": "eV",
    "msd": "Å²",
    "time": "ps",
}


def find_transport(
    files: Sequence[Path],
    out: Path,
    settings: TransportSettings,
    *,
    temperatures: Sequence[float],
    draws: Sequence[int] = (),
    extrapolate: Sequence[float] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Analyse trajectories, write ``transport.json``, ``msd.csv`` and ``transport.html``, and return the first.

    Parameters
    ----------
    files
        Trajectories that ASE reads, one run a file.
    out
        The folder of results.
    settings
        What moves, and how displacements become diffusivities.
    temperatures
        K: one for all files, or one each.
    draws
        Which draw of the potential moved each run; none where it was the potential itself.
    extrapolate
        Temperatures at which the Arrhenius fit is evaluated, K.
    progress
        Where runs are reported.

    Returns
    -------
    dict
        Its ``reason`` is not empty where at some temperature nothing diffuses; ``msd.csv`` is written all the same.

    Raises
    ------
    DataError
        When a trajectory cannot be used.
    ConfigError
        When the numbers of files, temperatures and draws do not agree.
    """
    runs = read_runs(files, temperatures, draws)
    with FOLDER.open(out):
        return analyse_runs(runs, out, settings, extrapolate=extrapolate, progress=progress)


def analyse_runs(
    runs: Sequence[Run],
    out: Path,
    settings: TransportSettings,
    *,
    extrapolate: Sequence[float] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Analyse runs, write the files of a folder of results, and return what ``transport.json`` says."""
    results = transport(runs, settings, progress=progress)
    return write_transport(out, results, settings, extrapolate=extrapolate)


def transport_settings(options: Mapping[str, Any], *, frame_fs: float | None, unwrapped: bool) -> TransportSettings:
    """Return the settings that ``options`` spell.

    Raises
    ------
    ConfigError
        When the time between frames is missing, or a setting is impossible.
    """
    if frame_fs is None:
        raise ConfigError("Say the time between two frames of the trajectories: --frame-fs.")
    return TransportSettings.read({**options, "frame_fs": frame_fs, "unwrapped": unwrapped}, "options")


def read_runs(files: Sequence[Path], temperatures: Sequence[float], draws: Sequence[int] = ()) -> list[Run]:
    """Return one run a file, with its temperature in K and its draw."""
    if not files:
        raise ConfigError("Give at least one file of a trajectory.")
    places = [Path(file).resolve() for file in files]
    for file, place in zip(files, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{file} is given twice; one trajectory counts once.")
    for name, given in (("temperatures", temperatures), ("draws", draws)):
        if len(given) not in ((0, len(files)) if name == "draws" else (1, len(files))):
            raise ConfigError(
                f"There are {len(given)} {name} for {len(files)} files; give one each, in the order of the files"
                + (", or one for all." if name == "temperatures" else ".")
            )
    kelvin = list(temperatures) * (len(files) if len(temperatures) == 1 else 1)
    if min(kelvin) <= 0:
        raise ConfigError(f"A temperature is above 0 K, not {min(kelvin):g} K.")
    return [
        Run(str(file), read_trajectory(file), kelvin[index], draws[index] if draws else None)
        for index, file in enumerate(files)
    ]


def read_trajectory(file: Path) -> list[Atoms]:
    """Return the frames of a trajectory that ASE reads.

    Raises
    ------
    DataError
        When there is no such file, or ASE cannot read it.
    """
    if not Path(file).exists():
        raise DataError(f"There is no file {file}.")
    try:
        frames = read(file, index=":")
    except Exception as error:  # ASE's readers have no error of their own: whatever they raise, the file is unreadable
        raise DataError(f"{file} is no trajectory that ASE can read ({error}).") from error
    return list(frames)


def write_transport(
    out: Path, results: Sequence[Transport], settings: TransportSettings, *, extrapolate: Sequence[float] = ()
) -> dict[str, Any]:
    """Write the files of a folder of results, and return what ``transport.json`` says."""
    found = activations(results, extrapolate)
    reasons = [f"At {one.temperature:g} K: {one.window.reason}" for one in results if not one.window.diffusive]
    content = {
        "units": UNITS,
        "settings": settings.model_dump(mode="json"),
        "temperatures": [_temperature(one) for one in results],
        "activation": {name: asdict(one) for name, one in found.items()},
        "reason": " ".join(reasons),
    }
    write_text(out / TABLE, _table(as_rows(results, settings)))
    write_json(out / RESULT, content)
    write_transport_report(out)
    return content


def _temperature(result: Transport) -> dict[str, Any]:
    content = asdict(result)
    content["runs"] = [_run(run) for run in result.runs]
    return content


def _run(run: MeasuredRun) -> dict[str, Any]:
    lines = {
        name: None if line is None else {key: value for key, value in asdict(line).items() if key != "walk"}
        for name, line in (("tracer_line", run.tracer_line), ("collective_line", run.collective_line))
    }
    names = ("name", "draw", "n_frames", "n_mobile", "volume", "framework_rms")
    return {name: getattr(run, name) for name in names} | {"lines_in_angstrom_and_fs": lines}


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
