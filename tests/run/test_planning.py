"""What a run would do, said before it, with nothing written: held against what the run then does."""

import json
from pathlib import Path

import pytest
import yaml

from rung.cli import main
from rung.cli.plan import print_plan
from rung.config import load_config
from rung.data.readers.structures import read_structures, write_structures
from rung.errors import DataError, FindingsError, StorageError
from rung.features.cache import DesignCache
from rung.fit.linear import probing
from rung.results.plan import FitPlan
from rung.run.planning import plan_fit
from rung.run.stages import run_fit
from tests.run.small_world import SmallWorld

TRAINING = {"epochs": 3, "batch_size": 4}


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("method", "fitted"),
    [
        ({"name": "readout"}, "readout"),
        ({"name": "offset"}, "none"),
        ({"name": "tangent"}, "all"),
        pytest.param({"name": "auto"}, "all", marks=pytest.mark.slow),
        ({"name": "transfer", "training": TRAINING}, "all"),
        pytest.param({"name": "joint", "training": TRAINING}, "all", marks=pytest.mark.slow),
    ],
)
def test_weights_are_counted_and_nothing_is_written(world: SmallWorld, method: dict[str, object], fitted: str) -> None:
    config = load_config(world.config(method=method))
    before = files_of(world.folder)
    plan = plan_fit(config)
    assert files_of(world.folder) == before
    model = world.low.backbone.module  # type: ignore[attr-defined]
    total = sum(parameter.numel() for parameter in model.parameters())
    n_readout = len(world.low.surface("low").readout.weights)
    assert plan.n_fitted is not None and plan.n_frozen is not None
    assert plan.n_fitted == {"readout": n_readout, "none": 0, "all": plan.n_fitted}[fitted]
    if fitted == "all":
        assert plan.n_fitted > 10 * n_readout
    if method["name"] != "joint":  # which has a readout for each fidelity
        assert plan.n_fitted + plan.n_frozen == total
    assert (plan.state, plan.n_energies) == ("new", 10)
    assert plan.seconds > 0
    assert plan.memory > 0
    assert "identify the reference energies of H, C, O" in plan.reference_energies
    assert json.loads(json.dumps(plan.as_json()))["method"] == method["name"]


@pytest.mark.parametrize(("form", "trains"), [("all", "fidelity"), ("embedding", "all")])
def test_onehot_counts_what_moves(world: SmallWorld, form: str, trains: str) -> None:
    """With ``trains: fidelity`` the weights of the base stay, and only what the target adds moves."""
    method = {"name": "onehot", "form": form, "trains": trains, "training": TRAINING}
    plan = plan_fit(load_config(world.config(method=method)))
    total = sum(parameter.numel() for parameter in world.low.backbone.module.parameters())  # type: ignore[attr-defined]
    assert plan.n_fitted is not None and plan.n_frozen is not None
    if trains == "fidelity":
        assert 0 < plan.n_fitted < total <= plan.n_frozen
    else:
        assert plan.n_fitted > total // 2
    assert plan.seconds > 0
    assert plan.memory > 0
    assert any("An epoch of" in sentence for sentence in plan.sentences)


def test_delta_counts_its_small_model_and_keeps_the_base(world: SmallWorld) -> None:
    learner = {"name": "mace", "architecture": {"channels": 4, "max_l": 0}, "training": TRAINING}
    plan = plan_fit(load_config(world.config(method={"name": "delta", "learner": learner})))
    total = sum(parameter.numel() for parameter in world.low.backbone.module.parameters())  # type: ignore[attr-defined]
    assert plan.n_fitted is not None and plan.n_frozen is not None
    assert plan.n_fitted > 0
    assert plan.n_frozen >= total
    assert plan.seconds > 0
    assert plan.memory > 0


def test_delta_on_features_costs_what_its_readout_costs(world: SmallWorld) -> None:
    method = {"name": "delta", "learner": {"name": "features"}}
    told = plan_fit(load_config(world.config(method=method)))
    terms = [{"kind": "energies"}, {"kind": "weights"}]
    readout = plan_fit(load_config(world.config(method={"name": "readout", "terms": terms})))
    assert (told.n_fitted, told.n_frozen) == (readout.n_fitted, readout.n_frozen)
    assert [(one.what, one.n_entries) for one in told.designs] == [(one.what, one.n_entries) for one in readout.designs]
    assert told.seconds > 0


def test_designs_are_those_that_the_run_makes_and_none_afterwards(world: SmallWorld) -> None:
    config = load_config(world.config(method={"name": "readout"}, data={"train": "train.extxyz"}))
    plan = plan_fit(config)
    counts = {one.what: (one.n_structures, one.n_missing) for one in plan.designs}
    assert counts == {"all components of forces": (16, 16), "energies alone": (0, 0)}
    run_fit(config)
    made = [one for one in DesignCache(world.folder / "rung-cache").entries() if one.key.kind != "features"]
    again = plan_fit(config)
    assert len(made) == 16
    assert {one.n_missing for one in again.designs} == {0}
    assert again.state == "finished"


def test_directions_are_counted_where_forces_are_probed(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "FULL_WORK", 0.0)
    plan = plan_fit(load_config(world.config(method={"name": "readout"})))
    assert plan.designs[0].what.startswith("forces along ")
    assert plan.designs[0].n_entries == plan.designs[0].n_missing == 16 * int(plan.designs[0].what.split()[2])


def test_the_run_itself_is_refused_in_the_same_words(world: SmallWorld) -> None:
    text = (world.folder / "train.extxyz").read_text()
    (world.folder / "test.extxyz").write_text(text)
    config = load_config(world.config())
    with pytest.raises(FindingsError, match="nothing was fitted"):
        plan_fit(config)


def test_a_folder_of_another_run_is_refused_and_the_next_free_one_is_planned(world: SmallWorld) -> None:
    run_fit(load_config(world.config(method={"name": "offset"})))
    other = load_config(world.config(method={"name": "readout"}))
    with pytest.raises(StorageError, match="is another run: method changed since"):
        plan_fit(other)
    plan = plan_fit(other, new=True)
    assert (Path(plan.run).name, plan.state) == ("run-2", "new")
    (world.folder / "mine").mkdir()
    (world.folder / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match=r"thesis\.txt"):
        plan_fit(load_config(world.config(run="mine")))


def test_labels_that_do_not_identify_reference_energies_are_warned_of(world: SmallWorld) -> None:
    frames = [one for one in read_structures(world.folder / "train.extxyz") if one.formula == "CH4"]
    write_structures(world.folder / "train.extxyz", frames)
    plan = plan_fit(load_config(world.config()))
    assert "identify 1 of 2 combinations" in plan.reference_energies
    assert plan.reference_energies in plan.warnings


def test_json_holds_it_and_the_terminal_shows_it(world: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    path = world.config()
    assert main(["fit", str(path), "--dry-run", "--json"]) == 0
    plan = FitPlan.of(json.loads(capsys.readouterr().out), "stdout")
    assert plan.target == yaml.safe_load(path.read_text())["target"]
    assert not (world.folder / "run").exists()
    assert not (world.folder / "rung-cache").exists()
    print_plan(plan)
    shown = capsys.readouterr().out
    for words in ("Labels that would be read", "all components of forces", "weights move", "Nothing was written"):
        assert words in shown


def test_elements_of_the_test_set_that_a_new_model_never_sees_are_refused(world: SmallWorld) -> None:
    methane = [one for one in read_structures(world.folder / "train.extxyz") if one.formula == "CH4"]
    write_structures(world.folder / "methane.extxyz", methane)
    method = {"name": "scratch", "architecture": {"channels": 2, "layers": 1}, "training": {"epochs": 1}}
    data = {"train": "methane.extxyz", "evaluate": {"test": "test.extxyz"}}
    config = load_config(world.config(method=method, target="low", base=None, data=data))
    for work in (plan_fit, run_fit):
        with pytest.raises(DataError, match="holds O, which structures to evaluate on hold, so it could say nothing"):
            work(config)
