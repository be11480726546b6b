"""How often the warnings of labels come: where they should, and where nothing is wrong.

    python benchmarks/warnings_table.py reach --out docs/results/warnings.md#reach
    python benchmarks/warnings_table.py kinds --out docs/results/warnings.md#kinds
    python benchmarks/warnings_table.py wrong --out docs/results/warnings.md#wrong
    python benchmarks/warnings_table.py per-atom --out docs/results/warnings.md#per-atom

``reach``: draws of labels at random, and of one kind of frames, for which a fit says that they reach little of the
training structures. No fit is made. ``kinds``: errors and z² of fits to labels of one kind on all other frames.
``wrong``: fits to good labels, and to the same with one that is 2 eV a cell too high, which say that a label is far
off. ``per-atom``: how many times nearer to reference energies total energies are when they are taken for energies per
atom, which the doctor calls an error from four on; and the same of energies that do stand per atom.

Designs come from ``--cache``, and are made where they are not there.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from coverage import System, lifted, system_of

from rung.data.readers.structures import read_structures
from rung.data.splits import draw_labels
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.doctor.per_atom import NEARER, nearness
from rung.features.cache import DesignCache
from rung.features.predict import surface_energies
from rung.fit.lift import Base, FitResult
from rung.fit.linear.reach import not_reached
from rung.pages import write_table
from rung.run.predictor import Predictor

SYSTEMS = ("mos2", "ingan", "li6ps5cl")
TITLES = {"mos2": "MoS₂ hop", "ingan": "InGaN", "li6ps5cl": "Li₆PS₅Cl"}
SHIFT = 2.0
"""By which the wrong label is off, eV a cell."""


def kinds_of(system: System) -> np.ndarray:
    """Return the kind of each training frame."""
    return np.array([str(one.info.get("kind", "")) for one in system.train])


def labelled(system: System) -> np.ndarray:
    """Return which training frames have an energy of the target."""
    return np.array([one.labelled(system.target).has_energy for one in system.train])


def fit(system: System, frames: Sequence[Structure], cache: DesignCache) -> FitResult:
    """Return the fit of ``readout`` with its defaults."""
    return lifted(system, frames, "readout", cache)


def of_kind(system: System, kind: str) -> tuple[Structure, ...]:
    """Return the training frames, where no other kind has an energy of the target."""
    return tuple(one if same else _unlabelled(one, system.target)
                 for one, same in zip(system.train, kinds_of(system) == kind, strict=True))  # fmt: skip


def _unlabelled(structure: Structure, fidelity: str) -> Structure:
    return replace(structure, labels={name: label for name, label in structure.labels.items() if name != fidelity})


def percent(found: Sequence[bool]) -> str:
    """Return a share as a cell of a table."""
    return f"{100 * np.mean(found):.0f}"


def reach(draws: int, cache: DesignCache) -> Iterator[str]:
    """Return the table of the warning of reach."""
    yield "| system | labels of | labels | draws with the warning, % |"
    yield "|---|---|---:|---:|"
    for name in SYSTEMS:
        system = system_of(name, None)
        base = Base(system.base, system.low)
        designs = base.energy_designs(system.train, cache)
        elements = tuple(sorted(base.plain.elements))
        energies = surface_energies(designs, base.surface.readout, base.surface, elements)
        composition = np.array([design.composition for design in designs])
        known, kinds = labelled(system), kinds_of(system)
        pools = {"all frames": (known, (3, 5, 8, 12, 25, 50))}
        pools |= {f"`{kind}`": (known & (kinds == kind), (5, 10)) for kind in sorted(set(kinds)) if len(set(kinds)) > 1}
        for pool, (members, counts) in pools.items():
            positions = np.flatnonzero(members)
            for count in counts:
                if count > len(positions):
                    continue
                drawn = [np.random.default_rng(seed).choice(positions, count, replace=False) for seed in range(draws)]
                warned = [bool(not_reached(energies, composition, one)) for one in drawn]
                yield f"| {TITLES[name]} | {pool} | {count} | {percent(warned)} |"
    yield ""
    yield f"{draws} draws a row."


def kinds(draws: int, cache: DesignCache) -> Iterator[str]:
    """Return the table of fits to labels of one kind."""
    yield "| labels of | E, meV/atom | z² | outside the domain, % | draws with the warning, % |"
    yield "|---|---:|---:|---:|---:|"
    system = system_of("mos2", None)
    for kind in ["", *sorted(set(kinds_of(system)[labelled(system)]))]:
        frames = of_kind(system, kind) if kind else system.train
        fits = [fit(system, draw_labels(frames, system.target, 10, seed, noise=system.noise), cache)
                for seed in range(draws)]  # fmt: skip
        warned = [any("Labels reach little" in one for one in result.warnings) for result in fits]
        energy, z2, outside = zip(*(judged(system, result, cache) for result in fits), strict=True)
        yield (
            f"| {f'`{kind}`' if kind else 'all frames'} | {np.mean(energy):.0f} ± {np.std(energy, ddof=1):.0f} | "
            f"{min(z2):.1f} to {max(z2):.1f} | {100 * np.mean(outside):.0f} | {percent(warned)} |"
        )
    yield ""
    yield (
        f"Ten labels of the MoS₂ hop, {draws} draws a row, on the test frames whose reference energies the labels "
        "tell; the least and the greatest z² of the draws."
    )


def judged(system: System, result: FitResult, cache: DesignCache) -> tuple[float, float, float]:
    """Return error (meV/atom), z² and the share outside the domain, of test frames that have an error bar."""
    test = system.splits["test"]
    predictor = Predictor(system.base, cache)
    said = predictor.predict(result.potential, result.posterior, test, system.target, system.target, forces=False)
    assert said.energy_stderr is not None and said.places is not None
    barred = np.flatnonzero(np.isfinite(said.energy_stderr))
    error = (said.energy - [one.labelled(system.target).energy for one in test])[barred]
    atoms = np.array([len(test[k]) for k in barred])
    outside = [said.places[k] is not None and said.places[k].outside for k in barred]
    z2 = np.mean((error / said.energy_stderr[barred]) ** 2)
    return 1e3 * float(np.sqrt(np.mean((error / atoms) ** 2))), float(z2), float(np.mean(outside))


def wrong(draws: int, cache: DesignCache) -> Iterator[str]:
    """Return the table of the warning of a wrong label."""
    yield "| system | labels | all are good: draws with the warning, % | one is 2 eV too high: draws that name it, % |"
    yield "|---|---:|---:|---:|"
    for name in SYSTEMS:
        system = system_of(name, None)
        for count in (12, 25, 50):
            good, named = [], []
            for seed in range(draws):
                frames = draw_labels(system.train, system.target, count, seed, noise=system.noise)
                good.append(any("far off what" in one for one in fit(system, frames, cache).warnings))
                spoilt, victim = with_wrong_label(frames, system.target, seed)
                said = [one for one in fit(system, spoilt, cache).warnings if "far off what" in one]
                named.append(any(victim in one for one in said))
            yield f"| {TITLES[name]} | {count} | {percent(good)} | {percent(named)} |"
    yield ""
    yield f"{draws} draws a row."


def with_wrong_label(frames: Sequence[Structure], fidelity: str, seed: int) -> tuple[list[Structure], str]:
    """Return the frames with one energy that is too high, and the name of its frame."""
    labels = [k for k, one in enumerate(frames) if one.labelled(fidelity).has_energy]
    victim = int(np.random.default_rng(seed).choice(labels))
    label = frames[victim].labels[fidelity]
    changed = replace(label, energy=label.energy + SHIFT)
    spoilt = list(frames)
    spoilt[victim] = replace(spoilt[victim], labels={**spoilt[victim].labels, fidelity: changed})
    return spoilt, spoilt[victim].structure_id


def per_atom(draws: int, _cache: DesignCache) -> Iterator[str]:
    """Return the table of energies that might stand per atom."""
    yield "| file | energies | total ones: at most | draws above the limit, % | per atom: draws above the limit, % |"
    yield "|---|---|---:|---:|---:|"
    here = Path(__file__).parent / "testbed"
    for path in sorted([*here.rglob("*.extxyz"), *folder("mos2").parent.rglob("*.extxyz")]):
        structures = read_structures(path)
        for fidelity in sorted({name for one in structures for name in one.labels}):
            known = [one for one in structures if one.labelled(fidelity).has_energy]
            if len({len(one) for one in known}) < 2:
                continue
            total, each = [], []
            for seed in range(draws):
                rng = np.random.default_rng(seed)
                few = rng.choice(len(known), min(len(known), int(rng.integers(8, 30))), replace=False)
                some = [known[k] for k in few]
                total.append(nearness(some, fidelity))
                each.append(nearness([_each(one, fidelity) for one in some], fidelity))
            above = [[one > NEARER for one in values] for values in (total, each)]
            name = f"{path.parent.name}/{path.name}"
            yield f"| `{name}` | {fidelity} | {max(total):.1f} | {percent(above[0])} | {percent(above[1])} |"
    yield ""
    yield f"{draws} draws of 8 to 29 energies a row; the doctor calls {NEARER:.0f} and more an error."


def _each(structure: Structure, fidelity: str) -> Structure:
    label = structure.labels[fidelity]
    return replace(structure, labels={fidelity: replace(label, energy=label.energy / len(structure))})


PARTS: dict[str, tuple[Callable[[int, DesignCache], Iterator[str]], int]] = {
    "reach": (reach, 40),
    "kinds": (kinds, 4),
    "wrong": (wrong, 8),
    "per-atom": (per_atom, 30),
}
"""Each part with its draws."""


def main() -> None:
    """Print a table, and write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--cache", type=Path, default=Path("runs/warnings-cache"))
    parser.add_argument("--out", type=Path, help="the page and its table")
    options = parser.parse_args()
    make, draws = PARTS[options.part]
    text = "\n".join(make(draws, DesignCache(options.cache)))
    print(text)
    if options.out:
        write_table(options.out, text)


if __name__ == "__main__":
    main()
