"""Units and signs: a changed unit is named, another level of theory, noise and offsets are not taken for one."""

import numpy as np
import pytest

from rung.data.splits import draw_labels
from rung.doctor import diagnose
from rung.doctor.slopes import GPA
from rung.units import BOHR, HARTREE, KCAL_PER_MOL
from tests.doctor.analytic import Morse, relabelled
from tests.doctor.sabotage import check_found, check_found_with_base, everywhere, found, hartree

SABOTAGE = {
    "Hartree": (
        everywhere("r2scan", energy=hartree, energy_stderr=hartree),
        "error",
        "energy-unit",
        {"outliers"},
    ),
    "Hartree, σ in eV": (everywhere("r2scan", energy=hartree), "error", "energy-unit", {"outliers", "stderr-large"}),
    "kcal/mol": (
        everywhere("r2scan", energy=lambda e: e / KCAL_PER_MOL, energy_stderr=lambda e: e / KCAL_PER_MOL),
        "error",
        "energy-unit",
        {"outliers"},
    ),
    "cheap energies in Hartree": (
        everywhere("pbe", energy=hartree),
        "error",
        "energy-unit",
        {"forces-not-derivative", "outliers"},
    ),
    "stress of the other sign": (everywhere("pbe", stress=lambda s: -s), None, None, None),
    "virial": (everywhere("pbe", stress=lambda s: 1500.0 * s), "warning", "stress-huge", None),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


WITH_BASE = {
    "forces in Hartree/Bohr": (
        everywhere("cheap", forces=lambda f: f / HARTREE * BOHR),
        Morse(),
        "error",
        "force-unit",
        {"base-poor"},
    ),
    "energies in Hartree": (everywhere("cheap", energy=hartree), Morse(), "error", "energy-unit", None),
}


@pytest.mark.parametrize("name", WITH_BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    check_found_with_base(nickel, *WITH_BASE[name])


@pytest.mark.parametrize(
    ("unit", "size"), [("Hartree", HARTREE), ("kcal/mol", KCAL_PER_MOL), ("Rydberg", HARTREE / 2), ("kJ/mol", 0.010364)]
)
@pytest.mark.parametrize("fidelity", ["pm6", "dft"])
def test_energy_units_are_named(reactive, unit, size, fidelity):
    sabotaged = everywhere(fidelity, energy=lambda e: e / size)(reactive["train"])
    diagnosis = diagnose({"train": sabotaged}, target="dft")
    [finding] = [f for f in diagnosis.findings if f.code == "energy-unit"]
    assert f"{fidelity!r} energies in {unit}" in finding.sentence
    assert ("error", "forces-not-derivative") in found(diagnosis)


@pytest.mark.parametrize("seed", range(5))
def test_a_dozen_energies_are_enough_whether_or_not_compositions_repeat(reactive, mos2, seed):
    for members, low, high in ((reactive["train"], "pm6", "dft"), (mos2["train"], "pbe", "r2scan")):
        few = tuple(s for s in draw_labels(members, high, 12, seed) if high in s.labels)
        assert "energy-unit" not in {code for _, code in found(diagnose({"train": few}, target=high))}
        for fidelity in (low, high):
            sabotaged = everywhere(fidelity, energy=hartree)(few)
            assert ("error", "energy-unit") in found(diagnose({"train": sabotaged}, target=high))


def test_energies_per_atom_are_named(mos2):
    sabotaged = tuple(relabelled(s, "pbe", energy=s.labels["pbe"].energy / len(s)) for s in mos2["test"])
    diagnosis = diagnose({"test": sabotaged}, target="r2scan")
    [finding] = [f for f in diagnosis.findings if f.code == "energy-unit"]
    assert "'pbe' energies in eV per atom" in finding.sentence


def test_offsets_prove_nothing(reactive):
    shifted = everywhere("dft", energy=lambda e: e - 1.0e6)(reactive["train"])
    assert not found(diagnose({"train": shifted}, target="dft"))


def test_noise_does_not_make_a_unit(mos2):
    generator = np.random.default_rng(0)
    noisy = everywhere("r2scan", energy=lambda _: generator.normal(-390.0, 1.0))(mos2["train"])
    assert "energy-unit" not in {code for _, code in found(diagnose({"train": noisy}, target="r2scan"))}


def test_force_and_stress_units_are_found_against_another_fidelity(mos2):
    for field, factor, code, unit in (
        ("forces", HARTREE / BOHR, "force-unit", "'r2scan' forces in Hartree/Bohr"),
        ("stress", GPA, "stress-unit", "'r2scan' stress in GPa"),
    ):
        sabotaged = everywhere("r2scan", **{field: lambda v, factor=factor: v / factor})(mos2["test"])
        diagnosis = diagnose({"test": sabotaged})
        [finding] = [f for f in diagnosis.findings if f.code == code]
        assert finding.severity == "error" and unit in finding.sentence
