"""Files as the report sees them."""

from rung.report.read import read_run, read_study, sentences
from rung.results.study import StudySummary
from tests.report.folders import NOTICE, run_folder, study_folder


def test_sentences_do_not_repeat():
    assert sentences("a", "b", " a", " ") == ["a", "b"]
    assert sentences() == []


def test_an_empty_folder_is_no_damage(tmp_path):
    run = read_run(tmp_path)
    assert (run.target, run.method, run.notices, run.errors, run.base_errors) == ("", "", (), {}, {})
    assert read_study(tmp_path).summary == StudySummary(title="")


def test_a_run_and_a_study_within_share_their_notice(tmp_path):
    run_folder(tmp_path)
    study_folder(tmp_path / "study")
    run = read_run(tmp_path)
    assert run.notices == (NOTICE,)
    assert (run.target, run.method) == ("r2scan", "readout")
    assert list(run.errors) == list(run.base_errors) == [("test", "r2scan"), ("ood", "r2scan")]
    assert run.study.rows[0].method == "base"
