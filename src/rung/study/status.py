"""How far a study is: what is done, runs, failed or is missing, by method; its folder is read and never touched."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rung.jobs import Job, State
from rung.results.fits import StudyDesigns, StudyFit, StudyTrial
from rung.results.jobs import JobError
from rung.study.config import StudyConfig
from rung.study.plan import DesignsArguments, Step, TrialArguments, designs_job, fit_steps, reads_designs, trial_steps


@dataclass(frozen=True)
class MethodStatus:
    """How far one method is.

    Parameters
    ----------
    name
        Its rows' name; of trials, with the word after it.
    done, running, failed, missing
        Numbers of fits.
    seconds
        What its finished fits took, in all.
    left
        Estimate of what the others will take, in all, from the mean of its fits, or else of its trials; NaN before any
        is done.
    """

    name: str
    done: int
    running: int
    failed: int
    missing: int
    seconds: float
    left: float


@dataclass(frozen=True)
class Failure:
    """One fit that failed.

    Parameters
    ----------
    name
        Which.
    sentence
        Why.
    file
        Where the traceback is.
    """

    name: str
    sentence: str
    file: Path


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is.

    Parameters
    ----------
    methods
        Each method and its trials.
    failures
        What failed, and why.
    workers
        How many fits run at once.
    """

    methods: tuple[MethodStatus, ...]
    failures: tuple[Failure, ...]
    workers: int = 1

    @property
    def n_fits(self) -> int:
        """How many fits there are."""
        return sum(one.done + one.running + one.failed + one.missing for one in self.methods)

    @property
    def n_done(self) -> int:
        """How many of them are done."""
        return sum(one.done for one in self.methods)

    @property
    def complete(self) -> bool:
        """Whether every fit is done."""
        return self.n_done == self.n_fits

    @property
    def left(self) -> float:
        """Estimate of the time until the end, s; NaN while a method has no finished fit."""
        return float(sum(one.left for one in self.methods)) / self.workers


@dataclass(frozen=True)
class StatusReader:
    """Reads the status again and again; a result is read once.

    Parameters
    ----------
    config
        The study, its paths absolute.
    workers
        How many fits run at once.
    """

    config: StudyConfig
    workers: int = 1
    _results: dict[Path, float] = field(default_factory=dict, repr=False)

    def read(self) -> StudyStatus:
        """Return the status now."""
        groups: dict[str, list[Step]] = {}
        if any(reads_designs(self.config, row) for row in self.config.methods()):
            groups["designs"] = []
        for step in trial_steps(self.config):
            groups.setdefault(_TRIALS.format(step.fit.method), []).append(step)
        for step in fit_steps(self.config):
            groups.setdefault(step.fit.method, []).append(step)
        jobs = {name: [(step.fit.name, step.job) for step in steps] for name, steps in groups.items()}
        if "designs" in jobs:
            jobs["designs"] = [("designs", designs_job(self.config))]
        methods, failures = [], []
        means: dict[str, float] = {}
        for name, group in jobs.items():
            states = [self._state(job) for _, job in group]
            seconds = [
                self._seconds(job)
                for (_, job), state in zip(group, states, strict=True)
                if state == "done" and job is not None
            ]
            means[name] = float(np.mean(seconds)) if seconds else means.get(_TRIALS.format(name), float("nan"))
            methods.append(_status(name, states, seconds, means[name]))
            failures += [
                Failure(fit, JobError.read(job.error).sentence, job.error)
                for (fit, job), state in zip(group, states, strict=True)
                if state == "failed" and job is not None
            ]
        return StudyStatus(tuple(methods), tuple(failures), self.workers)

    def _state(self, job: Job | None) -> State:
        if job is None:
            return "missing"
        return "done" if job.folder in self._results else job.state

    def _seconds(self, job: Job) -> float:
        if job.folder not in self._results:
            self._results[job.folder] = seconds_of(job)
        return self._results[job.folder]


def seconds_of(job: Job) -> float:
    """Return how long a job that is done took."""
    if isinstance(job.arguments, DesignsArguments):
        return StudyDesigns.read(job.result).seconds
    kind = StudyTrial if isinstance(job.arguments, TrialArguments) else StudyFit
    return kind.read(job.result).fit.seconds


_TRIALS = "{}, trials"


def _status(name: str, states: Sequence[State], seconds: Sequence[float], mean: float) -> MethodStatus:
    count = {state: states.count(state) for state in ("done", "running", "failed", "missing")}
    left = count["running"] + count["missing"]
    return MethodStatus(name, **count, seconds=float(sum(seconds)), left=left * mean if left else 0.0)
