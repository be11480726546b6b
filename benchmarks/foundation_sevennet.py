"""What force designs of SevenNet-MF-0 cost beside a training step of the same frame, in the environment of SevenNet.

    OMP_NUM_THREADS=1 .venv-sevenn/bin/python benchmarks/foundation_sevennet.py --out docs/results/speed.md#sevennet

The frames are the first ones of the testbed: a sheet of MoS2, a cell of InGaN, and one of Li6PS5Cl.
"""

import argparse
from pathlib import Path

import sevenn
import torch
from foundation_passes import HEAD, rows

from rung import demo_data
from rung.backends import load_base
from rung.data.readers.structures import read_structures
from rung.pages import write_table

CHECKPOINT = Path(sevenn.__file__).parent / "pretrained_potentials" / "SevenNet_MF_0" / "checkpoint_sevennet_mf_0.pth"
TESTBED = Path(__file__).parent / "testbed"
FILES = (demo_data.folder("mos2"), TESTBED / "ingan", TESTBED / "li6ps5cl")
LOW = "pbe"


def main() -> None:
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the table there too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = load_base(CHECKPOINT, fidelity=LOW, head="PBE")
    lines = list(HEAD)
    for folder in FILES:
        for line in rows("SevenNet-MF-0", base, LOW, read_structures(folder / "train.extxyz")[:1]):
            lines.append(line)
            print(line, flush=True)
    if options.out is not None:
        write_table(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
