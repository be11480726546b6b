"""``rung collect``: outputs of other programs to energies with errors, one sentence for each that gives none."""

import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rung import __version__
from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.corrections import MPC
from rung.collect.finding import Candidate, find_outputs
from rung.collect.settings import CollectSettings
from rung.errors import DataError
from rung.progress import SILENT, Progress
from rung.results.collected import Collected, CollectedLabel, RefusedOutput


def collect(settings: CollectSettings, *, progress: Progress = SILENT) -> Collected:
    """Read outputs and average them.

    Parameters
    ----------
    settings
        Which outputs, and how.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When nothing can be begun: no output was named. What is wrong with one output is in the result.
    """
    found = find_outputs(settings.paths, series=settings.series, progress=progress)
    outputs, unread = _read(found.outputs, progress)
    groups: dict[str, list[ReadOutput]] = defaultdict(list)
    for output in outputs:
        groups[_name_of(output.candidate)].append(output)
    if settings.join and groups:
        groups = {_together(tuple(groups)): outputs}
    labels, unaveraged = _average(groups, settings)
    return Collected(
        fidelity="",
        labels=labels,
        refused=(*found.refused, *unread, *unaveraged),
        passed_over=found.passed_over,
        unlabelled=(),
        shared_stderr=dict(settings.shared_stderr),
        energy_shared_stderr=float(np.sqrt(sum(value**2 for value in settings.shared_stderr.values()))),
        warnings=(),
        out="",
        out_hash="",
        command=shlex.join(sys.argv),
        rung=__version__,
    )


def _read(candidates: Sequence[Candidate], progress: Progress) -> tuple[list[ReadOutput], list[RefusedOutput]]:
    outputs, refused = [], []
    with progress.task("Reading outputs", len(candidates)) as task:
        for candidate in candidates:
            try:
                outputs.append(ReadOutput(candidate, candidate.reader.read(candidate.path)))
            except DataError as error:
                refused.append(RefusedOutput(file=str(candidate.path), sentence=str(error)))
            task.advance()
    return outputs, refused


def _average(
    groups: dict[str, list[ReadOutput]], settings: CollectSettings
) -> tuple[tuple[CollectedLabel, ...], list[RefusedOutput]]:
    how = Averaging(
        equilibration=settings.equilibration,
        twist_weights=settings.twist_weights,
        join=settings.join,
        columns=(MPC,) if settings.mpc else (),
        constants=settings.correction,
    )
    labels, refused = [], []
    for name, outputs in sorted(groups.items()):
        try:
            labels.append(average(name, "", outputs, how, settings.cells))
        except DataError as error:
            refused.append(RefusedOutput(file=name, sentence=str(error)))
    return tuple(labels), refused


def _name_of(candidate: Candidate) -> str:
    """Return what the outputs of one calculation are called: the file, or for twists what their names share."""
    name = candidate.name
    return str(candidate.path if name.twist is None else name.folder / f"{name.prefix}.s{name.series:03d}")


def _together(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
