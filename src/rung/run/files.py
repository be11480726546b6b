"""What can be done with files outside any run: check data, evaluate a model, export it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rung.backends import export
from rung.checkpoint import open_model
from rung.data.readers.structures import read_structures
from rung.data.splits import labelled_with
from rung.data.structure import Structure
from rung.doctor import Diagnosis, diagnose_files
from rung.errors import ConfigError, DataError
from rung.fidelity import Fidelity
from rung.fit.lift import Context
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.run.evaluation import SplitPrediction, errors_of, has_stress, predict
from rung.run.inputs import require_device
from rung.run.predictor import with_bars


def check_files(
    files: Sequence[Path],
    *,
    target: str | None = None,
    base: Path | None = None,
    base_fidelity: str | None = None,
    trusted: bool = False,
    progress: Progress = SILENT,
) -> Diagnosis:
    """Check files of labelled structures, each a split, and a base against its own labels.

    Parameters
    ----------
    files
        Files of structures; a fit would learn from the first.
    target
        The fidelity that a fit would lift to.
    base, base_fidelity
        The model file of the base, and the fidelity that it was trained on.
    trusted
        Whether a model file that could run code while it loads comes from a source that is trusted.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file cannot be read.
    ModelError
        When the base cannot be used.
    """
    _require_named(files)
    potential: ReadoutPotential | None = None
    if base is not None:
        name = _base_fidelity(base_fidelity)
        potential = open_model(base, fidelity=name, trusted=trusted).potential
    return diagnose_files(files, target=target, base=potential, base_fidelity=base_fidelity, progress=progress)


def evaluate_files(
    model: Path,
    files: Sequence[Path],
    fidelity: str,
    *,
    base: Path | None = None,
    base_fidelity: str | None = None,
    trusted: bool = False,
    device: str = "cpu",
    dtype: str | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Return errors of a model on labelled structures in the shape of ``metrics.json``, each file a split.

    The base's forces are taken as they are, its energies after one offset per element, fitted to these very
    structures, for there is no training set here: its energy errors are the smallest that offsets can give.

    Parameters
    ----------
    model
        A ``model.rung``, or a model file of a backend.
    files
        Files of structures with labels of ``fidelity``.
    fidelity
        What to predict and to compare with.
    base, base_fidelity
        The base to stand beside, and its fidelity.
    trusted
        Whether files that could run code while they load come from a source that is trusted.
    device, dtype
        Where and in what type the models run.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file cannot be used or nothing in it is labelled.
    ModelError
        When a model file cannot be used.
    """
    _require_named(files)
    require_device(device)
    own = _base_fidelity(base_fidelity) if base is not None else ""
    names = _split_names(files)
    splits = {name: read_structures(path, fidelities=[fidelity]) for name, path in zip(names, files, strict=True)}
    opened = open_model(model, fidelity=fidelity, trusted=trusted, device=device, dtype=dtype)
    opened.potential.surface(fidelity)
    before: ReadoutPotential | None = None
    if base is not None:
        loaded = open_model(base, fidelity=own, trusted=trusted, device=device, dtype=dtype)
        before = _with_offset(loaded.potential, splits, fidelity, own)
    found: dict[str, Any] = {}
    beside: dict[str, Any] = {}
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
            beside[name] = {fidelity: errors_of(reference, structures, fidelity).as_dict()}
        found[name] = {fidelity: errors_of(prediction, structures, fidelity, reference).as_dict()}
    return {"splits": found, "base": beside if before is not None else None}


def export_file(model: Path, out: Path, *, fidelity: str, trusted: bool = False) -> None:
    """Write one fidelity of a model as one file of its backend.

    Raises
    ------
    ModelError
        When the model cannot be one native file; the sentence says why.
    """
    opened = open_model(model, fidelity=fidelity, trusted=trusted)
    export(opened.potential, fidelity, out)


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


def _with_offset(
    base: ReadoutPotential, splits: dict[str, tuple[Structure, ...]], fidelity: str, base_fidelity: str
) -> ReadoutPotential:
    structures = [structure for split in splits.values() for structure in split]
    if not labelled_with(structures, fidelity):
        raise DataError(f"No structure has an energy of {fidelity!r}, so the base's energies cannot be compared.")
    fidelities = {name: Fidelity(name) for name in (fidelity, base_fidelity)}
    context = Context(base_fidelity=base_fidelity)
    return fit_offset(structures, (), base, fidelities, fidelity, OffsetSettings(), context).potential
