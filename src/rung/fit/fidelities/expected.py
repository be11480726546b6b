"""What a training will take, before it starts: a few of its steps are done."""

from rung.errors import counted
from rung.fit.fidelities.several import Start, TrainingData, dtype_of
from rung.fit.lift import Context
from rung.fit.method import Expected
from rung.fit.training.rehearsal import Rehearsal, rehearse
from rung.fit.training.schedule import Endless
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.worker import moving
from rung.progress import duration, memory_size


def expected_training(start: Start, data: TrainingData, training: TrainingSettings, context: Context) -> Expected:
    """Return what a training takes at most: all of its epochs, each with its validation.

    Parameters
    ----------
    start, data, context
        As :func:`~rung.fit.fidelities.several.fit_together` takes them; the weights of the model stay as they are.
    training
        How it is trained.
    """
    model, training = start.model, training.starting(new=start.new)
    seen = rehearse(
        model,
        data.packed,
        data.held_packed,
        training,
        seed=context.seed,
        device=context.device,
        dtype=dtype_of(context),
    )
    n_moving = sum(one.numel() for one in moving(model))
    return Expected(
        n_fitted=n_moving,
        n_frozen=sum(one.numel() for one in model.parameters()) - n_moving,
        seconds=training.epochs * seen.epoch + (seen.once if training.epochs else 0.0),
        memory=float(seen.saved + seen.held),
        lighter="take fewer rows a step (batch_size, valid_batch_size)",
        sentences=(_an_epoch(seen, training), _cap(training), *_shared(training)),
    )


def _an_epoch(seen: Rehearsal, training: TrainingSettings) -> str:
    judged = " with its validation" if seen.n_valid else ""
    return (
        f"An epoch of {counted(seen.n_rows, 'row')} takes {counted(seen.n_steps, 'step')} of {training.batch_size} at "
        f"most, about {duration(seen.epoch)}{judged}; the largest batch holds {memory_size(seen.saved)}."
    )


def _cap(training: TrainingSettings) -> str:
    """Return how many epochs there are at most, and what may end them."""
    ends = list[str]()
    if training.patience < training.epochs:
        ends.append(f"{training.patience} without a better loss (patience)")
    if not isinstance(training.schedule, Endless):
        ends.append(f"the schedule {training.schedule.name}")
    if not ends:
        return f"The time is that of {counted(training.epochs, 'epoch')}."
    return (
        f"The time is that of {counted(training.epochs, 'epoch')}, which is the cap: {' or '.join(ends)} may end it "
        "before."
    )


def _shared(training: TrainingSettings) -> tuple[str, ...]:
    """Return a sentence where several processes train."""
    count = training.processes.devices * training.processes.nodes
    if count == 1:
        return ()
    return (f"Time and memory are those of one of {count} processes, without what they send to each other.",)
