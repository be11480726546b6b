"""Draw the pictures of the study and of the README anew, with the curves of the table in ``h3.md``.

    python examples/h3_qmc/redraw.py docs/results [--work h3_qmc/study]

Trains the base and makes the one lift of the picture where the folder does not have them: three minutes of one core.
"""

import argparse
from pathlib import Path

from lifts import Frames
from pictures import draw_all

from rung import read_structures
from rung.demo_data import folder as demo_folder
from study import base_of, shown_profiles


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder of h3.md")
    parser.add_argument("--work", type=Path, default=Path("h3_qmc/study"), help="the folder of the study")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    frames = Frames.of(read_structures(demo_folder("h3") / "frames.extxyz"))
    profiles, title = shown_profiles(frames, base_of(frames, options.work), options.work)
    draw_all(profiles, title, (options.out / "h3.md").read_text(encoding="utf-8"), options.out)


if __name__ == "__main__":
    main()
