"""The loop of a campaign: fit, answer, stop or choose, label, and fit again; a folder a round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.campaign.advice import advice
from rung.campaign.answering import Answered
from rung.campaign.budget import Spent, allowed
from rung.campaign.config import CampaignConfig
from rung.campaign.folder import FinishedRound, RoundFolder, finished_rounds
from rung.campaign.identity import GROWING, require_same
from rung.campaign.questions import UNITS
from rung.campaign.rounds import Work, answer, choose, inside, label, record_of
from rung.campaign.world import World
from rung.config import write_config
from rung.errors import LabelError, counted
from rung.label.labelling import Labelling
from rung.progress import SILENT, Progress
from rung.report.tasks.campaign import places, write_campaign_report
from rung.results.campaign import CAMPAIGN_FILE, Answer, Asked, CampaignResult, Round, Status
from rung.run.folder import RunFolder
from rung.run.opening import opened
from rung.storage import sweep
from rung.tasks.opened import Opened

Say = Callable[[str], None]


@dataclass(frozen=True)
class FinishedCampaign:
    """What a call of a campaign left behind.

    Parameters
    ----------
    folder
        Where it is.
    result
        How far it is, as ``campaign.json`` says.
    """

    folder: Path
    result: CampaignResult

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What the last fit says; none before there is one."""
        return next((one.answers for one in reversed(self.result.rounds) if one.answers), ())


def _quiet(sentence: str) -> None:
    del sentence


def run_campaign(config: CampaignConfig, *, progress: Progress = SILENT, say: Say = _quiet) -> FinishedCampaign:
    """Go on with a campaign until its questions are answered, its budget is spent, or it waits for outputs.

    Parameters
    ----------
    config
        The campaign, its paths absolute (see :func:`rung.campaign.load_campaign_config`).
    progress
        Where long work reports.
    say
        Takes a sentence for each thing that happened; all go to ``log.txt`` too.

    Raises
    ------
    ConfigError
        When the engine cannot work as it is told to.
    DataError
        When a file is missing or cannot be used.
    FindingsError
        When the checks find an error; nothing is written then.
    LabelError
        When no label of a round came.
    StorageError
        When the folder is another campaign's, or rung did not make it, or another process works in it.
    """
    world = World(config, progress)
    require_same(config)
    with opened(config, world.check, grows=GROWING) as folder:
        write_config(config, folder.config)
        loop = Loop(world, folder, say)
        while not loop.round():
            pass
        return FinishedCampaign(config.run, loop.result)


@dataclass
class Loop:
    """A campaign that goes on.

    Parameters
    ----------
    world
        What it works on.
    folder
        Its folder, locked.
    speak
        Takes a sentence for each thing that happened.
    """

    world: World
    folder: RunFolder
    speak: Say

    def __post_init__(self) -> None:
        """Read what rounds have left."""
        rounds = list(finished_rounds(self.world.config.run))
        self.rounds = [one for one in rounds if one.labels is not None]
        self.result = self._result("running", "It goes on.", self.rounds)

    def say(self, sentence: str) -> None:
        """Say what happened, here and in the log."""
        self.folder.note(sentence)
        self.speak(sentence)

    def round(self) -> bool:
        """Do one round, or what is left of it; return whether the campaign ends here."""
        config = self.world.config
        here = FinishedRound.read(RoundFolder(config.run, len(self.rounds)))
        here.folder.path.mkdir(parents=True, exist_ok=True)
        sweep(here.folder.path)
        work = Work(self.world, self.rounds, here)
        potential: Opened | None = None
        said: list[Answered] = []
        if not work.needs_start(self.world.training(self.rounds)):
            potential, said = answer(work)
            here = FinishedRound.read(here.folder)
            self._say_answers(here)
            if self._stops(here):
                return True
        if here.choice is None:
            # a start set is as large as a fit needs it, whatever a round may cost
            left = Spent.of(self.rounds).left(config.budget, np.inf if potential is None else config.batch)
            if not left.allows(self._cheapest()):
                return self._ends("budget", f"The budget is spent ({self._spent()}).", here)
            choose(work, potential, said, left)
            here = FinishedRound.read(here.folder)
        if here.choice is None or not here.choice.labels:
            return self._ends(
                "exhausted", "No candidate is left that the budget allows and that would make an answer surer.", here
            )
        self._say_choice(here)
        return self._labelled(Work(self.world, self.rounds, here), here)

    def _labelled(self, work: Work, here: FinishedRound) -> bool:
        labelling = label(work)
        number = here.folder.number
        if labelling.waiting:
            return self._ends("waiting", _wait(labelling), here)
        if any(one.state == "missing" for one in labelling.labelled.entries):
            raise LabelError(f"Round {number}: some labels were not computed. Give the same command again to go on.")
        for name, sentence in labelling.failed.items():
            self.say(f"Round {number}: {name} has no label. {sentence}")
        if len(labelling.records) == 0:
            first = next(iter(labelling.failed.values()), "")
            raise LabelError(f"Round {number}: no label came. {first} Mend this and give the same command again.")
        record_of(labelling).write(here.folder.done)
        here = FinishedRound.read(here.folder)
        self.rounds.append(here)
        self.say(f"Round {number}: {counted(len(here.made), 'label')} came ({self._spent()} in all).")
        self._keep(self._result("running", "It goes on.", self.rounds))
        return False

    def _stops(self, here: FinishedRound) -> bool:
        config = self.world.config
        latest = [*self.rounds, here]
        needed = config.rounds_inside
        trail = [one.answers for one in latest if one.answers is not None][-needed:]
        within = [all(self._inside(one.answers)) for one in trail]
        if len(within) == needed and all(within):
            how = "" if needed == 1 else f" in {needed} successive rounds"
            return self._ends("reached", f"Every answer is inside its tolerance{how}.", here)
        return False

    def _inside(self, answers: Sequence[Answer]) -> list[bool]:
        return [inside(one, self.world.config.questions[one.name].tolerance) for one in answers]

    def _cheapest(self) -> float:
        candidates = self.world.candidates(self.rounds, ())
        if not candidates:
            return 1.0
        return float(self.world.offer(candidates).costs(max(self.world.config.stderr)).min())

    def _spent(self) -> str:
        spent, may = Spent.of(self.rounds).by_kind(), allowed(self.world.config.budget)
        names = {"labels": "labels", "cost": "of cost", "cpu_hours": "CPU hours"}
        return ", ".join(f"{spent[name]:.3g} of {value:g} {names[name]}" for name, value in may.items())

    def _ends(self, status: Status, sentence: str, here: FinishedRound) -> bool:
        self.say(sentence)
        self._keep(self._result(status, sentence, [*self.rounds, here]))
        return True

    def _keep(self, result: CampaignResult) -> None:
        self.result = result
        result.write(self.folder.path / CAMPAIGN_FILE)
        write_campaign_report(self.folder.path)

    def _say_answers(self, here: FinishedRound) -> None:
        for one in () if here.answers is None else here.answers.answers:
            tolerance, digits = self.world.config.questions[one.name].tolerance, places(one.unit)
            value = f"{one.value:.{digits}f} " if np.isfinite(one.value) else ""
            where = f", {one.domain} the domain" if one.domain == "outside" else ""
            energies = 0 if here.answers is None else here.answers.n_energies
            self.say(
                f"Round {here.folder.number}: with {counted(energies, 'energy', 'energies')} {one.name} is {value}± "
                f"{one.bar:.{digits}f} {one.unit} (tolerance {tolerance:g}{where})."
            )

    def _say_choice(self, here: FinishedRound) -> None:
        if here.choice is None:
            return
        cost = sum(one.cost for one in here.choice.labels)
        self.say(
            f"Round {here.folder.number}: {counted(len(here.choice.labels), 'label is', 'labels are')} asked for, of "
            f"cost {cost:.3g}; {self._spent()} are spent."
        )

    def _result(self, status: Status, sentence: str, rounds: Sequence[FinishedRound]) -> CampaignResult:
        config = self.world.config
        entries = tuple(self._entry(rounds, place) for place in range(len(rounds)))
        own = next((one.choice.own_error for one in reversed(rounds) if one.choice is not None), float("nan"))
        spent = Spent.of(self.rounds).by_kind()
        return CampaignResult(
            fidelity=config.target,
            method=config.method.name,
            engine=config.engine.name,
            status=status,
            sentence=sentence,
            questions=tuple(
                Asked(name=name, kind=one.kind, unit=UNITS[one.kind], tolerance=one.tolerance)
                for name, one in config.questions.items()
            ),
            budget=allowed(config.budget),
            spent={name: spent[name] for name in spent},
            rounds=entries,
            help=advice(config.questions, entries, config.stderr, own, config.method.name),
            warnings=entries[-1].warnings if entries else (),
        )

    def _entry(self, rounds: Sequence[FinishedRound], place: int) -> Round:
        one, spent = rounds[place], Spent.of(rounds[:place])
        answers = () if one.answers is None else one.answers.answers
        return Round(
            number=one.folder.number,
            n_energies=0 if one.answers is None else one.answers.n_energies,
            n_labels=spent.labels,
            cost=spent.cost,
            cpu_seconds=spent.cpu_seconds,
            answers=answers,
            inside=tuple(self._inside(answers)),
            wanted=() if one.choice is None else one.choice.labels,
            outlook=() if one.choice is None else one.choice.outlook,
            made=() if one.labels is None else one.labels.labels,
            warnings=() if one.answers is None else one.answers.warnings,
        )


def _wait(labelling: Labelling) -> str:
    names = ", ".join(labelling.waiting[:5]) + (", …" if len(labelling.waiting) > 5 else "")
    return (
        f"Inputs of {counted(len(labelling.waiting), 'label')} are written below {labelling.folder} ({names}). Run "
        "them, leave the outputs there, and give the same command again."
    )
