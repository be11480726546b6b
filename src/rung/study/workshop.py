"""What the fits of one study share: structures, base, designs, each read when first needed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rung.data.readers.structures import read_structures, require_matter
from rung.data.splits import (
    draw_labels,
    evenly_spread,
    grouped_folds,
    grouped_split,
    holding,
    key_of,
    labelled_with,
    with_energies,
    without_labels,
)
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, counted
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import NamedSettings, StepZero
from rung.fit.methods import MethodSettings, method_of
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior
from rung.progress import SILENT, Progress
from rung.results.config import CONFIG_FILE
from rung.results.exact import exact_energies
from rung.results.findings import Diagnosis
from rung.results.fits import FitErrors, StructureErrors, StudyDesigns, StudyFit, StudyFitNumbers, StudyTrial
from rung.run.checking import sound_diagnosis
from rung.run.checks import START_STRUCTURES, start_of
from rung.run.evaluation import SplitPrediction, errors_of, shares_of
from rung.run.inputs import coarse_base, context_of, design_cache, fitted_splits, open_base, read_splits, set_threads
from rung.run.predictor import Predictor
from rung.study.config import StudyConfig, load_study_config
from rung.study.judging import call_seconds, fit_errors, structure_errors
from rung.study.plan import BASE

HELD_OUT = "heldout"
WITHHELD = "{}, withheld"
TIMED_STRUCTURES = 8


@dataclass(frozen=True)
class Sides:
    """The structures of one fold: to fit, to choose by, and to evaluate on by the name of the split."""

    train: tuple[Structure, ...]
    valid: tuple[Structure, ...]
    evaluate: Mapping[str, tuple[Structure, ...]]


@dataclass(frozen=True)
class Workshop:
    """Where the fits of one study are made.

    Parameters
    ----------
    config
        The study.
    progress
        Where long work reports.
    """

    config: StudyConfig
    progress: Progress = SILENT
    _sides: dict[int, Sides] = field(default_factory=dict, repr=False)
    _before: dict[tuple[int, str], SplitPrediction] = field(default_factory=dict, repr=False)
    _starts: dict[str, StepZero | None] = field(default_factory=dict, repr=False)
    _whole: dict[str, StudyFit] = field(default_factory=dict, repr=False)

    @cached_property
    def splits(self) -> dict[str, tuple[Structure, ...]]:
        """The structures of every split as fits take them."""
        return {name: tuple(members) for name, members in fitted_splits(self.config, self.files, self.base).items()}

    @cached_property
    def files(self) -> dict[str, tuple[Structure, ...]]:
        """The structures of every split as files have them; exact energies in the training set where they are known."""
        splits = read_splits(self.config)
        noise = self.config.noise
        if noise is not None:
            splits["train"] = with_energies(splits["train"], self.config.target, exact_energies(noise.exact))
        return splits

    @cached_property
    def bands(self) -> dict[str, tuple[Structure, ...]]:
        """The bands whose static barriers are recorded."""
        keys = self.config.keys()
        return {
            name: tuple(require_matter(structure) for structure in read_structures(path, keys=keys))
            for name, path in self.config.bands.items()
        }

    @cached_property
    def base(self) -> Base | None:
        """The base."""
        return open_base(self.config)

    @cached_property
    def predictor(self) -> Predictor:
        """Predicts from designs where any fit reads them, each computed once for the study."""
        read = [method_of(settings).designs(settings) for settings in self.config.methods().values()]
        shared = any(designs is not None and designs.forces for designs in read)
        base = self.base.plain if shared and self.base is not None else None
        return Predictor(base, design_cache(self.config), self.config.force_structures, self.progress)

    def sides(self, fold: int) -> Sides:
        """Return the structures of one fold, the same for every method, number of labels and seed."""
        if fold not in self._sides:
            self._sides[fold] = self._divided(fold)
        return self._sides[fold]

    def _divided(self, fold: int) -> Sides:
        config, said = self.config, self.config.split
        train = self.splits["train"]
        evaluate = {name: self.splits[name] for name in config.data.evaluate}
        if said.folds is not None:
            held = set(grouped_folds(train, said.folds, said.seed, key_of(said.by))[fold].tolist())
            evaluate[HELD_OUT] = tuple(train[k] for k in sorted(held))
            train = tuple(structure for k, structure in enumerate(train) if k not in held)
        if said.withhold:
            alike = {name: holding(structures, said.withhold) for name, structures in evaluate.items()}
            evaluate |= {WITHHELD.format(name): _taken(evaluate[name], where) for name, where in alike.items() if where}
            hidden = set(holding(train, said.withhold))
            train = tuple(without_labels(one, config.target) if k in hidden else one for k, one in enumerate(train))
        return Sides(train, self.splits.get("valid", ()), evaluate)

    def check(self) -> Diagnosis:
        """Return what the doctor says; raise before anything is written where the study cannot be done."""
        config = self.config
        if not (config.data.evaluate or config.bands or config.split.folds):
            raise ConfigError("There is nothing to evaluate on; give data.evaluate, or split: {folds: 5}.")
        self.require_labels()
        self._require_apart()
        _ = self.bands
        return sound_diagnosis(self.config, self.files, self.base, self.progress)

    def require_labels(self) -> None:
        """Raise a :class:`~rung.errors.DataError` where a fold has fewer labels than any fit asks for."""
        config = self.config
        most = max([*config.labels, *([] if config.tune is None else [config.tune.labels])])
        for fold in config.folds():
            known = len(labelled_with(self.sides(fold).train, config.target))
            if known < most:
                where = "" if config.split.folds is None else f" of fold {fold}"
                raise DataError(
                    f"{counted(most, f'energy of {config.target!r} was', f'energies of {config.target!r} were')} asked "
                    f"for; only {known} of the training structures{where} {'has' if known == 1 else 'have'} one."
                )

    def _require_apart(self) -> None:
        """Raise where a test file shares with the training set what ``split.by`` says is never torn apart."""
        by = self.config.split.by
        if by == "structure_id":
            return  # the doctor looks for this
        key = key_of(by)
        seen = {key(structure) for structure in self.splits["train"]}
        for name in self.config.data.evaluate:
            shared = sorted({str(key(structure)) for structure in self.splits[name] if key(structure) in seen})
            if shared:
                raise DataError(
                    f"split.by is {by!r}, yet {len(shared)} of it stand in train and {name}, the first: {shared[0]!r}; "
                    "split the files by it, or say split.folds."
                )

    def designs(self, folder: Path, *, methods: Sequence[Mapping[str, Any]], folds: Sequence[int]) -> StudyDesigns:
        """Compute the designs that fits and predictions share, so that the fits that follow are quick."""
        started = time.monotonic()
        if self.base is not None:
            context, lift = self._context(0, folder), self._lift(self.splits["train"])
            for values in methods:
                settings = _settings(values)
                read = method_of(settings).designs(settings)
                if read is not None:
                    read.prepare(lift, settings, context)
            for fold in folds:
                for name in self.sides(fold).evaluate:
                    self._base_says(fold, name)
        return StudyDesigns(seconds=time.monotonic() - started)

    def fit(
        self,
        folder: Path,
        *,
        row: str,
        settings: Mapping[str, Any],
        n_labels: int,
        seed: int,
        fold: int,
        trial: bool,
        valid_fraction: float = 0.0,
    ) -> StudyFit | StudyTrial:
        """Make one fit and return its errors and the static barriers, or for a trial its score.

        Parameters
        ----------
        folder
            Where the fit may keep checkpoints.
        row
            The name of its rows.
        settings
            Of the method.
        n_labels, seed, fold
            What it sees.
        trial
            Whether it is scored on validation structures alone.
        valid_fraction
            Share of a trial's labels held out to score it, where there are no validation labels.
        """
        config, chosen, sides = self.config, _settings(settings), self.sides(fold)
        again = "" if trial else self._only_draw(row, chosen, n_labels, fold)
        if again in self._whole:
            return self._whole[again]
        noise = None if config.noise is None else config.noise.energy_stderr
        train = draw_labels(sides.train, config.target, n_labels, seed, noise=noise)
        judged = sides.valid
        if trial and not labelled_with(judged, config.target):
            train, judged = self._held_out(train, valid_fraction, seed)
        method, lift = method_of(chosen), self._lift(train, sides.valid)
        if method.base == "none":
            lift = replace(lift, base=None)
        started = time.monotonic()
        context = self._context(seed, folder / "checkpoints", [judged, *sides.evaluate.values()])
        result = method.fit(lift, chosen, context)
        result = replace(result, warnings=(*coarse_base(config, lift.base), *result.warnings))
        numbers = StudyFitNumbers(
            method=row,
            seconds=time.monotonic() - started,
            n_energies=n_labels,
            n_left_out=len(self.files["train"]) - len(self.splits["train"]),
            hyperparameters=result.diagnostics,
        )
        if trial:
            return StudyTrial(score=self._score(result, judged), fit=numbers, warnings=result.warnings)
        start = None if lift.base is None or "step_zero_energy" in result.diagnostics else self._start(chosen, train)
        if start is not None:
            numbers = numbers.model_copy(update={"hyperparameters": {**result.diagnostics, **start.facts}})
            result = replace(result, warnings=(*result.warnings, *start.warnings))
        made = self._evaluated(row, result, fold, numbers)
        if again:
            self._whole[again] = made
        return made

    def _only_draw(self, row: str, settings: NamedSettings, n_labels: int, fold: int) -> str:
        """Return the name of a fit that every seed makes alike, for it takes every label; else nothing."""
        every = len(labelled_with(self.sides(fold).train, self.config.target))
        if self.config.noise is not None or n_labels < every or not method_of(settings).seedless:
            return ""
        return f"{row} {n_labels} {fold} {settings.model_dump_json()}"

    def _start(self, settings: NamedSettings, train: Sequence[Structure]) -> StepZero | None:
        """Return how far the untrained start of a method lies from the base: one look a method, whatever the draw."""
        key = settings.model_dump_json()
        if key not in self._starts and self.base is not None:
            few = self._lift(evenly_spread(train, START_STRUCTURES))
            self._starts[key] = start_of(few, settings, {}, cache=design_cache(self.config))
        return self._starts.get(key)

    def _lift(self, train: Sequence[Structure], valid: Sequence[Structure] = ()) -> Lift:
        return Lift(train, valid, self.base, self.config.fidelity_table(), self.config.target)

    def _evaluated(self, row: str, result: FitResult, fold: int, numbers: StudyFitNumbers) -> StudyFit:
        config, sides = self.config, self.sides(fold)
        posterior = None if row == BASE else result.posterior  # the base is there to compare with: no bars
        splits, structures = {}, {}
        for name in sides.evaluate:
            splits[name], structures[name] = self._errors(result.potential, posterior, fold, name)
        if labelled_with(sides.valid, config.target):
            prediction = self.predictor.predict(
                result.potential, None, sides.valid, config.target, config.target, forces=False
            )
            splits["valid"] = {config.target: fit_errors(prediction, sides.valid, config.target)}
        first = next(iter(sides.evaluate.values()), sides.train)
        bands = {
            name: self.predictor.static_barrier(result.potential, posterior, images, config.target)
            for name, images in self.bands.items()
        }
        call = call_seconds(result.potential, first[:TIMED_STRUCTURES], config.target)
        return StudyFit(
            splits=splits,
            bands=bands,
            fit=numbers.model_copy(update={"call_seconds_per_atom": call}),
            warnings=result.warnings,
            structures=structures,
        )

    def _held_out(
        self, train: Sequence[Structure], fraction: float, seed: int
    ) -> tuple[tuple[Structure, ...], tuple[Structure, ...]]:
        """Return the draw with a share of its labels removed, and the structures that had them."""
        target = self.config.target
        labelled = _taken(train, labelled_with(train, target))
        shares = {"kept": 1.0 - fraction, "judged": fraction}
        judged = grouped_split(labelled, shares, seed, key_of(self.config.split.by))["judged"]
        if not judged or len(judged) == len(labelled):
            raise DataError(
                f"{counted(len(labelled), 'label')} cannot spare a share of {fraction} to score a trial; raise "
                "tune.labels, or give data.valid."
            )
        gone = {structure.structure_id for structure in judged}
        left = tuple(without_labels(one, target) if one.structure_id in gone else one for one in train)
        return left, judged

    def _score(self, result: FitResult, judged: Sequence[Structure]) -> float:
        target = self.config.target
        found = self.predictor.predict(result.potential, None, judged, target, target, forces=False)
        return errors_of(found, judged, target).energy_rmse

    def _errors(
        self, potential: ReadoutPotential, posterior: Posterior | TangentPosterior | None, fold: int, name: str
    ) -> tuple[dict[str, FitErrors], StructureErrors]:
        """Return errors by fidelity, the target's beside the departure from the base, and those of each structure."""
        target, structures = self.config.target, self.sides(fold).evaluate[name]
        prediction = self.predictor.predict(potential, posterior, structures, target, target)
        shares = shares_of(prediction, structures, target)
        errors = {target: fit_errors(prediction, structures, target, self._base_says(fold, name), shares)}
        each = structure_errors(prediction, structures, target, self.config.split.by)
        for fidelity in potential.fidelities:
            if fidelity == target or not labelled_with(structures, fidelity):
                continue
            prediction = self.predictor.predict(potential, None, structures, fidelity, target)
            errors[fidelity] = fit_errors(prediction, structures, fidelity)
        return errors, each

    def _base_says(self, fold: int, name: str) -> SplitPrediction | None:
        base = self.base
        if base is None:
            return None
        if (fold, name) not in self._before:
            structures = self.sides(fold).evaluate[name]
            self._before[fold, name] = self.predictor.predict(
                base.plain, None, structures, base.fidelity, self.config.target
            )
        return self._before[fold, name]

    def _context(self, seed: int, folder: Path, evaluated: Sequence[Sequence[Structure]] = ()) -> Context:
        return context_of(self.config, self.base, seed=seed, folder=folder, progress=self.progress, evaluated=evaluated)


def fit(folder: Path, **arguments: Any) -> StudyFit | StudyTrial:
    """Make one fit in a worker, for the study whose folder holds that of the fit."""
    return _workshop_of(folder.parents[1]).fit(folder, **arguments)


def designs(folder: Path, **arguments: Any) -> StudyDesigns:
    """Compute designs in a worker, for the study whose folder holds that of the job."""
    return _workshop_of(folder.parent).designs(folder, **arguments)


def _workshop_of(study: Path) -> Workshop:
    return _opened(study / CONFIG_FILE, (study / CONFIG_FILE).read_text())


@lru_cache(maxsize=1)
def _opened(path: Path, text: str) -> Workshop:
    del text  # a study that has grown is another one to the cache
    config = load_study_config(path)
    set_threads(config)
    return Workshop(config)


def _settings(values: Mapping[str, Any]) -> NamedSettings:
    settings: NamedSettings = TypeAdapter(MethodSettings).validate_python(dict(values))
    return settings


def _taken(structures: Sequence[Structure], places: Sequence[int]) -> tuple[Structure, ...]:
    return tuple(structures[place] for place in places)
