"""Each finding on a sabotaged copy of clean data, and silence on the clean data themselves."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from rung.data.labels import empty_labels
from rung.data.readers.structures import READING, Reading, read_structures, write_structures
from rung.data.splits import draw_labels, formula, grouped_split
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.doctor import CHECKS, PLAIN_CHECKS, diagnose, diagnose_files
from rung.doctor.slopes import GPA
from rung.errors import ConfigError, DataError
from rung.units import BOHR, HARTREE, KCAL_PER_MOL
from tests.doctor.analytic import Morse, alloy, labelled, moved, relabelled


@pytest.fixture(scope="module")
def mos2():
    path = folder("mos2")
    train = read_structures(path / "train.extxyz")[:150]
    return {"train": train, "test": read_structures(path / "test.extxyz")[:60]}


@pytest.fixture(scope="module")
def reactive():
    structures = read_structures(folder("pm6-dft") / "frames.extxyz")[:600]
    return grouped_split(structures, {"train": 0.6, "test": 0.4}, 0, key=formula)


@pytest.fixture(scope="module")
def nickel():
    return {"train": alloy(0, 24, "train"), "test": alloy(1, 12, "test")}


def everywhere(fidelity, **changes):
    return lambda members: tuple(relabelled(s, fidelity, **changes) if fidelity in s.labels else s for s in members)


def at(places, change):
    return lambda members: tuple(change(s) if k in places else s for k, s in enumerate(members))


def with_reading(**said):
    return lambda s: replace(s, info={**s.info, READING: Reading(**said)})


def found(diagnosis, *severities):
    return {(f.severity, f.code) for f in diagnosis.findings if f.severity in (severities or ("error", "warning"))}


# --- silence ---------------------------------------------------------------------------------------------------------


def test_the_testbed_is_sound():
    path = folder("mos2")
    diagnosis = diagnose_files(sorted(path.glob("*.extxyz")), target="r2scan")
    assert not found(diagnosis)
    rows = {(row.split, row.fidelity): row for row in diagnosis.census}
    assert (rows["train.extxyz", "r2scan"].n_energies, rows["train.extxyz", "r2scan"].n_stderr) == (100, 100)
    assert rows["test.extxyz", "r2scan"].n_forces == 120
    assert rows["ood.extxyz", "pbe"].n_formulas == 3


def test_the_molecules_are_sound(reactive):
    assert not found(diagnose(reactive, target="dft"))


def test_small_sets_are_sound(mos2, nickel):
    assert not found(diagnose(mos2, target="r2scan"))
    assert not found(diagnose(nickel, target="dear", base=Morse(), base_fidelity="cheap"))


def test_the_testbed_is_sound_with_its_base_but_for_what_the_base_errs(mos2, testbed_base):
    diagnosis = diagnose(mos2, target="r2scan", base=testbed_base, base_fidelity="pbe")
    assert found(diagnosis) <= {("warning", "base-poor")}
    [finding] = [f for f in diagnosis.findings if f.splits == ("test",)]
    assert 55 < float(finding.sentence.split("errs by ")[1].split()[0]) < 85  # its README says 70 meV/Å


def test_sabotage_of_the_testbed_is_found_with_its_base(mos2, testbed_base):
    for change, code in (
        ({"forces": lambda f: -f}, "gradients-as-forces"),
        ({"stress": lambda s: -s}, "stress-sign"),
        ({"stress": lambda s: s / GPA}, "stress-unit"),
        ({"energy": hartree}, "energy-unit"),
    ):
        train = tuple(replace(s, labels={"pbe": s.labels["pbe"]}) for s in mos2["train"][:40])
        splits = {"train": everywhere("pbe", **change)(train)}
        diagnosis = diagnose(splits, base=testbed_base, base_fidelity="pbe")
        assert ("error", code) in found(diagnosis)


def test_another_lattice_constant_is_no_stress_error(nickel):
    pressed = everywhere("dear", stress=lambda s: s - 0.3)(nickel["train"])
    assert not found(diagnose({"train": pressed}, target="dear", base=Morse(), base_fidelity="cheap"))


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


def test_nothing_is_found_in_nothing():
    assert diagnose({}).worst is None
    assert diagnose({"train": ()}).worst is None


# --- sabotage of real data without a base -----------------------------------------------------------------------------

hartree = lambda energy: energy / HARTREE  # noqa: E731
MOS2 = {
    "bare keys beside labels": (at({3}, with_reading(bare_keys=("energy",))), "warning", "bare-keys", None),
    "only bare keys": (
        lambda members: tuple(replace(s, labels={}, info={READING: Reading(bare_keys=("energy",))}) for s in members),
        "error",
        "bare-keys",
        {"no-labels", "no-target-energies"},
    ),
    "unread keys": (at({3}, with_reading(unread_keys=("energy_pbe",))), "warning", "unread-keys", None),
    "cut file": (at({149}, with_reading(unfinished=True)), "warning", "unfinished-file", None),
    "empty class": (everywhere("r2scan", energy=np.nan, energy_stderr=np.nan), "error", "no-target-energies", None),
    "empty in one split": (
        everywhere("r2scan", energy=np.nan, energy_stderr=np.nan),
        "warning",
        "empty-fidelity",
        {"no-target-energies"},
    ),
    "infinite": (at({5}, lambda s: relabelled(s, "pbe", energy=np.inf)), "error", "infinite-label", None),
    "NaN": (
        at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: np.where(np.arange(len(f))[:, None] == 2, np.nan, f))),
        "error",
        "nan-label",
        None,
    ),
    "zero energies": (at({5, 6}, lambda s: relabelled(s, "r2scan", energy=0.0)), "error", "zero-energy", {"outliers"}),
    "a zero energy": (at({5}, lambda s: relabelled(s, "r2scan", energy=0.0)), "warning", "zero-energy", {"outliers"}),
    "zero forces": (at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: 0.0 * f)), "warning", "zero-forces", None),
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
    "gradients": (everywhere("pbe", forces=lambda f: -f), "error", "gradients-as-forces", None),
    "forces of Hartree/Bohr": (
        everywhere("pbe", forces=lambda f: f / HARTREE * BOHR),
        "error",
        "forces-not-derivative",
        None,
    ),
    "σ missing": (
        at({5, 6}, lambda s: relabelled(s, "r2scan", energy_stderr=np.nan)),
        "warning",
        "stderr-missing",
        None,
    ),
    "σ zero": (at({5, 6}, lambda s: relabelled(s, "r2scan", energy_stderr=0.0)), "error", "stderr-zero", None),
    "σ zero for all": (everywhere("r2scan", energy_stderr=0.0), "warning", "stderr-zero", None),
    "σ negative": (at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=-0.02)), "error", "stderr-negative", None),
    "σ tiny": (at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=1e-9)), "warning", "stderr-tiny", None),
    "σ huge": (everywhere("r2scan", energy_stderr=lambda e: 200 * e), "warning", "stderr-large", None),
    "σ alone": (
        at({120}, lambda s: relabelled(with_dmc(s), "r2scan", energy_stderr=0.02)),
        "warning",
        "stderr-alone",
        None,
    ),
    "net force": (
        at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: f + np.array([0.1, 0, 0]))),
        "warning",
        "net-force",
        None,
    ),
    "zeroed by a constraint": (
        at({5, 6}, lambda s: with_reading(fixed_atoms=(0, 1))(relabelled(s, "pbe", forces=zeroed))),
        "error",
        "constrained-forces",
        {"net-force"},
    ),
    "zeroed by nobody knows what": (
        at({5, 6}, lambda s: relabelled(s, "pbe", forces=zeroed)),
        "warning",
        "exact-zero-forces",
        {"net-force"},
    ),
    "outlier": (at({7}, lambda s: relabelled(s, "r2scan", energy=lambda e: e + 10.0)), "warning", "outliers", None),
    "cheap outlier": (
        at({127}, lambda s: relabelled(s, "pbe", energy=lambda e: e + 40.0)),
        "warning",
        "outliers",
        None,
    ),
    "close": (at({7}, lambda s: moved(s, nearer(s, 1.0))), "warning", "atoms-too-close", None),
    "coincident": (at({7}, lambda s: moved(s, nearer(s, 0.2))), "error", "atoms-too-close", None),
    "repeated with another energy": (
        lambda members: (*members, relabelled(renamed(members[4]), "r2scan", energy=lambda e: e + 1.0)),
        "error",
        "two-energies",
        None,
    ),
    "stress of the other sign": (everywhere("pbe", stress=lambda s: -s), None, None, None),
    "virial": (everywhere("pbe", stress=lambda s: 1500.0 * s), "warning", "stress-huge", None),
}


def with_dmc(structure):
    return replace(structure, labels={**structure.labels, "r2scan": empty_labels(len(structure))})


def renamed(structure):
    return replace(structure, structure_id=f"{structure.structure_id}-again")


def zeroed(forces):
    forces = forces.copy()
    forces[:2] = 0.0
    return forces


def nearer(structure, distance):
    positions = structure.atoms.positions.copy()
    positions[1] = positions[0] + [distance, 0.0, 0.0]
    return positions


@pytest.mark.parametrize("name", MOS2)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    sabotage, severity, code, more = MOS2[name]
    diagnosis = diagnose({**mos2, "train": sabotage(mos2["train"])}, target="r2scan")
    codes = {code for _, code in found(diagnosis)}
    if code is None:  # without a base and without a second fidelity nobody can tell
        assert not codes
        return
    assert (severity, code) in found(diagnosis)
    assert codes - (more or set()) <= {code, "empty-fidelity"}
    [finding] = [f for f in diagnosis.findings if (f.severity, f.code) == (severity, code)]
    assert finding.splits == ("train",)
    assert finding.sentence.startswith("train: ") and finding.sentence.endswith((".", "?"))


def test_what_is_sabotaged_is_named(mos2):
    def names(sabotage, code):
        diagnosis = diagnose({**mos2, "train": sabotage(mos2["train"])}, target="r2scan")
        [finding] = [f for f in diagnosis.findings if f.code == code]
        return finding.structures

    assert names(MOS2["outlier"][0], "outliers") == ("train-007",)
    assert names(MOS2["cheap outlier"][0], "outliers") == ("train-127",)
    assert names(MOS2["σ missing"][0], "stderr-missing") == ("train-005", "train-006")
    assert names(MOS2["zeroed by a constraint"][0], "constrained-forces") == ("train-005", "train-006")
    assert names(MOS2["repeated with another energy"][0], "two-energies") == ("train-004", "train-004-again")


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


@pytest.mark.parametrize("fidelity", ["pm6", "dft"])
@pytest.mark.parametrize("keep", [("energy", "forces"), ("forces",)])
def test_gradients_are_found_in_whichever_fidelity_holds_them(reactive, fidelity, keep):
    """Also without energies, where no finite step can be made: bonds tell."""
    train = reactive["train"]
    if "energy" not in keep:
        train = tuple(relabelled(relabelled(s, "pm6", energy=np.nan), "dft", energy=np.nan) for s in train)
    diagnosis = diagnose({"train": everywhere(fidelity, forces=lambda f: -f)(train)})
    [finding] = [f for f in diagnosis.findings if f.code == "gradients-as-forces"]
    assert finding.severity == "error"
    assert finding.fidelities == (fidelity,)


def test_opposite_forces_that_nothing_else_decides_are_both_named(mos2):
    """Single frames: no steps, too few bonds."""
    frame = mos2["test"][0]
    small = Structure(
        frame.atoms[:6],
        "small",
        {name: replace(empty_labels(6), forces=frame.labels[name].forces[:6]) for name in ("pbe", "r2scan")},
    )
    diagnosis = diagnose({"one": (relabelled(small, "pbe", forces=lambda f: -f),)})
    [finding] = [f for f in diagnosis.findings if f.code == "gradients-as-forces"]
    assert finding.fidelities == ("pbe", "r2scan")


def test_force_and_stress_units_are_found_against_another_fidelity(mos2):
    for field, factor, code, unit in (
        ("forces", HARTREE / BOHR, "force-unit", "'r2scan' forces in Hartree/Bohr"),
        ("stress", GPA, "stress-unit", "'r2scan' stress in GPa"),
    ):
        sabotaged = everywhere("r2scan", **{field: lambda v, factor=factor: v / factor})(mos2["test"])
        diagnosis = diagnose({"test": sabotaged})
        [finding] = [f for f in diagnosis.findings if f.code == code]
        assert finding.severity == "error" and unit in finding.sentence


def test_stress_of_the_other_sign_is_found_against_another_fidelity(mos2):
    diagnosis = diagnose({"test": everywhere("r2scan", stress=lambda s: -s)(mos2["test"])})
    [finding] = [f for f in diagnosis.findings if f.code == "stress-sign"]
    assert finding.severity == "error" and finding.fidelities == ("pbe", "r2scan")


def test_a_sound_repeat_is_no_contradiction(mos2):
    again = relabelled(renamed(mos2["train"][4]), "r2scan", energy=lambda e: e + 0.05)  # within the errors
    assert not found(diagnose({**mos2, "train": (*mos2["train"], again)}, target="r2scan"))


# --- two splits -------------------------------------------------------------------------------------------------------


def test_a_leak_between_splits_is_found(mos2):
    leaky = {**mos2, "test": (*mos2["test"], renamed(mos2["train"][120]))}
    diagnosis = diagnose(leaky, target="r2scan")
    [finding] = diagnosis.of("error")
    assert (finding.code, finding.splits) == ("two-splits", ("train", "test"))
    assert finding.structures == ("train-120", "train-120-again")
    assert not diagnosis.of("warning")


def test_a_turned_shifted_or_reordered_leak_is_found(reactive, mos2):
    structure = reactive["train"][10]
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    order = np.arange(len(structure))[::-1]
    twin = moved(structure, (structure.atoms.positions @ turn.T + 3.0)[order], structure.atoms.numbers[order], "twin")
    labels = {name: replace(label, forces=(label.forces @ turn.T)[order]) for name, label in structure.labels.items()}
    twin = replace(twin, labels=labels)
    diagnosis = diagnose({**reactive, "test": (*reactive["test"], twin)}, target="dft")
    [finding] = diagnosis.of("warning")
    assert (finding.code, finding.structures) == ("nearly-two-splits", (structure.structure_id, "twin"))
    assert not diagnosis.of("error")
    slab = mos2["train"][120]
    shifted = moved(slab, slab.atoms.positions + 0.5 * slab.atoms.cell.array[0], name="shifted")
    diagnosis = diagnose({**mos2, "test": (*mos2["test"], shifted)}, target="r2scan")
    assert [f.structures for f in diagnosis.of("warning")] == [("train-120", "shifted")]


# --- with a base ------------------------------------------------------------------------------------------------------

CHEAP = Morse()
BASE = {
    "gradients": (everywhere("cheap", forces=lambda f: -f), CHEAP, "error", "gradients-as-forces", {"base-wrong"}),
    "dear gradients": (everywhere("dear", forces=lambda f: -f), CHEAP, "error", "gradients-as-forces", None),
    "stress sign": (everywhere("cheap", stress=lambda s: -s), CHEAP, "error", "stress-sign", None),
    "stress in GPa": (everywhere("cheap", stress=lambda s: s / GPA), CHEAP, "error", "stress-unit", None),
    "virial": (everywhere("cheap", stress=lambda s: -195.0 * s), CHEAP, "error", "stress-sign", {"stress-unit"}),
    "forces in Hartree/Bohr": (
        everywhere("cheap", forces=lambda f: f / HARTREE * BOHR),
        CHEAP,
        "error",
        "force-unit",
        {"base-poor"},
    ),
    "energies in Hartree": (everywhere("cheap", energy=hartree), CHEAP, "error", "energy-unit", None),
    "a poor base": (lambda members: members, Morse(depth=0.45), "warning", "base-poor", None),
    "a wrong base": (lambda members: members, Morse(length=2.0), "error", "base-wrong", None),
    "an unknown element": (
        at({3}, lambda s: moved(s, numbers=np.where(np.arange(16) == 4, 79, s.atoms.numbers))),
        CHEAP,
        "error",
        "unknown-elements",
        None,
    ),
}


@pytest.mark.parametrize("name", BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    sabotage, base, severity, code, more = BASE[name]
    splits = {"train": sabotage(nickel["train"])}
    diagnosis = diagnose(splits, target="dear", base=base, base_fidelity="cheap")
    assert (severity, code) in found(diagnosis)
    pairs = {"energy-unit", "force-unit", "stress-unit", "stress-sign"}  # against the other fidelity as well
    if name not in ("a wrong base", "an unknown element"):
        assert {code for _, code in found(diagnosis)} - (more or set()) <= {code, *pairs, "forces-not-derivative"}


def test_an_energy_without_another_fidelity_is_held_against_the_base(nickel):
    only = tuple(replace(s, labels={"dear": replace(s.labels["dear"], energy_stderr=0.01)}) for s in nickel["train"])
    base = Morse()
    assert not found(diagnose({"train": only}, target="dear", base=base, base_fidelity="cheap"))
    assert ("error", "energy-unit") in found(
        diagnose({"train": everywhere("dear", energy=hartree)(only)}, target="dear", base=base, base_fidelity="cheap")
    )
    wild = at({7}, lambda s: relabelled(s, "dear", energy=lambda e: e + 5.0))(only)
    diagnosis = diagnose({"train": wild}, target="dear", base=base, base_fidelity="cheap")
    assert [f.structures for f in diagnosis.findings if f.code == "outliers"] == [("train-7",)]


def test_fragments_beyond_the_cutoff_are_found():
    base = Morse()

    def pair(distance, pbc):
        atoms = Atoms("NiAl", positions=[[0, 0, 0], [0, 0, distance]], cell=[12.0] * 3, pbc=pbc)
        return labelled(atoms, f"pair-{distance}-{pbc}", (base,))

    splits = {"train": (pair(4.9, False), pair(5.1, False), pair(7.5, True))}  # 12 - 7.5 = 4.5 through the wall
    diagnosis = diagnose(splits, base=base, base_fidelity="cheap")
    [finding] = [f for f in diagnosis.findings if f.code == "fragments-apart"]
    assert (finding.severity, finding.structures) == ("warning", ("pair-5.1-False",))


def test_the_base_is_asked_little_and_always_the_same(nickel):
    asked = []

    class Counting(Morse):
        def predict(self, batch, *, forces=True, stress=False):
            asked.append((batch.n_rows, forces))
            return super().predict(batch, forces=forces, stress=stress)

    splits = {"train": nickel["train"] * 4, "test": nickel["test"] * 4}
    first = diagnose(splits, target="dear", base=Counting(), base_fidelity="cheap")
    assert sum(rows for rows, forces in asked if forces) <= 30
    assert all(forces for _, forces in asked)  # every frame has a cheap energy, so no more are needed
    assert first == diagnose(splits, target="dear", base=Counting(), base_fidelity="cheap")


def test_a_base_with_several_fidelities_must_be_told_which(nickel):
    class Two(Morse):
        fidelities = ("cheap", "other")

    with pytest.raises(ConfigError, match="name the fidelity"):
        diagnose(nickel, base=Two())
    with pytest.raises(ConfigError, match=r"Unknown fidelity 'chap'; there is: cheap. Did you mean 'cheap'"):
        diagnose(nickel, base=Morse(), base_fidelity="chap")


# --- notes, targets, the result ---------------------------------------------------------------------------------------


def test_one_composition_is_a_note(mos2):
    one = tuple(s for s in mos2["train"] if s.formula == mos2["train"][0].formula)
    diagnosis = diagnose({"train": one}, target="r2scan")
    assert [f.sentence for f in diagnosis.findings if f.code == "one-composition"] == [
        "train: all 91 frames with a 'r2scan' energy are Mo9S17, so reference energies hold for that composition only."
    ]
    assert diagnosis.worst == "note"
    assert "one-composition" not in {f.code for f in diagnose(mos2, target="r2scan").findings}


def test_an_unknown_target_lists_what_there_is(mos2):
    diagnosis = diagnose(mos2, target="r2scann")
    [finding] = diagnosis.of("error")
    assert finding.code == "no-target-energies"
    assert "there is: pbe, r2scan. Did you mean 'r2scan'?" in finding.sentence


def test_a_split_without_the_target_is_a_note(mos2):
    hidden = tuple(replace(s, labels={"pbe": s.labels["pbe"]}) for s in mos2["test"])
    diagnosis = diagnose({**mos2, "test": hidden}, target="r2scan")
    assert ("note", "no-target-labels") in found(diagnosis, "note")
    assert not found(diagnosis)


def test_errors_come_first(mos2):
    bad = {**mos2, "train": MOS2["σ negative"][0](MOS2["net force"][0](mos2["train"]))}
    diagnosis = diagnose(bad, target="r2scan")
    assert [f.severity for f in diagnosis.findings] == sorted(
        (f.severity for f in diagnosis.findings), key=("error", "warning", "note").index
    )
    assert diagnosis.worst == "error"


def test_the_result_is_json(mos2):
    diagnosis = diagnose({**mos2, "train": MOS2["net force"][0](mos2["train"])}, target="r2scan")
    content = json.loads(json.dumps(diagnosis.as_json(), allow_nan=False))
    assert content["worst"] == "warning"
    assert content["findings"][0]["code"] == "net-force"
    assert content["findings"][0]["structures"] == ["train-005"]
    assert content["census"][0]["n_energies"] == 150


def test_files_are_splits(tmp_path, nickel):
    write_structures(tmp_path / "train.extxyz", nickel["train"])
    (tmp_path / "more").mkdir()
    write_structures(tmp_path / "more" / "train.extxyz", nickel["test"])
    paths = [tmp_path / "train.extxyz", tmp_path / "more" / "train.extxyz"]
    diagnosis = diagnose_files(paths, target="dear", base=Morse(), base_fidelity="cheap")
    assert not found(diagnosis)
    assert {row.split for row in diagnosis.census} == {str(path) for path in paths}
    with pytest.raises(DataError, match="named twice"):
        diagnose_files([paths[0], paths[0]])
    with pytest.raises(DataError, match="There is no file"):
        diagnose_files([tmp_path / "absent.extxyz"])


def test_every_check_says_what_it_finds():
    checks = (*PLAIN_CHECKS, *CHECKS)
    assert len({check.__name__ for check in checks}) == len(checks)
    assert all(check.__doc__ and check.__doc__.startswith("Find ") for check in checks)
