"""How tests of the doctor spoil data, and what they ask of the findings."""

from dataclasses import replace

from rung.data.labels import empty_labels
from rung.data.readers.structures import READING, Reading
from rung.doctor import diagnose
from rung.units import HARTREE
from tests.doctor.analytic import relabelled


def everywhere(fidelity, **changes):
    return lambda members: tuple(relabelled(s, fidelity, **changes) if fidelity in s.labels else s for s in members)


def at(places, change):
    return lambda members: tuple(change(s) if k in places else s for k, s in enumerate(members))


def with_reading(**said):
    return lambda s: replace(s, info={**s.info, READING: Reading(**said)})


def found(diagnosis, *severities):
    return {(f.severity, f.code) for f in diagnosis.findings if f.severity in (severities or ("error", "warning"))}


def hartree(energy):
    return energy / HARTREE


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


def check_found(mos2, sabotage, severity, code, more):
    """Diagnose the testbed with a spoilt training split: there is the finding, and beside it no code but ``more``."""
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


def names_found(mos2, sabotage, code):
    """Return the structures that the one finding of a code names."""
    diagnosis = diagnose({**mos2, "train": sabotage(mos2["train"])}, target="r2scan")
    [finding] = [f for f in diagnosis.findings if f.code == code]
    return finding.structures


def check_found_with_base(nickel, sabotage, base, severity, code, more, *, alone=True):
    """Diagnose the spoilt alloy with a base: there is the finding and, where it is ``alone``, little beside it."""
    splits = {"train": sabotage(nickel["train"])}
    diagnosis = diagnose(splits, target="dear", base=base, base_fidelity="cheap")
    assert (severity, code) in found(diagnosis)
    pairs = {"energy-unit", "force-unit", "stress-unit", "stress-sign"}  # against the other fidelity as well
    if alone:
        assert {code for _, code in found(diagnosis)} - (more or set()) <= {code, *pairs, "forces-not-derivative"}
