"""Which reference energies labels determine, held against what their compositions span by hand."""

import json
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import molecule

from rung.data.determined import DETERMINED, determined_by, determined_of
from rung.data.energy_table import EnergyRow, EnergyTable
from rung.data.labels import empty_labels
from rung.data.structure import Structure


def of(name: str, *, labelled: bool = True) -> Structure:
    atoms = Atoms(name[:-1]) if name.endswith("!") else molecule(name)
    label = replace(empty_labels(len(atoms)), energy=-1.0)
    return Structure(atoms, name, {"high": label} if labelled else {})


def test_a_composition_outside_the_span_of_the_labelled_ones_is_open() -> None:
    known = determined_by([of("H2O"), of("CH4"), of("CO2", labelled=False)], "high")
    assert (known.elements, known.rank) == ((1, 6, 8), 2)
    inside = Structure(Atoms("CH8O2", positions=np.arange(33).reshape(11, 3)), "inside", {})
    judged = [of("H2O"), inside, of("CO2"), of("CH3OH"), of("NH3")]
    assert known.leaves_open(judged).tolist() == [False, False, True, True, True]


def test_labels_of_every_combination_leave_nothing_open() -> None:
    known = determined_by([of("H2O"), of("CH4"), of("CO2")], "high")
    assert not known.leaves_open([of("CH3OH"), of("H2O")]).any()
    found = known.open_among([of("CH3OH"), of("H2O", labelled=False)], "high")
    assert (found.n_open, found.n_energies, found.formulas) == (0, 1, ())


def test_differences_within_a_composition_tell_no_reference_energy_and_others_theirs() -> None:
    alike = [replace(of("H2O", labelled=False), structure_id=name) for name in ("a", "b")]
    within = EnergyTable((EnergyRow("a", "high", 0.1, minus="b"),))
    known = determined_by(alike, "high", within)
    assert (known.elements, known.rank) == ((1, 8), 0)
    assert known.leaves_open(alike).all()
    across = EnergyTable((EnergyRow("a", "high", 0.1, minus="CO"),))
    assert determined_by([*alike, of("CO", labelled=False)], "high", across).rank == 1


class Streamed(list[Structure]):
    """Structures that can be read one after the other, and not by their places."""

    def __getitem__(self, place):
        raise AssertionError("each structure would be read again")


def test_streamed_structures_are_read_one_after_the_other_and_one_of_each_composition_is_kept() -> None:
    many = [replace(of(name), structure_id=f"{name}-{k}") for k in range(20) for name in ("H2O", "CH4")]
    within = EnergyTable((EnergyRow("H2O-3", "high", 0.1, minus="CO"),))
    members = [*many, of("CO", labelled=False)]
    for table, rank in ((EnergyTable(), 2), (within, 3)):
        known = determined_by(Streamed(members), "high", table)
        assert (known.elements, known.rank) == ((1, 6, 8), rank)
        few = determined_by([*members[:2], members[6], members[-1]], "high", table)
        np.testing.assert_allclose(known.span.T @ known.span, few.span.T @ few.span, atol=1e-12)


def test_a_checkpoint_keeps_what_the_labels_tell() -> None:
    known = determined_by([of("H2O"), of("CH4")], "high")
    kept = determined_of(json.loads(json.dumps({DETERMINED: known.metadata})))
    assert kept is not None
    assert kept.leaves_open([of("H2O"), of("CO2")]).tolist() == [False, True]
    nothing = determined_of({DETERMINED: determined_by([], "high").metadata})
    assert nothing is not None and nothing.leaves_open([of("H2O")]).all()
    assert determined_of({}) is None
