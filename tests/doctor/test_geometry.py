"""Geometries: atoms too close, fragments too far, unknown elements, leaks between splits, contradictions."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from rung.data.structure import Structure
from rung.doctor import diagnose
from tests.doctor.analytic import Morse, labelled, moved, relabelled
from tests.doctor.sabotage import at, check_found, check_found_with_base, found, names_found, nearer, renamed

SABOTAGE = {
    "close": (at({7}, lambda s: moved(s, nearer(s, 1.0))), "warning", "atoms-too-close", None),
    "coincident": (at({7}, lambda s: moved(s, nearer(s, 0.2))), "error", "atoms-too-close", None),
    "repeated with another energy": (
        lambda members: (*members, relabelled(renamed(members[4]), "r2scan", energy=lambda e: e + 1.0)),
        "error",
        "two-energies",
        None,
    ),
    "copied": (lambda members: (*members, renamed(members[4])), "warning", "repeated-label", None),
    "copied under its name": (lambda members: (*members, members[4]), "warning", "repeated-label", None),
    "copied with another error": (
        lambda members: (*members, relabelled(renamed(members[4]), "r2scan", energy_stderr=0.1)),
        "warning",
        "repeated-label",
        None,
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


def test_what_is_sabotaged_is_named(mos2):
    assert names_found(mos2, SABOTAGE["repeated with another energy"][0], "two-energies") == (
        "train-004",
        "train-004-again",
    )


WITH_BASE = {
    "an unknown element": (
        at({3}, lambda s: moved(s, numbers=np.where(np.arange(16) == 4, 79, s.atoms.numbers))),
        Morse(),
        "error",
        "unknown-elements",
        None,
    ),
}


@pytest.mark.parametrize("name", WITH_BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    check_found_with_base(nickel, *WITH_BASE[name], alone=False)


def test_a_sound_repeat_is_no_contradiction(mos2):
    again = relabelled(renamed(mos2["train"][4]), "r2scan", energy=lambda e: e + 0.05)  # within the errors
    assert not found(diagnose({**mos2, "train": (*mos2["train"], again)}, target="r2scan"))


def test_copies_are_named_with_what_they_copy(mos2):
    copied = (*mos2["train"], renamed(mos2["train"][4]), renamed(mos2["train"][9]))
    diagnosis = diagnose({**mos2, "train": copied}, target="r2scan")
    [finding] = diagnosis.of_severity("warning")
    assert finding.structures == ("train-004", "train-004-again", "train-009", "train-009-again")
    assert finding.fidelities == ("r2scan",)
    assert "2 frames repeat a geometry and its 'r2scan' energy: train-004-again (train.extxyz#4) = " in finding.sentence
    assert [f.fidelities for f in diagnosis.findings if f.code == "repeated-label"] == [("r2scan",)]


def test_copies_that_nobody_learns_from_are_no_finding(mos2):
    test = (*mos2["test"], renamed(mos2["test"][0]))
    assert not found(diagnose({**mos2, "test": test}, target="r2scan"))


def test_of_the_many_elements_that_a_base_knows_it_is_said_how_many_more_there_are(nickel):
    golden = at({3}, lambda s: moved(s, numbers=np.full(len(s), 79)))(nickel["train"])
    base = Morse(elements=frozenset({13, *range(20, 50)}))
    told = diagnose({"train": golden}, base=base, base_fidelity="cheap").findings
    (finding,) = [one for one in told if one.code == "unknown-elements"]
    assert "1 frame holds Au; the base knows Al, Ca, " in finding.sentence
    assert finding.sentence.endswith(" and 11 more.")


def test_a_leak_between_splits_is_found(mos2):
    leaky = {**mos2, "test": (*mos2["test"], renamed(mos2["train"][120]))}
    diagnosis = diagnose(leaky, target="r2scan")
    [finding] = diagnosis.of_severity("error")
    assert (finding.code, finding.splits) == ("two-splits", ("train", "test"))
    assert finding.structures == ("train-120", "train-120-again")
    assert not diagnosis.of_severity("warning")


def test_a_turned_shifted_or_reordered_leak_is_found(reactive, mos2):
    structure = reactive["train"][10]
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    order = np.arange(len(structure))[::-1]
    twin = moved(structure, (structure.atoms.positions @ turn.T + 3.0)[order], structure.atoms.numbers[order], "twin")
    labels = {name: replace(label, forces=(label.forces @ turn.T)[order]) for name, label in structure.labels.items()}
    twin = replace(twin, labels=labels)
    diagnosis = diagnose({**reactive, "test": (*reactive["test"], twin)}, target="dft")
    [finding] = diagnosis.of_severity("error")
    assert (finding.code, finding.structures) == ("two-splits", (structure.structure_id, "twin"))
    assert "be it shifted, wrapped, turned, mirrored or re-ordered" in finding.sentence
    assert not diagnosis.of_severity("warning")
    slab = mos2["train"][120]
    shifted = moved(slab, slab.atoms.positions + 0.5 * slab.atoms.cell.array[0], name="shifted")
    diagnosis = diagnose({**mos2, "test": (*mos2["test"], shifted)}, target="r2scan")
    assert [f.structures for f in diagnosis.of_severity("error")] == [("train-120", "shifted")]


def test_a_leak_but_for_the_last_digits_is_a_warning(mos2):
    slab = mos2["train"][120]
    positions = slab.atoms.positions + 0.5 * slab.atoms.cell.array[0]
    positions[3] += [0.0004, 0.0, 0.0]
    diagnosis = diagnose({**mos2, "test": (*mos2["test"], moved(slab, positions, name="near"))}, target="r2scan")
    [finding] = diagnosis.of_severity("warning")
    assert (finding.code, finding.structures) == ("nearly-two-splits", ("train-120", "near"))


def test_geometries_of_two_splits_are_counted_and_not_the_structures_that_have_them(mos2):
    """Four structures of two geometries are two, each named with its twin; a name of another geometry stands apart."""
    leaky = [*(renamed(one) for one in mos2["train"][120:122]), replace(mos2["test"][0], structure_id="train-005")]
    diagnosis = diagnose({**mos2, "test": (*mos2["test"][1:], *leaky)}, target="r2scan")
    geometries, names = sorted((one.sentence for one in diagnosis.of_severity("error")), key=len, reverse=True)
    assert geometries.startswith(
        "train and test share 2 geometries (each atom within 0.0002 Å once one is laid upon the"
    )
    assert "): train-120 = train-120-again, train-121 = train-121-again; a test on" in geometries
    assert names.startswith("train and test share 1 structure_id of geometries that differ: train-005; a test on")


@pytest.mark.parametrize(("off", "near"), [(0.0014, True), (0.0025, False)])
def test_the_tolerance_of_near_copies_is_said(off, near):
    """An atom that is 1.4 mÅ off is within 1 mÅ once the molecule is laid upon its copy."""
    methanol = molecule("CH3OH")
    positions = methanol.positions.copy()
    positions[1, 0] += off
    one = Structure(methanol, "one", {})
    findings = diagnose({"train": (one,), "test": (moved(one, positions, name="near"),)}).findings
    said = [finding.sentence for finding in findings if finding.code == "nearly-two-splits"]
    assert len(said) == near
    words = "share 1 geometry but for the last digits (each atom within 0.001 Å once one is laid upon the other"
    assert all(words in sentence for sentence in said)


def test_fragments_beyond_the_cutoff_are_found():
    base = Morse()

    def pair(distance, pbc):
        atoms = Atoms("NiAl", positions=[[0, 0, 0], [0, 0, distance]], cell=[12.0] * 3, pbc=pbc)
        return labelled(atoms, f"pair-{distance}-{pbc}", (base,))

    splits = {"train": (pair(4.9, False), pair(5.1, False), pair(7.5, True))}  # 12 - 7.5 = 4.5 through the wall
    diagnosis = diagnose(splits, base=base, base_fidelity="cheap")
    [finding] = [f for f in diagnosis.findings if f.code == "fragments-apart"]
    assert (finding.severity, finding.structures) == ("warning", ("pair-5.1-False",))


def test_one_composition_is_a_note(mos2):
    one = tuple(s for s in mos2["train"] if s.formula == mos2["train"][0].formula)
    diagnosis = diagnose({"train": one}, target="r2scan")
    assert [f.sentence for f in diagnosis.findings if f.code == "one-composition"] == [
        "train: every frame with a 'r2scan' energy (91) is Mo9S17, so reference energies hold for that composition "
        "only."
    ]
    assert diagnosis.worst == "note"
    assert "one-composition" not in {f.code for f in diagnose(mos2, target="r2scan").findings}


def test_a_cell_that_no_matter_has_is_a_finding_and_nothing_else_is_asked_of_it():
    hydrogen = Structure(Atoms("H3", positions=np.eye(3), cell=[1.0, 1.0, 1.0], pbc=True), "tiny", {})
    findings = diagnose({"train": (hydrogen,)}, target="dear").findings
    (small,) = [one for one in findings if one.code == "impossible-cell"]
    assert small.severity == "error" and small.structures == ("tiny",)


def test_atoms_at_one_place_are_an_error_and_no_other_check_lists_their_neighbours():
    double = Structure(Atoms("H3", positions=[[0, 0, 0], [0, 0, 0.7], [0, 0, 0.7]]), "double", {})
    findings = diagnose({"train": (double,)}, target="dear").findings
    (named,) = [one for one in findings if one.code == "coincident-atoms"]
    assert named.severity == "error" and named.structures == ("double",)
    assert named.sentence == (
        "train: 1 frame has two atoms at one place: double; "
        "double has atoms 1 (H) and 2 (H) at one place, 0.000 Å apart."
    )
    assert "atoms-too-close" not in {one.code for one in findings}


@pytest.mark.parametrize(("cells", "pbc", "found"), [(1100, True, True), (900, True, False), (1100, False, False)])
def test_frames_a_thousand_cells_away_are_named(cells, pbc, found):
    atoms = bulk("Cu", "fcc", a=3.6)
    atoms.positions[0] += cells * atoms.cell.array[1]
    atoms.pbc = pbc
    findings = diagnose({"train": (Structure(atoms, "away", {}),)}).findings
    far = [one for one in findings if one.code == "far-from-cell"]
    assert [(one.severity, one.structures) for one in far] == ([("warning", ("away",))] if found else [])
    if found:
        assert "in away 1.1e+03 cells" in far[0].sentence
