"""On one card: what a CPU computes, from features to molecular dynamics, and files that travel between the two."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import units
from ase.md.verlet import VelocityVerlet

from rung import RungCalculator
from rung.backends import load_base
from rung.checkpoint import load
from rung.config import load_config
from rung.data.batch import collate
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.features.passes import build_designs
from rung.model.delta import SummedBackbone
from rung.run.stages import run_fit
from tests.mace_models import tiny_mace
from tests.run.small_world import SmallWorld

pytestmark = pytest.mark.cuda

TOLERANCE = {"float64": 1e-8, "float32": 2e-3}
"""eV and eV/Å: sums on a card run in another order, and float32 keeps seven digits of an energy of 200 eV."""


@pytest.fixture(scope="module")
def structures(testbed_base_path: Path) -> list[Structure]:
    return list(read_structures(testbed_base_path.parent / "test.extxyz")[:2])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_energies_forces_and_stress(
    testbed_base_path: Path, structures: list[Structure], device: str, dtype: str
) -> None:
    found: list[Any] = []
    for where in ("cpu", device):
        potential = load_base(testbed_base_path, fidelity="pbe", dtype=dtype, device=where)
        assert potential.device.type == torch.device(where).type
        batch = collate(structures, ["pbe"] * 2, potential.cutoff, dtype=potential.dtype, device=potential.device)
        found.append(potential.predict(batch, stress=True))
    for name in ("energy", "atom_energies", "forces", "stress"):
        one, other = (getattr(prediction, name).cpu().double().numpy() for prediction in found)
        np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("kind", ["jacobian", "summed"])
def test_designs(testbed_base_path: Path, structures: list[Structure], device: str, kind: Any) -> None:
    designs = []
    for where in ("cpu", device):
        potential = load_base(testbed_base_path, fidelity="pbe", dtype="float64", device=where)
        readout = potential.surface("pbe").readout
        designs.append(
            build_designs(structures[:1], potential.backbone, readout, forces=True, fidelity="pbe", kind=kind)[0]
        )
    np.testing.assert_allclose(designs[1].energy, designs[0].energy, rtol=0, atol=1e-8)
    np.testing.assert_allclose(designs[1].forces, designs[0].forces, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["readout", "tangent", "transfer", "scratch"])
def test_a_run_on_a_card_is_that_of_a_cpu_and_its_files_open_without_one(
    world: SmallWorld, device: str, method: str
) -> None:
    settings: dict[str, Any] = {"name": method}
    if method in ("transfer", "scratch"):
        settings["training"] = {"epochs": 2}
    changes = {"base": None} if method == "scratch" else {}
    runs = {
        where: run_fit(load_config(world.config(f"{where}.yaml", run=where, device=where, method=settings, **changes)))
        for where in dict.fromkeys(("cpu", device))
    }
    errors = [run.metrics.splits["test"]["high"].force_departure_rmse for run in runs.values()]
    if method != "scratch":  # random weights of a new model are drawn on the device
        assert errors[-1] == pytest.approx(errors[0], rel=0.05)
    opened = load(runs[device].folder.model)
    assert opened.potential.device.type == "cpu"
    atoms = read_structures(world.folder / "test.extxyz")[0].atoms
    energies = []
    for path in (runs[device].folder.model, runs[device].folder.path / "high.model"):
        atoms.calc = RungCalculator(path, fidelity="high")
        energies.append(atoms.get_potential_energy())
    assert energies[1] == pytest.approx(energies[0], abs=1e-6)


def test_a_model_beside_the_base_is_trained_on_a_card(world: SmallWorld, device: str) -> None:
    """A training leaves its model on the CPU, and the base is on the card."""
    method = {"name": "delta", "learner": {"name": "mace", "training": {"epochs": 2}}}
    run = run_fit(load_config(world.config(device=device, method=method)))
    atoms = read_structures(world.folder / "test.extxyz")[0].atoms
    energies = []
    for where in ("cpu", device):
        atoms.calc = RungCalculator(run.folder.model, fidelity="high", device=where)
        energies.append(atoms.get_potential_energy())
    assert energies[1] == pytest.approx(energies[0], abs=1e-3)


def test_error_bars_on_a_card(finished: SmallWorld, device: str) -> None:
    atoms = read_structures(finished.folder / "test.extxyz")[0].atoms
    bars = [
        RungCalculator(finished.folder / "run/model.rung", fidelity="high", device=where).get_forces_stderr(atoms)
        for where in ("cpu", device)
    ]
    np.testing.assert_allclose(bars[1], bars[0], rtol=1e-5, atol=1e-9)


def test_molecular_dynamics(testbed_base_path: Path, structures: list[Structure], device: str) -> None:
    ends = []
    for where in ("cpu", device):
        atoms = structures[0].atoms.copy()
        atoms.set_momenta(np.random.default_rng(0).normal(size=(len(atoms), 3)))
        atoms.calc = RungCalculator(testbed_base_path, fidelity="pbe", dtype="float64", device=where)
        VelocityVerlet(atoms, 0.5 * units.fs).run(20)
        ends.append(atoms.positions)
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-8)


def test_a_model_that_was_saved_on_a_card_opens_without_one(tmp_path: Path, device: str) -> None:
    model = tiny_mace().to(device)
    torch.save(model, tmp_path / "card.model")
    for trusted in (False, True):
        potential = load_base(tmp_path / "card.model", fidelity="low", trusted=trusted)
        assert potential.device.type == "cpu"
        assert potential.fingerprint == load_base(tmp_path / "card.model", fidelity="low").fingerprint


def test_two_models_on_two_devices_are_refused(testbed_base_path: Path, device: str) -> None:
    if torch.device(device).type == "cpu":
        pytest.skip("there is one device only")
    first, second = (load_base(testbed_base_path, fidelity="pbe", device=where).backbone for where in ("cpu", device))
    with pytest.raises(ModelError, match="on one device"):
        SummedBackbone(first, second)
