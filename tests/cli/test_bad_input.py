"""Bad input: one clear sentence, exit code 2 (1 for findings), nothing lost, nothing partial under a final name."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from rung.cli import INTERRUPTED, TERMINATED, main
from rung.config import load_config
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import without_labels
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.run.folder import RunFolder
from rung.storage import DamagedFileWarning, read_json
from tests.run.small_world import SmallWorld

Sabotage = Callable[[SmallWorld], dict[str, Any]]


def _fit(world: SmallWorld, capsys: pytest.CaptureFixture[str], **changes: Any) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["fit", str(world.config(**changes))])
    return code, capsys.readouterr().err.strip()


def _require_whole(world: SmallWorld) -> None:
    """What a stopped run left is readable; its resumption is tested by runs that are killed."""
    run = world.folder / "run"
    assert not list(world.folder.rglob("*.tmp"))
    assert load_config(run / "config.yaml") == load_config(world.folder / "config.yaml")
    assert all(not problem for _, problem in DesignCache(world.folder / "rung-cache").verify())
    assert not (run / "metrics.json").exists()


def _require_nothing_partial(world: SmallWorld) -> None:
    run = world.folder / "run"
    final = {"model.rung", "high.model", "metrics.json", "fit.json", "report.html", "findings.json"}
    left = {path.name for path in run.rglob("*")} if run.exists() else set()
    assert not left & final
    assert not list(world.folder.rglob("*.tmp"))


def _edit(world: SmallWorld, change: Callable[[list[Structure]], list[Structure]]) -> dict[str, Any]:
    path = world.folder / "train.extxyz"
    write_structures(path, change(list(read_structures(path))))
    return {}


def _energy(structure: Structure, energy: float, stderr: float) -> Structure:
    label = replace(empty_labels(len(structure)), energy=energy, energy_stderr=stderr)
    return replace(structure, labels={**structure.labels, "high": label})


def missing_file(_: SmallWorld) -> dict[str, Any]:
    return {"data": {"train": "nowhere.extxyz"}}


def missing_base(_: SmallWorld) -> dict[str, Any]:
    return {"base": {"file": "nowhere.model", "fidelity": "low"}}


def empty_file(world: SmallWorld) -> dict[str, Any]:
    (world.folder / "train.extxyz").write_text("")
    return {}


def truncated_file(world: SmallWorld) -> dict[str, Any]:
    path = world.folder / "train.extxyz"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]) + "\n")
    return {}


def wrong_element(world: SmallWorld) -> dict[str, Any]:
    def change(structures: list[Structure]) -> list[Structure]:
        stranger = Structure(Atoms("SiO", positions=[[0, 0, 0], [0, 0, 1.6]]), "stranger", {})
        return [*structures, _energy(stranger, -3.0, 0.01)]

    return _edit(world, change)


def no_target_energies(world: SmallWorld) -> dict[str, Any]:
    return _edit(world, lambda structures: [without_labels(one, "high") for one in structures])


def nan_forces(world: SmallWorld) -> dict[str, Any]:
    path = world.folder / "train.extxyz"
    lines = path.read_text().splitlines()
    words = lines[2].split()
    lines[2] = " ".join([*words[:4], "nan", "nan", "nan", *words[7:]])
    path.write_text("\n".join(lines) + "\n")
    return {}


def negative_stderr(world: SmallWorld) -> dict[str, Any]:
    def change(structures: list[Structure]) -> list[Structure]:
        first = structures[0]
        return [_energy(first, first.labelled("high").energy, -0.01), *structures[1:]]

    return _edit(world, change)


def leaking_split(world: SmallWorld) -> dict[str, Any]:
    return _edit(world, lambda structures: [*structures, read_structures(world.folder / "test.extxyz")[0]])


def not_a_model(world: SmallWorld) -> dict[str, Any]:
    (world.folder / "base.model").write_bytes(b"this is no model at all" * 100)
    return {}


def another_model(world: SmallWorld) -> dict[str, Any]:
    torch.save(torch.nn.Linear(3, 2), world.folder / "base.model")
    return {}


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


def untrusted_pickle(world: SmallWorld) -> dict[str, Any]:
    with (world.folder / "base.model").open("wb") as file:
        pickle.dump(_Bomb(), file)
    return {}


def unknown_fidelity(_: SmallWorld) -> dict[str, Any]:
    return {"target": "hihg"}


def unlabelled_fidelity(_: SmallWorld) -> dict[str, Any]:
    return {"target": "ccsdt", "fidelities": {"low": {}, "ccsdt": {}}}


def unknown_option(_: SmallWorld) -> dict[str, Any]:
    return {"method": {"name": "readout", "chose": "evidence"}}


def no_such_device(_: SmallWorld) -> dict[str, Any]:
    return {"device": "abacus"}


@pytest.mark.parametrize(
    ("sabotage", "code", "words"),
    [
        (missing_file, 2, ["nowhere.extxyz"]),
        (missing_base, 2, ["nowhere.model"]),
        (empty_file, 2, ["train.extxyz", "empty"]),
        (truncated_file, 2, ["train.extxyz"]),
        (wrong_element, 1, ["Si"]),
        (no_target_energies, 1, ["high"]),
        (nan_forces, 1, ["low"]),
        (negative_stderr, 1, ["high"]),
        (leaking_split, 1, ["test"]),
        (not_a_model, 2, ["base.model"]),
        (another_model, 2, ["Linear", "MACE"]),
        (untrusted_pickle, 2, ["base.model"]),
        (unknown_fidelity, 2, ["hihg", "Did you mean 'high'?"]),
        (unlabelled_fidelity, 1, ["ccsdt"]),
        (unknown_option, 2, ["chose", "Did you mean 'choose'?"]),
        (no_such_device, 2, ["abacus"]),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    world: SmallWorld,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Sabotage,
    code: int,
    words: list[str],
) -> None:
    monkeypatch.chdir(world.folder)
    found, said = _fit(world, capsys, **sabotage(world))
    last = said.splitlines()[-1]
    assert found == code, said
    assert last.startswith("rung: ")
    assert "Traceback" not in said
    for word in words:
        assert word in last
    _require_nothing_partial(world)
    assert not (world.folder / "run").exists()
    assert not (world.folder / "exploded").exists()


def test_one_composition_and_absent_stderr_are_allowed_and_said(
    world: SmallWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(structures: list[Structure]) -> list[Structure]:
        water = [one for one in structures if one.formula == "H2O"]
        return [_energy(one, one.labelled("low").energy + 0.01 * k, np.nan) for k, one in enumerate(water)]

    _edit(world, change)
    code, said = _fit(world, capsys, data={"train": "train.extxyz"})
    assert code == 0, said
    assert "note: All labels have one composition" in said
    assert "carry no energy_stderr" in said


def test_a_full_disk_leaves_no_entry_and_no_model(
    world: SmallWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    left = [5]  # the run's own first files still fit, and the tag of the cache

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, said = _fit(world, capsys)
    assert code == 2
    assert "No space left on device" in said
    assert "nothing was left under that name" in said
    assert not list((world.folder / "rung-cache").rglob("*.npz"))
    assert not (world.folder / "run" / "model.rung").exists()
    assert not list(world.folder.rglob("*.tmp"))
    code, said = _fit(world, capsys)
    assert code == 0, said


def test_a_second_process_is_refused(world: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    with RunFolder(world.folder / "run").lock():
        code, said = _fit(world, capsys)
    assert code == 2
    assert "Another process is working in" in said


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow  # a process that imports everything: over 5 s on a busy machine
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_an_interrupt_says_how_to_go_on_and_leaves_nothing_half_done(
    world: SmallWorld, sent: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rung", "fit", str(world.config())],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a test run that was started in the background ignores SIGINT, and its children would too
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 - the test has no threads of its own
    )
    log = world.folder / "run" / "log.txt"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and "features: begins" in log.read_text()):
        time.sleep(0.01)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "run the same command again" in said.splitlines()[-1]
    assert "Traceback" not in said
    _require_whole(world)


def test_a_damaged_result_is_named_and_made_again(finished: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(finished.folder / "run" / "metrics.json")
    whole = read_json(path)["splits"]
    path.write_text("{")
    with pytest.warns(DamagedFileWarning, match=r"metrics\.json is damaged .* kept as metrics\.json\.damaged"):
        code, said = _fit(finished, capsys)
    assert code == 0, said
    assert read_json(path)["splits"] == whole


@pytest.mark.parametrize("name", ["model.rung", "mine.model"])
def test_an_export_replaces_no_file(finished: SmallWorld, capsys: pytest.CaptureFixture[str], name: str) -> None:
    model = finished.folder / "run" / "model.rung"
    out = finished.folder / "run" / name
    out.touch()
    before = model.read_bytes(), out.read_bytes()
    assert main(["export", str(model), str(out), "--fidelity", "high"]) == 2
    assert f"{out} is there already, and an export replaces no file; name another." in capsys.readouterr().err
    assert (model.read_bytes(), out.read_bytes()) == before


def test_the_user_s_own_files_are_left_alone(world: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "high.model").write_text("mine")
    before = {path: path.read_bytes() for path in world.folder.iterdir() if path.is_file()}
    code, said = _fit(world, capsys, run=".")
    assert code == 2
    assert "holds files that rung did not make" in said
    before[world.folder / "config.yaml"] = (world.folder / "config.yaml").read_bytes()
    assert {path: path.read_bytes() for path in world.folder.iterdir() if path.is_file()} == before


def test_a_file_that_may_not_be_read_is_one_sentence(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root nothing is refused, so the answer of the operating system is given here."""

    def refused(*_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", "theirs/train.extxyz")

    monkeypatch.setattr("rung.run.provenance.file_hash", refused)
    assert _fit(world, capsys) == (
        2,
        "rung: theirs/train.extxyz cannot be read or written: Permission denied; ask its owner.",
    )
