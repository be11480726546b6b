"""The doctor: every check, in order, on all splits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rung.data.energy_table import NO_TABLE, EnergyTable, faults, read_energy_tables, with_table
from rung.data.label_rows import mentioned
from rung.data.readers.structures import read_structures
from rung.data.single_atoms import SingleAtoms
from rung.data.structure import Structure
from rung.doctor import base as base_checks
from rung.doctor import (
    differences,
    energy_table,
    geometry,
    gradients,
    keys,
    lengths,
    outliers,
    per_atom,
    scales,
    states,
    stderr,
    stress,
    unrelated,
)
from rung.doctor import single_atoms as single_atoms_checks
from rung.doctor.examined import Examined, consult
from rung.errors import ConfigError, DataError
from rung.model.protocols import Potential
from rung.progress import SILENT, Progress
from rung.results.findings import CensusRow, Diagnosis, Finding

Check = Callable[[Examined], Iterable[Finding]]

PLAIN_CHECKS: tuple[Check, ...] = (
    keys.no_labels,
    keys.bare_keys,
    keys.unread_keys,
    keys.virial_keys,
    keys.unfinished_file,
    keys.empty_fidelity,
    keys.no_target,
    keys.not_finite,
    keys.zero_labels,
    geometry.impossible_geometries,
)
"""Checks of what stands in the files; each looks for one thing."""

CHECKS: tuple[Check, ...] = (
    geometry.far_from_cell,
    geometry.atoms_too_close,
    lengths.periodicity_lost,
    lengths.lengths_in_bohr,
    geometry.fragments_apart,
    geometry.unknown_elements,
    geometry.geometry_in_two_splits,
    geometry.nearly_in_two_splits,
    geometry.two_energies,
    geometry.repeated_label,
    states.states,
    stderr.stderr_sign,
    stderr.stderr_missing,
    stderr.stderr_absurd,
    stderr.stderr_uneven,
    per_atom.energies_per_atom,
    scales.energy_units,
    scales.force_units,
    stress.stress_labels,
    differences.difference_labels,
    unrelated.unrelated_labels,
    gradients.gradients_as_forces,
    gradients.forces_not_derivative,
    gradients.zeroed_forces,
    gradients.net_force,
    outliers.outliers,
    base_checks.base_forces,
    geometry.one_composition,
    single_atoms_checks.single_atoms,
    energy_table.table_rows,
    energy_table.table_stderr,
    energy_table.open_circles,
    energy_table.difference_units,
)
"""Checks of numbers: labels that are not finite count as absent here."""


def diagnose(
    splits: Mapping[str, Sequence[Structure]],
    *,
    target: str | None = None,
    base: Potential | None = None,
    base_fidelity: str | None = None,
    single_atoms: SingleAtoms | None = None,
    table: EnergyTable = NO_TABLE,
    teacher: str | None = None,
    progress: Progress = SILENT,
) -> Diagnosis:
    """Check labelled structures before any work.

    Parameters
    ----------
    splits
        The structures by split.
    target
        The fidelity that a fit would lift to, if there is to be one.
    base
        The potential to lift: its predictions for at most 30 structures are compared with their labels.
    base_fidelity
        The fidelity that the base was trained on; needed with a base that offers several.
    single_atoms
        Which frames a fit takes for single atoms, and whether it fits them; by default those in which the base sees no
        neighbour, and it does not.
    table
        Rows that tell of these structures, which hold its energies among their labels.
    teacher
        The split that a fit learns from, by default the first.
    progress
        Where the base's predictions report.

    Returns
    -------
    Diagnosis
        The census and the findings, the worst first.

    Raises
    ------
    ConfigError
        When ``base_fidelity`` is needed and absent, or unknown to the base.
    """
    everything = Examined(
        {split: tuple(members) for split, members in splits.items()}, target, table=table, teacher=teacher
    )
    # the other checks list neighbours, of which impossible matter has millions
    tame = {
        split: keys.tamed([structure for structure in members if id(structure) not in everything.impossible])
        for split, members in everything.splits.items()
    }
    if base is None:
        examined = Examined(tame, target, single_atoms=single_atoms or SingleAtoms(), table=table, teacher=teacher)
    else:
        fidelity = _fidelity_of(base, base_fidelity)
        predictions, energies = consult(tame, target, base, fidelity, progress, table)
        alone = single_atoms or SingleAtoms(base.cutoff)
        examined = Examined(tame, target, base, fidelity, predictions, energies, alone, table, teacher)
    findings = [finding for check in PLAIN_CHECKS for finding in check(everything)]
    findings += [finding for check in CHECKS for finding in check(examined)]
    return Diagnosis.of_findings(census(everything.splits), findings)


def diagnose_files(
    paths: Sequence[Path | str],
    *,
    target: str | None = None,
    base: Potential | None = None,
    base_fidelity: str | None = None,
    labels: Sequence[Path | str] = (),
    progress: Progress = SILENT,
) -> Diagnosis:
    """Read each file as one split, named after the file, and :func:`diagnose` them.

    Files have no roles, and a set of data may stand in several: a fit would learn from the first that has energies of
    the target, and the others need none. Tables of energies, ``labels``, are checked beside them; rows that cannot be
    used are findings.

    Raises
    ------
    DataError
        When a file cannot be read, or is named twice.
    """
    listed = [Path(path) for path in paths]
    names = [path.name for path in listed]
    if len(set(names)) < len(names):
        names = [str(path) for path in listed]
    if len(set(names)) < len(names):
        raise DataError("A file is named twice; each file is one split.")
    splits = {name: read_structures(path) for name, path in zip(names, listed, strict=True)}
    table = read_energy_tables(labels)
    wrong = list(faults(table, splits, ()))
    bad = {fault.row for fault in wrong}
    table = EnergyTable(tuple(row for row in table.rows if row not in bad))
    splits = {name: with_table(members, table) for name, members in splits.items()}
    able = (name for name, members in splits.items() if target is not None and mentioned(members, target, table))
    told = diagnose(
        splits,
        target=target,
        base=base,
        base_fidelity=base_fidelity,
        table=table,
        teacher=next(able, None),
        progress=progress,
    )
    return Diagnosis.of_findings(told.census, [*energy_table.table_faults(wrong), *told.findings])


def census(splits: Mapping[str, Sequence[Structure]]) -> tuple[CensusRow, ...]:
    """Count the labels of each fidelity in each split."""
    rows = []
    for split, members in splits.items():
        fidelities = sorted({name for structure in members for name in structure.labels})
        rows += [_count(split, fidelity, members) for fidelity in fidelities or [""]]
    return tuple(rows)


def _count(split: str, fidelity: str, members: Sequence[Structure]) -> CensusRow:
    labels = [structure.labelled(fidelity) for structure in members]
    with_energy = [structure for structure, label in zip(members, labels, strict=True) if label.has_energy]
    return CensusRow(
        split=split,
        fidelity=fidelity,
        n_structures=len(members),
        n_energies=len(with_energy),
        n_stderr=sum(bool(np.isfinite(label.energy_stderr)) for label in labels),
        n_forces=sum(label.has_forces for label in labels),
        n_stress=sum(label.has_stress for label in labels),
        n_formulas=len({structure.formula for structure in with_energy}),
    )


def _fidelity_of(base: Potential, named: str | None) -> str:
    if named is not None:
        return named
    if len(base.fidelities) == 1:
        return base.fidelities[0]
    raise ConfigError(f"The base offers {', '.join(base.fidelities)}; name the fidelity that it was trained on.")
