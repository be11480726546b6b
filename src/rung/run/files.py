"""What can be done with files outside any run: check data, evaluate a model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rung.checkpoint import Checkpoint, open_model
from rung.data.batch import by_atoms
from rung.data.determined import determined_of
from rung.data.energy_table import NO_TABLE, EnergyTable, read_energy_tables, require_faultless, with_table
from rung.data.frames import stream_structures
from rung.data.readers import reader_of
from rung.data.readers.structures import complete_atoms, read_structures, require_matter, require_usable
from rung.data.single_atoms import SingleAtoms
from rung.data.states import refuse_strange_states
from rung.data.structure import Structure
from rung.doctor import diagnose_files
from rung.errors import ConfigError, DataError, FitError
from rung.evaluate.errors import ErrorSums
from rung.fidelity import Fidelity
from rung.fit.lift import Base
from rung.fit.methods.offset import offset_to
from rung.model.device import require_device
from rung.model.domain import Place
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.results.findings import Diagnosis
from rung.results.metrics import DifferenceErrors, DomainErrors, Evaluation, SplitErrors
from rung.results.references import OpenReferences
from rung.run.differences import difference_errors
from rung.run.evaluation import SplitPrediction, add_errors, domain_errors, has_stress, named_places, predict
from rung.run.file_settings import CheckSettings, EvaluationSettings
from rung.run.predictor import with_bars
from rung.source import Opening

ATOMS_PER_PART = 3_000
"""Of the structures that an evaluation holds in memory at a time: ten batches."""


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
        opened = open_model(settings.base, fidelity=name, trusted=settings.trusted, head=settings.base_head)
        potential = opened.potential
    return diagnose_files(
        settings.files,
        target=settings.target,
        base=potential,
        base_fidelity=settings.base_fidelity,
        labels=settings.labels,
        progress=progress,
    )


def evaluate_files(settings: EvaluationSettings, *, progress: Progress = SILENT) -> Evaluation:
    """Return errors of a model on labelled structures, each file a split.

    The base's forces are taken as they are, its energies after one offset per element, fitted to these very
    structures, for there is no training set here: its energy errors are the smallest that offsets can give. Structures
    stay in their files where the format allows: a part of them is in memory at a time.

    Parameters
    ----------
    settings
        The model, the files, and the base to stand beside.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file cannot be used, nothing in it is labelled, a label is infinite, torn or has an error that is not
        positive, or a structure has a charge, a spin or moments of which the model knows nothing.
    ModelError
        When a model file cannot be used.
    """
    files, fidelity = settings.files, settings.fidelity
    _require_named(files)
    require_device(settings.device)
    low = "" if settings.base is None else _base_fidelity(settings.base_fidelity)
    names = _split_names(files)
    splits, table = _with_tables(dict(zip(names, files, strict=True)), settings.labels, fidelity)
    opened = _opened(settings, settings.model, fidelity, settings.head)
    opened.potential.surface(fidelity)
    if opened.metadata.get("target", fidelity) != fidelity:
        opened = replace(opened, posterior=None)  # its error bars are the target's
    before: ReadoutPotential | None = None
    if settings.base is not None:
        before = _with_offset(
            Base(_opened(settings, settings.base, low, settings.base_head).potential, low), splits, fidelity
        )
    errors: dict[str, dict[str, SplitErrors]] = {}
    beside: dict[str, dict[str, SplitErrors]] = {}
    domain: dict[str, DomainErrors] = {}
    differences: dict[str, DifferenceErrors] = {}
    known = determined_of(opened.metadata) if opened.metadata.get("target") == fidelity else None
    left_open: dict[str, OpenReferences] = {}
    for name, structures in splits.items():
        sums, sums_beside = ErrorSums(), ErrorSums()
        places: list[tuple[str, Place | None]] = []
        with progress.task(f"Predictions of {name} ({fidelity})", len(structures)) as task:
            for part in by_atoms(structures, ATOMS_PER_PART):
                if not settings.ignore_state:
                    _refuse_states(part, opened, settings.model)
                places += _add(sums, sums_beside, part, fidelity, opened, before)
                if known is not None:
                    left_open[name] = known.open_among(part, fidelity).plus(left_open.get(name))
                task.advance(len(part))
        errors[name] = {fidelity: sums.errors()}
        beside[name] = {fidelity: sums_beside.errors()}
        if opened.posterior is not None:
            domain[name] = domain_errors(sums, places, name, fidelity)
        if (between := _between(table, structures, opened, before)) is not None:
            differences[name] = between
    return Evaluation(
        splits=errors,
        base=beside if before is not None else None,
        domain=domain,
        differences=differences,
        target=fidelity,
        open_references={name: one for name, one in left_open.items() if one.n_open},
    )


def _refuse_states(part: Sequence[Structure], opened: Checkpoint, model: Path) -> None:
    named = ((one.structure_id, complete_atoms(one)) for one in part)
    refuse_strange_states(named, opened.metadata, str(model))


def _with_tables(
    files: Mapping[str, Path], tables: Sequence[Path], fidelity: str
) -> tuple[dict[str, Sequence[Structure]], EnergyTable]:
    """Return the structures of each file, with the energies of tables; with a table they are held in memory."""
    if not tables:
        return {name: _open(path, fidelity) for name, path in files.items()}, NO_TABLE
    read = {name: tuple(require_matter(one) for one in read_structures(path)) for name, path in files.items()}
    table = require_faultless(read_energy_tables(tables), read, ()).of(fidelity)
    if not table:
        raise DataError(f"{tables[0]} holds no row of the fidelity {fidelity!r}.")
    for members in read.values():
        require_usable(members, [fidelity])
    return {name: with_table(members, table) for name, members in read.items()}, table


def _between(
    table: EnergyTable, structures: Sequence[Structure], opened: Checkpoint, before: ReadoutPotential | None
) -> DifferenceErrors | None:
    """Return the errors of the differences within a split; None where there are none."""
    chosen = [one for one in structures if one.structure_id in table.subtracted] if table else []
    if not chosen:
        return None
    fidelity = table.rows[0].fidelity
    return difference_errors(
        table,
        chosen,
        predict(opened.potential, chosen, fidelity, forces=False).energy,
        base=None if before is None else predict(before, chosen, fidelity, forces=False).energy,
        potential=opened.potential,
        posterior=opened.posterior,
    )


def _add(
    sums: ErrorSums,
    beside: ErrorSums,
    part: Sequence[Structure],
    fidelity: str,
    opened: Checkpoint,
    before: ReadoutPotential | None,
) -> list[tuple[str, Place | None]]:
    """Add the errors of a model on some structures to ``sums``, and those of the base to ``beside``.

    Returns the name of each structure and where it lies, seen from those of the fit.
    """
    stress = has_stress(part, fidelity)
    prediction = predict(opened.potential, part, fidelity, stress=stress)
    if opened.posterior is not None:
        prediction = with_bars(prediction, opened.potential, opened.posterior, part, fidelity)
    reference: SplitPrediction | None = None
    if before is not None:
        reference = predict(before, part, fidelity, stress=stress)
        add_errors(beside, reference, part, fidelity)
    add_errors(sums, prediction, part, fidelity, reference)
    return named_places(prediction, part)


def _opened(settings: Opening, model: Path, fidelity: str, head: str | None) -> Checkpoint:
    return open_model(
        model, fidelity=fidelity, trusted=settings.trusted, head=head, device=settings.device, dtype=settings.dtype
    )


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


def _open(path: Path, fidelity: str) -> Sequence[Structure]:
    """Return the structures of a file, left in it where its format can find a frame again.

    Raises
    ------
    DataError
        When the file cannot be used, no frame labels the fidelity, a label of it is no usable number, or no matter can
        be like one of its structures.
    """
    if reader_of(path).finder is None:
        structures = read_structures(path, fidelities=[fidelity])
        return tuple(require_matter(structure) for structure in structures)
    return stream_structures(path, fidelities=[fidelity], check=require_matter)


def _with_offset(base: Base, splits: Mapping[str, Sequence[Structure]], fidelity: str) -> ReadoutPotential:
    """Return the base with one offset per element; single atoms count only where nothing else has an energy."""
    rule, target = SingleAtoms(base.plain.cutoff), Fidelity(fidelity)

    def parts() -> Iterator[list[Structure]]:
        return (part for structures in splits.values() for part in by_atoms(structures, ATOMS_PER_PART))

    try:
        return offset_to(base, (rule.for_fit(part) for part in parts()), target)
    except FitError:
        pass
    try:
        return offset_to(base, parts(), target)
    except FitError as error:
        raise DataError(f"The base's energies cannot be compared: {error}") from error
