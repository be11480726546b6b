"""One round: fit, answer, choose, label; each stage is done when its file is there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rung.campaign.answering import Answered, answered, bars_of
from rung.campaign.budget import Left
from rung.campaign.choosing import Choice, begun, chosen, order_of, settled, start_count, start_set, weighable
from rung.campaign.folder import FinishedRound
from rung.campaign.world import World
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.label.labelling import Labelling, label_structures
from rung.results.campaign import Answer, MadeLabel, RoundAnswers, RoundLabels
from rung.results.fit import MODEL_FILE
from rung.run.stages import run_fit
from rung.tasks.opened import Opened, Source, open_calculator


@dataclass(frozen=True)
class Work:
    """A round that is being done.

    Parameters
    ----------
    world
        What the campaign works on.
    before
        The rounds that are done.
    here
        This one.
    """

    world: World
    before: Sequence[FinishedRound]
    here: FinishedRound

    @property
    def number(self) -> int:
        """Of the round, from 0."""
        return self.here.folder.number

    def needs_start(self, training: Sequence[Structure]) -> bool:
        """Return whether labels are too few for a fit, or leave a reference energy open that they could settle."""
        labelled = self.world.labelled(training)
        candidates = self.world.candidates(self.before, (), training)
        if (self.before and self.before[-1].answers is not None) or not candidates:
            return False  # the choice by the bars of a fit goes on, or there is nothing that could be labelled first
        count = start_count([*labelled, *candidates], self.world.config.start.count)
        return len(labelled) < count or not settled(labelled, candidates)


def answer(work: Work) -> tuple[Opened, list[Answered]]:
    """Fit, and answer every question; what is there already is not done again.

    Returns
    -------
    Opened, list of Answered
        The fit, and what it says.
    """
    config, here = work.world.config, work.here
    training = work.world.training(work.before)
    if not here.folder.train.exists():
        work.world.write_training(work.before, here)
    run = run_fit(work.world.run_config(here), progress=work.world.progress)
    source = Source(model=str(here.folder.fit / MODEL_FILE), device=config.device)
    potential = open_calculator(source, config.target)
    bars_of(potential)
    said = [
        answered(
            name,
            question,
            potential,
            here.folder.answer(name),
            tag=f"r{work.number:03d}",
            progress=work.world.progress,
        )
        for name, question in config.questions.items()
    ]
    record = RoundAnswers(
        n_energies=len(work.world.labelled(training)),
        answers=tuple(one.answer for one in said),
        warnings=run.warnings,
    )
    record.write(here.folder.answers)
    return potential, said


def choose(work: Work, potential: Opened | None, said: Sequence[Answered], left: Left) -> Choice:
    """Choose what a round labels, and write it; none where no candidate helps.

    Parameters
    ----------
    work
        The round.
    potential
        Its fit; None before there is one.
    said
        What that says.
    left
        What may be spent.
    """
    world, config = work.world, work.world.config
    training = world.training(work.before)
    if potential is not None:
        proposals = [one for each in said for one in each.proposals]
        candidates = weighable(world.candidates(work.before, proposals, training))
        if not candidates:
            return Choice((), begun((), (), world.offer(()), config.target, "").record)
        choice = chosen(
            bars_of(potential),
            candidates,
            said,
            [config.questions[one.answer.name].tolerance for one in said],
            world.offer(candidates),
            budget=left.cost,
            energies=config.energies,
            progress=world.progress,
        )
    else:
        choice = first_labels(work, training)
    choice = _within(choice, left)
    if not choice.record.labels:
        return choice  # nothing is written: a larger budget may allow what is too dear now
    write_structures(work.here.folder.selected, choice.structures)
    choice.record.write(work.here.folder.choice)
    return choice


def first_labels(work: Work, training: Sequence[Structure]) -> Choice:
    """Return what is labelled before there is a fit."""
    world, config = work.world, work.world.config
    labelled, candidates = world.labelled(training), world.candidates(work.before, (), training)
    count = start_count([*labelled, *candidates], config.start.count) - len(labelled)
    points = world.points(candidates) if config.start.by == "farthest" else None
    why = "far from the others" if config.start.by == "farthest" else "at random"
    positions = start_set(candidates, labelled, count, order_of(candidates, points, config.seed))
    return begun(candidates, positions, world.offer(candidates), config.target, why)


def _within(choice: Choice, left: Left) -> Choice:
    """Return the labels of a choice that what is left allows, in its order; what is too dear is passed over."""
    taken: list[int] = []
    spent = 0.0
    for place, label in enumerate(choice.record.labels):
        if spent + label.cost <= left.cost * (1 + 1e-9) and (left.labels is None or len(taken) < left.labels):
            taken.append(place)
            spent += label.cost
    record = choice.record.model_copy(update={"labels": tuple(choice.record.labels[k] for k in taken)})
    return replace(choice, structures=tuple(choice.structures[k] for k in taken), record=record)


def label(work: Work) -> Labelling:
    """Make the labels of a round, as far as they can be made now."""
    config, folder = work.world.config, work.here.folder
    return label_structures(
        read_structures(folder.selected),
        config.target,
        config.engine,
        folder.labels,
        stderr=max(config.stderr),
        executor=config.executor,
        threads=config.threads or 1,
        time_limit=config.time_limit,
        attempts=config.attempts,
        seed=config.seed,
        progress=work.world.progress,
    )


def record_of(labelling: Labelling) -> RoundLabels:
    """Return what became of the labels of a round."""
    return RoundLabels(
        labels=tuple(
            MadeLabel(
                structure_id=one.structure_id,
                made=one.state == "labelled",
                energy=one.energy,
                stderr=one.energy_stderr,
                cpu_seconds=one.cpu_seconds,
                sentence=one.sentence,
            )
            for one in labelling.labelled.entries
        )
    )


def inside(found: Answer, tolerance: float) -> bool:
    """Return whether an answer is sure enough: its bar, where the bar holds."""
    return found.domain == "inside" and found.bar <= tolerance
