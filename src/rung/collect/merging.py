"""Energies onto structures, and the file of them: with what each stands on, and never over what is not rung's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.collect.averaging import level_of
from rung.collect.geometry import likeness
from rung.collect.output import Total
from rung.data.energy_table import EnergyRow
from rung.data.structure import Structure
from rung.errors import DataError, StorageError
from rung.results.collected import Collected, CollectedLabel
from rung.storage import atomic_path, file_hash, require_written

SIDECAR = ".collected.json"


def sidecar_of(out: Path) -> Path:
    """Return the file beside ``out`` that says what it stands on: ``labels.collected.json``."""
    return out.with_name(out.stem + SIDECAR)


def require_unlabelled(structures: Sequence[Structure], fidelity: str) -> None:
    """Raise a :class:`DataError` where a structure has an energy of ``fidelity`` already."""
    for structure in structures:
        if structure.labelled(fidelity).has_energy:
            raise DataError(
                f"{structure.structure_id} has an energy of {fidelity} already; give another --fidelity, or structures "
                "without it."
            )


def require_ours(out: Path, inputs: Iterable[Path]) -> tuple[str, ...]:
    """Return the hash of what stands at ``out``, nothing where no file does.

    Raises
    ------
    StorageError
        When ``out`` is read as well, or a file stands there that an earlier call did not write, or that has changed
        since; or when the record beside it is that of another file, which would be nobody's then.
    """
    record = sidecar_of(out)

    def hashes() -> tuple[str, ...]:
        before = Collected.read_optional(record)
        if before is None:
            return ()
        other = out.with_name(Path(before.out).name)
        if other.name != out.name and other.exists():
            raise StorageError(f"{record} is the record of {other}; give {out} another name than that before its dot.")
        return before.out_hashes

    return require_written(out, beside=(record,), inputs=inputs, hashes=hashes, command="rung collect")


def merged(
    structures: Sequence[Structure],
    labels: Sequence[CollectedLabel],
    fidelity: str,
    calculations: Mapping[str, Total],
    level: str | None = None,
) -> list[Structure]:
    """Return the structures with their energies, errors and provenance; those without an energy as they are.

    Parameters
    ----------
    structures
        All of them.
    labels
        Their energies.
    fidelity
        What these are called.
    calculations
        Deterministic calculations by structure; their forces and stress are labels too, where they are of the level
        of the energy and the molecule was not turned.
    level
        The level of the energies, where calculations hold several.

    Raises
    ------
    DataError
        When two labels are of one structure.
    """
    by_id: dict[str, CollectedLabel] = {}
    for one in labels:
        other = by_id.setdefault(one.structure_id, one)
        if other is not one and one.structure_id:
            raise DataError(f"{other.name} and {one.name} are both labels of {one.structure_id}; keep one of them.")
    made = []
    for structure in structures:
        label = by_id.get(structure.structure_id)
        if label is not None:
            labelled = _labelled(structure, label, fidelity)
            made.append(_with_forces(labelled, calculations.get(structure.structure_id), fidelity, level))
        else:
            made.append(structure)
    return made


def rows_of(labels: Sequence[CollectedLabel], fidelity: str) -> list[EnergyRow]:
    """Return labels as the rows of a table; what belongs to no structure by name is named after its file.

    A difference of the same walkers and the energy that was subtracted share errors: the product of what they share is
    their covariance.
    """
    shared = {label.minus_structure_id for label in labels if label.correlation}

    def row(label: CollectedLabel) -> EnergyRow:
        name, minus = label.structure_id or label.name, label.minus_structure_id
        plain = EnergyRow(name, fidelity, label.energy, label.energy_stderr, minus)
        if minus and label.correlation:
            return replace(plain, run=f"walkers of {minus}", shared_stderr=label.correlation * label.energy_stderr)
        if not minus and name in shared:
            return replace(plain, run=f"walkers of {name}", shared_stderr=label.energy_stderr)
        return plain

    return [row(label) for label in labels]


def write_collected(
    out: Path, write: Callable[[Path], None], collected: Collected, before: tuple[str, ...]
) -> Collected:
    """Write labels and, beside them, what they stand on; each file is whole or as it was.

    Returns
    -------
    Collected
        With the name and hashes of the file.

    Raises
    ------
    StorageError
        When a file cannot be written.
    """
    with atomic_path(out) as temporary:
        write(temporary)
        # a call that is killed between the two files leaves a file whose hash is known
        told = collected.model_copy(update={"out": str(out), "out_hashes": (file_hash(temporary), *before)})
        told.write(sidecar_of(out))
    return told


def _labelled(structure: Structure, label: CollectedLabel, fidelity: str) -> Structure:
    labels = replace(structure.labelled(fidelity), energy=label.energy, energy_stderr=label.energy_stderr)
    if label.forces:
        labels = replace(labels, forces=np.array(label.forces), forces_stderr=np.array(label.forces_stderr))
    return replace(
        structure,
        labels={**structure.labels, fidelity: labels},
        info={**structure.info, **_provenance(label, fidelity)},
    )


def _with_forces(structure: Structure, total: Total | None, fidelity: str, level: str | None) -> Structure:
    if total is None or total.atoms is None or total.forces_of != level_of(total, level):
        return structure
    if likeness(total.atoms, structure.atoms).turned:
        return structure
    labels = structure.labels[fidelity]
    forces = labels.forces if total.forces is None else total.forces
    stress = labels.stress if total.stress is None or not structure.atoms.pbc.all() else total.stress
    return replace(structure, labels={**structure.labels, fidelity: replace(labels, forces=forces, stress=stress)})


def _provenance(label: CollectedLabel, fidelity: str) -> Mapping[str, Any]:
    """Return what a frame says of its label, under keys that are no label themselves."""
    return {
        f"{fidelity}_program": " ".join(sorted({run.program for run in label.runs})),
        f"{fidelity}_method": " ".join(sorted({run.method for run in label.runs if run.method})) or "unknown",
        f"{fidelity}_sources": " ".join(run.file for run in label.runs),
        **({f"{fidelity}_n_independent": round(label.independent, 1)} if np.isfinite(label.independent) else {}),
        **{f"{fidelity}_correction_{name}": value for name, value in label.corrections.items()},
    }
