"""Exported files are plain MACE: its own calculator and its LAMMPS conversion agree with rung."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch

from rung import RungCalculator
from rung.backends import export, load_base
from rung.backends.mace import wrap
from rung.backends.mace.backend import BACKEND
from rung.backends.mace.export import native_model
from rung.backends.training import trainable
from rung.data.batch import collate
from rung.errors import ConfigError, ModelError, StorageError
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import HiddenLayer, Readout
from rung.model.reference import ReferenceEnergies
from tests.backends.comparison import assert_native, direct, energies_and_forces, mace_calculator
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace
from tests.pair_backbone import pair_potential
from tests.several_fidelities import own, stirred


def moved(surface: Surface, seed: int = 0) -> Surface:
    """Return a surface whose weights and reference energies have all changed."""
    rng = np.random.default_rng(seed)
    elements = surface.reference.elements
    return Surface(
        surface.readout.moved(0.2 * rng.normal(size=len(surface.readout.weights))),
        surface.reference.moved(elements, rng.normal(size=len(elements))),
    )


def widened(readout: Readout, units: int, outgoing: float = 0.0) -> Readout:
    """Return a readout with random hidden units in its last block."""
    rng = np.random.default_rng(3)
    block = readout.blocks[-1]
    layer = block.layers[-1]
    weight = np.hstack([layer.weight, rng.normal(size=(len(layer.weight), units))])
    wider = HiddenLayer(weight, np.concatenate([layer.bias, np.zeros(units)]), layer.activation, layer.gain)
    block = replace(
        block,
        layers=(*block.layers[:-1], wider),
        weights=np.concatenate([block.weights, outgoing * rng.normal(size=units)]),
        n_random=units,
    )
    return replace(readout, blocks=(*readout.blocks[:-1], block))


def test_untouched_base_keeps_every_bit(testbed_base: ReadoutPotential, testbed_base_path: Path) -> None:
    base = torch.load(testbed_base_path, weights_only=False).state_dict()
    found = native_model(testbed_base, "pbe").state_dict()
    assert base.keys() == found.keys()
    assert all(torch.equal(base[name], found[name]) and base[name].dtype == found[name].dtype for name in base)


def test_only_what_changed_is_written(testbed_base: ReadoutPotential) -> None:
    surface = testbed_base.surface("pbe")
    step = np.zeros(len(surface.readout.weights))
    step[[3, 40]] = 0.5
    potential = testbed_base.with_surface(
        "r2scan", Surface(surface.readout.moved(step), surface.reference.moved((16,), np.array([1.0])))
    )
    base, found = testbed_base.backbone.module.state_dict(), native_model(potential, "r2scan").state_dict()
    differing = {
        name: int((base[name] != found[name]).sum()) for name in base if not torch.equal(base[name], found[name])
    }
    assert differing == {
        "readouts.0.linear.weight": 1,
        "readouts.1.linear_2.weight": 1,
        "atomic_energies_fn.atomic_energies": 1,
    }


SHAPES: dict[str, dict[str, Any]] = {
    "one-layer": {"layers": 1},
    "two-layers": {},
    "heads": {"heads": ("a", "b"), "pair_repulsion": True},
    "heads-bias": {"heads": ("a", "b", "c"), "readout": "NonLinearBiasReadoutBlock", "gate": "tanh"},
    "plain-mace": {"scale_shift": False, "hidden": "6x0e", "max_ell": 1, "gate": "identity"},
}


@pytest.mark.parametrize("name", SHAPES)
def test_lifted_surface_in_native_form(name: str) -> None:
    model = tiny_mace(**SHAPES[name])
    head = model.heads[-1] if len(model.heads) > 1 else None
    base = wrap(model, "low", head)
    potential = base.with_surface("high", moved(base.surface("low")))
    structures = molecule_structures() + cell_structures()
    for fidelity in potential.fidelities:
        native = native_model(potential, fidelity)
        assert len(native.heads) == 1
        batch = collate(structures, [fidelity] * len(structures), potential.cutoff, names=potential.fidelities)
        wanted, found = direct(native, batch), potential.predict(batch)
        np.testing.assert_allclose(wanted.energy, found.energy, rtol=0, atol=1e-10)
        np.testing.assert_allclose(wanted.forces, found.forces, rtol=0, atol=1e-10)
    if head is None:
        shapes = {key: value.shape for key, value in model.state_dict().items()}
        assert shapes == {key: value.shape for key, value in native.state_dict().items()}


@pytest.mark.parametrize(
    ("readout", "heads"),
    [
        ("NonLinearReadoutBlock", ("Default",)),
        pytest.param("NonLinearBiasReadoutBlock", ("Default",), marks=pytest.mark.slow),
        ("NonLinearBiasReadoutBlock", ("a", "b")),
    ],
)
def test_widened_base_is_the_base(readout: str, heads: tuple[str, ...], tmp_path: Path) -> None:
    base = wrap(tiny_mace(readout=readout, heads=heads), "low", heads[-1])
    surface = base.surface("low")
    structures = molecule_structures() + cell_structures()
    batch = collate(structures, ["low"] * len(structures), base.cutoff)
    before = base.predict(batch)
    for outgoing in (0.0, 0.3):
        wide = Surface(widened(surface.readout, 11, outgoing), surface.reference)
        potential = base.with_surface("low", wide)
        found = direct(native_model(potential, "low"), batch)
        wanted = before if outgoing == 0.0 else potential.predict(batch)
        np.testing.assert_allclose(found.energy, wanted.energy, rtol=0, atol=1e-11)
        np.testing.assert_allclose(found.forces, wanted.forces, rtol=0, atol=1e-12 * (1 if outgoing == 0.0 else 100))
    export(potential, "low", tmp_path / "wide.model")
    again = load_base(tmp_path / "wide.model", fidelity="low")  # rebuilt from data: still a plain MACE file
    np.testing.assert_allclose(again.predict(batch).energy, wanted.energy, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mace_calculator_agrees_on_the_testbed(dtype: str, testbed_base_path: Path, tmp_path: Path) -> None:
    base = load_base(testbed_base_path, fidelity="pbe", dtype=dtype)
    surface = base.surface("pbe")
    rng = np.random.default_rng(1)
    lifted = Surface(
        surface.readout.moved(0.02 * rng.normal(size=48)), surface.reference.moved((16, 42), np.array([-0.4, 1.1]))
    )
    potential = base.with_surface("r2scan", lifted)
    path = tmp_path / "r2scan.model"
    export(potential, "r2scan", path)
    frames = ase.io.read(testbed_base_path.parent / "test.extxyz", index="0:3")
    frames += ase.io.read(testbed_base_path.parent / "ood.extxyz", index="0:1")
    ours = energies_and_forces(RungCalculator(potential, fidelity="r2scan"), frames)
    reopened = energies_and_forces(RungCalculator(path, fidelity="r2scan", dtype=dtype), frames)
    theirs = energies_and_forces(mace_calculator(path, dtype), frames)
    sizes = np.array([len(frame) for frame in frames])
    per_atom, per_force = (1e-6, 1e-5) if dtype == "float32" else (1e-10, 1e-10)
    for found in (ours, reopened):
        assert np.sqrt(np.mean(found[2] ** 2)) > 0.5
        assert np.abs(found[1] - theirs[1]).max() <= per_atom
        assert np.abs(found[2] - theirs[2]).max() <= per_force
        # mace adds float32 energies of atoms to a total of hundreds of eV; rung adds in float64
        rounding = 0.0 if dtype == "float64" else np.finfo(np.float32).eps * np.abs(theirs[0]) / 2
        assert (np.abs(found[0] - theirs[0]) / sizes <= per_atom + rounding).all()


@pytest.mark.parametrize("options", [{"heads": ("a", "b")}, {"pair_repulsion": True}, {"scale_shift": False}])
def test_mace_calculator_agrees_on_small_models(options: dict[str, Any], tmp_path: Path) -> None:
    base = wrap(tiny_mace(**options), "low", "a" if "heads" in options else None)
    potential = base.with_surface("high", moved(base.surface("low")))
    path = tmp_path / "high.model"
    export(potential, "high", path)
    frames = [structure.atoms for structure in molecule_structures() + cell_structures()]
    ours = energies_and_forces(RungCalculator(potential, fidelity="high"), frames)
    theirs = energies_and_forces(mace_calculator(path, "float64"), frames)
    for found, wanted in zip(ours, theirs, strict=True):
        if "pair_repulsion" in options and found is ours[1]:
            continue  # rung shares pair repulsion among the atoms of a row, mace gives it to the receivers
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def test_file_holds_classes_of_mace_e3nn_and_torch_only(tiny_potential: ReadoutPotential, tmp_path: Path) -> None:
    surface = tiny_potential.surface("low")
    potential = tiny_potential.with_surface("high", Surface(widened(surface.readout, 3), surface.reference))
    path = tmp_path / "high.model"
    export(potential, "high", path)
    assert_native(path)
    assert all(p.requires_grad for p in torch.load(path, weights_only=False).readouts.parameters())
    assert list(tmp_path.iterdir()) == [path]


def test_what_mace_cannot_hold_is_refused(tiny_potential: ReadoutPotential, tmp_path: Path) -> None:
    surface = tiny_potential.surface("low")
    readout, path = surface.readout, tmp_path / "a.model"
    linear, last = readout.blocks
    partial = ReferenceEnergies({1: 0.0, 6: 0.0})
    cases = {
        "bias": Surface(replace(readout, blocks=(replace(linear, bias=0.3), last)), surface.reference),
        "other blocks": Surface(replace(readout, blocks=(last,)), surface.reference),
        r"for O": Surface(readout, partial),
    }
    for match, wrong in cases.items():
        with pytest.raises(ModelError, match=match):
            export(tiny_potential.with_surface("high", wrong), "high", path)
    plain = wrap(tiny_mace(scale_shift=False, hidden="4x0e", max_ell=1), "low")
    scaled = Surface(replace(plain.surface("low").readout, scale=2.0), plain.surface("low").reference)
    with pytest.raises(ModelError, match="class MACE"):
        export(plain.with_surface("high", scaled), "high", path)
    pair = wrap(tiny_mace(pair_repulsion=True, hidden="4x0e", max_ell=1), "low")
    scaled = Surface(replace(pair.surface("low").readout, scale=2.0), pair.surface("low").reference)
    with pytest.raises(ModelError, match="pair repulsion"):
        export(pair.with_surface("high", scaled), "high", path)
    with pytest.raises(ConfigError, match="'higher'; there is: low"):
        export(tiny_potential, "higher", path)
    with pytest.raises(ModelError, match="PairBackbone"):
        BACKEND.export(pair_potential(), "low", path)
    assert not path.exists()


def test_scale_and_shift_are_written(tiny_potential: ReadoutPotential) -> None:
    surface = tiny_potential.surface("low")
    other = Surface(replace(surface.readout, scale=1.7, shift=0.3), surface.reference)
    potential = tiny_potential.with_surface("high", other)
    structures = molecule_structures()
    batch = collate(structures, ["high"] * len(structures), potential.cutoff)
    found = direct(native_model(potential, "high"), batch)
    np.testing.assert_allclose(found.energy, potential.predict(batch).energy, rtol=0, atol=1e-11)


def test_failed_export_leaves_nothing(tiny_potential: ReadoutPotential, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", lambda model, where: full() if isinstance(where, Path) else _save(model, where))
    with pytest.raises(StorageError, match="No space left"):
        export(tiny_potential, "low", tmp_path / "a.model")
    assert not list(tmp_path.iterdir())


_save = torch.save

_LAMMPS = """
import json, sys, torch
import numpy as np
from ase.io import read
from mace.data import AtomicData, config_from_atoms
from mace.tools import AtomicNumberTable, torch_geometric
torch.set_default_dtype(torch.float64)
model = torch.jit.load(sys.argv[1])
table = AtomicNumberTable([int(z) for z in model.atomic_numbers])
results = []
for atoms in read(sys.argv[2], index=":"):
    data = AtomicData.from_config(config_from_atoms(atoms), z_table=table, cutoff=float(model.r_max))
    batch = next(iter(torch_geometric.dataloader.DataLoader([data], batch_size=1))).to_dict()
    found = model(batch, torch.ones(len(atoms)), compute_virials=False)
    results.append({"energy": float(found["total_energy_local"]), "forces": found["forces"].tolist()})
print("RESULT" + json.dumps(results))
"""


def widened_potential(base: ReadoutPotential, units: int) -> ReadoutPotential:
    surface = base.surface("pbe")
    readout = widened(surface.readout, units, 0.05) if units else surface.readout
    return base.with_surface("r2scan", moved(Surface(readout, surface.reference)))


def conditioned_potential(base: ReadoutPotential) -> ReadoutPotential:
    model = trainable(base, {"pbe": "pbe", "r2scan": "pbe"}, "all")
    stirred(model, own(model, "r2scan"), size=0.05)
    return model.frozen()


LIFTED = {
    "moved": lambda base: widened_potential(base, 0),
    "widened": lambda base: widened_potential(base, 24),
    "conditioned": conditioned_potential,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIFTED)
def test_lammps_conversion_agrees(name: str, testbed_base_path: Path, tmp_path: Path) -> None:
    potential = LIFTED[name](load_base(testbed_base_path, fidelity="pbe", dtype="float64"))
    path = tmp_path / "r2scan.model"
    export(potential, "r2scan", path)
    tool = Path(sys.executable).with_name("mace_create_lammps_model")
    subprocess.run([tool, str(path), "--dtype", "float64"], check=True, capture_output=True, cwd=tmp_path)
    frames = ase.io.read(testbed_base_path.parent / "test.extxyz", index="0:2")
    for frame in frames:
        frame.calc = None
    ase.io.write(tmp_path / "frames.extxyz", frames)
    converted = tmp_path / "r2scan.model-lammps.pt"
    command = [sys.executable, "-W", "ignore", "-c", _LAMMPS, str(converted), str(tmp_path / "frames.extxyz")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = json.loads(output.split("RESULT")[1])
    energies, _, forces = energies_and_forces(RungCalculator(potential, fidelity="r2scan"), frames)
    np.testing.assert_allclose([item["energy"] for item in theirs], energies, rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.concatenate([item["forces"] for item in theirs]), forces, rtol=0, atol=1e-8)
