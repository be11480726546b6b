"""A run of ``delta``: a sum is kept in the checkpoint, and provenance says why there is no native file."""

import pytest

from rung.calculator import RungCalculator
from rung.config import load_config
from rung.run.stages import run_fit
from rung.storage import read_json
from tests.run.small_world import SmallWorld, frames

LEARNER = {
    "name": "mace",
    "architecture": {
        "channels": 2, "max_l": 0, "max_harmonic": 1, "layers": 1, "cutoff": 3.0, "correlation": 1, "radial_units": [4]
    },
    "training": {"epochs": 1},
}  # fmt: skip


@pytest.mark.slow
def test_a_run_keeps_the_sum_and_says_why_it_is_no_native_file(world: SmallWorld):
    method = {"name": "delta", "learns": "labels", "learner": LEARNER}
    done = run_fit(load_config(world.config(method=method, run="sum")))
    exported = read_json(done.folder.provenance)["export"]
    assert exported["file"] is None
    assert "sum of two models" in exported["reason"]
    atoms = frames("new", 1, 7)[0].atoms
    atoms.calc = RungCalculator(done.folder.model, fidelity="low")
    kept = atoms.get_potential_energy()
    atoms.calc = RungCalculator(world.low, fidelity="low")
    assert kept == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert "cost_ratio" in done.metrics.fit.hyperparameters
    assert done.metrics.fit.n_energies == 10
    assert (done.folder.path / "report.html").exists()
