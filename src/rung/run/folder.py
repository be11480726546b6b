"""A run is a folder: what lies in it, who may write to it, and whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rung.config import RunConfig, write_config
from rung.errors import StorageError
from rung.results.config import CONFIG_FILE
from rung.results.findings import FINDINGS_FILE
from rung.results.fit import FEATURES_FILE, FIT_FILE
from rung.results.metrics import METRICS_FILE
from rung.results.predictions import PREDICTIONS
from rung.results.provenance import PROVENANCE_FILE, Provenance
from rung.run.provenance import differences
from rung.storage import FolderLock, writing

LOCK_FILE = ".lock"
LOG_FILE = "log.txt"
UNFINISHED = (".*.tmp", f"{PREDICTIONS}/.*.tmp")
"""Temporary files of atomic writes; folders within that have a lock of their own are not touched."""


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; every one is whole or absent.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / CONFIG_FILE

    @property
    def provenance(self) -> Path:
        """Hashes, versions, seed, device, and what became of the export."""
        return self.path / PROVENANCE_FILE

    @property
    def findings(self) -> Path:
        """What the doctor found."""
        return self.path / FINDINGS_FILE

    @property
    def features(self) -> Path:
        """How many designs were needed and how long they took."""
        return self.path / FEATURES_FILE

    @property
    def checkpoints(self) -> Path:
        """Where a training keeps what it resumes from."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The fitted potential with its posterior."""
        return self.path / "model.rung"

    @property
    def fit(self) -> Path:
        """What the method says of its fit."""
        return self.path / FIT_FILE

    @property
    def metrics(self) -> Path:
        """Errors on every split, beside the base's."""
        return self.path / METRICS_FILE

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """One line per thing that happened."""
        return self.path / LOG_FILE

    def predictions(self, split: str) -> Path:
        """Return the file of the predictions on one split."""
        return self.path / PREDICTIONS / f"{split}.json"

    def native(self, fidelity: str, suffix: str) -> Path:
        """Return the file of one fidelity in the format of its backend, whose files end in ``suffix``."""
        return self.path / f"{fidelity}{suffix}"

    def lock(self) -> FolderLock:
        """Return the lock that keeps a second process out."""
        return FolderLock(self.path, LOCK_FILE)

    def sweep(self) -> None:
        """Delete what a killed process left half written; call it while the lock is held."""
        for pattern in UNFINISHED:
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    def stamp(self, config: RunConfig, provenance: Provenance) -> None:
        """Make the folder the run of ``config``, or find that it is that already.

        Raises
        ------
        StorageError
            When the folder is the run of another config or other data, or holds files that it would overwrite.
        """
        if self.provenance.exists():
            self.require_same(provenance.ingredients)
        elif foreign := self._foreign():
            raise StorageError(f"{self.path} is no run of rung, yet holds {foreign}; choose another folder as run.")
        else:
            write_config(config, self.config)
            provenance.write(self.provenance)

    def require_same(self, ingredients: Mapping[str, str]) -> None:
        """Raise a :class:`~rung.errors.StorageError` if the folder is the run of other ``ingredients``."""
        if not self.provenance.exists():
            return
        changed = differences(Provenance.read(self.provenance).ingredients, ingredients)
        if changed:
            raise StorageError(
                f"{self.path} is another run: {', '.join(changed)} changed since; "
                "name another folder, or pass --new to rung fit or rung compare to take the next free one."
            )

    def note(self, sentence: str) -> None:
        """Append one line with the time to the log."""
        with writing(self.log), self.log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {sentence}\n")

    def _foreign(self) -> str:
        """Return the name of a file that the run would overwrite and that is no run's; empty where there is none."""
        written = (self.findings, self.model, self.fit, self.metrics, self.report)
        return next((path.name for path in written if path.exists()), "")


def next_free(folder: Path) -> Path:
    """Return ``folder``, or the first of ``folder-2``, ``folder-3``, ... that does not exist."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
