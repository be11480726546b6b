"""Labels on other structures, on other atoms or of the other sign are named, and no sound label is."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.splits import draw_labels
from rung.doctor import diagnose
from tests.doctor.analytic import Morse
from tests.doctor.sabotage import everywhere

CODES = ("energy-sign", "unrelated-labels")


def found(diagnosis):
    return [one for one in diagnosis.findings if one.code in CODES]


def mixed(members, fidelity):
    """Return structures of which each has the energy of another, as a list in another order gives."""
    places = [k for k, one in enumerate(members) if one.labelled(fidelity).has_energy]
    energies = [members[k].labels[fidelity].energy for k in places]
    spoilt = list(members)
    for k, energy in zip(places, np.random.default_rng(0).permutation(energies), strict=True):
        label = replace(members[k].labels[fidelity], energy=float(energy))
        spoilt[k] = replace(members[k], labels={**members[k].labels, fidelity: label})
    return tuple(spoilt)


DATA = {"mos2": ("pbe", "r2scan"), "reactive": ("pm6", "dft")}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("data", DATA)
def test_labels_as_they_are_go_with_each_other(request, data, seed):
    members, high = request.getfixturevalue(data)["train"], DATA[data][1]
    for count, noise in ((12, None), (40, None), (40, (0.05, 0.5))):
        few = tuple(draw_labels(members, high, count, seed, noise=noise))
        assert not found(diagnose({"train": few}, target=high))


def test_reference_energies_and_offsets_prove_nothing(reactive):
    shifted = everywhere("dft", energy=lambda energy: energy - 1.0e6)(reactive["train"][:60])
    assert not found(diagnose({"train": shifted}, target="dft"))


@pytest.mark.parametrize("data", DATA)
def test_energies_of_other_structures_are_named(request, data):
    low, high = DATA[data]
    [finding] = found(diagnose({"train": mixed(request.getfixturevalue(data)["train"], high)}, target=high))
    assert (finding.code, finding.severity, finding.fidelities) == ("unrelated-labels", "warning", (high,))
    assert f"the {high!r} energies do not go with the {low!r} energies (slope" in finding.sentence
    assert "in the order of the structures?" in finding.sentence


def test_forces_of_other_atoms_are_named(reactive):
    spoilt = everywhere("dft", forces=lambda forces: np.roll(forces, 1, axis=0))(reactive["train"][:60])
    [finding] = found(diagnose({"train": spoilt}, target="dft"))
    assert finding.code == "unrelated-labels"
    assert "the 'dft' forces do not go with the 'pm6' forces" in finding.sentence
    assert "in the order of the atoms?" in finding.sentence


@pytest.mark.parametrize("data", DATA)
def test_binding_energies_are_no_total_energies(request, data):
    low, high = DATA[data]
    spoilt = everywhere(high, energy=lambda energy: 3.0 - energy)(request.getfixturevalue(data)["train"])
    [finding] = found(diagnose({"train": spoilt}, target=high))
    assert (finding.code, finding.severity) == ("energy-sign", "error")
    assert f"the {high!r} energies fall where the {low!r} energies rise (slope -" in finding.sentence


def test_the_base_tells_where_no_other_fidelity_does(nickel):
    spoilt = everywhere("dear", energy=lambda energy: -energy)(nickel["train"])
    alone = tuple(replace(one, labels={"dear": one.labels["dear"]}) for one in spoilt)
    assert not found(diagnose({"train": alone}, target="dear"))
    [finding] = found(diagnose({"train": alone}, target="dear", base=Morse()))
    assert "the 'dear' energies fall where the base's energies rise" in finding.sentence


def test_one_wild_energy_turns_no_sign(mos2):
    spoilt = list(mos2["train"])
    label = replace(spoilt[3].labels["r2scan"], energy=spoilt[3].labels["r2scan"].energy + 3.0)
    spoilt[3] = replace(spoilt[3], labels={**spoilt[3].labels, "r2scan": label})
    assert not found(diagnose({"train": tuple(spoilt)}, target="r2scan"))


def test_a_wild_energy_hides_no_order_and_pretends_none(mos2):
    for members, codes in ((mos2["train"], []), (mixed(mos2["train"], "r2scan"), ["unrelated-labels"])):
        spoilt = list(members)
        spoilt[3] = replace(
            spoilt[3], labels={**spoilt[3].labels, "r2scan": replace(spoilt[3].labels["r2scan"], energy=0.0)}
        )
        assert [one.code for one in found(diagnose({"train": tuple(spoilt)}, target="r2scan"))] == codes
