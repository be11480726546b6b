"""What a training will take, before it starts: one step on one row is timed."""

import time

import torch

from rung.data.batch import collate
from rung.fit.fidelities.several import Start, TrainingData
from rung.fit.lift import Expected
from rung.fit.training.stages import TrainingSettings


def expected_training(start: Start, data: TrainingData, training: TrainingSettings) -> Expected:
    """Return what a training takes at most: all of its epochs.

    Parameters
    ----------
    start, data
        As :func:`~rung.fit.fidelities.several.fit_together` takes them; the model is not changed.
    training
        How it is trained.
    """
    model, structures = start.model, data.rows.structures
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    sizes = [len(one) for one in structures]
    frame = structures[sorted(range(len(sizes)), key=sizes.__getitem__)[len(sizes) // 2]]
    batch = collate([frame], [data.names[0]], model.cutoff, dtype=model.dtype, device=model.device)
    was_training = model.training
    model.train()

    def step() -> float:
        began = time.perf_counter()
        said = model(batch, forces=data.packed.has_forces)
        loss = said.energy.sum() ** 2
        if said.forces is not None:
            loss = loss + (said.forces**2).sum()
        torch.autograd.grad(loss, moving, allow_unused=True)
        return time.perf_counter() - began

    step()
    epoch = step() / len(frame) * sum(sizes)
    model.train(was_training)
    n_moving, total = (sum(one.numel() for one in some) for some in (moving, [*model.parameters()]))
    return Expected(
        n_fitted=n_moving,
        n_frozen=total - n_moving,
        seconds=training.epochs * epoch,
        sentences=(
            f"An epoch of {len(structures)} rows takes about {epoch:.3g} s without its validation; a training has "
            f"{training.epochs} at most, and ends before once {training.patience} bring nothing.",
        ),
    )
