"""How sentences name structures and count frames."""

import numpy as np
from ase import Atoms

from rung.data.structure import Structure
from rung.doctor.findings import NAMED, few, frames, ids


def test_a_few_names_are_listed_and_the_others_counted() -> None:
    assert NAMED == 3
    assert few([]) == ""
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_frames_are_counted_in_words_that_fit() -> None:
    assert [frames(n) for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]


def test_names_stand_once_in_order() -> None:
    structures = [Structure(Atoms("H", positions=np.zeros((1, 3))), name, {}) for name in ("b", "a", "b")]
    assert ids(structures) == ("b", "a")
