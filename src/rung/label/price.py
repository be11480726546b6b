"""What labels would cost, as far as those that are done tell: time ∝ Nᵖ of the electrons, and 1/σ² of Monte Carlo."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.data.readers.structures import read_structures
from rung.label.engines import ENGINES
from rung.label.labelling import asked_of, folder_before
from rung.label.plan import Piece, given_up, made_in, pieces_of
from rung.label.settings import LabelSettings
from rung.label.work import LabelArguments
from rung.label.writing import still_there
from rung.progress import duration
from rung.results.jobs import REQUEST_FILE, JobRequest
from rung.results.label import Labelled, LabelRecord
from rung.results.metrics import METRICS_FILE


@dataclass(frozen=True)
class Price:
    """What is left to do.

    Parameters
    ----------
    done, left, given_up
        How many structures have a label, are to be computed, and failed so that they are not tried again.
    cpu_seconds
        Processor time that those to be computed may take, s; NaN where nothing tells.
    basis
        On how many labels that stands.
    power
        p of the engine's time.
    statistical
        Whether the time depends on the error asked for.
    elsewhere
        Whether programs that run elsewhere take the time, of which nothing is known here.
    """

    done: int
    left: int
    given_up: int
    cpu_seconds: float
    basis: int
    power: float
    statistical: bool
    elsewhere: bool = False


@dataclass(frozen=True)
class _Cost:
    electrons: float
    stderr: float
    seconds: float


def price_of(settings: LabelSettings) -> Price:
    """Return what is left to do and what it may cost; nothing is written or computed.

    Raises
    ------
    ConfigError, DataError, StorageError
        As :func:`rung.label.labelling.label_files`, but that the engine need not be installed.
    """
    asked = asked_of(settings.fidelity, settings.engine, settings.out, settings.stderr, settings.seed)
    told = folder_before(asked)
    pieces = pieces_of(read_structures(settings.structures), asked)
    left = [piece for piece in pieces if not piece.job.done]
    again = [piece for piece in left if not given_up(piece.job)]
    engine = ENGINES[settings.engine.name]
    power, statistical = engine.power(settings.engine), engine.statistical(settings.engine)
    known = list(_costs(asked.out, told))
    seconds = sum(_expected(piece, known, power) for piece in again) if again else 0.0
    return Price(
        len(pieces) - len(left),
        len(again),
        len(left) - len(again),
        float(seconds),
        len(known),
        power,
        statistical,
        engine.elsewhere,
    )


def _costs(out: Path, told: Labelled) -> Sequence[_Cost]:
    found = []
    for entry in (still_there(out, one) for one in told.entries):
        if entry.state == "labelled":
            made = made_in(out / entry.folder)
            request = JobRequest.read(made / REQUEST_FILE)
            record = LabelRecord.read(made / METRICS_FILE)
            arguments = LabelArguments.read(dict(request.arguments))
            electrons = float(sum(arguments.geometry.numbers))
            found.append(_Cost(electrons, record.energy_stderr, record.cpu_seconds))
    return found


def _expected(piece: Piece, known: Sequence[_Cost], power: float) -> float:
    """Return the time of a label by the mean of those that are done; NaN without any.

    Of Monte Carlo no label is cheaper than the cheapest, for equilibration and the pilot come first.
    """
    if not known:
        return float("nan")
    arguments = piece.job.arguments
    wanted = arguments.stderr if isinstance(arguments, LabelArguments) else None
    electrons = float(piece.structure.atoms.numbers.sum())
    scaled = [one.seconds * (electrons / one.electrons) ** power for one in known]
    if wanted is None:
        return float(np.mean(scaled))
    by_error = [cost * (one.stderr / wanted) ** 2 for cost, one in zip(scaled, known, strict=True)]
    return max(float(np.mean(by_error)), min(scaled))


def sentences_of(price: Price) -> list[str]:
    """Return what a price says, for people."""
    said = [f"Structures with a label: {price.done}; to be computed: {price.left}."]
    if price.given_up:
        said.append(f"Not converged before, and computed again with --retry alone: {price.given_up}.")
    if not price.left:
        return said
    if price.elsewhere:
        return [*said, "Their calculations run elsewhere, and what they take is not known here."]
    if not np.isfinite(price.cpu_seconds):
        return [*said, "No label is there to tell what they cost: --pilot 1 makes the first one, and then says it."]
    law = f"N^{price.power:g}/σ²" if price.statistical else f"N^{price.power:g}"
    return [
        *said,
        f"That may take {duration(price.cpu_seconds)} of processor time: labels made so far ({price.basis}), scaled by "
        f"{law} with N electrons.",
    ]
