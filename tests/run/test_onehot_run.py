"""Runs of ``onehot``: the target's file stands in the folder, and a base of several fidelities is compared as it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.backends import load_base
from rung.calculator import RungCalculator
from rung.cli import main
from rung.config import load_config
from rung.data.readers.structures import read_structures
from rung.results.metrics import Evaluation, Metrics, by_split
from rung.run.evaluation import predict
from rung.run.file_settings import EvaluationSettings
from rung.run.files import evaluate_files
from rung.run.stages import run_fit
from tests.run.small_world import SmallWorld, build_conditioned_world, frames


@pytest.mark.slow
def test_the_target_is_exported_and_the_other_fidelity_on_request(world: SmallWorld, tmp_path: Path):
    training = {"epochs": 1, "learning_rate": 0.01, "sampling": {"name": "balanced"}}
    method = {"name": "onehot", "form": "all", "training": training}
    done = run_fit(load_config(world.config(method=method, run="both", dtype="float64")))
    assert main(["export", str(done.folder.model), str(tmp_path / "low.model"), "--fidelity", "low"]) == 0
    atoms = frames("new", 1, 7)[0].atoms
    energies = {}
    for name, path in (("high", done.folder.native("high", ".model")), ("low", tmp_path / "low.model")):
        atoms.calc = RungCalculator(load_base(path, fidelity=name), fidelity=name)
        energies[name] = atoms.get_potential_energy()
        atoms.calc = RungCalculator(done.folder.model, fidelity=name)
        assert energies[name] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert abs(energies["high"] - energies["low"]) > 1.0
    assert done.metrics.splits["test"]["high"].n_structures == 6


ONE_EPOCH = {"epochs": 1, "batch_size": 16, "valid_fraction": 0.0}
BASES = {name: {"file": f"{name}.rung", "fidelity": "low"} for name in ("base", "folded")}


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """A world whose base offers ``low`` and ``high`` by features that depend on the fidelity; tests only read it."""
    return build_conditioned_world(tmp_path_factory.mktemp("conditioned"))


def fitted(world: SmallWorld, method: str, base: str = "base", target: str = "high", **settings: Any) -> Metrics:
    """Return the metrics of a run; a target other than ``high`` has the labels of ``high``."""
    name = f"{method}-{base}-{target}"
    config = world.config(
        f"{name}.yaml",
        run=name,
        base=BASES[base],
        target=target,
        fidelities={"low": {}, target: {} if target == "high" else {"key": "high"}},
        method={"name": method, **settings},
    )
    return run_fit(load_config(config)).metrics


def assert_close(one: Evaluation, other: Evaluation, target: str) -> None:
    """Compare errors of two bases, meV/atom and meV/Å, within rounding."""
    errors, others = (by_split(each.base)["test", target].as_json() for each in (one, other))
    assert errors.keys() == others.keys()
    for name, value in errors.items():
        assert value == pytest.approx(others[name], abs=1e-7, nan_ok=True), name


@pytest.mark.parametrize("method", ["onehot", "joint"])
def test_a_target_that_a_base_of_several_fidelities_lacks_is_fitted_and_evaluated(
    conditioned: SmallWorld, method: str
) -> None:
    metrics = fitted(conditioned, method, target="best", training=ONE_EPOCH)
    folded = fitted(conditioned, "offset", base="folded", target="best")
    assert_close(metrics, folded, "best")
    assert metrics.splits["test"]["best"].n_structures == 4


def test_the_base_rows_of_a_target_that_the_base_offers_are_those_of_the_folded_base(conditioned: SmallWorld) -> None:
    metrics = fitted(conditioned, "onehot", training=ONE_EPOCH)
    folded = fitted(conditioned, "offset", base="folded")
    assert_close(metrics, folded, "high")
    test = read_structures(conditioned.folder / "test.extxyz")
    forces = np.concatenate([block for block in predict(conditioned.low, test, "low").forces if block is not None])
    labels = np.concatenate([one.labelled("high").forces for one in test])
    error = 1e3 * np.sqrt(np.mean((forces - labels) ** 2))
    assert by_split(metrics.base)["test", "high"].force_rmse == pytest.approx(error, rel=1e-9)


def test_evaluate_puts_the_folded_base_beside_a_model(conditioned: SmallWorld) -> None:
    by_base = []
    for name in BASES:
        settings = EvaluationSettings(
            model=conditioned.folder / "base.rung",
            files=(conditioned.folder / "test.extxyz",),
            fidelity="high",
            base=conditioned.folder / f"{name}.rung",
            base_fidelity="low",
        )
        by_base.append(evaluate_files(settings))
    assert_close(*by_base, "high")
