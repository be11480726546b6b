"""What the next round of a campaign would do and cost, before anything is done."""

from rung.campaign.budget import Spent, allowed
from rung.campaign.config import CampaignConfig
from rung.campaign.folder import FinishedRound, RoundFolder, finished_rounds
from rung.campaign.identity import require_same
from rung.campaign.rounds import Work, first_labels
from rung.campaign.world import World
from rung.errors import counted
from rung.progress import SILENT, Progress
from rung.run.folder import RunFolder
from rung.run.provenance import require_files

SHOWN = 10


def plan_campaign(config: CampaignConfig, *, progress: Progress = SILENT) -> tuple[str, ...]:
    """Return sentences on the next round; nothing is fitted, labelled or written.

    Parameters
    ----------
    config
        The campaign, its paths absolute.
    progress
        Where long work reports.

    Raises
    ------
    ConfigError, DataError, FindingsError, StorageError
        As :func:`rung.campaign.run_campaign` before its first round.
    """
    RunFolder(config.run).require_own()
    require_files(config)
    require_same(config)
    world = World(config, progress)
    world.check()
    rounds = [one for one in finished_rounds(config.run) if one.labels is not None]
    here = FinishedRound.read(RoundFolder(config.run, len(rounds)))
    work = Work(world, rounds, here)
    return (*_next(work), _price(rounds), _budget(config, rounds))


def _next(work: Work) -> tuple[str, ...]:
    training = work.world.training(work.before)
    candidates = work.world.candidates(work.before, (), training)
    known = len(work.world.labelled(training))
    head = (
        f"Round {work.number}: {counted(known, 'energy is', 'energies are')} there and "
        f"{counted(len(candidates), 'structure')} may be labelled."
    )
    if work.here.choice is not None:
        return head, f"It labels {_listed([one.structure_id for one in work.here.choice.labels])}."
    if work.needs_start(training):
        names = [one.structure_id for one in first_labels(work, training).structures]
        return head, f"Before the first fit it labels {counted(len(names), 'structure')}: {_listed(names)}."
    config = work.world.config
    asked = ", ".join(f"{name} to {one.tolerance:g}" for name, one in config.questions.items())
    return head, f"It fits, answers {asked}, and unless all are sure enough labels for a cost of {config.batch:g}."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _price(rounds: list[FinishedRound]) -> str:
    spent = Spent.of(rounds)
    if not spent.labels or not spent.cpu_seconds:
        return "How long a label takes is not known before the first; rung label --help says how to try one."
    return f"A label took {spent.cpu_seconds / spent.labels:.3g} s of processor time so far."


def _budget(config: CampaignConfig, rounds: list[FinishedRound]) -> str:
    spent, names = Spent.of(rounds).by_kind(), {"labels": "labels", "cost": "of cost", "cpu_hours": "CPU hours"}
    told = ", ".join(f"{spent[name]:.3g} of {value:g} {names[name]}" for name, value in allowed(config.budget).items())
    return f"Spent: {told}."
