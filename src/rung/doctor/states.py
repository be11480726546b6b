"""A check of the electrons' state: a potential sees geometries alone, so one composition should have one state."""

from collections.abc import Iterator, Mapping, Sequence

from rung.data.attributes import is_usual
from rung.data.states import SPELLINGS, as_text, said_of, unusual_state
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, frames, ids
from rung.results.findings import Finding

ABSENT = "none given"


def states(examined: Examined) -> Iterator[Finding]:
    """Find labels of one fidelity and composition that are of several states, or all of a charge or an open shell."""
    for fidelity in examined.fidelities:
        by_formula: dict[str, list[Structure]] = {}
        for structure in examined.structures:
            if structure.labelled(fidelity).says_anything:
                by_formula.setdefault(structure.formula, []).append(structure)
        mixed = {formula: said for formula, members in by_formula.items() if (said := state_differences(members))}
        same = {
            formula: said
            for formula, members in by_formula.items()
            if formula not in mixed and (said := _unusual_words(members[0]))
        }
        if mixed:
            splits, begin, concerned = _concerned(examined, by_formula, mixed)
            sentence = (
                f"{begin} with {fidelity!r} labels are of several states of the electrons: {_listed(mixed)}; a "
                "potential has no input for it, so that one geometry would have two energies. Keep one state of a "
                "composition, or make each a fidelity of its own."
            )
            yield finding("warning", "several-states", sentence, splits, (fidelity,), concerned)
        if same:
            splits, begin, concerned = _concerned(examined, by_formula, same)
            sentence = (
                f"{begin} with {fidelity!r} labels are of a charge or an open shell: {_listed(same)}; a potential sees "
                "geometries alone, and stands for these states of these compositions."
            )
            yield finding("note", "one-state", sentence, splits, (fidelity,), concerned)


def state_differences(members: Sequence[Structure]) -> str:
    """Return in what structures of one composition differ in state, with the values, for a sentence; empty where equal.

    Where nothing is said a structure is neutral, and of whichever spin others name that is no open shell. Moments of
    single atoms are where a calculation began, and not where it ended: they say nothing here.
    """
    differing = []
    for name in SPELLINGS:
        values = [said_of(structure, name) for structure in members]
        distinct = {as_text(value) for value in values if value is not None}
        silent = any(value is None for value in values)  # some are arrays, which == takes apart
        if distinct and silent and not any(is_usual(name, value) for value in values if value is not None):
            distinct.add(ABSENT)
        if len(distinct) > 1:
            differing.append(f"{name} {', '.join(sorted(distinct))}")
    return "; ".join(differing)


def _unusual_words(structure: Structure) -> str:
    return "; ".join(f"{name} {value}" for name, value in unusual_state(structure).items())


def _concerned(
    examined: Examined, by_formula: Mapping[str, Sequence[Structure]], said: Mapping[str, str]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return the splits of the structures of some compositions, how a sentence on them begins, and their names."""
    concerned = [structure for formula in said for structure in by_formula[formula]]
    known = {id(structure) for structure in concerned}
    splits = tuple(split for split, members in examined.splits.items() if any(id(one) in known for one in members))
    return splits, f"{', '.join(splits)}: {frames(len(concerned))}", ids(concerned)


def _listed(said: Mapping[str, str]) -> str:
    return few([f"{formula} ({words})" for formula, words in said.items()])
