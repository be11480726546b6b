"""What is kept of an evaluation for whoever looks at it."""

from ase import Atoms

from rung.data.structure import Structure
from rung.run.evaluation import kinds_of


def _structures(*infos: dict[str, object]) -> list[Structure]:
    return [Structure(Atoms("H"), f"s{place}", {}, info) for place, info in enumerate(infos)]


def test_kinds_are_what_the_first_entry_says_that_sorts_all_frames() -> None:
    found = kinds_of(_structures({"config_type": "bulk", "kind": 1}, {"config_type": "bulk", "kind": 2}))
    assert found == ("kind", ("1", "2"))
    assert kinds_of(_structures({"kind": "a"}, {"kind": "b"}, {})) == ("", None)
    assert kinds_of(_structures({"kind": "a"}, {"kind": "a"})) == ("", None)
    assert kinds_of(_structures(*({"kind": f"name {n}"} for n in range(31)))) == ("", None)
