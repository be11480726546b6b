"""What the runs of ``li6ps5cl.py`` have shown so far: stability, diffusivities, structure, and activation energies."""

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
from rung.evaluate.transport.arrhenius import activations
from rung.evaluate.transport.regime import Run, TransportSettings
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


def table(runs: Sequence[Made]) -> Iterator[str]:
    """Yield lines of Markdown."""
    yield (
        "| T, K | potential | ps | mean T, K | slope of ln MSD | D of Li, cm²/s | σ, S/cm | "
        + " | ".join(f"g(r) of {pair}, off the truth" for pair in PAIRS)
        + " |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|" + "---:|" * len(PAIRS)
    truths = {one.temperature: one for one in runs if one.name == "truth"}
    for one in sorted(runs, key=lambda run: (run.temperature, run.name)):
        ended = ", broke" if one.broke else ""
        cells = [
            f"{one.temperature:g}",
            one.name,
            f"{one.picoseconds:.1f}{ended}",
            f"{one.mean:.0f} ± {one.stderr:.0f}",
        ]
        cells += _diffusion(one.transport)
        true = truths.get(one.temperature)
        cells += ["–" if true is None or true is one else f"{_off(one, true, pair):.2f}" for pair in PAIRS]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield from _activation(runs)


def _diffusion(found: Transport | None) -> list[str]:
    if found is None:
        return ["–", "–", "–"]
    window, tracer, conductivity = found.window, found.tracer_diffusivity, found.conductivity_nernst_einstein
    slope = "–" if math.isnan(window.slope) else f"{window.slope:.2f} ± {window.slope_stderr:.2f}"
    if not window.diffusive:
        return [slope, "none seen", "–"]
    return [slope, scientific(tracer.value, tracer.stderr), f"{conductivity.value:.2f} ± {conductivity.stderr:.2f}"]


def _off(one: Made, true: Made, pair: str) -> float:
    """Return the root mean square difference of two g(r), over all distances up to 6 Å."""
    name = pair if pair in true.radial else "-".join(reversed(pair.split("-")))
    return float(np.sqrt(np.mean((one.radial[name] - true.radial[name]) ** 2)))


def _activation(runs: Sequence[Made]) -> Iterator[str]:
    for name in dict.fromkeys(one.name for one in runs):
        mine = [one.transport for one in runs if one.name == name and one.transport is not None]
        diffusive = sorted((one for one in mine if one.window.diffusive), key=lambda one: one.temperature)
        if len(diffusive) < 3:
            yield f"- {name}: {len(diffusive)} of the three temperatures that an activation energy needs."
            continue
        energy = activations(diffusive)["tracer_diffusivity"].activation_energy
        yield f"- {name}: activation energy of the diffusivity {energy.value:.3f} ± {energy.stderr:.3f} eV."
