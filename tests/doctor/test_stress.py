"""Stress: its sign, unit and order, and virials in its place, told by a base, another fidelity or finite strains."""

import re
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.doctor import diagnose, diagnose_files
from rung.errors import DataError
from rung.units import GPA
from tests.doctor.analytic import Morse, alloy, labelled, relabelled
from tests.doctor.sabotage import check_found_with_base, everywhere, found

VASP = [0, 1, 2, 5, 3, 4]
"""xx yy zz xy yz zx, by place in xx yy zz yz xz xy."""

LAMMPS = [0, 1, 2, 5, 4, 3]

WITH_BASE = {
    "stress sign": (everywhere("cheap", stress=lambda s: -s), Morse(), "error", "stress-sign", None),
    "stress in GPa": (everywhere("cheap", stress=lambda s: s / GPA), Morse(), "error", "stress-unit", None),
    "virial": (everywhere("cheap", stress=lambda s: -195.0 * s), Morse(), "error", "stress-virial", None),
    "VASP's order": (everywhere("cheap", stress=lambda s: s[VASP]), Morse(), "error", "stress-order", None),
    "LAMMPS's order": (everywhere("cheap", stress=lambda s: s[LAMMPS]), Morse(), "error", "stress-order", None),
}


def strained(seed=0, n=10, shear=True):
    """Return one crystal under random strains, its atoms moved by a hundredth of an Å, with exact labels."""
    generator, start = np.random.default_rng(seed), alloy(0, 1, "x")[0].atoms
    frames = []
    for k in range(n):
        atoms, strain = start.copy(), generator.normal(0, 0.02, (3, 3))
        strain = 0.5 * (strain + strain.T) if shear else np.diag(np.diag(strain))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += generator.normal(0, 0.003, atoms.positions.shape)
        frames.append(labelled(atoms, f"strained-{k}", (Morse(),)))
    return tuple(frames)


@pytest.mark.parametrize("name", WITH_BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    check_found_with_base(nickel, *WITH_BASE[name])


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda s: -s, "stress-sign", "runs against the energies of strained frames"),
        (lambda s: s / GPA, "stress-unit", "'cheap' stress in GPa"),
        (lambda s: -195.0 * s, "stress-virial", "a virial in eV, not a stress; write cheap_stress = -virial / volume"),
        (lambda s: 195.0 * s, "stress-virial", "write cheap_stress = virial / volume, for here it has the stress's"),
        (lambda s: s[VASP], "stress-order", "in the order xx yy zz xy yz zx (VASP's)"),
        (lambda s: s[LAMMPS], "stress-order", "in the order xx yy zz xy xz yz (LAMMPS's)"),
    ],
)
def test_without_a_base_finite_strains_tell(change, code, said):
    frames = strained(n=16)
    assert not found(diagnose({"train": frames}))
    diagnosis = diagnose({"train": everywhere("cheap", stress=change)(frames)})
    assert found(diagnosis, "error") == {("error", code)}
    assert said in next(one.sentence for one in diagnosis.findings if one.code == code)


def test_without_shears_no_order_is_judged():
    frames = everywhere("cheap", stress=lambda s: s[VASP])(strained(shear=False))
    assert not found(diagnose({"train": frames}))


def test_an_order_is_found_against_another_fidelity(nickel, mos2):
    for data, spoilt in ((nickel["train"], "dear"), (mos2["test"], "r2scan")):
        diagnosis = diagnose({"test": everywhere(spoilt, stress=lambda s: s[VASP])(data)})
        [finding] = [one for one in diagnosis.findings if one.code == "stress-order"]
        assert finding.severity == "error" and "xx yy zz xy yz zx (VASP's)" in finding.sentence
        assert "or the other way round" in finding.sentence


@pytest.mark.parametrize("seed", range(4))
def test_the_right_order_is_never_doubted(nickel, mos2, seed):
    generator = np.random.default_rng(seed)
    for data, noise in ((nickel["train"], 0.01), (mos2["test"], 0.002)):
        few = [data[k] for k in generator.permutation(len(data))[:8]]
        for name in few[0].labels:
            errors = [generator.normal(0, noise, 6) for _ in few]
            few = [relabelled(s, name, stress=s.labels[name].stress + e) for s, e in zip(few, errors, strict=True)]
        diagnosis = diagnose({"test": tuple(few)})
        assert not [one for one in diagnosis.findings if one.code == "stress-order"]


def test_virials_are_named_by_their_keys(tmp_path):
    frames = strained(n=3)
    write_structures(tmp_path / "frames.extxyz", frames)
    text = (tmp_path / "frames.extxyz").read_text()
    bare = re.sub(r'cheap_stress="[^"]*"', 'virial="1 2 3 2 5 6 3 6 9"', text)
    for key, spoilt in (("cheap_virials", text.replace("cheap_stress=", "cheap_virials=")), ("virial", bare)):
        (tmp_path / "spoilt.extxyz").write_text(spoilt)
        diagnosis = diagnose_files([tmp_path / "spoilt.extxyz"])
        assert found(diagnosis) == {("warning", "virial-keys")}
        [finding] = [one for one in diagnosis.findings if one.code == "virial-keys"]
        assert f"3 frames carry {key}, and virials are not read" in finding.sentence
        assert f"rung convert --keys virial={key} " in finding.sentence
        assert "_stress = -virial / volume" in finding.sentence


def test_nine_numbers_that_are_no_symmetric_tensor_are_refused(tmp_path):
    write_structures(tmp_path / "frames.extxyz", strained(n=1))
    text = (tmp_path / "frames.extxyz").read_text()
    start = text.index('cheap_stress="') + len('cheap_stress="')
    nine = "0.1 0.02 0.03 {} 0.2 0.04 0.03 0.04 0.3"
    for off, fine in (("0.0201", True), ("-0.02", False)):
        path = tmp_path / "nine.extxyz"
        path.write_text(text[:start] + nine.format(off) + text[text.index('"', start) :])
        if fine:
            assert read_structures(path)[0].labels["cheap"].stress[5] == 0.02
        else:
            with pytest.raises(DataError, match=r"nine.extxyz.*cheap_stress is no symmetric tensor"):
                read_structures(path)


def test_another_lattice_constant_is_no_stress_error(nickel):
    pressed = everywhere("dear", stress=lambda s: s - 0.3)(nickel["train"])
    assert not found(diagnose({"train": pressed}, target="dear", base=Morse(), base_fidelity="cheap"))


def test_stress_of_the_other_sign_is_found_against_another_fidelity(mos2):
    diagnosis = diagnose({"test": everywhere("r2scan", stress=lambda s: -s)(mos2["test"])})
    [finding] = [f for f in diagnosis.findings if f.code == "stress-sign"]
    assert finding.severity == "error" and finding.fidelities == ("pbe", "r2scan")


def test_stresses_without_a_volume_are_no_reason_to_stop():
    generator = np.random.default_rng(0)
    frames = []
    for k in range(6):
        labels = {name: replace(empty_labels(1), energy=1.0, stress=generator.normal(size=6)) for name in ("a", "b")}
        frames.append(Structure(Atoms("H", positions=[[k, 0, 0]]), f"free-{k}", labels))
    assert "stress-virial" not in {one.code for one in diagnose({"train": frames}).findings}
