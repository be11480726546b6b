"""A run is a folder: what lies in it, who may write to it, and whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rung.config import RunConfig, write_config
from rung.errors import StorageError
from rung.results.config import CONFIG_FILE
from rung.results.demo import DEMO_FILE, DEMO_LOCK
from rung.results.findings import FINDINGS_FILE
from rung.results.fit import FEATURES_FILE, FIT_FILE, MODEL_FILE
from rung.results.geometries import GEOMETRIES
from rung.results.metrics import METRICS_FILE
from rung.results.predictions import PREDICTIONS
from rung.results.provenance import PROVENANCE_FILE, Provenance
from rung.run.provenance import differences
from rung.storage import FolderLock, file_hash, read_json, require_own, sweep, writing

LOCK_FILE = ".lock"
LOG_FILE = "log.txt"
MARKS = (PROVENANCE_FILE, DEMO_FILE)
"""Files that say that rung made a folder."""


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
        return self.path / MODEL_FILE

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

    def geometries(self, split: str) -> Path:
        """Return the file of the geometries of one split."""
        return self.path / GEOMETRIES / f"{split}.json"

    def native(self, fidelity: str, suffix: str) -> Path:
        """Return the file of one fidelity in the format of its backend, whose files end in ``suffix``."""
        return self.path / f"{fidelity}{suffix}"

    def lock(self) -> FolderLock:
        """Return the lock that keeps a second process out."""
        return FolderLock(self.path, LOCK_FILE)

    def sweep(self) -> None:
        """Delete what a killed process left half written; folders within that have a lock of their own stay."""
        sweep(self.path, self.path / PREDICTIONS, self.checkpoints)

    def require_own(self) -> None:
        """Raise a :class:`~rung.errors.StorageError` if the folder holds files and rung did not make it."""
        require_own(self.path, MARKS, beside=(DEMO_LOCK,))

    def stamp(self, config: RunConfig, provenance: Provenance) -> None:
        """Make the folder the run of ``config``, or find that it is that already.

        Raises
        ------
        StorageError
            When the folder is the run of another config or other data, or rung did not make it.
        """
        self.require_own()
        if self.provenance.exists():
            self.require_same(provenance.ingredients)
        else:
            provenance.write(self.provenance)
        if not self.config.exists():  # after the provenance, which says from now on whose folder this is
            write_config(config, self.config)

    def damage(self, path: Path) -> str:
        """Return why a file is not the one that a stage wrote; empty where it is, or no hash of it is known."""
        known = self._hashes().get(self._name(path))
        return "" if known in (None, file_hash(path)) else "it is not what was written there"

    def outdated(self, path: Path) -> bool:
        """Return whether a file is to be made again, for what it was made from has changed."""
        return self._hashes().get(self._name(path)) == ""

    def recorded(self, path: Path) -> bool:
        """Return whether a file was written once."""
        return self._name(path) in self._hashes()

    def record(self, *paths: Path) -> None:
        """Keep the hashes of files that a stage wrote."""
        self._record({self._name(path): file_hash(path) for path in paths})

    def outdate(self, *paths: Path) -> None:
        """Let files count as missing until they are made again: what they were made from is about to change."""
        existing = {self._name(path): "" for path in paths if path.exists() and not self.outdated(path)}
        if existing:
            self._record(existing)

    def _require_run(self) -> None:
        content = read_json(self.provenance)
        if isinstance(content, Mapping) and isinstance(task := content.get("task"), str):
            raise StorageError(f"{self.path} holds {task} and no run of rung fit; choose another folder as run.")

    def _hashes(self) -> Mapping[str, str]:
        return Provenance.read(self.provenance).written

    def _record(self, hashes: Mapping[str, str]) -> None:
        known = Provenance.read(self.provenance)
        known.model_copy(update={"written": {**known.written, **hashes}}).write(self.provenance)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()

    def require_same(self, ingredients: Mapping[str, str]) -> None:
        """Raise a :class:`~rung.errors.StorageError` if the folder is the run of other ``ingredients``."""
        if not self.provenance.exists():
            return
        self._require_run()
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

    def note_further(self, sentence: str) -> None:
        """Append one line to the log where it has begun: before, the run may still be refused."""
        if self.log.exists():
            self.note(sentence)


def next_free(folder: Path) -> Path:
    """Return ``folder``, or the first of ``folder-2``, ``folder-3``, ... that does not exist."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
