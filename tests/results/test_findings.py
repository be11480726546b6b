"""What the doctor found: sorted, with the gravest severity beside."""

from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.results.findings import Diagnosis, Finding
from rung.storage import read_json


def finding(severity: str, sentence: str = "Look.") -> Finding:
    return Finding.model_validate({"severity": severity, "code": "a-code", "sentence": sentence})


def test_the_worst_comes_first_and_is_named() -> None:
    diagnosis = Diagnosis.of_findings([], [finding("note"), finding("error"), finding("warning"), finding("note")])
    assert [one.severity for one in diagnosis.findings] == ["error", "warning", "note", "note"]
    assert diagnosis.worst == "error"
    assert diagnosis.of_severity("note") == (finding("note"), finding("note"))
    assert Diagnosis.of_findings([], []).worst is None


def test_every_key_stands_in_the_file(tmp_path: Path) -> None:
    Diagnosis.of_findings([], [finding("warning")]).write(tmp_path / "findings.json")
    whole = {"severity": "warning", "code": "a-code", "sentence": "Look."}
    whole |= {"splits": [], "fidelities": [], "structures": []}
    assert read_json(tmp_path / "findings.json") == {"census": [], "findings": [whole], "worst": "warning"}
    assert Diagnosis.read(tmp_path / "findings.json") == Diagnosis.of_findings([], [finding("warning")])


@pytest.mark.parametrize("key", ["sentence", "message"])
def test_a_sentence_is_read_under_both_of_its_names(key: str) -> None:
    content = {"census": [], "worst": "note", "findings": [{"severity": "note", "code": "x", key: "Look."}]}
    assert Diagnosis.of(content, "findings.json").findings[0].sentence == "Look."


def test_another_severity_is_damage() -> None:
    content = {"census": [], "worst": None, "findings": [{"severity": "bad", "code": "x", "sentence": "Look."}]}
    with pytest.raises(StorageError, match=r"damaged at 'findings\.0\.severity'"):
        Diagnosis.of(content, "findings.json")
