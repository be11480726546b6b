"""What a run says of its potential in ``model.rung``: labels, levels of theory, hashes of its files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rung import __version__
from rung.config import RunConfig
from rung.fidelity import Fidelity
from rung.fit.lift import Lift
from rung.results.origin import KnownFile, Origin, TrainingLabels
from rung.results.provenance import FileRecord

BASE_FILE = "base.file"
"""The key of a config that names the file of the base."""


def origin_of(config: RunConfig, lift: Lift, files: Mapping[str, FileRecord]) -> Origin:
    """Return what the potential of a run is made from.

    Parameters
    ----------
    config
        Of the run.
    lift
        What the fit sees.
    files
        Every file that the config names, by its key, with its hash.
    """
    known = {key: KnownFile(name=Path(file.path).name, sha256_32=file.sha256_32) for key, file in files.items()}
    labels = {name: training_labels(lift, one) for name, one in config.fidelity_table().items()}
    base = known.pop(BASE_FILE, None)
    return Origin(
        rung=__version__,
        method=config.method.name,
        target=config.target,
        labels={name: one for name, one in labels.items() if one.n_energies or one.n_differences or one.n_forces},
        data=known,
        base=base,
        base_fidelity=None if config.base is None else config.base.fidelity,
    )


def training_labels(lift: Lift, fidelity: Fidelity) -> TrainingLabels:
    """Count the labels of a fidelity that the fit learns from."""
    labels = [one.labelled(fidelity.name) for one in lift.train]
    stderrs = [one.energy_stderr for one in labels if one.has_energy and np.isfinite(one.energy_stderr)]
    return TrainingLabels(
        level_of_theory=fidelity.level_of_theory,
        n_energies=sum(one.has_energy for one in labels),
        n_differences=len(lift.table.of(fidelity.name).differences),
        n_forces=sum(one.has_forces for one in labels),
        energy_stderr=float(np.median(stderrs)) if stderrs else float("nan"),
        energy_shared_stderr=fidelity.energy_shared_stderr,
    )
