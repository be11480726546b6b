"""A job is done when its result is there and is of its arguments; whoever performs it holds its folder."""

import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from rung.errors import DataError, ExecutorError
from rung.jobs import HerePool, Job, Processes, Slurm, open_pool, perform, workers
from rung.jobs.workers import ParslPool, _too_many_failures, _without_answers
from rung.settings import Settings
from rung.storage import TEMPORARY, DamagedFileWarning, FolderLock, read_json, write_json


class Double(Settings):
    """What :func:`double` is told."""

    may_be_infinite: ClassVar[frozenset[str]] = frozenset({"number"})

    number: float


class Term(Settings):
    """A term of a fit, with a field that an older rung did not know."""

    kind: str
    new: float | None = None


class Widen(Settings):
    """Settings within settings."""

    units: int


class Method(Settings):
    """Settings of a method, with a field that an older rung did not know."""

    epochs: int = 100
    terms: tuple[Term, ...] = ()
    widen: Widen | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    new: int = 1


class Fit(Settings):
    """What a fit is told."""

    settings: Method
    seed: int


def double(folder: Path, *, number: float) -> dict[str, Any]:
    """Return twice a number; count the calls beside the result."""
    calls = folder / "calls.json"
    write_json(calls, [*(read_json(calls) if calls.exists() else []), number])
    if number < 0:
        raise DataError("There are no numbers below zero here.")
    return {"twice": 2 * number}


def job_of(folder: Path, number: float) -> Job:
    return Job(f"{__name__}:double", Double(number=number), folder)


def test_a_job_is_performed_once(tmp_path: Path) -> None:
    job = job_of(tmp_path / "job", 3)
    assert job.state == "missing"
    assert perform(job) == "done" and perform(job) == "done"
    assert read_json(job.result) == {"twice": 6}
    assert read_json(job.folder / "calls.json") == [3]
    assert job.state == "done"


@pytest.mark.parametrize("how", ["missing", "cut", "another"])
def test_a_result_that_is_not_what_was_written_is_made_again(tmp_path: Path, how: str) -> None:
    job = job_of(tmp_path, 3)
    perform(job)
    assert job.done and job.fault == ""
    job.result.unlink()
    if how != "missing":
        job.result.write_text("{" if how == "cut" else '{"twice": 7}')
    assert not job.done and job.state == "missing"
    assert job.fault == ("it is missing" if how == "missing" else "it is not what was written there")
    if how == "missing":
        assert perform(job) == "done"
    else:
        with pytest.warns(DamagedFileWarning, match=r"it is kept as metrics\.json\.damaged and made again"):
            assert perform(job) == "done"
    assert read_json(job.result) == {"twice": 6} and job.done
    assert read_json(tmp_path / "calls.json") == [3, 3]


def test_a_job_of_rung_0_1_is_done_without_a_hash(tmp_path: Path) -> None:
    job = job_of(tmp_path, 3)
    perform(job)
    request = tmp_path / "task.json"
    write_json(request, {name: value for name, value in read_json(request).items() if "sha256" not in name})
    assert job.done and job.fault == ""
    write_json(job.result, {"twice": 7})
    assert job.done


def test_other_arguments_are_another_job_and_leave_nothing_behind(tmp_path: Path) -> None:
    perform(job_of(tmp_path, 3))
    other = job_of(tmp_path, 4)
    assert not other.done and other.state == "missing"
    assert perform(other) == "done"
    assert read_json(other.result) == {"twice": 8}
    assert read_json(tmp_path / "calls.json") == [4]
    assert not job_of(tmp_path, 3).done


def asked_then(folder: Path, settings: dict[str, Any], now: dict[str, Any]) -> bool:
    """Return whether a folder in which ``settings`` were asked for holds what is asked for ``now``."""
    job = Job("a.module:fit", Fit.read({"settings": now, "seed": 0}), folder)
    request = {"function": job.function, "arguments": {"settings": settings, "seed": 0}}
    write_json(folder / "task.json", {**request, "host": "here"})
    return job.asked


def test_a_setting_that_did_not_exist_then_changes_nothing(tmp_path: Path) -> None:
    then = {"epochs": 5, "terms": [{"kind": "band"}], "widen": None, "weights": {}}
    assert asked_then(tmp_path, then, {"epochs": 5, "terms": [{"kind": "band", "new": None}], "new": 1})
    assert not asked_then(tmp_path, then, {"epochs": 6, "terms": [{"kind": "band"}]})
    assert not asked_then(tmp_path, then, {"epochs": 5, "terms": [{"kind": "band"}, {"kind": "x"}]})
    assert not asked_then(tmp_path, then, {"epochs": 5, "terms": []})
    assert not asked_then(tmp_path, {**then, "gone": 1}, {"terms": [{"kind": "band"}]})  # a setting that is gone
    assert not asked_then(tmp_path, then, {"epochs": 5, "terms": [{"kind": "band"}], "widen": {"units": 3}})


def test_a_setting_that_did_not_exist_then_counts_where_it_is_not_its_default(tmp_path: Path) -> None:
    then = {"epochs": 5, "terms": [{"kind": "band"}]}
    assert not asked_then(tmp_path, then, {**then, "new": 2})
    assert not asked_then(tmp_path, then, {"epochs": 5, "terms": [{"kind": "band", "new": 0.5}]})


def test_a_mapping_that_gained_a_key_is_another_request(tmp_path: Path) -> None:
    assert not asked_then(tmp_path, {"weights": {}}, {"weights": {"dft": 10.0}})
    assert not asked_then(tmp_path, {"weights": {"dft": 10.0}}, {"weights": {"dft": 10.0, "dmc": 1.0}})
    assert not asked_then(tmp_path, {"weights": {"dft": 10.0}}, {"weights": {}})
    assert asked_then(tmp_path, {"weights": {"dft": 10.0}}, {"weights": {"dft": 10.0}})


def test_numbers_that_json_cannot_hold_are_the_same_request_again(tmp_path: Path) -> None:
    job = job_of(tmp_path, float("inf"))
    job.request.write(tmp_path / "task.json")
    assert job.request.as_json()["arguments"] == {"number": None}
    assert job.asked


def test_a_job_that_fails_says_why_and_is_tried_again(tmp_path: Path) -> None:
    job = job_of(tmp_path, -1)
    assert perform(job) == "failed"
    said = read_json(job.error)
    assert said["sentence"] == "There are no numbers below zero here."
    assert "in double" in said["traceback"]
    assert job.state == "failed" and not job.done
    assert perform(job) == "failed"
    assert read_json(tmp_path / "calls.json") == [-1, -1]
    with pytest.raises(DataError):
        perform(job, catch=False)


def test_what_a_killed_process_left_is_swept_but_not_what_it_resumes_from(tmp_path: Path) -> None:
    job = job_of(tmp_path, 3)
    job.request.write(tmp_path / "task.json")
    write_json(tmp_path / "checkpoints" / "kept.json", 1)
    half, packed = (tmp_path / "checkpoints" / f".{name}.x{TEMPORARY}" for name in ("training.pt", "rows"))
    half.write_text("half")
    write_json(packed / "rows.json", 1)
    perform(job)
    assert not half.exists() and not packed.exists() and (tmp_path / "checkpoints" / "kept.json").exists()


def test_a_second_process_waits_and_finds_it_done(tmp_path: Path) -> None:
    job = job_of(tmp_path, 3)
    with FolderLock(tmp_path, ".lock"):
        assert job.state == "running"
        second = threading.Thread(target=perform, args=(job,))
        second.start()
        time.sleep(0.1)
        assert second.is_alive() and not job.result.exists()
        job.request.write(tmp_path / "task.json")
        write_json(job.result, {"twice": "by the first"})
    second.join(timeout=10)
    assert read_json(job.result) == {"twice": "by the first"}


def test_looking_changes_nothing(tmp_path: Path) -> None:
    job = job_of(tmp_path / "job", 3)
    assert job.state == "missing"
    assert not job.folder.exists()


def test_jobs_here_fail_alone(tmp_path: Path) -> None:
    jobs = [job_of(tmp_path / str(number), number) for number in (1, -1, 2)]
    seen = []
    pool = HerePool({f"{__name__}:double": double})
    pool.run(jobs, lambda: seen.append([job.state for job in jobs]))
    assert seen[-1] == ["done", "failed", "done"]
    strict = HerePool({f"{__name__}:double": double}, catch=False)
    with pytest.raises(DataError):
        strict.run(jobs, lambda: None)


def test_a_job_travels(tmp_path: Path) -> None:
    job = job_of(tmp_path, 3)
    assert pickle.loads(pickle.dumps(job)) == job


def test_slurm_without_slurm_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorError, match="no sbatch here"):
        open_pool(Slurm(), tmp_path)


class SilentKernel:
    """A kernel that takes jobs and never says a word: its workers lost touch."""

    executors: ClassVar[dict[str, Any]] = {}

    def submit(self, *_: Any, **__: Any) -> Future[str]:
        return Future()


def test_workers_that_lost_touch_are_given_up_but_not_while_one_works(tmp_path: Path) -> None:
    def work() -> None:
        with FolderLock(tmp_path, ".lock"):
            taken.set()
            time.sleep(0.8)

    taken = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    taken.wait(timeout=10)
    started = time.monotonic()
    with pytest.raises(ExecutorError, match="the same command does the rest"):
        ParslPool(SilentKernel(), 1, period=0.01, silence=0.3).run([job_of(tmp_path, 3)], lambda: None)
    assert time.monotonic() - started > 1.0
    worker.join(timeout=10)


BLOCKED = f"{1 << (signal.SIGTERM - 1):016x}"


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not tell who sent a signal")
def test_the_interchange_ends_by_its_driver_and_by_no_other_process() -> None:
    """``timeout`` and batch systems send SIGTERM to all processes, and the driver still asks its interchange."""
    command = [sys.executable, "-m", "rung.jobs", "interchange", str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        status = Path(f"/proc/{process.pid}/status")
        while int(re.findall(r"SigBlk:\s*(\w+)", status.read_text())[0], 16) != int(BLOCKED, 16):
            time.sleep(0.02)
        subprocess.run(["kill", "-TERM", str(process.pid)], check=True)  # by another process than this one
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.terminate()
        assert process.wait(timeout=10) == 0


class Ended:
    """An executor of Parsl's whose interchange has ended: it answers nothing more."""

    class Process:
        """A process that ended."""

        code: int | None = None

        def poll(self) -> int | None:
            return self.code

    def __init__(self) -> None:
        self.interchange_proc: Ended.Process | None = None

    def connected_managers(self) -> list[str]:
        assert self.interchange_proc is None or self.interchange_proc.poll() is None, "this would wait for ever"
        return ["manager"]

    connected_blocks = connected_managers


def test_an_interchange_that_ended_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = _without_answers(Ended())
    assert executor.connected_managers() == ["manager"]
    executor.interchange_proc = Ended.Process()
    assert executor.connected_blocks() == ["manager"]
    monkeypatch.setattr(Ended.Process, "code", -9)
    assert executor.connected_managers() == executor.connected_blocks() == []


def test_workers_whose_interchange_ended_are_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    executor, said = Ended(), list[Exception]()
    executor.set_bad_state_and_fail_all = said.append  # type: ignore[attr-defined]
    executor.interchange_proc = Ended.Process()
    monkeypatch.setattr(Ended.Process, "code", None)
    _too_many_failures(executor, {})
    assert not said
    monkeypatch.setattr(Ended.Process, "code", -9)
    _too_many_failures(executor, {})
    assert len(said) == 1
    kernel = SilentKernel()
    monkeypatch.setattr(SilentKernel, "executors", {"processes": executor})
    with pytest.raises(ExecutorError, match=r"through which they talk has ended.*the same command does the rest"):
        ParslPool(kernel, 1)._require_workers(said[0])


@pytest.mark.parametrize("name", ["H2O set", "a;b", "plain"])
def test_scripts_of_workers_stand_where_the_shell_takes_the_path_as_one_word(tmp_path: Path, name: str) -> None:
    """Parsl does not quote it: a file at the part before the blank was written over, and then run."""
    folder = tmp_path / name
    place = workers._place_of_scripts(Processes(workers=1), folder)
    assert shlex.quote(str(place.absolute())) == str(place.absolute())
    assert (place == folder) == (name == "plain")
    if place != folder:
        place.rmdir()
        with pytest.raises(ExecutorError, match=r"blanks and signs of the shell in its path .* Rename the folder"):
            workers._place_of_scripts(Slurm(), folder)
