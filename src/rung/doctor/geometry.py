"""Checks of geometry: atoms too close, fragments too far, elements unknown, one geometry in two places."""

from collections.abc import Iterator, Sequence

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rung.data.batch import neighbours
from rung.data.congruence import SAME
from rung.data.copies import copies
from rung.data.elements import symbols
from rung.data.label_rows import label_compositions, mentioned
from rung.data.matter import CLOSEST_IMAGE
from rung.data.neighbours import neighbour_lengths, open_axes
from rung.data.readers.structures import reading_of
from rung.data.splits import ELSEWHERE, HOWEVER, overlaps
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, ids
from rung.doctor.states import state_differences
from rung.errors import counted
from rung.results.findings import Finding

IMPOSSIBLE = 0.3
"""Of the sum of covalent radii: nuclei nearly coincide (H–H at 0.19 Å), a damaged frame."""

CLOSE = 0.6
"""Of the sum of covalent radii: closer than any bond, or than dynamics at thousands of kelvin."""

ALIKE = 1.0e-3
"""Å: two geometries whose atoms differ by less are nearly the same to every model."""


CELLS = 1000
"""Cells from the origin: a file that writes eight digits has less than 1e-4 Å left there."""

WHAT = {
    "impossible-cell": "a cell smaller than matter can be, or not in Å",
    "impossible-density": "atoms closer together than matter can be, or not in Å",
    "coincident-atoms": "two atoms at one place",
}
"""What a reason for which matter cannot be like that says that frames have."""

REPEATED = {
    True: ("", "a copy is no second label. A fit takes it once, unless it streams; leave copies out"),
    False: (" with another energy_stderr", "a fit takes them for independent labels; keep one of them"),
}
"""What a sentence says of copies of a label, by whether their errors agree too, and what to do."""


def impossible_geometries(examined: Examined) -> Iterator[Finding]:
    """Find geometries that no matter has: cells too small, atoms too dense, or two at one place."""
    for split, members in examined.splits.items():
        by_code: dict[str, list[tuple[Structure, str]]] = {}
        for structure in members:
            if (reason := examined.impossible.get(id(structure))) is not None:
                by_code.setdefault(reason.code, []).append((structure, reason.sentence))
        for code, concerned in by_code.items():
            first, sentence = concerned[0]
            yield finding(
                "error",
                code,
                f"{split}: {counted(len(concerned), 'frame has', 'frames have')} {WHAT[code]}: "
                f"{few(ids([one for one, _ in concerned]))}; {first.structure_id} {sentence}.",
                (split,),
                (),
                ids([one for one, _ in concerned]),
            )


def far_from_cell(examined: Examined) -> Iterator[Finding]:
    """Find atoms that are a thousand cells and more away from the origin."""
    for split, members in examined.splits.items():
        away = {structure.structure_id: _cells_away(structure) for structure in members}
        far = {name: count for name, count in away.items() if count > CELLS}
        if far:
            name, count = max(far.items(), key=lambda item: item[1])
            yield finding(
                "warning",
                "far-from-cell",
                f"{split}: {counted(len(far), 'frame has', 'frames have')} atoms more than {CELLS} cells away from the "
                f"origin, in {name} {count:.3g} cells: {few(tuple(far))}. rung wraps them, but other programs lose "
                "digits, and so may the file; write wrapped positions.",
                (split,),
                (),
                tuple(far),
            )


def atoms_too_close(examined: Examined) -> Iterator[Finding]:
    """Find atoms closer than physics allows (an error) or than training data usually go (a warning)."""
    for split, members in examined.splits.items():
        closest = {structure.structure_id: _closest(structure) for structure in members}
        for low, high, severity in ((0.0, IMPOSSIBLE, "error"), (IMPOSSIBLE, CLOSE, "warning")):
            near = {name: place for name, place in closest.items() if low <= place[0] < high}
            if near:
                name, (_, distance, one, other) = min(near.items(), key=lambda item: item[1][0])
                nearest = f"in {name} {one} and {other} are {distance:.2f} Å apart"
                yield finding(
                    "error" if severity == "error" else "warning",
                    "atoms-too-close",
                    f"{split}: {counted(len(near), 'frame has', 'frames have')} atoms closer than {high} of the sum of "
                    f"their covalent radii; {nearest}.",
                    (split,),
                    (),
                    tuple(near),
                )


def fragments_apart(examined: Examined) -> Iterator[Finding]:
    """Find frames that fall into fragments which the base cannot see from one another."""
    if examined.base is None:
        return
    cutoff = examined.base.cutoff
    for split, members in examined.splits.items():
        apart = [structure for structure in members if _fragments(structure, cutoff) > 1]
        if apart:
            yield finding(
                "warning",
                "fragments-apart",
                f"{split}: {counted(len(apart), 'frame holds', 'frames hold')} fragments farther apart than the base's "
                f"cutoff of {cutoff:g} Å: {few(ids(apart))}; no readout can learn how they act on one another.",
                (split,),
                (),
                ids(apart),
            )


def unknown_elements(examined: Examined) -> Iterator[Finding]:
    """Find elements that the base lacks."""
    if examined.base is None:
        return
    elements = examined.base.elements
    for split, members in examined.splits.items():
        concerned = [structure for structure in members if not elements.issuperset(elements_in([structure]))]
        if concerned:
            missing = symbols(set(elements_in(concerned)) - elements)
            yield finding(
                "error",
                "unknown-elements",
                f"{split}: {counted(len(concerned), 'frame holds', 'frames hold')} {missing}; the base knows "
                f"{symbols(elements)}.",
                (split,),
                (),
                ids(concerned),
            )


def geometry_in_two_splits(examined: Examined) -> Iterator[Finding]:
    """Find structures that stand in two splits under one name or with one geometry."""
    shared = examined.overlaps
    for pair, same in dict.fromkeys((overlap.splits, overlap.same_geometry) for overlap in shared):
        twins = [one.structures for one in shared if (one.splits, one.same_geometry) == (pair, same)]
        what = f"{counted(len(twins), 'geometry', 'geometries')}{_within(SAME)}"
        named = what if same else f"{counted(len(twins), 'structure_id')} of geometries that differ"
        yield finding(
            "error",
            "two-splits",
            f"{pair[0]} and {pair[1]} share {named}: {few(_equal(twins))}; a test on what was learnt measures nothing, "
            f"{ELSEWHERE}.",
            pair,
            (),
            tuple(dict.fromkeys(name for names in twins for name in names)),
        )


def nearly_in_two_splits(examined: Examined) -> Iterator[Finding]:
    """Find structures of two splits that are the same, however turned or ordered, but for the last digits."""
    if len(examined.splits) < 2:
        return
    exact = {frozenset(overlap.structures) for overlap in examined.overlaps}
    near = [
        overlap
        for overlap in overlaps(examined.splits, ALIKE)
        if overlap.same_geometry and frozenset(overlap.structures) not in exact
    ]
    for pair in dict.fromkeys(overlap.splits for overlap in near):
        twins = [overlap.structures for overlap in near if overlap.splits == pair]
        yield finding(
            "warning",
            "nearly-two-splits",
            f"{pair[0]} and {pair[1]} share {counted(len(twins), 'geometry', 'geometries')} but for the last digits"
            f"{_within(ALIKE)}: {few(_equal(twins))}.",
            pair,
            (),
            tuple(dict.fromkeys(name for names in twins for name in names)),
        )


def _within(tolerance: float) -> str:
    """Return how far apart geometries of two splits may be to count as one, in brackets."""
    return f" (each atom within {tolerance:g} Å once one is laid upon the other, {HOWEVER})"


def _equal(twins: Sequence[tuple[str, str]]) -> list[str]:
    """Return pairs of names as equations; a name that both have stands once."""
    return [" = ".join(dict.fromkeys(names)) for names in twins]


def two_energies(examined: Examined) -> Iterator[Finding]:
    """Find one geometry with energies of one fidelity that contradict each other."""
    groups: dict[str, list[tuple[str, Structure]]] = {}
    for split, members in examined.splits.items():
        for structure in members:
            groups.setdefault(structure.geometry_hash, []).append((split, structure))
    for fidelity in examined.fidelities:
        gaps = [(_contradiction([structure for _, structure in group], fidelity), group) for group in groups.values()]
        contradictions = [(gap, group) for gap, group in gaps if gap > 0]
        if contradictions:
            repeating = [member for _, group in contradictions for member in group]
            concerned = [structure for _, structure in repeating]
            splits = tuple(dict.fromkeys(split for split, _ in repeating))
            sentence = (
                f"{', '.join(splits)}: {counted(len(concerned), 'frame repeats', 'frames repeat')} a geometry with "
                f"another {fidelity!r} energy, "
                f"up to {max(gap for gap, _ in contradictions):.3g} eV apart: {few([_place(one) for one in concerned])}"
            )
            differing = [state_differences([structure for _, structure in group]) for _, group in contradictions]
            states = next((f"; they differ in {words}" for words in differing if words), "")
            yield finding("error", "two-energies", f"{sentence}{states}.", splits, (fidelity,), ids(concerned))


def repeated_label(examined: Examined) -> Iterator[Finding]:
    """Find energies to learn from that stand there twice: the copy of a label is no second label."""
    if split := examined.teaches:
        members = examined.splits[split]
        for fidelity in examined.judged:
            every = copies(members, fidelity)
            for same_stderr, (words, remedy) in REPEATED.items():
                found = [one for one in every if one.same_stderr == same_stderr]
                if found:
                    pairs = [f"{_place(members[one.place])} = {_place(members[one.first])}" for one in found]
                    yield finding(
                        "warning",
                        "repeated-label",
                        f"{split}: {counted(len(found), 'frame repeats', 'frames repeat')} a geometry and its "
                        f"{fidelity!r} energy{words}: "
                        f"{few(pairs)}; {remedy}.",
                        (split,),
                        (fidelity,),
                        ids([members[place] for one in found for place in (one.first, one.place)]),
                    )


def one_composition(examined: Examined) -> Iterator[Finding]:
    """Find that the energies to learn from cannot tell the reference energies of the elements apart."""
    if split := examined.teaches:
        members = examined.fitted[split]
        for fidelity in examined.judged:
            labelled = [members[place] for place in mentioned(members, fidelity, examined.table)]
            formulas = sorted({structure.formula for structure in labelled})
            elements = elements_in(labelled)
            counts = composition_matrix(labelled, elements)
            counts = label_compositions(labelled, counts, fidelity, examined.table)
            if len(elements) < 2 or np.linalg.matrix_rank(counts) == len(elements):
                continue
            sentence = (
                f"{split}: every frame with a {fidelity!r} energy ({len(labelled)}) is {formulas[0]}, so reference "
                "energies hold for that composition only."
                if len(formulas) == 1
                else f"{split}: the {len(formulas)} compositions with a {fidelity!r} energy cannot tell the reference "
                f"energies of {len(elements)} elements apart; energies of other compositions will not be comparable."
            )
            yield finding("note", "one-composition", sentence, (split,), (fidelity,))


def _closest(structure: Structure) -> tuple[float, float, str, str]:
    """Return the smallest distance over the sum of covalent radii, in Å, and the two elements."""
    numbers = structure.atoms.numbers
    (one, other), distance = neighbour_lengths(structure.atoms, CLOSE * 2.0 * float(covalent_radii[numbers].max()))
    if not len(one):
        return np.inf, np.inf, "", ""
    ratio = distance / (covalent_radii[numbers[one]] + covalent_radii[numbers[other]])
    k = int(np.argmin(ratio))
    pair = chemical_symbols[int(numbers[one[k]])], chemical_symbols[int(numbers[other[k]])]
    return float(ratio[k]), float(distance[k]), *pair


def _cells_away(structure: Structure) -> float:
    """Return how many periodic cells the farthest atom is away from the origin."""
    positions, pbc = structure.atoms.positions, structure.atoms.pbc
    if not pbc.any() or np.abs(positions).max() <= CELLS * CLOSEST_IMAGE:
        return 0.0
    scaled = np.abs(positions @ np.linalg.inv(open_axes(structure.atoms)))
    return float(scaled[:, pbc].max())


def _fragments(structure: Structure, cutoff: float) -> int:
    (one, other), _ = neighbours(structure.atoms, cutoff)
    n = len(structure)
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(n, n))
    return int(connected_components(graph, directed=False, return_labels=False))


def _contradiction(members: list[Structure], fidelity: str) -> float:
    """Return by how many eV the energies of one geometry differ beyond their errors; 0 where they agree."""
    labels = [structure.labelled(fidelity) for structure in members if structure.labelled(fidelity).has_energy]
    if len(labels) < 2:
        return 0.0
    low, high = min(labels, key=lambda label: label.energy), max(labels, key=lambda label: label.energy)
    variance = np.nansum([low.energy_stderr**2, high.energy_stderr**2])
    gap = high.energy - low.energy
    allowed = 5.0 * float(np.sqrt(variance)) + 1e-5 * len(members[0]) + 1e-9 * abs(high.energy)
    return gap if gap > allowed else 0.0


def _place(structure: Structure) -> str:
    source = reading_of(structure).source
    return f"{structure.structure_id} ({source})" if source else structure.structure_id
