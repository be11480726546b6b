"""Every method that starts from a base runs on a SevenNet base, through the same code as on any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung import RungCalculator
from rung.checkpoint import open_model
from rung.config import load_config
from rung.data.readers.structures import read_structures
from rung.run.stages import run_fit
from rung.storage import read_json
from tests.backends.sevenn.world import HEADS, build_world, config
from tests.contract.checks import predict
from tests.sevennet_models import calculator

QUICK = {"epochs": 2, "batch_size": 4}
LONGER = {"epochs": 30, "batch_size": 4, "learning_rate": 0.01}
METHODS: dict[str, dict[str, Any]] = {
    "offset": {"name": "offset"},
    "readout": {"name": "readout"},
    "tangent": {"name": "tangent", "groups": "layers"},
    "transfer": {"name": "transfer", "training": LONGER, "blocks": "last_layer", "replay": {}},
    "joint": {"name": "joint", "training": LONGER},
    "onehot": {"name": "onehot", "training": LONGER},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and its data, on which each run has a folder of its own."""
    made = tmp_path_factory.mktemp("sevennet")
    build_world(made)
    return made


def errors(folder: Path, run: str, method: dict[str, Any], **base: Any) -> tuple[float, float]:
    """Run a method, hold its exported file against its checkpoint, and return energy errors before and after."""
    done = run_fit(load_config(config(folder, run, method, **base)))
    exported = read_json(done.folder.provenance)["export"]
    assert exported["file"] == "high.pth", exported
    fitted = open_model(done.folder.model, fidelity="high").potential
    for structure in read_structures(folder / "test.extxyz"):
        mine, theirs = structure.atoms.copy(), structure.atoms.copy()
        mine.calc, theirs.calc = RungCalculator(fitted, fidelity="high"), calculator(done.folder.native("high", ".pth"))
        assert abs(mine.get_potential_energy() - theirs.get_potential_energy()) < 4e-5
        np.testing.assert_allclose(mine.get_forces(), theirs.get_forces(), rtol=0, atol=2e-4)
    assert done.metrics.base is not None
    return done.metrics.base["test"]["high"].energy_rmse, done.metrics.splits["test"]["high"].energy_rmse


@pytest.mark.parametrize("name", METHODS)
def test_a_lift_from_one_modality(name: str, folder: Path) -> None:
    """Beside the base after one offset per element, which is all that ``offset`` does."""
    before, after = errors(folder, name, METHODS[name])
    assert after == pytest.approx(before) if name == "offset" else after < 0.9 * before


def test_readouts_of_several_fidelities(folder: Path) -> None:
    """The base offers two modalities, and joint trains the readout of each on one of them."""
    method = {"name": "joint", "training": QUICK, "fidelities": {"low": {}, "high": {}}}
    _, after = errors(folder, "joint-two", method)
    assert np.isfinite(after)


def test_onehot_goes_on_from_the_modalities_of_the_file(folder: Path) -> None:
    """With both modalities in the base, the target starts as what the file says of it: at no error at all."""
    method = {"name": "onehot", "training": {"epochs": 1, "batch_size": 4, "learning_rate": 1e-9}}
    _, after = errors(folder, "onehot-two", method, head=HEADS)
    assert after < 0.1  # meV/atom


def test_one_fidelity_alone_may_train(folder: Path) -> None:
    """``trains: fidelity`` leaves the file's other modality bit for bit as it was."""
    method = {"name": "onehot", "training": QUICK, "trains": "fidelity"}
    errors(folder, "onehot-alone", method, head=HEADS)
    structures = read_structures(folder / "test.extxyz")
    base = open_model(folder / "base.pth", fidelity="low", head=HEADS).potential
    after = open_model(folder / "onehot-alone" / "model.rung", fidelity="low").potential
    assert (predict(base, structures).energy == predict(after, structures).energy).all()


def test_an_exported_file_is_a_base_again(folder: Path) -> None:
    """A checkpoint that rung wrote lifts as one of SevenNet's own does, without a modality to name."""
    errors(folder, "again-offset", METHODS["offset"])
    path = folder / "again-offset" / "high.pth"
    before, after = errors(folder, "again", METHODS["readout"], file=str(path), fidelity="low", head=None)
    assert after < 0.7 * before
