"""The base against labels of its own fidelity."""

import numpy as np
import pytest
from ase import Atoms

from rung.doctor import diagnose
from tests.doctor.analytic import Morse, labelled, relabelled
from tests.doctor.sabotage import check_found_with_base, found

WITH_BASE = {
    "a poor base": (lambda members: members, Morse(depth=0.45), "warning", "base-poor", None),
    "a wrong base": (lambda members: members, Morse(length=2.0), "error", "base-wrong", None),
}


@pytest.mark.parametrize("name", WITH_BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    check_found_with_base(nickel, *WITH_BASE[name], alone=name != "a wrong base")


def test_relaxed_frames_are_no_error():
    """Forces near zero say nothing of their sign, their unit or the base."""
    base, generator = Morse(), np.random.default_rng(0)
    relaxed = []
    for k in range(12):
        cell = 2.9 * (1.0 + 0.01 * k)
        atoms = Atoms("AlNi", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[cell] * 3, pbc=True)
        structure = labelled(atoms.repeat(2), f"relaxed-{k}", (base,))
        noise = generator.normal(0, 0.07, (16, 3))
        relaxed.append(relabelled(structure, "cheap", forces=lambda f, noise=noise: f + noise - noise.mean(axis=0)))
    assert found(diagnose({"train": relaxed}, base=base, base_fidelity="cheap")) == {("warning", "base-poor")}


def test_the_testbed_is_sound_with_its_base_but_for_what_the_base_errs(mos2, testbed_base):
    diagnosis = diagnose(mos2, target="r2scan", base=testbed_base, base_fidelity="pbe")
    assert found(diagnosis) <= {("warning", "base-poor")}
    [finding] = [f for f in diagnosis.findings if f.splits == ("test",)]
    assert 55 < float(finding.sentence.split("errs by ")[1].split()[0]) < 85  # its README says 70 meV/Å
