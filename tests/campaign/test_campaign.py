"""A campaign from its first label to its last: rounds, kills at every boundary, what may change and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms

from rung.campaign import load_campaign_config, plan_campaign, run_campaign
from rung.campaign.world import World
from rung.cli import main
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, FindingsError, LabelError, StorageError
from rung.results.campaign import CampaignResult
from rung.storage import TEMPORARY, DamagedFileWarning, file_hash
from rung.units import HARTREE
from tests.campaign.worlds import EXACT, KNOWN, exact, told
from tests.collect.samples import run_of, write_scalar
from tests.report.html import text_of

NINE: dict[str, Any] = {"budget": {"labels": 9}}


def result_of(folder: Path) -> CampaignResult:
    return CampaignResult.read(folder / "campaign" / "campaign.json")


def go_on(folder: Path, **changes: Any) -> CampaignResult:
    return run_campaign(load_campaign_config(told(folder, **(NINE | changes)))).result


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_hash(path)
        for path in sorted((folder / "campaign").rglob("*"))
        if path.is_file() and path.name not in (".lock", "log.txt", "provenance.json")
    }


def test_rounds_label_a_start_set_then_what_makes_the_answer_surest(spent: Path) -> None:
    result = result_of(spent)
    assert [len(one.wanted) for one in result.rounds] == [6, 3, 0]
    assert [one.n_labels for one in result.rounds] == [0, 6, 9]
    assert [one.n_energies for one in result.rounds] == [0, 6, 9]
    assert not result.rounds[0].answers  # nothing to fit yet
    assert "start" in result.rounds[0].wanted[0].reason
    assert all("reaction: " in one.reason for one in result.rounds[1].wanted)
    names = [one.structure_id for each in result.rounds for one in each.made]
    assert len(names) == len(set(names)) == 9
    energies = [one.energy for each in result.rounds for one in each.made]
    np.testing.assert_allclose(energies, exact(spent, names), atol=1e-6)
    first, second = (one.answers[0] for one in result.rounds[1:])
    assert second.bar < first.bar
    assert all(one.model_error <= one.bar for one in (first, second))
    (outlook,) = result.rounds[1].outlook
    assert outlook.least <= outlook.then < outlook.now
    assert result.spent["labels"] == result.spent["cost"] == 9


def test_the_fit_of_a_round_sees_all_labels_before_it_and_no_other(spent: Path) -> None:
    result = result_of(spent)
    made: list[str] = []
    for one in result.rounds[1:]:
        made += [each.structure_id for each in result.rounds[one.number - 1].made]
        train = read_structures(spent / f"campaign/rounds/{one.number:03d}/train.extxyz")
        assert len(train) == 24  # those without a label stay, for they anchor
        assert {each.structure_id for each in train if each.labelled("high").has_energy} == set(made)


def test_what_happened_is_said_and_kept_in_the_log(spent: Path) -> None:
    said = (spent / "said.txt").read_text().splitlines()
    assert said[0] == "Round 0: 6 labels are asked for, of cost 6; 0 of 9 labels are spent."
    assert said[-1] == "The budget is spent (9 of 9 labels)."
    log = (spent / "campaign" / "log.txt").read_text()
    assert all(sentence in log for sentence in said)


def test_the_page_shows_answers_labels_and_reasons(spent: Path) -> None:
    text = text_of(spent / "campaign" / "campaign.html")
    result = result_of(spent)
    for word in ("reaction", "Tolerance", "What else would help", "Why: the bar that it lowers", result.sentence):
        assert word in text
    for one in result.rounds[1].made:
        assert one.structure_id in text
    assert f"{result.rounds[2].answers[0].bar:.3f}" in text


def test_a_second_call_does_nothing_twice(copy: Path) -> None:
    before = hashes(copy)
    assert go_on(copy) == result_of(copy)
    assert hashes(copy) == before


@pytest.mark.parametrize(
    "gone",
    [
        ["002/answers.json"],
        ["001/labels.json", "002"],
        ["001/labels", "001/labels.json", "002"],
        ["001/choice.json", "001/labels", "001/labels.json", "002"],
        ["001/choice.json", "001/selected.extxyz", "001/labels", "001/labels.json", "002", "001/answers.json"],
        ["000/labels.json", "001", "002"],
    ],
    ids=["answer", "record", "label", "choice", "select", "start"],
)
def test_a_campaign_that_was_killed_at_a_boundary_goes_on_to_the_same_end(copy: Path, gone: list[str]) -> None:
    before = result_of(copy)
    for name in gone:
        path = copy / "campaign" / "rounds" / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (copy / "campaign" / "campaign.json").unlink()
    after = go_on(copy)
    assert [one.wanted for one in after.rounds] == [one.wanted for one in before.rounds]
    for one, other in zip(after.rounds, before.rounds, strict=True):
        assert [each.energy for each in one.made] == [each.energy for each in other.made]
        assert [each.bar for each in one.answers] == pytest.approx([each.bar for each in other.answers], rel=1e-6)


def test_what_a_kill_left_half_written_is_swept(copy: Path) -> None:
    rounds = copy / "campaign" / "rounds"
    (rounds / "001" / "labels.json").unlink()
    shutil.rmtree(rounds / "002")
    structure = next((rounds / "001" / "labels" / "structures").iterdir())
    for folder in (rounds / "001", structure):
        (folder / f".half.extxyz.abc{TEMPORARY}").write_text("half")
    go_on(copy)
    assert not list(copy.rglob(f".*{TEMPORARY}"))


def test_tolerance_and_budget_may_change(copy: Path) -> None:
    reaction = {"kind": "sum", "structures": "sum.extxyz", "propose": False}
    reached = go_on(copy, rounds_inside=2, questions={"reaction": {**reaction, "tolerance": 10.0}})
    assert reached.status == "reached"
    assert len(reached.rounds) == 3  # two successive rounds are inside now, and nothing more was labelled
    assert "in 2 successive rounds" in reached.sentence
    once = go_on(copy, budget={"labels": 10}, questions={"reaction": {**reaction, "tolerance": 1e-6}})
    assert (once.status, len(once.rounds[2].made)) == ("budget", 1)


def test_a_folder_of_an_older_version_lacks_keys_that_count_with_their_defaults(copy: Path) -> None:
    stored = copy / "campaign" / "config.yaml"
    values = yaml.safe_load(stored.read_text())
    del values["questions"]["reaction"]["propose"], values["engine"]["forces"], values["engine"]["noise"]
    stored.write_text(yaml.safe_dump(values))
    with pytest.raises(StorageError, match=r"engine\.forces \(True, now False\)"):
        go_on(copy)  # its default is another than that of this config
    assert go_on(copy, engine={**KNOWN, "forces": True}).status == "budget"


def test_another_campaign_is_refused_by_the_name_of_what_changed(copy: Path) -> None:
    before = hashes(copy)
    other = {"reaction": {"kind": "sum", "structures": "sum.extxyz", "tolerance": 1e-6, "propose": True}}
    with pytest.raises(StorageError, match=r"questions.reaction.propose \(False, now True\) changed since"):
        go_on(copy, questions=other)
    with pytest.raises(StorageError, match=r"engine.name \(known, now ase\)"):
        go_on(copy, engine=EXACT)
    with pytest.raises(StorageError, match="seed changed since"):
        go_on(copy, seed=3)
    shutil.copy(copy / KNOWN["files"][0], copy / "lower-level.extxyz")
    with pytest.raises(StorageError, match=r"engine.files.0 \(.*, now .*lower-level.extxyz\) changed since"):
        go_on(copy, engine={**KNOWN, "files": ["lower-level.extxyz"]})
    (copy / "lower-level.extxyz").unlink()
    terms = read_structures(copy / "sum.extxyz")
    write_structures(copy / "sum.extxyz", terms[:1])
    with pytest.raises(StorageError, match=r"questions.reaction.structures changed since"):
        go_on(copy)
    assert hashes(copy) == before


def test_a_folder_that_rung_did_not_make_is_not_touched(copy: Path) -> None:
    (copy / "mine").mkdir()
    (copy / "mine" / "thesis.tex").write_text("years of work")
    config = load_campaign_config(told(copy, run="mine"))
    for work in (run_campaign, plan_campaign):
        with pytest.raises(StorageError, match="holds files that rung did not make"):
            work(config)
    assert [path.name for path in (copy / "mine").iterdir()] == ["thesis.tex"]


def test_a_damaged_record_is_one_sentence(copy: Path) -> None:
    record = copy / "campaign" / "rounds" / "001" / "choice.json"
    record.write_text(record.read_text()[:40])
    with pytest.raises(StorageError, match=r"choice\.json is not readable JSON"):
        go_on(copy)


def test_a_label_that_is_gone_is_said(copy: Path) -> None:
    labels = copy / "campaign" / "rounds" / "000" / "labels" / "labels.extxyz"
    write_structures(labels, read_structures(labels)[1:])
    (copy / "campaign" / "rounds" / "002" / "answers.json").unlink()
    with pytest.raises(DataError, match="any more, which round 0 labelled"):
        go_on(copy)


def test_labels_that_fail_are_said_and_not_tried_again(copy: Path) -> None:
    known = read_structures(copy / "known.extxyz")
    chosen = [one.structure_id for one in result_of(copy).rounds[0].wanted]
    write_structures(copy / "few.extxyz", [one for one in known if one.structure_id != chosen[0]])
    lines: list[str] = []
    changes = {"run": "other", "budget": {"labels": 8}, "engine": {**KNOWN, "files": ["few.extxyz"]}, "batch": 2}
    result = run_campaign(load_campaign_config(told(copy, **changes)), say=lines.append).result
    assert any(f"{chosen[0]} has no label. No structure" in line for line in lines)
    assert result.spent["labels"] == 8
    wanted = [one.structure_id for each in result.rounds for one in each.wanted]
    assert wanted.count(chosen[0]) == 1


def test_with_inputs_that_run_elsewhere_it_stops_and_takes_the_outputs_when_they_are_there(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "dmc.xml.j2").write_text("{% for a in atoms %}{{ a.symbol }} {% endfor %}")
    outputs = {"equilibration": 0}
    engine = {"name": "files", "templates": ["dmc.xml.j2"], "statistical": True, "outputs": outputs}
    config = str(told(copy, run="far", engine=engine, budget={"labels": 6}))
    for _ in range(2):  # to ask again changes nothing
        assert main(["campaign", config]) == 3
        said = " ".join(capsys.readouterr().err.split())
        assert "Inputs of 6 labels are written below" in said
        assert "give the same command again" in said
    waiting = CampaignResult.read(copy / "far" / "campaign.json")
    assert (waiting.status, waiting.rounds[0].made) == ("waiting", ())
    folders = sorted((copy / "far" / "rounds" / "000" / "labels" / "structures").iterdir())
    assert len(folders) == 6
    energies = exact(copy, [folder.name for folder in folders])
    for seed, (folder, energy) in enumerate(zip(folders, energies, strict=True)):
        assert (folder / "dmc.xml").exists()
        blocks = run_of(seed, mean=energy / HARTREE, spread=5e-4)
        write_scalar(folder / "dmc.s001.scalar.dat", blocks)
    assert main(["campaign", config]) == 1
    after = CampaignResult.read(copy / "far" / "campaign.json")
    assert after.rounds[0].wanted == waiting.rounds[0].wanted
    made = {one.structure_id: one for one in after.rounds[0].made}
    for folder, energy in zip(folders, energies, strict=True):
        label = made[folder.name]
        assert 0 < label.stderr < 0.01
        assert abs(label.energy - energy) < 4 * label.stderr
    assert np.isfinite(after.rounds[1].answers[0].bar)


def test_a_round_without_any_label_stops_with_the_reason(copy: Path) -> None:
    write_structures(copy / "none.extxyz", read_structures(copy / "test.extxyz"))
    changes = {"run": "other", "engine": {**KNOWN, "files": ["none.extxyz"]}}
    with pytest.raises(LabelError, match=r"Round 0: no label came\. No structure with an energy"):
        go_on(copy, **changes)
    assert not (copy / "other" / "rounds" / "000" / "labels.json").exists()


def test_bad_input_is_refused_before_any_work(copy: Path) -> None:
    terms = read_structures(copy / "sum.extxyz")
    bare = [type(one)(one.atoms, one.structure_id, {}) for one in terms]
    write_structures(copy / "bare.extxyz", bare)
    question = {"kind": "sum", "structures": "bare.extxyz", "tolerance": 0.1}
    with pytest.raises(DataError, match=r"bare.extxyz, frame 0: no finite number coefficient="):
        go_on(copy, run="other", questions={"reaction": question})
    with pytest.raises(DataError, match=r"There is no file .*absent\.extxyz"):
        go_on(copy, run="other", questions={"reaction": {**question, "structures": "absent.extxyz"}})
    with pytest.raises(
        ConfigError, match=r"at 'questions\.reaction': Unknown kind 'sums'; there is: barrier, energies"
    ):
        go_on(copy, run="other", questions={"reaction": {**question, "kind": "sums"}})
    known = {"train": "known.extxyz"}
    with pytest.raises(DataError, match="Every structure has high_energy already"):
        go_on(copy, run="other", data=known)
    with pytest.raises(FindingsError, match="nothing was begun"):
        go_on(copy, run="other", data={"train": "train.extxyz", "evaluate": {"test": "train.extxyz"}})
    with pytest.raises(ConfigError, match=r"A first fit needs 6 labels, 0 are there, and budget\.labels is 5"):
        go_on(copy, run="other", budget={"labels": 5})
    with pytest.raises(ConfigError, match="leaves no error bars"):
        go_on(copy, run="other", method={"name": "offset"})
    assert not (copy / "other").exists()


def test_a_name_of_two_geometries_in_files_of_questions_is_refused(copy: Path) -> None:
    """Labels are joined by name: that of a question's structure stood on the training structure of its name."""
    shutil.rmtree(copy / "campaign", ignore_errors=True)
    terms = list(read_structures(copy / "sum.extxyz"))
    name = read_structures(copy / "train.extxyz")[0].structure_id
    write_structures(copy / "sum.extxyz", [replace(terms[0], structure_id=name), *terms[1:]])
    with pytest.raises(DataError, match=f"structure_id {name!r} names two geometries"):
        go_on(copy, run="other")


def test_a_pool_that_is_smaller_than_a_start_set_is_labelled_whole_and_fitted(copy: Path) -> None:
    write_structures(copy / "five.extxyz", read_structures(copy / "train.extxyz")[:5])
    result = go_on(copy, run="five", data={"train": "five.extxyz"})
    assert result.status == "exhausted"
    assert [one.n_energies for one in result.rounds] == [0, 5]
    assert np.isfinite(result.rounds[1].answers[0].bar)


def test_a_start_set_keeps_to_a_budget_of_cost(copy: Path) -> None:
    result = go_on(copy, run="cheap", budget={"cost": 3.5})
    assert (result.status, result.spent["cost"]) == ("budget", 3.0)
    assert "The budget is spent (3 of 3.5 of cost)." in result.sentence


def test_the_command_says_what_a_round_costs_and_how_it_ends(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(told(copy, **NINE))
    assert main(["campaign", config, "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "Round 2: 9 energies are there and 15 structures may be labelled." in said
    assert "Spent: 9 of 9 labels." in said
    assert main(["campaign", config]) == 1  # the budget is spent before the answer is sure
    shown = capsys.readouterr()
    assert "reaction" in shown.out
    assert "campaign.html" in shown.err


def test_the_page_is_written_again_from_the_results(copy: Path) -> None:
    page = copy / "campaign" / "campaign.html"
    before = page.read_bytes()
    page.unlink()
    assert main(["report", str(copy / "campaign")]) == 0
    assert page.read_bytes() == before


def test_single_atoms_are_not_worth_a_label(copy: Path) -> None:
    atom = Structure(Atoms("C", positions=[[0.0, 0.0, 0.0]]), "alone", {})
    write_structures(copy / "atoms.extxyz", [atom])
    world = World(load_campaign_config(told(copy, run="other", pool="atoms.extxyz")))
    assert "alone" not in {one.structure_id for one in world.candidates((), ())}
    kept = {"train": "train.extxyz", "single_atoms": "fit"}
    world = World(load_campaign_config(told(copy, run="other", pool="atoms.extxyz", data=kept)))
    assert "alone" in {one.structure_id for one in world.candidates((), ())}


def test_a_fit_that_is_damaged_is_made_again(copy: Path) -> None:
    before = result_of(copy)
    model = copy / "campaign" / "rounds" / "002" / "fit" / "model.rung"
    model.write_bytes(model.read_bytes()[:100])
    with pytest.warns(DamagedFileWarning, match="model.rung is damaged"):
        after = go_on(copy)
    assert after.rounds[2].answers[0].bar == pytest.approx(before.rounds[2].answers[0].bar, rel=1e-6)
