"""The barrier of the bundled vacancy hop: before and after, beside the truth, with what allowed its change."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from rung.config import RunConfig
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.demo.configs import BAND, MOS2_NOTICE
from rung.demo.potentials import before_and_after
from rung.evaluate.paths.band import StaticBarrier
from rung.evaluate.paths.barrier import Barrier, relaxed_barrier
from rung.features.passes import build_designs
from rung.fit.lift import Base
from rung.fit.linear.diagnosis import compare_difference, without_band
from rung.fit.methods.readout import ReadoutSettings, gather, solve
from rung.progress import Progress
from rung.results.barrier import BarrierEntry, Curve, Panel
from rung.run.inputs import context_of, lift_of, read_splits
from rung.tasks.fixed_paths import along


def hop_barriers(data: Path, config: RunConfig, folder: Path, progress: Progress) -> tuple[Panel, Panel]:
    """Return the hop along the path of the base's level as it is, and along the path that each potential prefers."""
    target = config.target
    path = read_structures(data / "neb_pbe.extxyz")
    truth = read_structures(data / "neb_r2scan.extxyz")
    pair = before_and_after(config)
    potentials = {"base": pair.before, "lifted": pair.after}
    images = [structure.atoms for structure in path]
    static = along(images, potentials)
    relaxed = {
        name: relaxed_barrier(
            images[0],
            images[-1],
            potential.calculator,
            BAND,
            guess_images=images,
            folder=folder / "bands" / name,
            progress=progress,
            error_bars=potential.error_bars,
        )
        for name, potential in potentials.items()
    }
    allowance = _allowance(config, pair.base, path[static["lifted"].saddle], path[0], progress)
    return (
        _panel("Vacancy hop along the pbe path, images as they are", static, path, target, [allowance]),
        _panel("Vacancy hop along each potential's own relaxed path", relaxed, truth, target, _reasons(relaxed)),
    )


def _allowance(config: RunConfig, base: Base, saddle: Structure, start: Structure, progress: Progress) -> str:
    """Return a sentence on the barrier's change: what the band allows beside what the energies ask for."""
    settings = config.method
    if not isinstance(settings, ReadoutSettings):
        return ""
    context = context_of(config, base, seed=config.seed, folder=config.run, progress=progress)
    problem = gather(lift_of(config, read_splits(config), base), settings, context)
    solution, alone = solve(problem, settings), without_band(problem, settings.terms)
    first, second = build_designs(
        [saddle, start],
        base.plain.backbone,
        problem.readout,
        forces=False,
        fidelity=base.fidelity,
        cache=context.cache,
    )
    difference = compare_difference(problem, solution, alone, first, second)
    return (
        f"The base's barrier is {difference.base:.3f} eV. Before any energy the band and the weight prior let it "
        f"change by {difference.prior_mean:.3f} ± {difference.prior_stderr:.3f} eV; energies alone ask for "
        f"{difference.energies_alone:+.3f} eV, the anchored fit takes {difference.fitted:+.3f} eV."
        + (" The band forbids what the energies ask for: widen it." if difference.forbidden else "")
    )


def _reasons(bands: Mapping[str, Barrier]) -> list[str]:
    return [f"{name}: {band.reason}" for name, band in bands.items() if band.reason]


def _panel(
    title: str,
    bands: Mapping[str, StaticBarrier],
    truth: Sequence[Structure],
    target: str,
    notices: Sequence[str],
) -> Panel:
    energies = np.array([structure.labelled(target).energy for structure in truth])
    steps = [np.linalg.norm(two.atoms.positions - one.atoms.positions) for one, two in pairwise(truth)]
    coordinate = np.concatenate([[0.0], np.cumsum(steps)])
    height, reaction = float(energies.max() - energies[0]), float(energies[-1] - energies[0])
    return Panel(
        title=title,
        curves=(
            *(band.curve(name) for name, band in bands.items()),
            Curve(name="truth", coordinate=coordinate, energies=energies - energies[0]),
        ),
        barriers=(
            *(band.entry(name) for name, band in bands.items()),
            BarrierEntry(name="truth", value=height, reaction=reaction),
        ),
        notice=" ".join([MOS2_NOTICE, *notices]),
    )
