"""A run of ``onehot``: the target's file stands in the folder, and the other fidelity's is one command away."""

from pathlib import Path

import pytest

from rung.backends import load_base
from rung.calculator import RungCalculator
from rung.cli import main
from rung.config import load_config
from rung.run.stages import run_fit
from tests.run.small_world import SmallWorld, frames


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
    assert done.metrics["splits"]["test"]["high"]["n_structures"] == 6
