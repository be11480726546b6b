"""The command line: what it prints, what it returns, and how soon."""

import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from rich.console import Console

from rung import __version__
from rung.cli import CACHE_COMMANDS, COMMANDS, GROUPS, main
from rung.cli.console import TerminalProgress
from rung.cli.summary import print_table
from rung.cli.tables import print_errors
from rung.data.readers.structures import read_structures, write_structures
from rung.report.summary import Table
from rung.results.metrics import Evaluation
from tests.results.made import split_errors
from tests.run.small_world import SmallWorld


def test_help_and_version_do_not_wait_for_torch() -> None:
    script = (
        "import sys; from rung.cli import main; "
        "codes = [main(['--help']), main(['fit', '--help']), main(['cache', '--help']), main(['--version'])]; "
        "assert codes == [0, 0, 0, 0], codes; assert 'torch' not in sys.modules and 'ase' not in sys.modules; "
        "from rung.cli import COMMANDS; "
        "assert not any([main([name, '--help']) for name in COMMANDS]); assert 'torch' not in sys.modules; "
        "assert main(['--version']) == 0"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == __version__


def test_the_list_of_commands_goes_by_what_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    titles = [shown.index(f" {title} ─") for title in GROUPS]
    assert titles == sorted(titles)
    for (title, entries), end in zip(GROUPS.items(), [*titles[1:], len(shown)], strict=True):
        assert all(titles[[*GROUPS].index(title)] < shown.index(f"│ {name} ") < end for name in entries)


@pytest.mark.parametrize("words", [[name] for name in COMMANDS] + [["cache", name] for name in CACHE_COMMANDS])
def test_every_command_has_help_with_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Example: rung {' '.join(words)}" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fti"], 'Did you mean "fit"?'),
        (["fit"], "CONFIG"),
        (["fit", "a.yaml", "--nwe"], "--nwe"),
        (["evaluate", "a.rung", "b.extxyz"], "--fidelity"),
        (["evaluate", "a.rung", "--fidelity", "x"], "No data file was named"),
        (["doctor"], "No data file was named"),
        (["demo", "--data", "mos3"], "mos3"),
        (["cache", "prune", "somewhere", "--older-than-days", "old"], "old"),
        (["cache", "list", "no-such-folder"], "There is no folder no-such-folder"),
        (["fit", "no-such.yaml"], "There is no config file"),
        (["report", "no-such-folder"], "no-such-folder"),
    ],
)
def test_a_mistyped_command_gets_one_sentence_and_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert said.startswith("rung: ")
    assert "\n" not in said


def test_fit_prints_a_table_and_where_everything_is(
    finished: SmallWorld,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fit", str(finished.config())]) == 0
    said = capsys.readouterr()
    assert "base, E0 refitted" in said.out
    assert "finished before" in said.err


def test_the_table_says_of_how_many_energies_the_scores_are_where_not_all_have_a_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    some, every = (split_errors(energy_z2=0.25, n_energies=12, n_energy_bars=bars) for bars in (3, 12))
    for errors, words in ((some, "0.25 (3 of 12)"), (every, "0.25 ")):
        print_errors(Evaluation(splits={"test": {"high": errors}}, base=None))
        said = " ".join(capsys.readouterr().out.split())
        assert words in said and ("of 12" in said) == (errors is some)


def test_evaluate_and_export_agree_with_the_run(
    finished: SmallWorld,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = finished.folder
    words = ["evaluate", str(folder / "run/model.rung"), str(folder / "test.extxyz"), "--fidelity", "high", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)["splits"]["test"]["high"]
    there = json.loads((folder / "run/metrics.json").read_text())["splits"]["test"]["high"]
    for name in ("energy_rmse", "force_rmse", "energy_z2"):
        assert found[name] == pytest.approx(there[name], rel=1e-9)
    assert main(["export", str(folder / "run/model.rung"), str(folder / "out.model"), "--fidelity", "high"]) == 0
    words = ["evaluate", str(folder / "out.model"), str(folder / "test.extxyz"), "--fidelity", "high", "--json"]
    words += ["--base", str(folder / "base.model"), "--base-fidelity", "low"]
    capsys.readouterr()
    assert main(words) == 0
    both = json.loads(capsys.readouterr().out)
    assert both["splits"]["test"]["high"]["force_rmse"] == pytest.approx(there["force_rmse"], rel=1e-9)
    assert both["base"]["test"]["high"]["force_rmse"] > there["force_rmse"]


def test_doctor_returns_1_where_something_is_an_error(
    world: SmallWorld,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, test = world.folder / "train.extxyz", world.folder / "test.extxyz"
    assert main(["doctor", str(train), str(test)]) == 0
    assert "Labels" in capsys.readouterr().out
    write_structures(test, [*read_structures(test), read_structures(train)[0]])
    assert main(["doctor", str(train), str(test)]) == 1
    assert "error:" in capsys.readouterr().out
    assert main(["doctor", str(train), str(test), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["worst"] == "error"


def test_the_cache_is_listed_verified_and_pruned(
    finished: SmallWorld,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = str(finished.folder / "rung-cache")
    assert main(["cache", "list", cache]) == 0
    assert "jacobian" in capsys.readouterr().out
    assert main(["cache", "verify", cache]) == 0
    victim = next(Path(cache).glob("??/*.npz"))
    victim.write_bytes(victim.read_bytes()[:-100])
    assert main(["cache", "verify", cache]) == 1
    assert str(victim) in capsys.readouterr().err.replace("\n", "")
    assert main(["cache", "prune", cache]) == 0
    assert "Deleted 1 entry," in capsys.readouterr().err
    assert not victim.exists()
    assert main(["cache", "verify", cache]) == 0


def test_the_report_is_written_again(finished: SmallWorld) -> None:
    page = finished.folder / "run" / "report.html"
    page.unlink()
    assert main(["report", str(finished.folder / "run")]) == 0
    assert page.exists()


def test_a_traceback_appears_on_request_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["fit", str(tmp_path / "none.yaml")]) == 2
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("RUNG_DEBUG", "1")
    assert main(["fit", str(tmp_path / "none.yaml")]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_without_a_terminal_only_the_outermost_work_leaves_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    with progress.task("outer", 2) as outer:
        outer.advance()
        with progress.task("inner", 1) as inner:
            inner.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("outer: ")


def test_forces_that_got_worse_are_said_before_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    after = {"test": {"dft": split_errors(force_rmse=1237.0)}}
    print_errors(Evaluation(splits=after, base={"test": {"dft": split_errors(force_rmse=1088.0)}}))
    assert "1237 against 1088" in capsys.readouterr().out.splitlines()[0]


def test_errors_of_a_part_of_a_split_say_of_how_many_structures_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    both = {"cc": split_errors(n_structures=180), "gfn2": split_errors(n_structures=60)}
    print_errors(Evaluation(splits={"test": both, "fit": {"cc": split_errors(n_structures=20)}}, base={}))
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    text = " ".join(" ".join(row[1] for row in rows).split())  # of the first column, however narrow it is
    assert "test (gfn2, 60 of 180 structures)" in text
    assert "test (cc)" in text and "fit (cc)" in text


def test_in_a_terminal_work_within_work_takes_the_place_of_the_bar() -> None:
    console = Console(force_terminal=True, width=100, file=io.StringIO())
    progress = TerminalProgress(console)
    with progress.task("outer", 2) as outer:
        outer.advance()
        with progress.task("inner", 1) as inner:
            inner.describe("within")
            assert [task.description for task in progress._bar.tasks if task.visible] == ["within"]
        assert [task.description for task in progress._bar.tasks if task.visible] == ["outer"]
    assert not progress._bar.tasks
    assert isinstance(console.file, io.StringIO)
    assert "outer: " in console.file.getvalue()


def test_a_damaged_cache_entry_is_a_plain_warning(
    finished: SmallWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (finished.folder / "rung-cache").glob("??/*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    for name in ("features.json", "fit.json", "metrics.json"):
        (finished.folder / "run" / name).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        monkeypatch.setattr(warnings, "showwarning", _print_warning)
        assert main(["fit", str(finished.config())]) == 0
    said = capsys.readouterr().err
    assert "warning: The cache entry" in said
    assert "DamagedEntryWarning" not in said


def _print_warning(message: Warning, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))


def test_names_that_look_like_markup_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """SMILES of pyrrole and furan lost what stands in brackets, and were one."""
    names = ("c1cc[nH]c1", "c1cc[o]c1", "a[/b]c", "x:ring:y")
    print_table(Table("of [bold]all[/bold]", ("name", "[unit]"), [(name, "1") for name in names], n_names=1))
    said = capsys.readouterr().out
    assert all(name in said for name in (*names, "of [bold]all[/bold]", "[unit]"))
    with TerminalProgress(Console(file=sys.stdout, force_terminal=True, width=120)).task("c1cc[nH]c1", 2) as task:
        task.advance()
    assert "c1cc[nH]c1" in capsys.readouterr().out
