"""The page of a folder of labels: what has a label, what has none and why."""

from pathlib import Path

from rung.cli import main
from rung.report.tasks.label import write_label_report
from rung.results.label import LABEL_FILE, Labelled
from tests.report.html import text_of
from tests.results.examples import example


def _folder(folder: Path) -> Path:
    entry = example(Labelled)["entries"][0]
    entries = [
        {**entry, "structure_id": "one", "state": "labelled", "energy": -1.25, "energy_stderr": 0.02, "warnings": []},
        {**entry, "structure_id": "two", "state": "failed", "sentence": "SCF did not converge"},
        {**entry, "structure_id": "three", "state": "waiting", "sentence": ""},
    ]
    content = {**example(Labelled), "entries": entries, "fidelity": "mp2", "engine": {"name": "pyscf"}}
    Labelled.of(content, "example").write(folder / LABEL_FILE)
    return folder


def test_labels_and_what_has_none_stand_apart(tmp_path: Path) -> None:
    text = text_of(write_label_report(_folder(tmp_path)))
    assert "1 of 3 labels mp2 · pyscf · 2 s of processor time" in text
    assert "two not made SCF did not converge" in text
    assert "three inputs are written, and outputs are not there yet" in text
    assert "one −1.25000 0.02000" in text


def test_a_page_is_written_again_by_the_file_that_a_folder_holds(tmp_path: Path) -> None:
    assert main(["report", str(_folder(tmp_path))]) == 0
    assert (tmp_path / "label.html").exists()
