"""The stages of a run: check, features, fit, evaluate, export, report; one whose files are all there is skipped."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.backends import export, library_type, native_suffix
from rung.backends.cards import card_of
from rung.backends.precision import (
    REFERENCE_ENERGY,
    energy_step,
    largest_reference_energy,
    step_sentence,
    stored_type,
)
from rung.checkpoint import save as save_checkpoint
from rung.config import RunConfig
from rung.data.cells import cells_of
from rung.data.determined import DETERMINED
from rung.data.states import STATES, common_states
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.evaluate.errors import ErrorSums
from rung.fit.methods import method_of
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Noted, Progress
from rung.report import damage_of_page, write_report
from rung.results.findings import Diagnosis
from rung.results.fit import Features, FitRecord
from rung.results.metrics import Checks, DifferenceErrors, DomainErrors, FitNumbers, Metrics, SplitErrors, StartDistance
from rung.results.origin import ORIGIN
from rung.results.provenance import Export, Provenance
from rung.run.checking import sound_diagnosis
from rung.run.checks import other_fidelities, start_of
from rung.run.differences import difference_errors
from rung.run.evaluation import (
    SplitPrediction,
    add_errors,
    beside_labels,
    domain_errors,
    errors_of,
    geometries_of,
    has_stress,
    named_places,
    predict,
)
from rung.run.folder import RunFolder
from rung.run.inputs import (
    coarse_base,
    open_table,
    require_used,
)
from rung.run.opening import in_free_folder, opened
from rung.run.origin import origin_of
from rung.run.predictor import with_bars
from rung.run.stage import Stage, carried_out
from rung.run.work import Work


@dataclass(frozen=True)
class FinishedRun:
    """What a run left behind.

    Parameters
    ----------
    folder
        Where it is.
    metrics
        Its errors, beside the base's.
    warnings
        What the reader of the numbers must know: of the data, then of the fit.
    stages
        The stages that ran now; none where the run was finished before.
    notes
        What is good to know and asks for nothing to be mended.
    """

    folder: RunFolder
    metrics: Metrics
    warnings: tuple[str, ...]
    stages: tuple[str, ...]
    notes: tuple[str, ...] = ()


def run_fit(
    config: RunConfig, *, new: bool = False, notices: Sequence[str] = (), progress: Progress = SILENT
) -> FinishedRun:
    """Do every stage of a run that is not done yet.

    Parameters
    ----------
    config
        The run; relative paths are taken from the working folder (:func:`rung.config.load_config` takes them from the
        file's), and designs are kept beside the run where it names no cache.
    new
        Take the next free folder beside ``config.run`` where that exists.
    notices
        Sentences for the top of the report: who made the labels, and what may be done with them.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file is missing or cannot be used, or a geometry stands in two splits.
    FindingsError
        When the checks find an error; nothing is written then.
    StorageError
        When the folder is another run's, or another process works in it.
    """
    config = config.resolved(Path.cwd())
    chosen = in_free_folder(config) if new else config
    work = Work(chosen, Noted(progress, RunFolder(chosen.run).note_further))
    with opened(work.config, lambda: check(work), notice=tuple(notices)):
        stages = carried_out(STAGES, work, work.folder, work.progress)
    metrics = Metrics.read(work.folder.metrics)
    exported = Provenance.read(work.folder.provenance).export
    warned = Diagnosis.read(work.folder.findings).of_severity("warning")
    record = FitRecord.read(work.folder.fit)
    warnings = (
        *(finding.sentence for finding in warned),
        *record.warnings,
        *metrics.checks.warnings,
        *([exported.warning] if exported is not None and exported.warning else ()),
    )
    return FinishedRun(work.folder, metrics, warnings, stages, record.details.notes)


def check(work: Work) -> Diagnosis:
    """Check the data and the base; raise a :class:`~rung.errors.FindingsError` if anything is an error."""
    require_used(work.config)
    diagnosis = sound_diagnosis(work.config, work.splits, work.base, work.progress)
    _ = work.lift  # refuses data of which nothing is left to fit
    return diagnosis


def features(work: Work) -> None:
    """Compute what the fit and the evaluation read of a frozen backbone, and keep it in the cache."""
    started = time.monotonic()
    settings, base = work.config.method, work.base
    designs = method_of(settings).designs(settings)
    structures: list[Structure] = []
    if base is not None and designs is not None:
        designs.prepare(work.lift, settings, work.context)
        structures = [structure for split in work.evaluated.values() for structure in split]
        base.energy_designs(structures, work.cache, work.progress)
        structures += work.lift.train
    Features(n_structures=len(structures), seconds=time.monotonic() - started).write(work.folder.features)


def fit(work: Work) -> None:
    """Run the method, and keep the model and what the method says of it."""
    started = time.monotonic()
    result = method_of(work.config.method).fit(work.lift, work.config.method, work.context)
    target = work.config.target
    stored = None if work.base is None else stored_type(work.base.potential.backbone)
    known = Provenance.read(work.folder.provenance)
    if stored is not None:
        known.model_copy(update={"base_stored": str(stored).removeprefix("torch.")}).write(work.folder.provenance)
    save_checkpoint(
        work.folder.model,
        result.potential,
        posterior=result.posterior,
        metadata={
            "target": target,
            "method": work.config.method.name,
            "target_labels": cells_of(work.lift.train, target),
            DETERMINED: work.determined.metadata,
            STATES: common_states(one for one in work.lift.train if one.labelled(target).says_anything),
            REFERENCE_ENERGY: _reference_energy(work.lift.train, result.potential, target),
            ORIGIN: origin_of(work.config, work.lift, known.files).as_json(),
        },
    )
    warnings = (*work.left_out, *coarse_base(work.config, work.base), *result.warnings)
    for sentence in warnings:
        work.folder.note(f"warning: {sentence}")
    FitRecord(
        method=work.config.method.name,
        settings=result.settings.model_dump(mode="json"),
        seconds=time.monotonic() - started,
        n_energies=sum(structure.labelled(target).has_energy for structure in work.lift.train)
        + len(work.lift.table.differences),
        n_left_out=len(work.splits["train"]) - len(work.lift.train),
        diagnostics=result.diagnostics,
        warnings=warnings,
        details=result.details,
    ).write(work.folder.fit)


def evaluate(work: Work) -> None:
    """Predict every split, beside the base, and write errors and predictions."""
    target = work.config.target
    fitted, designs = FitRecord.read(work.folder.fit), Features.read(work.folder.features)
    shifted = _base_with_offset(work)
    origin = None if work.base is None else method_of(work.config.method).origin(work.base)
    start, warnings = _start(work, fitted.diagnostics)
    splits: dict[str, dict[str, SplitErrors]] = {}
    base: dict[str, dict[str, SplitErrors]] = {}
    domain: dict[str, DomainErrors] = {}
    differences: dict[str, DifferenceErrors] = {}
    for name, structures in work.evaluated.items():
        prediction = _predicted(work, structures)
        before = None
        if shifted is not None:
            before = predict(shifted, structures, target, stress=has_stress(structures, target), progress=work.progress)
            base[name] = {target: errors_of(before, structures, target)}
        sums = ErrorSums()
        add_errors(sums, prediction, structures, target, before)
        splits[name] = {target: sums.errors()}
        if prediction.places is not None:
            domain[name] = domain_errors(sums, named_places(prediction, structures), name, target)
        others = other_fidelities(work.fitted.potential, origin, structures, target, split=name, progress=work.progress)
        splits[name] |= others.after
        if shifted is not None:
            base[name] |= others.before
        warnings += others.warnings
        beside_labels(structures, target, prediction, before).write(work.folder.predictions(name))
        geometries_of(structures).write(work.folder.geometries(name))
        between = difference_errors(
            open_table(work.config).of(target),
            structures,
            prediction.energy,
            base=None if before is None else before.energy,
            potential=work.fitted.potential,
            posterior=work.fitted.posterior,
        )
        if between is not None:
            differences[name] = between
    for sentence in warnings:
        work.folder.note(f"warning: {sentence}")
    Metrics(
        splits=splits,
        base=base if shifted is not None else None,
        domain=domain,
        differences=differences,
        target=target,
        open_references=work.open_references,
        checks=Checks(step_zero=start, warnings=warnings),
        fit=_numbers(fitted, designs),
    ).write(work.folder.metrics)


def _numbers(fitted: FitRecord, designs: Features) -> FitNumbers:
    """Return the numbers of a fit for ``metrics.json``."""
    others = {key: value for key, value in fitted.diagnostics.items() if key not in ("n_energies", "n_parameters")}
    return FitNumbers(
        method=fitted.method,
        seconds=fitted.seconds,
        cache_seconds=designs.seconds,
        n_parameters=int(fitted.diagnostics.get("n_parameters", 0)),
        n_energies=fitted.n_energies,
        warnings=fitted.warnings,
        hyperparameters=others,
    )


def export_native(work: Work) -> None:
    """Write the target as one file of the base's backend, or say in ``provenance.json`` why it cannot be one."""
    target, potential = work.config.target, work.fitted.potential
    known = Provenance.read(work.folder.provenance)
    if known.export is not None:  # that of an earlier model counts no more, whatever comes next
        known.model_copy(update={"export": None}).write(work.folder.provenance)
    try:
        path = work.folder.native(target, native_suffix(potential, target))
        export(potential, target, path, card=card_of(potential, target, work.fitted.origin))
        energy = float(work.fitted.metadata.get(REFERENCE_ENERGY, largest_reference_energy(potential, target)))
        runs_in = library_type(potential, target)
        warning = step_sentence(potential, energy, path.name, runs_in=runs_in)
        step = energy_step(energy, runs_in or potential.dtype)
        outcome = Export(file=path.name, energy_step=step, warning=warning)
        if warning:
            work.folder.note(f"warning: {warning}")
    except ModelError as error:
        outcome = Export(file=None, reason=str(error))
    known = Provenance.read(work.folder.provenance)
    known.model_copy(update={"export": outcome}).write(work.folder.provenance)


def _reference_energy(structures: Sequence[Structure], potential: ReadoutPotential, target: str) -> float:
    """Return the largest sum of reference energies among structures with an energy of ``target``, eV."""
    energies = potential.surface(target).reference.energies
    found = [
        sum(energies[int(number)] for number in structure.atoms.numbers)
        for structure in structures
        if structure.labelled(target).has_energy
    ]
    return float(max(found, key=abs, default=largest_reference_energy(potential, target)))


def report(work: Work) -> None:
    """Write the report."""
    write_report(work.folder.path)


def _evaluation(work: Work) -> tuple[Path, ...]:
    return (*(work.folder.predictions(name) for name in work.config.data.evaluate), work.folder.metrics)


def _exported(work: Work) -> tuple[Path, ...] | None:
    known = Provenance.read(work.folder.provenance).export
    if known is None:
        return None
    return () if known.file is None else (work.folder.path / known.file,)


STAGES: tuple[Stage[Work], ...] = (
    Stage("features", features, lambda work: (work.folder.features,)),
    Stage("fit", fit, lambda work: (work.folder.model, work.folder.fit)),
    Stage("evaluate", evaluate, _evaluation, after=("features", "fit")),
    Stage("export", export_native, _exported, after=("fit",)),
    Stage(
        "report",
        report,
        lambda work: (work.folder.report,),
        after=("features", "fit", "evaluate", "export"),
        damage=damage_of_page,
    ),
)
"""In order; the check comes before them, for it decides whether there is a folder."""


def _predicted(work: Work, structures: tuple[Structure, ...]) -> SplitPrediction:
    target = work.config.target
    plain = predict(
        work.fitted.potential,
        structures,
        target,
        stress=has_stress(structures, target),
        progress=work.progress,
    )
    if work.fitted.posterior is None:
        return plain
    return with_bars(
        plain,
        work.fitted.potential,
        work.fitted.posterior,
        structures,
        target,
        cache=work.cache,
        progress=work.progress,
    )


def _start(work: Work, diagnostics: Mapping[str, float]) -> tuple[StartDistance | None, tuple[str, ...]]:
    """Return how far the untrained start lies from the base, for ``metrics.json``, and what to warn of."""
    if work.base is None:
        return None, ()
    start = start_of(work.lift, work.config.method, diagnostics, cache=work.cache, progress=work.progress)
    if start is None:
        return None, ()
    warned = "step_zero_energy" in diagnostics  # by the fit itself
    return StartDistance(energy=start.energy, force=start.force), () if warned else start.warnings


def _base_with_offset(work: Work) -> ReadoutPotential | None:
    """Return the base with its reference energies fitted to the training labels: what a user has before any lift."""
    if work.base is None:
        return None
    return fit_offset(work.lift, OffsetSettings(), work.context).potential
