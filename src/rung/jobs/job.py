"""A job, what its folder says of it, and how it is performed."""

import importlib
import os
import platform
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rung.errors import ConfigError, RungError
from rung.results.base import Result
from rung.results.jobs import ERROR_FILE, REQUEST_FILE, JobError, JobRequest
from rung.results.metrics import METRICS_FILE
from rung.settings import Settings
from rung.storage import FolderLock, file_hash, jsonable, locked, set_aside, sweep, write_json

LOCK = ".lock"

State = Literal["done", "failed", "running", "missing"]
"""What can be said of a job from its folder alone."""


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Parameters
    ----------
    function
        Where it is: ``package.module:name``. It is called with the folder and the arguments as plain JSON, and returns
        what the result file holds: a :class:`~rung.results.base.Result`, or plain JSON.
    arguments
        What decides the result. A result that other arguments gave does not count. A field that did not exist when the
        result was made counts with its default: that is what was done before.
    folder
        Where its files lie: what was asked, the result or the error, and whatever the function keeps to resume from.
    """

    function: str
    arguments: Settings
    folder: Path

    @property
    def values(self) -> dict[str, Any]:
        """The arguments as the function takes them."""
        return self.arguments.model_dump(mode="json")

    @property
    def result(self) -> Path:
        """The file that says that the job is done, and what came of it."""
        return self.folder / METRICS_FILE

    @property
    def error(self) -> Path:
        """The file that says why the job failed."""
        return self.folder / ERROR_FILE

    @property
    def request(self) -> JobRequest:
        """What decides the result, as it is kept beside it."""
        return JobRequest(function=self.function, arguments=jsonable(self.values))

    @property
    def done(self) -> bool:
        """Whether the result is there, is of these arguments, and is the one that was written."""
        before = self._before
        return self._is_asked(before) and self.result.exists() and not self._fault(before)

    @property
    def fault(self) -> str:
        """Why a job that was done counts as that no more: its result is missing or damaged; empty otherwise."""
        before = self._before
        return self._fault(before) if self._is_asked(before) else ""

    def _fault(self, before: JobRequest | None) -> str:
        known = "" if before is None else before.result_sha256_32
        if not known:
            return ""  # it was not done, or by rung 0.1, which kept no hash
        if not self.result.exists():
            return "it is missing"
        return "" if file_hash(self.result) == known else "it is not what was written there"

    @property
    def state(self) -> State:
        """What the folder says; nothing in it is touched."""
        if self.done:
            return "done"
        if locked(self.folder, LOCK):
            return "running"
        return "failed" if self.error.exists() and self.asked else "missing"

    @property
    def asked(self) -> bool:
        """Whether what the folder holds is of these arguments."""
        return self._is_asked(self._before)

    @property
    def _before(self) -> JobRequest | None:
        return JobRequest.read_optional(self.folder / REQUEST_FILE)

    def _is_asked(self, before: JobRequest | None) -> bool:
        now = self.request
        if before is None or before.function != now.function:
            return False
        return before.arguments == now.arguments or self._completed(before.arguments) == now.arguments

    def _completed(self, before: Any) -> Any:
        """Return the arguments of an older rung completed by defaults; None where they are not valid now."""
        try:
            return jsonable(type(self.arguments).read(before).model_dump(mode="json"))
        except ConfigError:
            return None


def perform(job: Job, function: Callable[..., Any] | None = None, *, catch: bool = True) -> State:
    """Perform a job unless it is done; return ``done`` or ``failed``.

    Parameters
    ----------
    job
        What to do.
    function
        What to call in place of the function that the job names.
    catch
        Whether an error becomes ``error.json``, so that it stops this job alone, or is raised.
    """
    with FolderLock(job.folder, LOCK, wait=True):
        if job.done:
            return "done"
        if job.result.exists() and (fault := job.fault):
            set_aside(job.result, fault)
        _clear(job)
        where = {"host": platform.node(), "process": os.getpid(), "started": time.time()}
        request = job.request.model_copy(update=where)
        request.write(job.folder / REQUEST_FILE)
        try:
            found = (function or _named(job.function))(job.folder, **job.values)
        except Exception as error:
            if not catch:
                raise
            _fail(job, error, traceback.format_exc())
            return "failed"
        write_json(job.result, found.as_json() if isinstance(found, Result) else found)
        request.model_copy(update={"result_sha256_32": file_hash(job.result)}).write(job.folder / REQUEST_FILE)
        return "done"


def _clear(job: Job) -> None:
    """Delete what another request, or a killed process, left in the folder."""
    if not job.asked:
        for path in job.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
    sweep(job.folder, *(path for path in job.folder.rglob("*") if path.is_dir()))
    job.error.unlink(missing_ok=True)


def _fail(job: Job, error: BaseException, trace: str) -> None:
    known = isinstance(error, RungError)
    sentence = " ".join(str(error).split()) if known else f"{type(error).__name__}: {' '.join(str(error).split())}"
    JobError(sentence=sentence, kind=type(error).__name__, traceback=trace).write(job.error)


def _named(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
