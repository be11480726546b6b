"""Labels that hold differences to the base in place of totals: named, and no other label is taken for them."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.splits import draw_labels
from rung.doctor import diagnose
from rung.doctor.slopes import GPA
from rung.units import HARTREE
from tests.doctor.analytic import Morse
from tests.doctor.sabotage import everywhere


def difference(low, high, sign=1.0):
    """Return what gives the labels of ``high`` as differences to ``low``."""

    def change(structure):
        if high not in structure.labels:
            return structure
        one, other = structure.labels[low], structure.labels[high]
        less = replace(other, energy=sign * (other.energy - one.energy), forces=sign * (other.forces - one.forces))
        return replace(structure, labels={**structure.labels, high: less})

    return lambda members: tuple(change(structure) for structure in members)


def found(diagnosis):
    return [one for one in diagnosis.findings if one.code == "difference-labels"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("data", ["mos2", "reactive"])
def test_differences_are_named(request, data, sign):
    low, high = {"mos2": ("pbe", "r2scan"), "reactive": ("pm6", "dft")}[data]
    train = difference(low, high, sign)(request.getfixturevalue(data)["train"])
    [finding] = found(diagnose({"train": train}, target=high))
    assert finding.severity == "error" and finding.fidelities == (high,)
    assert f"the {high!r} energies do not follow the {low!r} energies" in finding.sentence
    assert f"add the {low!r} energies to the {high!r} labels" in finding.sentence


def test_differences_to_a_base_are_named_where_its_own_labels_are_absent(nickel):
    spoilt = difference("cheap", "dear")(nickel["train"])
    alone = tuple(replace(one, labels={"dear": one.labels["dear"]}) for one in spoilt)
    assert not found(diagnose({"train": alone}, target="dear"))
    [finding] = found(diagnose({"train": alone}, target="dear", base=Morse()))
    assert "do not follow the base's" in finding.sentence


@pytest.mark.parametrize("seed", range(3))
def test_totals_are_no_differences_however_few_or_noisy(mos2, reactive, seed):
    for members, low, high in ((reactive["train"], "pm6", "dft"), (mos2["train"], "pbe", "r2scan")):
        for count in (12, 40):
            few = tuple(draw_labels(members, high, count, seed, noise=(0.05, 0.1)))
            assert not found(diagnose({"train": few}, target=high))
            few = tuple(s for s in few if high in s.labels)
            assert found(diagnose({"train": difference(low, high)(few)}, target=high))


@pytest.mark.parametrize("factor", [HARTREE, 27.0 * GPA, 1.0 / 3.0, -1.0])
def test_units_signs_and_scales_have_names_of_their_own(mos2, factor):
    spoilt = everywhere("r2scan", energy=lambda e: e / factor, energy_stderr=lambda e: e / abs(factor))(mos2["train"])
    assert not found(diagnose({"train": spoilt}, target="r2scan"))


def test_energies_of_nothing_are_no_differences(mos2):
    generator = np.random.default_rng(0)
    noise = everywhere("r2scan", energy=lambda _: generator.normal(-390.0, 3.0))(mos2["train"])
    assert not found(diagnose({"train": noise}, target="r2scan"))
