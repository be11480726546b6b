"""What can be done with files outside any run: check data, evaluate a model, export it."""

from collections.abc import Sequence
from pathlib import Path

from rung.backends import export
from rung.checkpoint import Checkpoint, open_model
from rung.data.readers.structures import read_structures
from rung.data.splits import labelled_with
from rung.data.structure import Structure
from rung.doctor import diagnose_files
from rung.errors import ConfigError, DataError, StorageError
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.model.device import require_device
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.results.findings import Diagnosis
from rung.results.metrics import Evaluation, SplitErrors
from rung.run.evaluation import SplitPrediction, errors_of, has_stress, predict
from rung.run.file_settings import CheckSettings, EvaluationSettings, ExportSettings
from rung.run.predictor import with_bars
from rung.source import Opening


def check_files(settings: CheckSettings, *, progress: Progress = SILENT) -> Diagnosis:
    """Check files of labelled structures, each a split, and a base against its own labels.

    Parameters
    ----------
    settings
        Which files, the target and the base.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file cannot be read.
    ModelError
        When the base cannot be used.
    """
    _require_named(settings.files)
    potential: ReadoutPotential | None = None
    if settings.base is not None:
        name = _base_fidelity(settings.base_fidelity)
        potential = open_model(settings.base, fidelity=name, trusted=settings.trusted).potential
    return diagnose_files(
        settings.files,
        target=settings.target,
        base=potential,
        base_fidelity=settings.base_fidelity,
        progress=progress,
    )


def evaluate_files(settings: EvaluationSettings, *, progress: Progress = SILENT) -> Evaluation:
    """Return errors of a model on labelled structures, each file a split.

    The base's forces are taken as they are, its energies after one offset per element, fitted to these very
    structures, for there is no training set here: its energy errors are the smallest that offsets can give.

    Parameters
    ----------
    settings
        The model, the files, and the base to stand beside.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file cannot be used or nothing in it is labelled.
    ModelError
        When a model file cannot be used.
    """
    files, fidelity = settings.files, settings.fidelity
    _require_named(files)
    require_device(settings.device)
    low = "" if settings.base is None else _base_fidelity(settings.base_fidelity)
    names = _split_names(files)
    splits = {name: read_structures(path, fidelities=[fidelity]) for name, path in zip(names, files, strict=True)}
    opened = _opened(settings, settings.model, fidelity)
    opened.potential.surface(fidelity)
    before: ReadoutPotential | None = None
    if settings.base is not None:
        before = _with_offset(Base(_opened(settings, settings.base, low).potential, low), splits, fidelity)
    errors: dict[str, dict[str, SplitErrors]] = {}
    beside: dict[str, dict[str, SplitErrors]] = {}
    for name, structures in splits.items():
        stress = has_stress(structures, fidelity)
        prediction = predict(opened.potential, structures, fidelity, stress=stress, progress=progress)
        if opened.posterior is not None:
            prediction = with_bars(
                prediction, opened.potential, opened.posterior, structures, fidelity, progress=progress
            )
        reference: SplitPrediction | None = None
        if before is not None:
            reference = predict(before, structures, fidelity, stress=stress, progress=progress)
            beside[name] = {fidelity: errors_of(reference, structures, fidelity)}
        errors[name] = {fidelity: errors_of(prediction, structures, fidelity, reference)}
    return Evaluation(splits=errors, base=beside if before is not None else None)


def export_file(settings: ExportSettings) -> None:
    """Write one fidelity of a model as one file of its backend.

    Raises
    ------
    ModelError
        When the model cannot be one native file; the sentence says why.
    StorageError
        When there is a file of that name: an export never replaces one.
    """
    if settings.out.exists():
        raise StorageError(f"{settings.out} is there already, and an export replaces no file; name another.")
    opened = open_model(settings.model, fidelity=settings.fidelity, trusted=settings.trusted)
    export(opened.potential, settings.fidelity, settings.out)


def _opened(settings: Opening, model: Path, fidelity: str) -> Checkpoint:
    return open_model(model, fidelity=fidelity, trusted=settings.trusted, device=settings.device, dtype=settings.dtype)


def _require_named(files: Sequence[Path]) -> None:
    if not files:
        raise ConfigError("No data file was named; give at least one file of labelled structures.")


def _base_fidelity(name: str | None) -> str:
    if name is None:
        raise ConfigError("A base needs --base-fidelity: the name of the fidelity that it was trained on.")
    return name


def _split_names(files: Sequence[Path]) -> list[str]:
    """Return a name per file: its stem, with a number where stems repeat."""
    names: list[str] = []
    for path in files:
        stem = path.name.split(".")[0] or path.name
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


def _with_offset(base: Base, splits: dict[str, tuple[Structure, ...]], fidelity: str) -> ReadoutPotential:
    structures = [structure for split in splits.values() for structure in split]
    if not labelled_with(structures, fidelity):
        raise DataError(f"No structure has an energy of {fidelity!r}, so the base's energies cannot be compared.")
    fidelities = {name: Fidelity(name) for name in (fidelity, base.fidelity)}
    return fit_offset(Lift(structures, (), base, fidelities, fidelity), OffsetSettings(), Context()).potential
