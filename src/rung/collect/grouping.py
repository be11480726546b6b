"""Which outputs make one energy: those of a structure, of a calculation, or an output by itself."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rung.collect.averaging import ReadOutput
from rung.collect.finding import Candidate
from rung.collect.forces import misplaced
from rung.collect.matching import Match, Matcher
from rung.collect.output import Output, Series, Total
from rung.data.readers.structures import structure_from
from rung.data.structure import Structure
from rung.errors import DataError, counted
from rung.results.collected import CollectedLabel, RefusedOutput


@dataclass(frozen=True)
class Group:
    """Outputs that make one energy.

    Parameters
    ----------
    name
        What they are called together.
    outputs
        At least one.
    structure_id
        The structure; empty where none was asked for.
    cells
        How many times their simulation cell holds it.
    minus
        The structure whose energy was subtracted; empty for none.
    correlation
        Of the difference with that energy, block by block.
    """

    name: str
    outputs: tuple[ReadOutput, ...]
    structure_id: str = ""
    cells: int = 1
    minus: str = ""
    correlation: float = 0.0


def matched(
    outputs: Sequence[ReadOutput], matcher: Matcher, structures: Sequence[Structure], cells: int
) -> tuple[list[Group], list[RefusedOutput]]:
    """Return the outputs of each structure, and what is said of those that belong to none.

    Parameters
    ----------
    outputs
        What was read.
    matcher
        Says which structure an output is of.
    structures
        All of them.
    cells
        How many times a simulation cell holds its structure, where the matcher does not say it.
    """
    sizes = {structure.structure_id: len(structure) for structure in structures}
    groups: dict[tuple[str, str], list[ReadOutput]] = defaultdict(list)
    tiled: dict[tuple[str, str], set[int]] = defaultdict(set)
    refused = []
    for output in outputs:
        try:
            match: Match = matcher(output.candidate, output.content)
            if match.structure_id in sizes:
                _require_size(output, match, match.cells or cells, sizes[match.structure_id])
        except DataError as error:
            refused.append(RefusedOutput(file=str(output.candidate.path), sentence=str(error)))
            continue
        groups[match.structure_id, match.minus].append(replace(output, twist_weight=match.weight))
        tiled[match.structure_id, match.minus].add(match.cells or cells)
    made = []
    for key, members in sorted(groups.items()):
        name, minus = key
        if len(tiled[key]) > 1:
            sentence = f"{name}: its outputs have different numbers of cells in the table; give all the same."
            refused.append(RefusedOutput(file=name, sentence=sentence))
        else:
            made.append(Group(name, tuple(members), name, tiled[key].pop(), minus))
    return _subtracted(made, refused)


def _subtracted(groups: Sequence[Group], refused: list[RefusedOutput]) -> tuple[list[Group], list[RefusedOutput]]:
    """Return the groups, those of a difference with the series of what is subtracted taken off theirs."""
    energies = {group.structure_id: group for group in groups if not group.minus}
    made = []
    for group in groups:
        try:
            made.append(_less(group, energies.get(group.minus)) if group.minus else group)
        except DataError as error:
            refused.append(RefusedOutput(file=group.name, sentence=str(error)))
    return made, refused


def _less(group: Group, other: Group | None) -> Group:
    """Return a group of differences, row by row, to the outputs of another structure."""
    name = f"{group.structure_id} - {group.minus}"
    if other is None:
        raise DataError(f"{name}: there is no output of {group.minus} itself to subtract.")
    if len(group.outputs) != len(other.outputs) or group.cells != other.cells:
        raise DataError(
            f"{name}: {counted(len(group.outputs), 'output')} of {counted(group.cells, 'cell')} against "
            f"{len(other.outputs)} of {other.cells}; each output needs one of the same walkers."
        )
    second = _in_order(other.outputs)
    pairs = zip(_in_order(group.outputs), second, strict=True)
    outputs = tuple(difference_of(one, two) for one, two in pairs)
    found = [_correlation(one.content, two.content) for one, two in zip(outputs, second, strict=True)]
    return replace(group, name=name, outputs=outputs, correlation=float(np.mean(found)))


def _correlation(difference: Output, other: Output) -> float:
    """Return how blocks of a difference go with those of what was subtracted; 0 where either stands still."""
    assert isinstance(difference, Series)  # noqa: S101 - only series can be subtracted
    assert isinstance(other, Series)  # noqa: S101
    one, two = (series.energies[series.equilibration :] for series in (difference, other))
    one, two = one - one.mean(), two - two.mean()
    size = float(np.sqrt((one @ one) * (two @ two)))
    return float(np.clip(one @ two / size, -1.0, 1.0)) if size > 0 else 0.0


def _in_order(outputs: Sequence[ReadOutput]) -> list[ReadOutput]:
    return sorted(outputs, key=lambda one: (one.candidate.name.series or 0, one.candidate.name.twist or 0))


def difference_of(one: ReadOutput, other: ReadOutput) -> ReadOutput:
    """Return the energies of ``one`` less those of ``other``, block by block of the same walkers.

    What the walkers of both have in common is then in neither mean nor error: correlated sampling.

    Raises
    ------
    DataError
        When they are no series, or not of the same blocks.
    """
    first, second = one.content, other.content
    if not isinstance(first, Series) or not isinstance(second, Series):
        raise DataError(f"{first.source} and {second.source} are not both series, so no blocks can be subtracted.")
    if len(first) != len(second) or first.equilibration != second.equilibration:
        raise DataError(
            f"{first.source} has {counted(len(first), 'row')} and {second.source} {len(second)}: they are not of the "
            "same walkers."
        )
    if not np.array_equal(first.weights, second.weights):
        raise DataError(f"{first.source} and {second.source} weigh their rows differently: not the same walkers.")
    common = {name: first.columns[name] - second.columns[name] for name in first.columns if name in second.columns}
    rest = first.energies - second.energies
    notes = first.notes
    if rest.std() > first.energies.std():
        notes += (f"its blocks do not go with those of {second.source.name}: were the walkers the same?",)
    return replace(one, content=replace(first, energies=rest, columns=common, forces=None, notes=notes))


def _require_size(output: ReadOutput, match: Match, cells: int, n_atoms: int) -> None:
    """Raise a :class:`DataError` where an output's cell has other than ``cells`` times the atoms of its structure."""
    content = output.content
    told = content.n_atoms if isinstance(content, Series) else None
    if told is None or told == cells * n_atoms:
        return
    times, rest = divmod(told, n_atoms)
    advice = f"give --cells {times}" if times and not rest else "it is of another structure"
    raise DataError(
        f"{content.source} is of {counted(told, 'atom')}, and {match.structure_id} has {n_atoms}, in "
        f"{counted(cells, 'cell')}: {advice}."
    )


def calculations_of(groups: Sequence[Group]) -> dict[str, Total]:
    """Return the only deterministic calculation of each structure's own cell, whose forces are of its atoms."""
    alone = {
        group.structure_id: group.outputs[0].content
        for group in groups
        if len(group.outputs) == group.cells == 1 and not group.minus
    }
    return {name: content for name, content in alone.items() if isinstance(content, Total)}


def with_forces_in_place(
    labels: Sequence[CollectedLabel], groups: Sequence[Group], structures: Sequence[Structure]
) -> tuple[CollectedLabel, ...]:
    """Return the labels, without forces where these are not known to be of the structure's atoms in their order."""
    outputs = {group.structure_id: group.outputs for group in groups if not group.minus}
    atoms = {structure.structure_id: structure.atoms for structure in structures}

    def placed(label: CollectedLabel) -> CollectedLabel:
        if not label.forces or label.structure_id not in atoms:
            return label
        contents = [output.content for output in outputs[label.structure_id]]
        told = [content.atoms for content in contents if isinstance(content, Series)]
        reason = misplaced(told, atoms[label.structure_id])
        if not reason:
            return label
        warnings = (*label.warnings, f"its forces are left out: {reason}")
        return label.model_copy(update={"forces": (), "forces_stderr": (), "warnings": warnings})

    return tuple(placed(label) for label in labels)


def by_calculation(outputs: Sequence[ReadOutput], join: bool) -> list[Group]:
    """Return the outputs of each calculation, or all of them where they are to be joined."""
    groups: dict[str, list[ReadOutput]] = defaultdict(list)
    for output in outputs:
        groups[_calculation(output.candidate)].append(output)
    if join and groups:
        return [Group(_together(tuple(groups)), tuple(outputs))]
    return [Group(name, tuple(members)) for name, members in sorted(groups.items())]


def _calculation(candidate: Candidate) -> str:
    """Return what the outputs of one calculation are called: the file, or for twists what their names share."""
    name = candidate.name
    return str(candidate.path if name.twist is None else name.folder / f"{name.prefix}.s{name.series:03d}")


def _together(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def with_own_structures(outputs: Sequence[ReadOutput]) -> tuple[list[Group], list[Structure], list[RefusedOutput]]:
    """Return each output that holds its geometry, with this as a structure that is named after the file.

    Returns
    -------
    tuple
        The outputs, the structures, and what is said of outputs without a geometry.
    """
    groups, structures, refused = [], [], []
    names = _own_names([output.candidate for output in outputs])
    for output, name in zip(outputs, names, strict=True):
        content, candidate = output.content, output.candidate
        if isinstance(content, Total) and content.atoms is not None:
            groups.append(Group(name, (output,), name))
            structures.append(structure_from(content.atoms, name))
        else:
            sentence = f"{candidate.path} holds no geometry: give --structures, the files of the structures."
            refused.append(RefusedOutput(file=str(candidate.path), sentence=sentence))
    return groups, structures, refused


def _own_names(candidates: Sequence[Candidate]) -> list[str]:
    """Return what structures are called after their files, each another name: as short as tells them apart.

    From the folder that was named and without the ending of a file; else from the folder that all lie in; else with
    the ending. What follows the last dot of ``h2_0.74`` or ``OUTCAR.2`` is no ending.
    """
    if not candidates:
        return []
    paths = [one.path.absolute() for one in candidates]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    within = [one.path.relative_to(one.root) for one in candidates]
    from_common = [path.relative_to(common) for path in paths]
    for names in (list(map(_bare, within)), list(map(_bare, from_common))):
        if len(set(names)) == len(names):
            return names
    return [path.as_posix() for path in from_common]


def _bare(path: Path) -> str:
    return (path.with_suffix("") if path.suffix[1:].isalpha() else path).as_posix()
