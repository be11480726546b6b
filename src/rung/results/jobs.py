"""``task.json`` and ``error.json`` of a job: what was asked, and why it failed."""

from collections.abc import Mapping

from pydantic import JsonValue

from rung.results.base import Number, Result

REQUEST_FILE, ERROR_FILE = "task.json", "error.json"


class JobRequest(Result):
    """What was asked of a job; function and arguments decide its result."""

    function: str
    """The function: ``package.module:name``."""
    arguments: Mapping[str, JsonValue]
    """Its arguments."""
    host: str = ""
    """The machine on which the job began."""
    process: int = 0
    """The number of the process there."""
    started: Number = float("nan")
    """When it began, s since 1970."""
    result_sha256_32: str = ""
    """The first 32 hexadecimal digits of the SHA-256 of its result; empty before it is done, and of rung 0.1."""


class JobError(Result):
    """Why a job failed."""

    sentence: str
    """The reason, for people."""
    kind: str
    """The class of the error."""
    traceback: str
    """Where it was raised."""
