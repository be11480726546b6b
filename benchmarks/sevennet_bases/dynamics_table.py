"""What the runs of ``li6ps5cl.py`` have shown so far: stability, diffusivities, structure, and activation energies.

The numbers of every run are kept in a file beside the page, so that runs of several machines stand in one table.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.data.labels import Array
from rung.data.trajectory import read_trajectory
from rung.evaluate.dynamics.md import FOR_LABELLING, SAMPLES, STATE, TRAJECTORY
from rung.evaluate.dynamics.radial import radial_distribution
from rung.evaluate.transport.analysis import Transport, transport
from rung.evaluate.transport.arrhenius import fit_arrhenius
from rung.evaluate.transport.regime import Run, TransportSettings
from rung.pages import keep_values
from rung.report.tasks.transport import scientific

SHORTEST, SKIP = 10.0, 2.0
"""ps: of a run that is analysed, and what is left out at its start."""
PAIRS = ("Li-S", "Li-Cl", "P-S", "Li-Li")
MOST_FRAMES = 400


@dataclass(frozen=True)
class Made:
    """A run as far as it has come.

    Parameters
    ----------
    name, temperature
        Which potential, and K.
    picoseconds
        How far.
    broke
        Whether it ended before its time.
    mean, stderr
        Kinetic temperature after the start and its error from five parts of the run, K.
    radial
        g(r) of each pair, after the start.
    transport
        Diffusion; None where the run is short.
    """

    name: str
    temperature: float
    picoseconds: float
    broke: bool
    mean: float
    stderr: float
    radial: Mapping[str, Array]
    transport: Transport | None


def read_run(folder: Path, name: str, temperature: float, step_fs: float, frame_fs: float) -> Made | None:
    """Return a run of ``folder``; None where there is none yet."""
    if not (folder / STATE).exists():
        return None
    samples = np.loadtxt(folder / SAMPLES, delimiter=",", skiprows=1, ndmin=2)
    picoseconds = samples[-1, 0] * step_fs / 1000.0
    if picoseconds <= SKIP:
        return None
    frames = read_trajectory(folder / TRAJECTORY).frames
    kept = frames[int(1000.0 * SKIP / frame_fs) :]
    warm = samples[samples[:, 0] * step_fs >= 1000.0 * SKIP, 3]
    parts = [part.mean() for part in np.array_split(warm, 5)]
    found = None
    if picoseconds >= SHORTEST:
        settings = TransportSettings(species="Li", charge=1.0, skip_fs=1000.0 * SKIP, frame_fs=frame_fs, unwrapped=True)
        found = transport([Run(name, frames, temperature)], settings)[0]
    return Made(
        name,
        temperature,
        picoseconds,
        (folder / FOR_LABELLING).exists(),
        float(warm.mean()),
        float(np.std(parts, ddof=1) / math.sqrt(len(parts))),
        radial_distribution(kept[:: max(1, len(kept) // MOST_FRAMES)]).pairs,
        found,
    )


Numbers = Mapping[str, float]
"""Of one run, as ``numbers`` names them."""

Key = tuple[float, str]
"""Temperature in K, and the potential."""

COLUMNS = ("kelvin", "potential", "metric")


def numbers(one: Made, true: Made | None) -> Numbers:
    """Return the numbers of a run; not a number, where there is none."""
    found = {"ps": one.picoseconds, "broke": float(one.broke), "mean": one.mean, "mean stderr": one.stderr}
    none = dict.fromkeys(("slope", "slope stderr", "D", "D stderr", "sigma", "sigma stderr"), math.nan)
    found |= {"diffusive": 0.0, **none}
    if one.transport is not None:
        window, tracer = one.transport.window, one.transport.tracer_diffusivity
        conductivity = one.transport.conductivity_nernst_einstein
        found |= {"diffusive": float(window.diffusive), "slope": window.slope, "slope stderr": window.slope_stderr}
        found |= {"D": tracer.value, "D stderr": tracer.stderr}
        found |= {"sigma": conductivity.value, "sigma stderr": conductivity.stderr}
    compared = true is not None and true is not one
    return found | {f"g(r) {pair}": _off(one, true, pair) if compared else math.nan for pair in PAIRS}


def kept_runs(runs: Sequence[Made], file: Path | None) -> dict[Key, Numbers]:
    """Return the numbers of the runs, and those of others or of longer ones in ``file``, which it then has all."""
    truths = {one.temperature: one for one in runs if one.name == "truth"}
    mine = {(one.temperature, one.name): numbers(one, truths.get(one.temperature)) for one in runs}
    if file is None:
        return mine
    former = _by_run(keep_values(file, COLUMNS, {}))
    longer = {key: said for key, said in mine.items() if said["ps"] >= former.get(key, {"ps": 0.0})["ps"]}
    flat = {(f"{kelvin:g}", name, metric): value for (kelvin, name), said in longer.items()
            for metric, value in said.items()}  # fmt: skip
    return _by_run(keep_values(file, COLUMNS, flat))


def _by_run(values: Mapping[tuple[str, ...], float]) -> dict[Key, Numbers]:
    found: dict[Key, dict[str, float]] = {}
    for (kelvin, name, metric), value in values.items():
        found.setdefault((float(kelvin), name), {})[metric] = value
    return dict(found)


def table(runs: Mapping[Key, Numbers]) -> Iterator[str]:
    """Yield lines of Markdown."""
    yield (
        "| T, K | potential | ps | mean T, K | slope of ln MSD | D of Li, cm²/s | σ, S/cm | "
        + " | ".join(f"g(r) of {pair}, off the truth" for pair in PAIRS)
        + " |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|" + "---:|" * len(PAIRS)
    for (kelvin, name), one in sorted(runs.items()):
        ended = ", broke" if one["broke"] else ""
        cells = [f"{kelvin:g}", name, f"{one['ps']:.1f}{ended}", f"{one['mean']:.0f} ± {one['mean stderr']:.0f}"]
        cells += _diffusion(one)
        off = [one[f"g(r) {pair}"] for pair in PAIRS]
        cells += ["–" if math.isnan(value) else f"{value:.2f}" for value in off]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield from _activation(runs)


def _diffusion(one: Numbers) -> list[str]:
    if math.isnan(one["slope"]):
        return ["–", "–", "–"]
    slope = f"{one['slope']:.2f} ± {one['slope stderr']:.2f}"
    if not one["diffusive"]:
        return [slope, "none seen", "–"]
    return [slope, scientific(one["D"], one["D stderr"]), f"{one['sigma']:.2f} ± {one['sigma stderr']:.2f}"]


def _off(one: Made, true: Made, pair: str) -> float:
    """Return the root mean square difference of two g(r), over all distances up to 6 Å."""
    name = pair if pair in true.radial else "-".join(reversed(pair.split("-")))
    return float(np.sqrt(np.mean((one.radial[name] - true.radial[name]) ** 2)))


def _activation(runs: Mapping[Key, Numbers]) -> Iterator[str]:
    for name in dict.fromkeys(name for _, name in runs):
        mine = [(kelvin, one) for (kelvin, who), one in sorted(runs.items()) if who == name and one["diffusive"]]
        if len(mine) < 3:
            yield f"- {name}: {len(mine)} of the three temperatures that an activation energy needs."
            continue
        rates = [[one[key] for _, one in mine] for key in ("D", "D stderr")]
        fit = fit_arrhenius([kelvin for kelvin, _ in mine], *rates)
        error = f"{fit.activation_energy:.3f} ± {fit.activation_energy_stderr:.3f}"
        yield f"- {name}: activation energy of the diffusivity {error} eV, from {len(mine)} temperatures."
