"""What a fit will take, from calls for some of its structures."""

import pytest
from ase import Atoms

from rung.data.structure import Structure
from rung.fit.linear import expected


def test_the_mean_time_is_that_of_all_sizes_and_three_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of 2 + n seconds for n atoms: whatever the sizes, the mean over structures comes out."""
    sizes = [2, 3, 3, 4, 9, 9, 10]
    structures = [Structure(Atoms("H" * n, [[k, 0, 0] for k in range(n)]), f"{k}", {}) for k, n in enumerate(sizes)]
    asked: list[int] = []

    def seconds(work: object) -> float:
        asked.append(len(work.args[0]))  # type: ignore[attr-defined]
        return 2.0 + asked[-1]

    monkeypatch.setattr(expected, "settled_seconds", seconds)
    assert expected._mean_seconds(len, structures) == pytest.approx(2.0 + sum(sizes) / len(sizes))
    assert asked == [2, 4, 10]
    assert expected._mean_seconds(len, structures[1:3]) == 5.0
