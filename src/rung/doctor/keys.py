"""Checks of keys and of plain values: what is there at all, and whether it is a number."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rung.data.label_rows import mentioned
from rung.data.labels import ENERGY, FORCES, STRESS, VIRIALS, Array, Labels
from rung.data.other_keys import conversion, no_such_label, right_key
from rung.data.readers.structures import reading_of
from rung.data.soundness import LARGEST, any_torn, any_wild, torn_keys, wild_keys
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, ids
from rung.errors import counted
from rung.results.findings import Finding, Severity


def bare_keys(examined: Examined) -> Iterator[Finding]:
    """Find labels without a fidelity: an error in a frame that has no other labels, else a warning."""
    for split, members in examined.splits.items():
        bare = [structure for structure in members if _without_virials(reading_of(structure).bare_keys)]
        for lost in (True, False):
            concerned = [structure for structure in bare if lost == (not structure.labels)]
            if concerned:
                found = {key for structure in concerned for key in reading_of(structure).bare_keys}
                keys = _without_virials(sorted(found))
                remedy = f"rung convert --fidelity NAME renames them to NAME{ENERGY}, NAME{FORCES} and so on"
                problem = (
                    f"{split}: {counted(len(concerned), 'frame carries', 'frames carry')} {', '.join(keys)} without a "
                    f"fidelity; {remedy}"
                )
                yield finding(
                    "error" if lost else "warning",
                    "bare-keys",
                    f"{problem}." if lost else f"{problem}, or they are not read.",
                    (split,),
                    (),
                    ids(concerned),
                )


def unread_keys(examined: Examined) -> Iterator[Finding]:
    """Find keys that look like labels and are not read."""
    for split, members in examined.splits.items():
        concerned = [structure for structure in members if _without_virials(reading_of(structure).unread_keys)]
        if concerned:
            keys = _without_virials(sorted({key for one in concerned for key in reading_of(one).unread_keys}))
            words = "looks like a label and is not read" if len(keys) == 1 else "look like labels and are not read"
            yield finding(
                "warning",
                "unread-keys",
                f"{split}: {few(keys)} {words}; {_meant(keys)}.",
                (split,),
                (),
                ids(concerned),
            )


def _meant(keys: Sequence[str]) -> str:
    """Return what the keys may have been meant for, or how labels are called."""
    meant = dict.fromkeys(name for key in keys if (name := right_key(key)))
    if meant:
        return f"did you mean {few(list(meant))}? Rename them in the file, or with rung convert"
    return f"a label is called <fidelity>{ENERGY}, <fidelity>{FORCES} and so on, as {conversion(keys)} writes it"


def virial_keys(examined: Examined) -> Iterator[Finding]:
    """Find virials, which rung reads under no name."""
    for split, members in examined.splits.items():
        concerned = [structure for structure in members if _virials(structure)]
        if concerned:
            keys = sorted({key for structure in concerned for key in _virials(structure)})
            yield finding(
                "warning",
                "virial-keys",
                f"{split}: {counted(len(concerned), 'frame carries', 'frames carry')} {few(keys)}, and virials are not "
                f"read; rung convert --keys virial={keys[0]} --fidelity NAME makes NAME{STRESS} = -virial / volume of "
                "them.",
                (split,),
                (),
                ids(concerned),
            )


def unfinished_file(examined: Examined) -> Iterator[Finding]:
    """Find a file that ends within a line, so that its last number may be cut."""
    for split, members in examined.splits.items():
        concerned = [structure for structure in members if reading_of(structure).unfinished]
        if concerned:
            yield finding(
                "warning",
                "unfinished-file",
                f"{split}: the file ends within the last line of {concerned[0].structure_id}; is its last number cut?",
                (split,),
                (),
                ids(concerned),
            )


def no_labels(examined: Examined) -> Iterator[Finding]:
    """Find splits in which no structure carries a label."""
    for split, members in examined.splits.items():
        if members and not any(label.says_anything for structure in members for label in structure.labels.values()):
            keys = sorted({key for structure in members for key in reading_of(structure).numbers})
            hold = "holds numbers: a label gets its name" if len(keys) == 1 else "hold numbers: labels get their names"
            hint = f"; {few(keys)} {hold} by {conversion(keys)}" if keys else ""
            yield finding("error", "no-labels", f"{split}: no frame carries a label of any fidelity{hint}.", (split,))


def empty_fidelity(examined: Examined) -> Iterator[Finding]:
    """Find fidelities whose keys are there and hold nothing: an error if nowhere, else a warning."""
    full = {
        fidelity
        for _, fidelity, members in examined.labelled()
        if any(structure.labels[fidelity].says_anything for structure in members)
    }
    for split, fidelity, members in examined.labelled():
        if not any(structure.labels[fidelity].says_anything for structure in members):
            yield finding(
                "warning" if fidelity in full else "error",
                "empty-fidelity",
                f"{split}: {counted(len(members), 'frame carries', 'frames carry')} keys of {fidelity!r} and every "
                "value is NaN.",
                (split,),
                (fidelity,),
                ids(members),
            )


def no_target(examined: Examined) -> Iterator[Finding]:
    """Find that the split that teaches has no energy of the target, or another split has no label of it."""
    target = examined.target
    for split, members in examined.splits.items():
        if target is None or mentioned(members, target, examined.table):
            continue
        if split == examined.teaches:
            there = (one.labels.items() for one in examined.structures)
            labelled = {name for labels in there for name, label in labels if label.has_energy}
            hint = "" if target in examined.fidelities else f" {no_such_label(target, labelled)}"
            sentence = f"{split}: no frame has an energy of the target {target!r}, so nothing can be learnt.{hint}"
            yield finding("error", "no-target-energies", sentence, (split,), (target,))
        elif not any(structure.labelled(target).has_forces for structure in members):
            sentence = f"{split}: no frame has a label of the target {target!r}, so errors cannot be measured there."
            yield finding("note", "no-target-labels", sentence, (split,), (target,))


def not_finite(examined: Examined) -> Iterator[Finding]:
    """Find labels that are infinite or beyond any physics, or that hold NaN beside numbers."""
    for split, fidelity, members in examined.labelled():
        labels = [structure.labels[fidelity] for structure in members]
        wild = [structure for structure in members if wild_keys(structure.labels[fidelity])] if any_wild(labels) else []
        torn = [structure for structure in members if torn_keys(structure.labels[fidelity])] if any_torn(labels) else []
        if wild:
            sentence = (
                f"{split}: {counted(len(wild), 'frame has', 'frames have')} an infinite {fidelity!r} label, or one "
                f"beyond {LARGEST:.0e}: {few(ids(wild))}."
            )
            yield finding("error", "infinite-label", sentence, (split,), (fidelity,), ids(wild))
        if torn:
            yield finding(
                "error",
                "nan-label",
                f"{split}: {counted(len(torn), 'frame has', 'frames have')} NaN among {fidelity!r} forces or "
                f"stress: {few(ids(torn))}; leave the whole label out where it is not known.",
                (split,),
                (fidelity,),
                ids(torn),
            )


def tamed(members: Sequence[Structure]) -> tuple[Structure, ...]:
    """Return structures with wild labels made absent, so that the other checks can use the rest."""
    wild = any_wild([labels for structure in members for labels in structure.labels.values()])
    return tuple(_tamed(structure) for structure in members) if wild else tuple(members)


def _tamed(structure: Structure) -> Structure:
    if not any(wild_keys(label) for label in structure.labels.values()):
        return structure
    labels = {
        name: Labels(
            energy=float(_tame(np.asarray(label.energy))),
            energy_stderr=float(_tame(np.asarray(label.energy_stderr))),
            forces=_tame(label.forces),
            forces_stderr=_tame(label.forces_stderr),
            stress=_tame(label.stress),
        )
        for name, label in structure.labels.items()
    }
    return replace(structure, labels=labels)


def zero_labels(examined: Examined) -> Iterator[Finding]:
    """Find exact zeros that probably stand for absent labels."""
    for split, fidelity, members in examined.labelled():
        larger = [structure for structure in members if len(structure) > 1]
        energies = [structure for structure in larger if structure.labels[fidelity].energy == 0.0]
        forces = [structure for structure in larger if _all_zero(structure.labels[fidelity])]
        if energies:
            sentence = (
                f"{split}: {counted(len(energies), 'frame has', 'frames have')} a {fidelity!r} energy of exactly 0: "
                f"{few(ids(energies))}; an absent label has no key, or NaN."
            )
            one = len({structure.geometry_hash for structure in energies}) == 1  # may be where energies count from
            severity: Severity = "warning" if one else "error"
            yield finding(severity, "zero-energy", sentence, (split,), (fidelity,), ids(energies))
        if forces:
            sentence = (
                f"{split}: {counted(len(forces), 'frame has', 'frames have')} {fidelity!r} forces that are all exactly "
                f"0: {few(ids(forces))}; an absent label has no key, or NaN."
            )
            yield finding("warning", "zero-forces", sentence, (split,), (fidelity,), ids(forces))


def _tame(values: Array) -> Array:
    return np.where(np.abs(values) > LARGEST, np.nan, values)


def _all_zero(labels: Labels) -> bool:
    return bool(labels.has_forces and not labels.forces.any())


def _virials(structure: Structure) -> tuple[str, ...]:
    reading = reading_of(structure)
    return tuple(key for key in (*reading.bare_keys, *reading.unread_keys) if key.lower().endswith(VIRIALS))


def _without_virials(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if not key.lower().endswith(VIRIALS)]
