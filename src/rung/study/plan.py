"""What a study consists of: the fits, the trials before them, and the job that each is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.fit.method import NamedSettings
from rung.fit.methods import MethodSettings, method_of
from rung.fit.methods.offset import OffsetSettings
from rung.jobs import Job
from rung.results.fits import StudyTrial
from rung.settings import Settings
from rung.study.config import StudyConfig

BASE = "base"
"""The row of the base: its forces as they are, its energies after one offset per element on the draw's labels."""

FIT, DESIGNS = "rung.study.workshop:fit", "rung.study.workshop:designs"
"""The functions that the jobs of a study call."""


class FitArguments(Settings):
    """What decides one fit, beside the study's data."""

    row: str
    """The name of its rows."""
    settings: MethodSettings
    """Of the method."""
    n_labels: int
    """How many target energies it sees."""
    seed: int
    """Of the draw, and of everything random in the fit."""
    fold: int = 0
    """Which part of the training structures is held out."""
    trial: bool = False
    """Whether it is scored on validation structures alone."""


class TrialArguments(FitArguments):
    """What decides one trial."""

    valid_fraction: float
    """Share of its labels held out to score it, where there are no validation labels."""


class DesignsArguments(Settings):
    """What decides which designs are computed."""

    methods: tuple[MethodSettings, ...]
    """Settings of the methods that read designs."""
    folds: tuple[int, ...]
    """The folds that are evaluated on."""


@dataclass(frozen=True)
class Fit:
    """One fit of a study.

    Parameters
    ----------
    method
        The name of its rows.
    n_labels
        How many target energies it sees.
    seed
        Of the draw, and of everything random in the fit.
    fold
        Which part of the training structures is held out; 0 where there are no folds.
    trial
        Which settings are tried, by number; None for a fit that counts.
    """

    method: str
    n_labels: int
    seed: int
    fold: int = 0
    trial: int | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        fold = f"-f{self.fold}" if self.fold else ""
        tried = "" if self.trial is None else f"-t{self.trial}"
        return f"{self.method}-n{self.n_labels}-s{self.seed}{fold}{tried}"


@dataclass(frozen=True)
class Step:
    """A fit with its job; none while the settings of the fit are still to be chosen by trials."""

    fit: Fit
    job: Job | None


def names(config: StudyConfig) -> tuple[str, ...]:
    """Return the names of all rows, the base's first where there is one."""
    return (*([BASE] if config.base is not None else []), *config.methods())


def all_fits(config: StudyConfig) -> Iterator[Fit]:
    """Yield every fit of a study, its trials apart, in the order in which they are done."""
    for n_labels in config.labels:
        for seed in config.seeds:
            for fold in config.folds():
                for name in names(config):
                    yield Fit(name, n_labels, seed, fold)


def trial_steps(config: StudyConfig) -> tuple[Step, ...]:
    """Return every trial."""
    tune = config.tune
    if tune is None:
        return ()
    return tuple(
        Step(fit, _trial_job(config, fit, settings, tune.valid_fraction))
        for row in tune.trials
        for number, settings in enumerate(config.trials(row))
        for seed in tune.seeds
        for fold in config.folds()
        for fit in [Fit(row, tune.labels, seed, fold, number)]
    )


def fit_steps(config: StudyConfig) -> tuple[Step, ...]:
    """Return every fit, with the settings that its trials chose; without a job where they have not chosen yet."""
    best = {(row, fold): choose(config, row, fold).settings for row in names(config) for fold in config.folds()}
    return tuple(
        Step(fit, None if settings is None else _job(config, fit, settings))
        for fit in all_fits(config)
        for settings in [best[fit.method, fit.fold]]
    )


def reads_designs(config: StudyConfig, row: str) -> bool:
    """Return whether the fits of ``row`` read designs of the frozen backbone, and so are quick once these exist."""
    if row == BASE:
        return True
    settings = config.methods()[row]
    return method_of(settings).designs(settings) is not None


def designs_job(config: StudyConfig) -> Job:
    """Return the job that computes the designs that fits share."""
    settings = tuple(config.methods()[row] for row in config.methods() if reads_designs(config, row))
    return Job(DESIGNS, DesignsArguments(methods=settings, folds=config.folds()), config.run / "designs")


@dataclass(frozen=True)
class Trial:
    """One of the settings that were tried.

    Parameters
    ----------
    change
        What it changes.
    scores
        Energy error on the validation structures, meV/atom, by seed; only of trials that are done.
    failed
        Whether a fit of it failed.
    """

    change: Mapping[str, Any]
    scores: Mapping[int, float]
    failed: bool

    @property
    def score(self) -> float:
        """The mean over seeds, meV/atom; infinite where nothing was scored."""
        return float(np.mean(list(self.scores.values()))) if self.scores and not self.failed else float("inf")


@dataclass(frozen=True)
class Choice:
    """What the trials of one method on one fold say.

    Parameters
    ----------
    trials
        All of them; none where the method is not tuned.
    best
        The number of the best, None while some are missing or where all failed.
    settings
        The settings to fit with, None likewise.
    """

    trials: tuple[Trial, ...]
    best: int | None
    settings: Any

    @property
    def spread(self) -> float:
        """Range of the scores of all trials that were scored, meV/atom."""
        known = [trial.score for trial in self.trials if np.isfinite(trial.score)]
        return max(known) - min(known) if known else float("nan")

    @property
    def noise(self) -> float:
        """Standard deviation of a trial's score between seeds, meV/atom, pooled over trials; NaN with one seed."""
        variances = [np.var(list(one.scores.values()), ddof=1) for one in self.trials if len(one.scores) > 1]
        return float(np.sqrt(np.mean(variances))) if variances else float("nan")


def choose(config: StudyConfig, row: str, fold: int = 0) -> Choice:
    """Return what the trials of ``row`` chose: the settings with the least energy error on validation structures."""
    if row == BASE:
        return Choice((), None, OffsetSettings())
    tune, tried = config.tune, config.trials(row)
    if tune is None or not tried:
        return Choice((), None, config.methods()[row])
    found = []
    waiting = False
    for number, settings in enumerate(tried):
        scores, failed = {}, False
        for seed in tune.seeds:
            job = _trial_job(config, Fit(row, tune.labels, seed, fold, number), settings, tune.valid_fraction)
            state = job.state
            if state == "done":
                score = StudyTrial.read(job.result).score
                scores[seed] = float("inf") if np.isnan(score) else score
            failed |= state == "failed"
            waiting |= state in ("missing", "running")
        found.append(Trial(tune.trials[row][number], scores, failed))
    ranked = sorted(range(len(found)), key=lambda number: found[number].score)
    if waiting or not np.isfinite(found[ranked[0]].score):
        return Choice(tuple(found), None, None)
    return Choice(tuple(found), ranked[0], tried[ranked[0]])


def _job(config: StudyConfig, fit: Fit, settings: NamedSettings) -> Job:
    arguments = FitArguments(
        row=fit.method, settings=settings, n_labels=fit.n_labels, seed=fit.seed, fold=fit.fold, trial=False
    )
    return Job(FIT, arguments, config.run / "fits" / fit.name)


def _trial_job(config: StudyConfig, fit: Fit, settings: NamedSettings, valid_fraction: float) -> Job:
    arguments = TrialArguments(
        row=fit.method,
        settings=settings,
        n_labels=fit.n_labels,
        seed=fit.seed,
        fold=fit.fold,
        trial=True,
        valid_fraction=valid_fraction,
    )
    return Job(FIT, arguments, config.run / "trials" / fit.name)
