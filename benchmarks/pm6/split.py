"""Split the bundled PM6-DFT molecules by formula and write what the studies beside this file read.

    python benchmarks/pm6/split.py FOLDER

base     PM6 energies and forces: what the base learns from
train    the same molecules, with DFT energies too, no DFT forces
forces   the same molecules, with DFT energies and forces: only for what the papers call HL-EF
valid    other formulas: PM6 energies and forces, DFT energies
test     other formulas again: everything
"""

import argparse
from pathlib import Path

from rung import demo_data
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels, energies_only, formula, grouped_split
from rung.demo.configs import PM6_SPLIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    parts = grouped_split(read_structures(demo_data.folder("pm6-dft") / "frames.extxyz"), PM6_SPLIT, 0, key=formula)
    files = {
        "base": draw_labels(energies_only(parts["train"], "dft"), "dft", 0, 0),
        "train": energies_only(parts["train"], "dft"),
        "forces": parts["train"],
        "valid": energies_only(parts["valid"], "dft"),
        "test": parts["test"],
    }
    for name, structures in files.items():
        write_structures(folder / f"{name}.extxyz", structures)
        print(f"{name:8s} {len(structures):5d} molecules of {len({item.formula for item in structures}):4d} formulas")


if __name__ == "__main__":
    main()
