"""How far two levels of theory differ, over how far the low one's energies spread: seven pairs of levels.

    python benchmarks/label_spread.py --out docs/theory.md#spread

The ratio is what the prior of the misfit stands on (``rung.fit.linear.terms``). Both are r.m.s. per √atom beyond
reference energies, of labels alone: no model is fitted.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rung.data.readers.structures import read_structures
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.demo_data import folder
from rung.fit.linear.problem import spread_beyond
from rung.pages import write_table

TESTBED = Path(__file__).parent / "testbed"
LEVELS = {
    "pbe": "PBE",
    "r2scan": "r²SCAN",
    "gfn2": "GFN2",
    "mp2": "MP2",
    "ccsdt": "CCSD(T)",
    "pm6": "PM6",
    "dft": "DFT",
}

Pair = tuple[str, Path, str, str]
"""A system, its frames, the low level and the high one."""


def pairs() -> Iterator[Pair]:
    """Return the pairs of levels that the repository has data of."""
    yield "MoS₂ hop", folder("mos2") / "train.extxyz", "pbe", "r2scan"
    yield "InGaN", TESTBED / "ingan" / "train.extxyz", "pbe", "r2scan"
    yield "Li₆PS₅Cl", TESTBED / "li6ps5cl" / "train.extxyz", "pbe", "r2scan"
    twelve = folder("molecules") / "frames.extxyz"
    yield "twelve molecules", twelve, "gfn2", "ccsdt"
    yield "twelve molecules", twelve, "gfn2", "mp2"
    yield "twelve molecules", twelve, "mp2", "ccsdt"
    yield "reactive molecules", folder("pm6-dft") / "frames.extxyz", "pm6", "dft"


def sizes(pair: Pair) -> tuple[float, float]:
    """Return σ_b and m of a pair of levels, eV/√atom."""
    _, path, low, high = pair
    structures = [one for one in read_structures(path) if one.labelled(low).has_energy]
    both = [one for one in structures if one.labelled(high).has_energy]
    spread = [one.labels[low].energy for one in structures]
    difference = [one.labels[high].energy - one.labels[low].energy for one in both]
    return beyond(structures, spread), beyond(both, difference)


def beyond(structures: Sequence[Structure], energies: Sequence[float]) -> float:
    """Return the r.m.s. of energies (eV) beyond reference energies, eV/√atom."""
    return spread_beyond(np.array(energies), composition_matrix(structures, elements_in(structures)))


def main() -> None:
    """Print the table, and write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the page")
    options = parser.parse_args()
    lines = ["| system | levels | σ_b | m | m / σ_b |", "|---|---|---:|---:|---:|"]
    ratios = []
    for pair in pairs():
        spread, misfit = sizes(pair)
        ratios.append(misfit / spread)
        levels = ", ".join(LEVELS[name] for name in pair[2:])
        lines.append(f"| {pair[0]} | {levels} | {spread:.3f} | {misfit:.3f} | {ratios[-1]:.2f} |")
    logarithms = np.log(ratios)
    lines += ["", f"Geometric mean of the ratios {np.exp(logarithms.mean()):.2f}, "
                  f"standard deviation of their logarithms {logarithms.std(ddof=1):.2f}."]  # fmt: skip
    print("\n".join(lines))
    if options.out:
        write_table(options.out, "\n".join(lines))


if __name__ == "__main__":
    main()
