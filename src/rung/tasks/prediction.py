# ruff: noqa: PLC0415 - torch takes seconds to import, so it is imported when a model is opened, and --help is quick
"""``rung predict``: energies, forces, stress and their error bars onto structures of a file."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from rung import __version__
from rung.data.labels import Labels, empty_labels
from rung.data.readers import reader_of
from rung.data.readers.structures import complete_atoms, listed_paths, read_structures, require_matter, text_of
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, counted
from rung.fidelity import Fidelity
from rung.progress import SILENT, Progress
from rung.report.tasks.prediction import page_of, write_prediction_report
from rung.results.base import DomainWord
from rung.results.prediction import SIDECAR, PredictedStructure, PredictionResult
from rung.settings import Option, Settings
from rung.storage import atomic_path, file_hash, require_written
from rung.tasks.opened import Opened

if TYPE_CHECKING:
    from rung.calculator import RungCalculator
    from rung.model.domain import Place

ATOMS_AT_ONCE = 300
"""Of the structures that go through the model together."""


class PredictionTask(Settings):
    """What ``rung predict`` does."""

    structures: Annotated[tuple[Path, ...], Option(positional=True)]
    """Files of structures; their labels of other fidelities are kept."""
    out: Path
    """The extended XYZ to write; a page and a record of the call stand beside it."""
    name: str | None = None
    """What the predictions are called in the file, by default the fidelity."""
    force_stderr: bool = False
    """Give each component of the forces its error bar too, which takes some times as long as the forces."""


def predict_file(potential: Opened, task: PredictionTask, *, progress: Progress = SILENT) -> PredictionResult:
    """Write structures with what ``potential`` predicts of them to ``task.out``.

    Parameters
    ----------
    potential
        Any; without a posterior there are no error bars.
    task
        Which structures, and where to.
    progress
        Where long work reports.

    Raises
    ------
    ConfigError
        When error bars of forces are asked for and there are none.
    DataError
        When a file cannot be used, or a structure has labels of this name already.
    StorageError
        When ``out`` is read too, or a file stands there that an earlier call did not write.
    """
    from rung.data.batch import by_atoms

    name = potential.fidelity if task.name is None else Fidelity(task.name).name
    if task.force_stderr and potential.error_bars is None:
        raise ConfigError(f"{potential.source} has no error bars at {potential.fidelity}; leave --force-stderr out.")
    paths = listed_paths(task.structures)
    before = _require_ours(task.out, paths)
    structures = _opened(paths)
    rows = list[PredictedStructure]()
    with atomic_path(task.out) as temporary:
        with (
            temporary.open("w", encoding="utf-8") as stream,
            progress.task(f"Predictions ({potential.fidelity})", len(structures)) as bar,
        ):
            for part in by_atoms(structures, ATOMS_AT_ONCE):
                for structure, prediction in zip(part, _predictions(potential, part, task), strict=True):
                    _require_unlabelled(structure, name)
                    stream.write(text_of(_labelled(structure, prediction, name)))
                    rows.append(prediction.entry(structure))
                bar.advance(len(part))
        result = PredictionResult(
            fidelity=potential.fidelity,
            name=name,
            model=potential.source,
            fingerprint=potential.fingerprint,
            out=str(task.out),
            out_hashes=(file_hash(temporary), *before),
            inputs={str(path): file_hash(path) for path in paths},
            structures=tuple(rows),
            warnings=tuple(_warnings(rows, name)),
            command=shlex.join(sys.argv),
            rung=__version__,
        )
        # a call that is killed between the two files leaves a file whose hash is known
        result.write(sidecar_of(task.out))
    write_prediction_report(sidecar_of(task.out))
    return result


def sidecar_of(out: Path) -> Path:
    """Return the record beside ``out``: ``labelled.predicted.json``."""
    return out.with_name(out.stem + SIDECAR)


def _opened(paths: Sequence[Path]) -> Sequence[Structure]:
    """Return the structures, left in their files where all formats can find a frame again."""
    from rung.data.frames import stream_structures

    if all(reader_of(path).finder is not None for path in paths):
        return stream_structures(paths, check=require_matter)
    return tuple(require_matter(structure) for structure in read_structures(paths))


def _require_ours(out: Path, inputs: Sequence[Path]) -> tuple[str, ...]:
    record = sidecar_of(out)

    def hashes() -> tuple[str, ...]:
        before = PredictionResult.read_optional(record)
        return () if before is None else before.out_hashes

    beside = (record, page_of(record))
    return require_written(out, beside=beside, inputs=inputs, hashes=hashes, command="rung predict")


def _require_unlabelled(structure: Structure, name: str) -> None:
    if structure.labelled(name).says_anything:
        raise DataError(
            f"{structure.structure_id} has labels of {name} already, and predictions are no labels: give them a name "
            f"of their own, such as --name {name}_predicted."
        )


@dataclass(frozen=True)
class Predicted:
    """What is predicted of one structure of ``n`` atoms.

    Parameters
    ----------
    labels
        Energy, forces and stress with errors, NaN where there are none.
    variance
        Of the energy, eV²; infinite where no label identifies it, NaN without error bars.
    place
        Where it lies, seen from the training structures; None where nobody knows.
    """

    labels: Labels
    variance: float
    place: "Place | None"

    @property
    def domain(self) -> DomainWord:
        """Whether the structure is inside the domain of the fit."""
        if self.place is None:
            return "unknown"
        return "outside" if self.place.outside else "inside"

    def entry(self, structure: Structure) -> PredictedStructure:
        """Return what the record has of it."""
        return PredictedStructure(
            structure_id=structure.structure_id,
            n_atoms=len(structure),
            energy=self.labels.energy,
            energy_stderr=self.labels.energy_stderr,
            identified=not np.isposinf(self.variance),
            largest_force=float(np.max(np.linalg.norm(self.labels.forces, axis=1), initial=0.0)),
            domain=self.domain,
        )


def _predictions(potential: Opened, part: Sequence[Structure], task: PredictionTask) -> Iterator[Predicted]:
    from rung.calculator import RungCalculator

    everything = [complete_atoms(structure) for structure in part]
    potential.check_state(*everything)
    calculator = potential.calculator
    if isinstance(calculator, RungCalculator):
        labels = list(_together(calculator, part))
    else:
        labels = [_calculated(calculator, atoms) for atoms in everything]
    if potential.error_bars is None:
        yield from (Predicted(one, np.nan, None) for one in labels)
        return
    errors, places = calculator.errors, calculator.places([one.atoms for one in part])
    for structure, one, place in zip(part, labels, places, strict=True):
        variance = errors.energies([structure]).combination_variance([1.0]).total
        stderr = float(np.sqrt(variance)) if np.isfinite(variance) else np.nan
        pulled = errors.forces_stderr(structure) if task.force_stderr else one.forces_stderr
        yield Predicted(replace(one, energy_stderr=stderr, forces_stderr=pulled), variance, place)


def _together(calculator: "RungCalculator", part: Sequence[Structure]) -> Iterator[Labels]:
    """Yield what a potential of rung predicts, all structures in one pass."""
    from rung.model.predictions import predict_structures

    stress = any(_has_volume(one.atoms) for one in part)
    found = predict_structures(calculator.potential, [part], calculator.fidelity, stress=stress)
    for structure, one in zip(part, found, strict=True):
        absent = empty_labels(len(structure))
        yield replace(
            absent,
            energy=one.energy,
            forces=absent.forces if one.forces is None else one.forces,
            stress=absent.stress if one.stress is None else one.stress,
        )


def _calculated(calculator: Calculator, atoms: Atoms) -> Labels:
    """Return what an ASE calculator says of a structure."""
    absent = empty_labels(len(atoms))
    given = calculator.implemented_properties
    offers = "stress" in given and _has_volume(atoms)
    return replace(
        absent,
        energy=float(calculator.get_potential_energy(atoms)),
        forces=np.array(calculator.get_forces(atoms), dtype=float) if "forces" in given else absent.forces,
        stress=np.array(calculator.get_stress(atoms), dtype=float) if offers else absent.stress,
    )


def _has_volume(atoms: Atoms) -> bool:
    return bool(atoms.pbc.any() and abs(np.linalg.det(atoms.cell.array)) > 0)


def _labelled(structure: Structure, prediction: Predicted, name: str) -> Structure:
    info = {**structure.info, f"{name}_domain": prediction.domain} if prediction.place is not None else structure.info
    return replace(structure, labels={**structure.labels, name: prediction.labels}, info=info)


def _warnings(rows: Sequence[PredictedStructure], name: str) -> Iterator[str]:
    if unknown := sum(not one.identified for one in rows):
        yield (
            f"The energies of {unknown} of {counted(len(rows), 'structure')} have a composition that no label "
            "identifies: their error bars are unbounded and left out. Energies within one composition can be compared."
        )
    if outside := sum(one.domain == "outside" for one in rows):
        yield (
            f"{outside} of {counted(len(rows), 'structure')} {'is' if outside == 1 else 'are'} outside the domain of "
            f"the fit, where error bars do not apply; {name}_domain says which."
        )
    if len(rows) and not any(np.isfinite(one.energy_stderr) for one in rows) and all(one.identified for one in rows):
        yield "The model has no error bars at this fidelity."
