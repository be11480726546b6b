"""The doctor before a fit: nothing is fitted to data that hold an error."""

from collections.abc import Mapping, Sequence

from rung.config import RunConfig
from rung.data.frames import StreamedStructures
from rung.data.splits import evenly_spaced
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.errors import FindingsError, counted
from rung.fit.lift import Base
from rung.progress import SILENT, Progress
from rung.results.findings import Diagnosis
from rung.run.inputs import open_table, single_atoms_of

SAMPLE = 2000
"""Structures of a streamed split that the doctor sees."""


def sound_diagnosis(
    config: RunConfig,
    splits: Mapping[str, Sequence[Structure]],
    base: Base | None,
    progress: Progress = SILENT,
) -> Diagnosis:
    """Return what the doctor says of the data and the base of a config; of streamed structures it sees an even sample.

    Raises
    ------
    FindingsError
        When anything is an error; every error is quoted.
    """
    diagnosis = diagnose(
        {name: _looked_at(members) for name, members in splits.items()},
        target=config.target,
        base=None if base is None else base.plain,
        base_fidelity=None if base is None else base.fidelity,
        single_atoms=single_atoms_of(config, base),
        table=open_table(config),
        progress=progress,
    )
    errors = diagnosis.of_severity("error")
    if errors:
        listed = " ".join(f"({number}) {finding.sentence}" for number, finding in enumerate(errors, start=1))
        raise FindingsError(f"The data hold {counted(len(errors), 'error')}, so nothing was fitted: {listed}")
    return diagnosis


def _looked_at(structures: Sequence[Structure]) -> Sequence[Structure]:
    if not isinstance(structures, StreamedStructures) or len(structures) <= SAMPLE:
        return structures
    return structures.select(evenly_spaced(len(structures), SAMPLE))
