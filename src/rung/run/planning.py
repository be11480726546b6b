"""What a run would read, fit and compute, and what it would cost; nothing is written."""

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path

from rung.config import RunConfig
from rung.data.determined import determined_by
from rung.data.elements import symbols
from rung.features.weights import machine_memory
from rung.fit.lift import Lift
from rung.fit.method import Expected
from rung.fit.methods import method_of
from rung.progress import SILENT, Progress, duration, memory_size
from rung.results.plan import FitPlan, PlannedDesigns
from rung.results.references import open_sentences
from rung.run.inputs import coarse_base
from rung.run.opening import in_free_folder
from rung.run.provenance import ingredients, require_files
from rung.run.stages import STAGES, check
from rung.run.work import Work

LONG = 3600.0
"""Seconds above which the time is warned of."""

SHARE = 0.7
"""The share of the machine's memory above which it is warned of."""


def plan_fit(config: RunConfig, *, new: bool = False, progress: Progress = SILENT) -> FitPlan:
    """Return what ``rung fit`` would do with a config; data and base are read and checked as it does.

    Parameters
    ----------
    config
        The run; relative paths are taken from the working folder.
    new
        Of the run in the next free folder beside ``config.run`` where that exists.
    progress
        Where long work reports.

    Raises
    ------
    DataError
        When a file is missing or cannot be used.
    FindingsError
        When the checks find an error, as in the run itself.
    StorageError
        When the folder is another run's, or rung did not make it.
    """
    config = config.resolved(Path.cwd())
    config = in_free_folder(config) if new else config
    work = Work(config, progress)
    work.folder.require_own()
    require_files(config)
    work.folder.require_same(ingredients(config))
    diagnosis = check(work)
    lift, method = work.lift, method_of(config.method)
    context = replace(work.context, folder=None)
    expected = Expected() if method.expect is None else method.expect(lift, config.method, context)
    identified, verdict = reference_verdict(lift)
    warned = [finding.sentence for finding in diagnosis.of_severity("warning")]
    return FitPlan(
        run=str(config.run),
        state=_state(work),
        method=method.name,
        target=config.target,
        base=None if config.base is None else str(config.base.file),
        census=diagnosis.census,
        findings=diagnosis.findings,
        n_energies=sum(one.labelled(config.target).has_energy for one in lift.train) + len(lift.table.differences),
        n_fitted=expected.n_fitted,
        n_frozen=expected.n_frozen,
        designs=tuple(
            PlannedDesigns(
                what=one.what,
                n_structures=one.n_structures,
                n_entries=one.n_entries,
                n_missing=one.cost.n_structures,
                seconds=one.cost.seconds,
                stored=one.cost.stored,
            )
            for one in expected.designs
        ),
        seconds=expected.seconds,
        memory=expected.memory,
        reference_energies=verdict,
        warnings=(
            *work.left_out,
            *coarse_base(config, work.base),
            *warned,
            *([] if identified else [verdict]),
            *open_sentences(work.open_references),
            *_costly(expected),
        ),
        sentences=(*expected.sentences, *_unknown(method.name, expected)),
    )


def reference_verdict(lift: Lift) -> tuple[bool, str]:
    """Return whether the labels identify every reference energy of their elements, and a sentence."""
    known = determined_by(lift.train, lift.target, lift.table)
    if not known.elements:
        return False, f"No training structure has {lift.target}_energy."
    listed = symbols(known.elements)
    if known.rank == len(known.elements):
        return True, f"The labelled compositions identify the reference energies of {listed}."
    return False, (
        f"The labelled compositions identify {known.rank} of {len(known.elements)} combinations of the reference "
        f"energies of {listed}: energies of other compositions will have no error bar."
    )


def _state(work: Work) -> str:
    if not work.folder.config.exists():
        return "new"
    done = all(
        files is not None and all(path.exists() for path in files) for files in (one.files(work) for one in STAGES)
    )
    return "finished" if done else "begun"


def _costly(expected: Expected) -> Iterator[str]:
    memory = machine_memory()
    if expected.memory > SHARE * memory:
        yield (
            f"The fit holds some {memory_size(expected.memory)}, and this machine has {memory_size(memory)}: "
            f"{expected.lighter}."
        )
    if expected.seconds > LONG:
        yield f"The fit takes about {duration(expected.seconds)} on this machine."


def _unknown(name: str, expected: Expected) -> Iterator[str]:
    if not isfinite(expected.seconds):
        yield f"What {name} takes is not known before it starts."
