"""Words of sentences: what there is, and how many."""

import pytest

from rung.errors import counted, one_of


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("frame",), "0 frames"),
        (1, ("frame",), "1 frame"),
        (2, ("frame",), "2 frames"),
        (1, ("energy", "energies"), "1 energy"),
        (12, ("energy", "energies"), "12 energies"),
        (1, ("frame has", "frames have"), "1 frame has"),
    ],
)
def test_one_thing_is_not_many(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said


def test_the_nearest_name_is_found_in_capitals() -> None:
    assert one_of("dft", ["DFT", "ccsd"], "fidelity").endswith("Did you mean 'DFT'?")
