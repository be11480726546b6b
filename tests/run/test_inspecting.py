"""What a file is, said without running anything from it."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from rung.backends import describe, export
from rung.backends.mace.facts import facts_of_model
from rung.checkpoint import load
from rung.cli import main
from rung.errors import ModelError
from rung.run.file_settings import InspectSettings
from rung.run.inspecting import inspect_file
from rung.storage import file_hash
from tests.mace_models import tiny_mace
from tests.pair_backbone import PairBackbone, pair_potential
from tests.pair_backend import BACKEND as PAIR
from tests.run.small_world import SmallWorld
from tests.several_fidelities import several

OLD = Path(__file__).parents[1] / "checkpoints"


def test_a_run_says_what_it_was_made_from(finished: SmallWorld) -> None:
    run = finished.folder / "run"
    found = inspect_file(InspectSettings(file=run))
    assert found.kind == "the model of a run"
    assert found.exported == ("high.model",)
    assert set(found.fidelities) == set(load(run / "model.rung").potential.fidelities)
    assert found.posterior == "readout and reference energies"
    origin = found.origin
    assert origin is not None
    assert (origin.method, origin.target, origin.base_fidelity) == ("readout", "high", "low")
    assert origin.base is not None
    assert origin.base.sha256_32 == file_hash(finished.folder / origin.base.name)
    assert origin.data["data.train"].sha256_32 == file_hash(finished.folder / "train.extxyz")
    assert origin.labels["high"].n_energies == 10
    assert origin.labels["high"].energy_stderr > 0
    assert origin.labels["high"].level_of_theory == "the truth"


def test_an_exported_file_says_the_same(finished: SmallWorld) -> None:
    run = finished.folder / "run"
    of_run = inspect_file(InspectSettings(file=run))
    found = inspect_file(InspectSettings(file=run / "high.model"))
    assert found.kind == "a model exported by rung"
    assert found.card is not None
    assert found.card.fidelity == "high"
    assert found.card.reference_energies == of_run.fidelities["high"].reference_energies
    assert found.origin == of_run.origin
    assert found.models[0].n_weights == of_run.models[0].n_weights


def test_a_mace_file_of_several_heads(tmp_path: Path) -> None:
    model = tiny_mace(heads=("a", "b"), dtype=torch.float32)
    torch.save(model, tmp_path / "x.model")
    found = describe(tmp_path / "x.model")
    assert found == facts_of_model(model)  # the inert picture and the live model tell the same
    assert found.heads == ("a", "b")
    assert found.elements == ("H", "C", "O")
    assert (found.cutoff, found.receptive_field, found.dtype) == (4.0, 8.0, "float32")
    assert found.n_weights == sum(one.numel() for one in model.parameters())
    assert found.reference_energies["b"]["O"] == float(model.atomic_energies_fn.atomic_energies[1, 2])
    assert found.details["layers"] == 2
    assert not found.trouble
    assert describe(tmp_path / "x.model", trusted=True) == found


def test_a_model_that_rung_cannot_use_is_described_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_mace()
    model.dipole = 1.0
    torch.save(model, tmp_path / "x.model")
    found = describe(tmp_path / "x.model")
    assert "dipole" in found.trouble
    assert found.n_weights
    assert main(["inspect", str(tmp_path / "x.model")]) == 1
    assert "rung cannot use this model" in capsys.readouterr().err


def test_biases_that_mace_builds_without_are_told(tmp_path: Path) -> None:
    potential = several("all")
    export(potential, "high", tmp_path / "x.model")
    assert describe(tmp_path / "x.model").details["linear_layers_with_bias"]


def test_a_backend_that_tells_nothing_of_its_own(tmp_path: Path) -> None:
    """The default of the protocol: what every backbone tells."""
    potential = pair_potential(PairBackbone(), ("low",))
    PAIR.export(potential, "low", tmp_path / "x.pair")
    found = PAIR.describe(tmp_path / "x.pair", trusted=False)
    assert found.backend == "pair"
    assert found.cutoff == potential.cutoff
    assert found.n_weights is None


@pytest.mark.parametrize("name", ["version-1.rung", "version-2.rung"])
def test_old_checkpoints_are_told_without_an_origin(name: str) -> None:
    found = inspect_file(InspectSettings(file=OLD / name))
    assert found.origin is None
    assert found.fidelities
    assert found.models[0].n_weights


def test_json_and_table(finished: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished.folder / "run"
    assert main(["inspect", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["origin"]["labels"]["high"]["n_energies"] == 10
    assert told["models"][0]["backend"] == "mace"
    assert main(["inspect", str(run / "high.model")]) == 0
    shown = capsys.readouterr().out
    for words in ("the truth", "train.extxyz", "E0, eV", "made from"):
        assert words in shown


def test_what_is_no_model_is_one_sentence(tmp_path: Path, finished: SmallWorld) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    run = finished.folder / "run"
    shutil.copy(run / "high.model", tmp_path / "cut.model")
    with (tmp_path / "cut.model").open("r+b") as file:
        file.truncate(5000)
    for name, sentence in {
        "a.txt": "no file of torch",
        "folder": "holds no model.rung",
        "absent": "There is no file",
        "cut.model": "truncated",
    }.items():
        with pytest.raises(ModelError, match=sentence):
            inspect_file(InspectSettings(file=tmp_path / name))
