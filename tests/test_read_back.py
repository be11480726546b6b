"""Every file that rung reads back: with any part replaced rung reads it, or says in one sentence what is wrong.

A new kind of result file is covered by its line in ``tests.results.field_tables.FILES``, which the documentation needs
anyway; any other kind by one line in ``KINDS``.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from rung.data.packing import write_rows
from rung.data.readers.structures import read_structures
from rung.data.stream import open_rows
from rung.errors import RungError, StorageError
from rung.evaluate.dynamics.integrator import read_motion
from rung.evaluate.dynamics.md import _KEPT
from rung.evaluate.free_energy.umbrella import _series_kinds
from rung.evaluate.identity import claim, is_claimed
from rung.evaluate.optimisation import Stand
from rung.evaluate.paths.kept_rows import KeptRows
from rung.features.cache import DesignCache, EntryKey
from rung.fit.training.checkpoint import FILE, TrainingState, load, save
from rung.report import page, write_report, write_study_report
from rung.report.tasks.barrier import write_barrier_report
from rung.report.tasks.campaign import write_campaign_report
from rung.report.tasks.free_energy import write_free_energy_report
from rung.report.tasks.md import write_md_report
from rung.report.tasks.prediction import write_prediction_report
from rung.report.tasks.selection import write_selection_report
from rung.report.tasks.transport import write_transport_report
from rung.report.tasks.vacancies import write_vacancy_report
from rung.results.barrier_task import TaskPanel
from rung.results.base import Entry, Result, entries_of
from rung.results.campaign import CampaignResult
from rung.results.config import ConfigNames
from rung.results.demo import Mark
from rung.results.exact import exact_energies
from rung.results.free_energy import FreeEnergyResult
from rung.results.md import MDResult
from rung.results.prediction import PredictionResult
from rung.results.selection import SelectionResult
from rung.results.study import read_rows
from rung.results.transport import TransportResult, read_displacements
from rung.results.vacancies import VacanciesResult
from rung.storage import DamagedFileWarning, read_json
from rung.tasks.kept_modes import _read_modes
from rung.yaml_files import write_yaml
from tests.geometries import molecule_structures
from tests.report.folders import run_folder, study_folder
from tests.results.examples import example
from tests.results.field_tables import FILES
from tests.shapes import GONE, damaged

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    content
        What a valid one holds.
    write
        Writes it.
    read
        Reads it back as rung does.
    """

    content: Any
    write: Callable[[Path, Any], None]
    read: Callable[[Path], object]


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def write_arrays(path: Path, content: Any) -> None:
    """Write a file of arrays; what is no array is written as numpy would take it, objects as text."""
    buffer = io.BytesIO()
    arrays = {name: np.array(value) for name, value in content.items()} if isinstance(content, dict) else {}
    np.savez(buffer, **{name: array if array.dtype != object else array.astype(str) for name, array in arrays.items()})
    path.write_bytes(buffer.getvalue())


def of_result(kind: type[Entry], within: str) -> Kind:
    content = [example(kind)] * 2 if within else example(kind)
    if issubclass(kind, Result):
        return Kind(content, write_json, kind.read)
    return Kind(content, write_json, lambda path: entries_of(kind, read_json(path), str(path)))


ATOMS = np.zeros((2, 3))
STATE = {
    **dict.fromkeys(("positions", "momenta", "forces"), ATOMS),
    "energy": -1.0,
    "step": 3,
    "generator": json.dumps(np.random.default_rng(0).bit_generator.state),
}
RUN = {**STATE, "reason": "", "trajectory_bytes": 10, "sample_bytes": 10, "trajectory_hash": "a", "sample_hash": "b"}
WINDOW = {
    **STATE,
    "reason": "",
    **dict.fromkeys(("values", "energies", "speeds"), np.zeros(4)),
    "frames": np.zeros((2, 2, 3)),
    "frame_samples": np.array([1, 3]),
}
BAND = {
    "key": "k",
    "positions": np.zeros((3, 2, 3)),
    "cells": np.zeros((3, 3, 3)),
    "energy": -1.0,
    "steps": 4,
    "stage": 0,
    "memory_velocities": np.zeros((3, 2, 3)),
}
ROWS = {"key": "k", "done": 2, "rows": np.zeros((6, 6))}
MODES = {
    "key": "k",
    "quanta": np.zeros(6),
    "modes": np.zeros((6, 2, 3)),
    "n_rigid": 3,
    "floor": 0.1,
    "probe": np.zeros(6),
}


def claimed(path: Path) -> None:
    claim(path, "k", holds="work", other="others", energy=1.0)


KINDS: dict[str, Kind] = {
    **{name: of_result(kind, within) for name, (within, kind) in FILES.items() if name != "`study.csv`"},
    "marker of a task": Kind({"key": "k", "start_energy": 1.0}, write_json, claimed),
    "marker that is looked for": Kind({"key": "k"}, write_json, lambda path: is_claimed(path, "k")),
    "config as a report reads it": Kind(example(ConfigNames), write_yaml, ConfigNames.read),
    "demo": Kind(example(Mark), write_json, Mark.read),
    "exact energies": Kind({"a": 1.0, "b": 2.0}, write_json, exact_energies),
    "state": Kind(STATE, write_arrays, read_motion),
    "state of a run": Kind(RUN, write_arrays, lambda path: read_motion(path, 2, _KEPT)),
    "state of a window": Kind(WINDOW, write_arrays, lambda path: read_motion(path, 2, _series_kinds(2))),
    "optimisation": Kind(BAND, write_arrays, lambda path: Stand.read(path, "k")),
    "rows of a Hessian": Kind(ROWS, write_arrays, lambda path: KeptRows.open(path, "k", 6)),
    "modes": Kind(MODES, write_arrays, lambda path: _read_modes(path, "k", np.zeros(6))),
}  # fmt: skip


@pytest.mark.parametrize("count", [20, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", KINDS)
def test_content_of_another_shape(name: str, count: int | None, tmp_path: Path) -> None:
    kind, path = KINDS[name], tmp_path / "file.npz"
    kind.write(path, kind.content)
    kind.read(path)
    for words, content in damaged(kind.content, count):
        kind.write(path, content)
        _read_or_refused(lambda: kind.read(path), path, words)


def _read_or_refused(read: Callable[[], object], path: Path | None, words: str) -> None:
    """Reading ends well, or with one sentence that names the file; a file that is set aside was warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DamagedFileWarning)
        try:
            read()
        except RungError as error:
            assert path is None or str(path) in str(error) or str(path.parent) in str(error), f"{words}: {error}"
            assert "\n" not in str(error), words
            assert len(str(error)) < 1000, words
        except Exception as error:
            error.add_note(words)
            raise


TABLES = {
    "study.csv": ("method,n_labels,seed,fold,split,metric,value", "readout,4,0,0,test,energy_rmse,1.0", read_rows),
    "msd.csv": ("temperature,run,draw,time_ps,msd,collective_msd", "300.0,a,,1.0,1.0,1.0", read_displacements),
}
CELLS = ("", "much", "-1", "nan", "1e400", "9" * 5000, '"', "a\0b", "é", '"a\nb"')


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_other_cells(name: str, tmp_path: Path) -> None:
    header, line, read = TABLES[name]
    path = tmp_path / name
    rows = [header.split(","), line.split(","), line.split(",")]
    for row in range(2):
        for column in range(len(rows[0])):
            for cell in (*CELLS, None):
                table = [list(one) for one in rows]
                if cell is None:
                    del table[row][column]
                else:
                    table[row][column] = cell
                path.write_text("\n".join(",".join(one) for one in table) + "\n", encoding="utf-8")
                _read_or_refused(lambda: read(path), path, f"{row}, {column}: {cell!r:.20}")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StorageError):
        read(path)


@pytest.mark.parametrize("count", [60, pytest.param(None, marks=pytest.mark.slow)])
def test_a_training_checkpoint_of_another_shape(count: int | None, tmp_path: Path) -> None:
    parameters = [torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(4))]
    references = {"low": {1: -1.0, 8: -2.0}}
    optimizer = torch.optim.Adam(parameters)
    sum(parameter.sum() for parameter in parameters).backward()
    optimizer.step()
    state = TrainingState.at(parameters, references)
    state.log.append({"epoch": 1.0, "train_loss": 0.5})
    save(tmp_path, "identity", state, parameters, optimizer.state_dict())
    path = tmp_path / FILE
    content = torch.load(path, weights_only=True)

    def resume() -> None:
        found = load(tmp_path, "identity", references, parameters, torch.device("cpu"))
        assert found is not None

    for words, other in damaged(content, count):
        torch.save(other, path)
        _read_or_refused(resume, path, words)


def test_a_sealed_cache_entry_of_another_shape(tmp_path: Path) -> None:
    """A wrong seal is found at once; this is about entries whose seal is right."""
    cache = DesignCache(tmp_path / "cache")
    key = EntryKey("jacobian", "backbone", "", "", "structure", "float32")
    arrays = {
        "features": np.zeros((2, 3)),
        "fixed_energy": np.array(1.0),
        "fixed_forces": np.zeros((2, 3)),
        "pairs": np.zeros((4, 2), dtype=int),
        "values": np.zeros((4, 3, 3)),
    }
    cache.put(key, arrays)
    (path,) = (entry.path for entry in cache.entries())
    fields = dict(vars(key)) | {"kind": "jacobian"}
    for words, other in damaged({"key": fields, **arrays}):
        body = io.BytesIO()
        held = other if isinstance(other, dict) else {}
        named = {name: np.array(value) for name, value in held.items() if name != "key"}
        np.savez(
            body, key=np.array(json.dumps(held.get("key"))), **{k: v for k, v in named.items() if v.dtype != object}
        )
        path.write_bytes(body.getvalue() + hashlib.sha256(body.getvalue()).hexdigest().encode())
        ((entry, problem),) = cache.verify()
        assert entry.path == path
        whole = not problem
        assert cache.prune() == ([] if whole else [entry]), words
        assert (cache.get(key) is not None) == whole
        assert whole or str(path) in problem


def test_an_entry_of_another_rung_is_named_and_pruned(tmp_path: Path) -> None:
    cache = DesignCache(tmp_path / "cache")
    body = io.BytesIO()
    np.savez(body, key=np.array(json.dumps({"kind": "features", "potential": "b"})), features=np.zeros((2, 3)))
    path = tmp_path / "cache" / "ab" / f"{'ab' * 16}.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(body.getvalue() + hashlib.sha256(body.getvalue()).hexdigest().encode())
    ((entry, problem),) = cache.verify()
    assert "its key is not one that this rung writes" in problem
    assert cache.prune() == [entry]
    assert not path.exists()


def test_packed_rows_of_another_shape(tmp_path: Path) -> None:
    structures = molecule_structures()[:2]
    folder = tmp_path / "rows"
    write_rows(((one, "low") for one in structures), 3.0, folder, names=["low"])
    content = read_json(folder / "rows.json")
    for words, other in damaged(content, 60):
        write_json(folder / "rows.json", other)
        _read_or_refused(lambda: open_rows(folder), folder, words)
    write_json(folder / "rows.json", content)
    for file in sorted(folder.glob("*.raw")):
        whole = file.read_bytes()
        for part in (whole[:-1], whole + b"a", b"\xff" * len(whole)):
            file.write_bytes(part)
            _read_or_refused(lambda: open_rows(folder), folder, file.name)
        file.unlink()
        with pytest.raises(StorageError, match=file.name):
            open_rows(folder)
        file.write_bytes(whole)


ANI = {
    "atomic_numbers": np.array([1, 8], dtype=np.uint8),
    "coordinates": np.zeros((3, 2, 3)),
    "dft.energy": np.zeros(3),
    "dft.forces": np.zeros((3, 2, 3)),
}
LINKS = {"dangling": h5py.SoftLink("/nowhere"), "external": h5py.ExternalLink("/etc/hostname", "/"), "group": "group"}


def hdf5_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from damaged(ANI)
    for name in ANI:
        for what, link in LINKS.items():
            yield f"{name}: {what}", {**ANI, name: link}
        yield f"{name}: text", {**ANI, name: np.array(["H", "O", "O"], dtype="S2")[: ANI[name].shape[0]]}
        yield f"{name}: flat", {**ANI, name: ANI[name].reshape(-1)[:1]}
    yield "Z = 200", {**ANI, "atomic_numbers": np.array([1, 200], dtype=np.uint8)}
    yield "Z = 0", {**ANI, "atomic_numbers": np.array([1, 0], dtype=np.uint8)}


def _writable(value: Any) -> Any:
    """Return a value as HDF5 can hold it; what is no array of numbers becomes text."""
    if isinstance(value, (h5py.SoftLink, h5py.ExternalLink)):
        return value
    array = np.array(value)
    return np.array("much", dtype="S4") if array.dtype.kind in "OU" else array


def test_hdf5_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "ani.h5"
    for words, content in hdf5_cases():
        with h5py.File(path, "w") as file:
            group = file.create_group("H1O1")
            for name, value in content.items() if isinstance(content, dict) else ():
                if value is GONE or value is None:
                    continue
                if isinstance(value, str) and value == "group":
                    group.create_group(name)
                else:
                    group[name] = _writable(value)
        _read_or_refused(lambda: read_structures(path), path, words)


def test_hdf5_that_announces_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "ani.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("H1")
        group["atomic_numbers"] = np.array([1], dtype=np.uint8)
        group.create_dataset("coordinates", shape=(10**12, 1, 3), chunks=(1024, 1, 3), dtype="f8")
    with pytest.raises(RungError, match="far more than the file holds"):
        read_structures(path)


PAGES: dict[str, tuple[str, type[Entry], Callable[[Path], Path]]] = {
    "free_energy.json": ("", FreeEnergyResult, write_free_energy_report),
    "transport.json": ("", TransportResult, write_transport_report),
    "vacancies.json": ("", VacanciesResult, write_vacancy_report),
    "md.json": ("", MDResult, write_md_report),
    "campaign.json": ("", CampaignResult, write_campaign_report),
    "select.json": ("", SelectionResult, write_selection_report),
    "a.predicted.json": (
        "",
        PredictionResult,
        lambda folder: write_prediction_report(folder / "a.predicted.json"),
    ),
    "barrier.json": ("[]", TaskPanel, write_barrier_report),
}


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the five megabytes of plotly out of pages."""
    monkeypatch.setattr(page, "_library", lambda: "plotly.js")


@pytest.mark.parametrize("count", [6, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_a_task(name: str, count: int, tmp_path: Path, light: None) -> None:
    within, kind, write = PAGES[name]
    content = [example(kind)] * 2 if within else example(kind)
    (tmp_path / "msd.csv").write_text("temperature,run,draw,time_ps,msd,collective_msd\n1.5,a,,1,1,1\n1.5,a,,2,2,2\n")
    write_json(tmp_path / name, content)
    write(tmp_path)
    for words, other in damaged(content, count):
        write_json(tmp_path / name, other)
        _read_or_refused(lambda: write(tmp_path), None, words)


FOLDERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Path], tuple[str, ...]]] = {
    "run": (
        run_folder,
        write_report,
        (
            "metrics.json",
            "fit.json",
            "barrier.json",
            "findings.json",
            "provenance.json",
            "predictions/test.json",
            "geometries/test.json",
        ),
    ),
    "study": (study_folder, write_study_report, ("study.json",)),
}


@pytest.mark.parametrize("count", [1, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FOLDERS)
def test_the_page_of_a_folder(name: str, count: int, tmp_path: Path, light: None) -> None:
    make, write, files = FOLDERS[name]
    make(tmp_path)
    for file in files:
        whole = (tmp_path / file).read_text()
        for words, other in damaged(json.loads(whole), count):
            write_json(tmp_path / file, other)
            _read_or_refused(lambda: write(tmp_path), None, f"{file}, {words}")
        (tmp_path / file).write_text(whole)
