"""The barrier of the bundled vacancy hop: before and after, beside the truth, with what allowed its change."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rung import checkpoint
from rung.calculator import RungCalculator
from rung.config import RunConfig
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.demo.configs import BAND, MOS2_NOTICE
from rung.errors import ModelError
from rung.evaluate.paths.band import StaticBarrier
from rung.evaluate.paths.barrier import relaxed_barrier, static_barrier
from rung.features.passes import build_designs
from rung.fit.lift import Base
from rung.fit.linear.diagnosis import compare_difference, without_band
from rung.fit.methods.readout import ReadoutSettings, gather, solve
from rung.progress import Progress
from rung.run.folder import RunFolder
from rung.run.inputs import context_of, lift_of, open_base, read_splits
from rung.tasks.error_bars import error_bars_of


def hop_barriers(data: Path, config: RunConfig, folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """Return the hop along the path of the base's level as it is, and along the path that each potential prefers."""
    target = config.target
    path = read_structures(data / "neb_pbe.extxyz")
    truth = read_structures(data / "neb_r2scan.extxyz")
    base = open_base(config)
    if base is None:
        raise ModelError("The demo's config names no base.")
    before = RungCalculator(base.potential, fidelity=base.fidelity)
    after = RungCalculator(checkpoint.load(RunFolder(config.run).model), fidelity=target)
    images = [structure.atoms for structure in path]
    static = {
        "base": static_barrier(images, before),
        "lifted": static_barrier(images, after, error_bars=error_bars_of(after)),
    }
    relaxed = {
        name: relaxed_barrier(
            images[0],
            images[-1],
            calculator,
            BAND,
            guess_images=images,
            folder=folder / "bands" / name,
            progress=progress,
            error_bars=bars,
        )
        for name, calculator, bars in (("base", before, None), ("lifted", after, error_bars_of(after)))
    }
    static_panel = _panel("Vacancy hop along the pbe path, images as they are", static, path, target)
    static_panel["notice"] += " " + _asked(config, base, path[static["lifted"].saddle], path[0], progress)
    return [
        static_panel,
        _panel("Vacancy hop along each potential's own relaxed path", relaxed, truth, target),
    ]


def _asked(config: RunConfig, base: Base, saddle: Structure, start: Structure, progress: Progress) -> str:
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
    found = compare_difference(problem, solution, alone, first, second)
    return (
        f"The base's barrier is {found.base:.3f} eV. Before any energy the band and the weight prior let it change by "
        f"{found.prior_mean:.3f} ± {found.prior_stderr:.3f} eV; energies alone ask for {found.energies_alone:+.3f} eV, "
        f"the anchored fit takes {found.fitted:+.3f} eV."
        + (" The band forbids what the energies ask for: widen it." if found.forbidden else "")
    )


def _panel(title: str, found: Mapping[str, StaticBarrier], truth: Sequence[Structure], target: str) -> dict[str, Any]:
    energies = np.array([structure.labelled(target).energy for structure in truth])
    steps = [np.linalg.norm(two.atoms.positions - one.atoms.positions) for one, two in pairwise(truth)]
    exact = {"value": float(energies.max() - energies[0]), "reaction": float(energies[-1] - energies[0])}
    reasons = [f"{name}: {reason}" for name, band in found.items() if (reason := getattr(band, "reason", ""))]
    return {
        "title": title,
        "curves": [
            *(band.curve(name) for name, band in found.items()),
            {
                "name": "truth",
                "coordinate": np.concatenate([[0.0], np.cumsum(steps)]),
                "energies": energies - energies[0],
            },
        ],
        "barriers": [*(band.entry(name) for name, band in found.items()), {"name": "truth", **exact}],
        "notice": " ".join([MOS2_NOTICE, *reasons]),
    }
