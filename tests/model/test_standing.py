"""What places of several structures say together: how many are outside, the first, and which bars hold."""

import numpy as np

from rung.model.domain import Place
from rung.model.standing import standing

NEAR, FAR = Place(1.2, 0, 0.4, 3.0, 2.0), Place(4.5, 7, 2.5, 3.0, 2.0)


def test_all_are_inside() -> None:
    found = standing([("a", NEAR), ("b", NEAR), ("unknown", None)]).numbers("frames", inside="bars hold", outside="no")
    assert (found.domain, found.n_structures, found.n_outside, found.first) == ("inside", 2, 0, "")
    assert found.verdict == (
        "Inside the domain: all 2 frames. No atom is farther than 1.2 spreads from the nearest training environment "
        "(limit 3.0). Bars hold."
    )


def test_one_is_not_many() -> None:
    for place, said in (
        (NEAR, "Inside the domain: 1 frame of test. No atom"),
        (FAR, "Outside the domain: 1 of 1 frame of"),
    ):
        found = standing([("a", place)]).numbers("frames of test", inside="bars hold", outside="no")
        assert found.verdict.startswith(said)


def test_the_first_outside_is_named_with_its_reasons() -> None:
    where = standing([("a", NEAR), ("b", FAR), ("c", FAR)])
    found = where.numbers("frames", inside="bars hold", outside="no bar holds")
    assert (found.domain, found.n_structures, found.n_outside, found.first) == ("outside", 3, 2, "b")
    assert found.reasons == FAR.reasons and len(found.reasons) == 2
    assert (found.distance, found.limit) == (4.5, 3.0)
    assert found.verdict.startswith("Outside the domain: 2 of 3 frames, the first b (atom 7 is 4.5 spreads from")
    assert found.verdict.endswith("below 2.0). No bar holds.")
    assert [reason.split(":")[0] for reason in where.reasons] == ["b", "b", "c", "c"]


def test_without_places_nothing_is_known() -> None:
    for places in ([], [("a", None)]):
        found = standing(places).numbers("frames", inside="bars hold", outside="no")
        assert (found.domain, found.n_structures) == ("unknown", 0)
        assert np.isnan([found.distance, found.limit]).all()
        assert "unknown whether the frames are inside" in found.verdict
