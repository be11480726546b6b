"""Commands of tasks come from their records: a task needs its name in the list, and nothing in the command line."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write
from cyclopts import App, Parameter
from pydantic import BaseModel, Field

from rung.cli import COMMANDS, build_app, main
from rung.cli.tasks import command_of
from rung.progress import SILENT, Progress
from rung.report.summary import Summary, Table, number
from rung.settings import Settings, group_of
from rung.tasks import TASKS, Listed
from rung.tasks.opened import Opened, SeveralFidelities
from rung.tasks.task import Task

EMT = ("ase.calculators.emt:EMT", "--trusted")


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copper, not at rest, in the folder that the test works in."""
    monkeypatch.chdir(tmp_path)
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=0)
    write("start.xyz", atoms, format="extxyz")
    return "start.xyz"


def record_of(name: str) -> Task[Any, Settings, Any]:
    """Return the record of a task."""
    record: Task[Any, Settings, Any] = importlib.import_module(TASKS[name].module).TASK
    return record


@pytest.mark.parametrize("name", TASKS)
def test_a_record_is_what_the_list_says(name: str) -> None:
    record = record_of(name)
    assert record.name == name in COMMANDS
    assert record.example.startswith(f"rung {name} ")
    build_app().parse_args(record.example.split()[1:], print_error=False, exit_on_error=False)


def groups_of(kind: type[Settings]) -> list[tuple[str, Any]]:
    """Return the default of every group of settings within ``kind``, by the name of its field."""
    groups = []
    for name, field in kind.model_fields.items():
        group = group_of(field)
        if group is not None:
            groups += [(f"{kind.__name__}.{name}", field.get_default(call_default_factory=True)), *groups_of(group)]
    return groups


@pytest.mark.parametrize("name", TASKS)
def test_a_group_that_is_given_in_part_has_the_defaults_of_the_whole(name: str) -> None:
    """Whoever gives a part of a group has the defaults of its class for the rest: so has who gives none of it."""
    for place, default in groups_of(record_of(name).settings):
        if isinstance(default, BaseModel):
            assert default == type(default)(), f"{place}: make its defaults those of a class"


def test_results_go_to_a_folder_of_the_command_s_name(start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relax", *EMT, start, "--fidelity", "emt"]) == 0
    assert (Path("relax") / "relax.json").exists()
    assert "largest force" in capsys.readouterr().out


def test_json_is_what_the_file_says(start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relax", *EMT, start, "--fidelity", "emt", "--json", "--out", "there"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((Path("there") / "relax.json").read_text())


def test_what_is_missing_is_said_with_where_the_rest_is(start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relax", *EMT, start, "--fidelity", "emt", "--steps", "1"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith("rung: Not relaxed to 0.02 eV/Å in 1 step; give more steps.")
    assert said.err.splitlines()[-1].endswith("is in relax.")


class CountTask(Settings):
    """A task of no use."""

    most: int = Field(default=3, ge=1)
    """How far to count."""


def count(
    potentials: dict[str, Opened], task: CountTask, out: Path, *, progress: Progress = SILENT
) -> dict[str, list[float]]:
    """Count, for each fidelity, and leave a file."""
    out.mkdir()
    (out / "count.json").write_text(str(task.most))
    return {name: [float(number) for number in range(task.most)] for name in potentials}


def test_a_new_task_needs_nothing_in_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("a_new_task")
    module.TASK = Task(  # type: ignore[attr-defined]
        name="count",
        note="Exit code 1: it counted too far.",
        kept="What was counted is in",
        example="rung count model.rung --fidelity dmc --most 4",
        potential=SeveralFidelities,
        settings=CountTask,
        work=count,
        summary=lambda result: Summary(
            tables=(Table("Numbers", ("fidelity", "last"), [(name, number(result[name][-1])) for name in result]),),
            sentences=("Counted.",),
            warnings=("Counting is slow.",),
            failures=("Too far.",) if len(result["emt"]) > 3 else (),
        ),
        json=dict,
    )
    monkeypatch.setitem(sys.modules, "a_new_task", module)
    monkeypatch.setitem(TASKS, "count", Listed("Count.", "a_new_task"))
    monkeypatch.chdir(tmp_path)
    app = App(name="rung", default_parameter=Parameter(negative=()), result_action="return_value")
    app.command(command_of("count"))
    words = ["count", *EMT, "--fidelity", "emt"]
    assert app([*words, "--most", "2", "--out", "here"], exit_on_error=False) == 0
    said = capsys.readouterr()
    assert "Numbers" in said.out and "1.000" in said.out and "Counted." in said.out
    assert said.err == "warning: Counting is slow.\n"
    assert (tmp_path / "here" / "count.json").read_text() == "2"
    assert app([*words, "--most", "4"], exit_on_error=False) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "rung: Too far. What was counted is in count."
