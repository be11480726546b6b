"""The doctor before a fit: nothing is fitted to data that hold an error."""

from collections.abc import Mapping, Sequence
from typing import Any

from rung.config import RunConfig
from rung.data.frames import StreamedStructures
from rung.data.splits import evenly_spaced
from rung.data.structure import Structure
from rung.doctor import Diagnosis, diagnose
from rung.errors import FindingsError
from rung.fit.lift import Base
from rung.progress import SILENT, Progress

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
        progress=progress,
    )
    errors = diagnosis.of("error")
    if errors:
        listed = " ".join(f"({number}) {finding.sentence}" for number, finding in enumerate(errors, start=1))
        counted = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise FindingsError(f"The data hold {counted}, so nothing was fitted: {listed}")
    return diagnosis


def _looked_at(structures: Sequence[Structure]) -> Sequence[Structure]:
    if not isinstance(structures, StreamedStructures) or len(structures) <= SAMPLE:
        return structures
    return structures.select(evenly_spaced(len(structures), SAMPLE))


def findings_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the content of ``findings.json``, in the words of the report."""
    content = diagnosis.as_json()
    findings = [{**finding, "message": finding["sentence"]} for finding in content["findings"]]
    return {**content, "findings": [{key: one[key] for key in one if key != "sentence"} for one in findings]}
