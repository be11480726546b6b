"""Single atoms: named, and kept out of the checks that compare frames with each other."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from rung.data.labels import empty_labels
from rung.data.single_atoms import SingleAtoms
from rung.data.structure import Structure
from rung.doctor import diagnose
from tests.doctor.analytic import Morse
from tests.doctor.sabotage import found


def lone(name, energy, symbol="Ni", distance=None, fidelities=("cheap",)):
    positions = [[0.0, 0.0, 0.0], [distance, 0.0, 0.0]] if distance else [[0.0, 0.0, 0.0]]
    atoms = Atoms([symbol] * len(positions), positions=positions)
    labels = {fidelity: replace(empty_labels(len(atoms)), energy=energy) for fidelity in fidelities}
    return Structure(atoms, name, labels)


def findings(diagnosis):
    return [one for one in diagnosis.findings if one.code == "single-atoms"]


def test_single_atoms_are_named_with_what_a_fit_does(nickel):
    base = Morse()
    more = {
        "train": (*nickel["train"], lone("ni", 0.0), lone("ni2", 0.0, distance=base.cutoff + 0.1)),
        "test": (*nickel["test"], lone("other", 0.0)),
    }
    train, test = findings(diagnose(more, base=base))
    assert train.severity == test.severity == "note"
    assert train.structures == ("ni", "ni2")
    assert "train: 2 frames are single atoms or have no neighbours (ni, ni2); a fit leaves them out" in train.sentence
    assert "test: 1 frame is a single atom" in test.sentence
    fitted, _ = findings(diagnose(more, base=base, single_atoms=SingleAtoms(base.cutoff, "fit")))
    assert fitted.severity == "warning"
    assert "decide the reference energies almost alone" in fitted.sentence


def test_whatever_their_energies_are_the_others_are_judged_alone(nickel):
    assert not findings(diagnose(nickel, base=Morse()))
    sound = found(diagnose(nickel, base=Morse()))
    for energy in (0.0, -4e4):
        spoilt = {**nickel, "train": (*nickel["train"], lone("ni", energy), lone("au", 3 * energy, "Au"))}
        assert found(diagnose(spoilt)) == found(diagnose(nickel))
    spoilt = {**nickel, "train": (*nickel["train"], lone("ni", -4e4), lone("ni2", 1e4, distance=60.0))}
    assert found(diagnose(spoilt, base=Morse())) == sound | {("warning", "fragments-apart")}


@pytest.mark.parametrize(("use", "noted"), [("leave_out", True), ("fit", False)])
def test_compositions_are_those_of_what_is_fitted(mos2, use, noted):
    """One formula cannot tell two elements apart; with both atoms it could, if a fit took them."""
    formula = mos2["train"][0].formula
    frames = [structure for structure in mos2["train"] if structure.formula == formula][:12]
    atoms = [lone(symbol, -5.0, symbol, fidelities=("r2scan",)) for symbol in ("Mo", "S")]
    diagnosis = diagnose({"train": (*frames, *atoms)}, target="r2scan", single_atoms=SingleAtoms(np.inf, use))
    assert any(one.code == "one-composition" for one in diagnosis.findings) == noted


def test_errors_that_are_missing_are_counted_among_what_is_fitted(mos2):
    """Nothing that a fit leaves out counts as exact there; what is tested on does."""
    noisy = tuple(
        replace(one, labels={"r2scan": replace(one.labels["r2scan"], energy_stderr=0.02)})
        for one in mos2["train"]
        if one.labelled("r2scan").has_energy
    )
    atom = lone("Mo", -5.0, "Mo", fidelities=("r2scan",))

    def missing(splits, use):
        diagnosis = diagnose(splits, target="r2scan", single_atoms=SingleAtoms(np.inf, use))
        return [one.splits for one in diagnosis.findings if one.code == "stderr-missing"]

    assert missing({"train": (*noisy, atom)}, "leave_out") == []
    assert missing({"train": (*noisy, atom)}, "fit") == [("train",)]
    assert missing({"train": noisy[1:], "test": (noisy[0], atom)}, "leave_out") == [("test",)]
