"""What designs of one frame cost beside a training step of it: shared by the benchmarks of MACE and of SevenNet."""

import time
from collections.abc import Callable, Iterator, Sequence

import torch

from rung.backends.training import trainable
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.features.passes import build_designs
from rung.features.probes import Probe
from rung.model.potential import ReadoutPotential

HEAD = (
    "| shape | frame | atoms | edges | a training step, s | full design, s | steps | a direction, s | steps |",
    "|---|---|---|---|---|---|---|---|---|",
)


def seconds(work: Callable[[], object], repeats: int = 2) -> float:
    """Return the least processor time of ``work``, after a call that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def rows(name: str, base: ReadoutPotential, fidelity: str, frames: Sequence[Structure]) -> Iterator[str]:
    """Yield a row a frame: what a full design and a probe of it cost beside its share of an ordinary epoch."""
    model = trainable(base, {fidelity: fidelity})
    model.train()
    moving = [one for one in model.parameters() if one.requires_grad]
    for frame in frames:
        batch = collate([frame], [fidelity], base.cutoff, dtype=base.dtype, device=base.device)

        def step(batch: object = batch) -> object:
            said = model(batch, forces=True)
            loss = said.energy.sum() ** 2 + (said.forces**2).sum()
            return torch.autograd.grad(loss, moving, allow_unused=True)

        def design(frame: Structure = frame, **how: object) -> object:
            return build_designs([frame], base.backbone, base.surface(fidelity).readout, forces=True,
                                 fidelity=fidelity, **how)  # fmt: skip

        epoch, probe = seconds(step), seconds(lambda: design(probe=Probe()))
        start = time.process_time()
        design(kind="summed")
        full = time.process_time() - start
        cells = (name, frame.atoms.get_chemical_formula(), len(frame), batch.edges.shape[1])
        times = (f"{epoch:.2f}", f"{full:.1f}", f"{full / epoch:.0f}", f"{probe:.2f}", f"{probe / epoch:.2f}")
        yield "| " + " | ".join(str(cell) for cell in (*cells, *times)) + " |"
