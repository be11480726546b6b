"""A small relative of a foundation model: 89 elements, ZBL, Agnesi transform, several heads, from file to file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from rung import RungCalculator
from rung.backends import export, load_base
from rung.backends.training import trainable
from rung.data.batch import collate
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.features.passes import build_designs
from rung.features.probes import Probe
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.linear.terms import Band, Energies, WeightPrior
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.model.potential import ReadoutPotential
from tests.backends.comparison import direct, mace_calculator
from tests.mace_models import tiny_mace

HEADS = ("omat_pbe", "mp_pbe", "spice_wB97M", "rgd1_b3lyp")
HEAD = HEADS[1]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_mace(
        elements=tuple(range(1, 90)),
        heads=HEADS,
        pair_repulsion=True,
        distance_transform="Agnesi",
        cutoff=4.5,
        scale=0.8,
    )
    path = tmp_path_factory.mktemp("foundation") / "relative.model"
    torch.save(model, path)
    return path


@pytest.fixture(scope="module")
def base(path: Path) -> ReadoutPotential:
    return load_base(path, fidelity="pbe", head=HEAD)  # not trusted: read without running what it holds


def frames(count: int) -> list[Structure]:
    """Rattled perovskites and rock salts, labelled by an invented high level on some."""
    random = np.random.default_rng(3)
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    cells = [
        Atoms("SrTiO3", scaled_positions=places, cell=[3.9] * 3, pbc=True),
        Atoms("NaClCsI", scaled_positions=[(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)], cell=[5.6] * 3, pbc=True),
    ]
    found = []
    for number in range(count):
        atoms = cells[number % 2].copy()
        atoms.positions += random.normal(scale=0.08, size=atoms.positions.shape)
        label = replace(
            empty_labels(len(atoms)), energy=-8.0 * len(atoms) + random.normal(scale=0.1), energy_stderr=0.02
        )
        found.append(Structure(atoms, f"frame-{number}", {"dmc": label}))
    return found


def test_a_head_must_be_named(path: Path, base: ReadoutPotential) -> None:
    with pytest.raises(ModelError, match="omat_pbe, mp_pbe"):
        load_base(path, fidelity="pbe")
    assert base.elements == frozenset(range(1, 90))


def test_it_says_what_mace_says(path: Path, base: ReadoutPotential) -> None:
    structures = frames(2)
    batch = collate(structures, ["pbe"] * 2, base.cutoff)
    said = base.predict(batch)
    theirs = direct(torch.load(path, weights_only=False), batch, HEAD)
    np.testing.assert_allclose(said.energy, theirs.energy, rtol=0, atol=1e-9)
    other = direct(torch.load(path, weights_only=False), batch, HEADS[3])
    assert float((other.energy - theirs.energy).abs().min()) > 0.1
    np.testing.assert_allclose(said.forces, theirs.forces, rtol=0, atol=1e-9)


def test_a_probe_is_the_full_design_with_repulsion_and_transform(base: ReadoutPotential) -> None:
    readout = base.surface("pbe").readout
    whole = build_designs(frames(2), base.backbone, readout, forces=True, fidelity="pbe")
    probed = build_designs(frames(2), base.backbone, readout, forces=True, fidelity="pbe", probe=Probe())
    for one, full in zip(probed, whole, strict=True):
        np.testing.assert_allclose(one.forces, one.sketch @ full.forces, atol=1e-9 * np.abs(full.forces).max())
        np.testing.assert_allclose(one.fixed_forces, one.sketch @ full.fixed_forces, atol=1e-9)
        assert np.abs(full.fixed_forces).max() > 1e-6  # the repulsion is there


def test_a_fit_with_probes_is_exported_as_one_head_that_mace_reads(base: ReadoutPotential, tmp_path: Path) -> None:
    train = frames(8)
    lift = Lift(train, (), Base(base, "pbe"), {name: Fidelity(name) for name in ("pbe", "dmc")}, "dmc")
    settings = ReadoutSettings(terms=(Energies(), Band(probes=3), WeightPrior()), average=1)
    result = fit_readout(lift, settings, Context(dtype="float64"))
    assert result.diagnostics["force_probes"] == 3
    out = tmp_path / "dmc.model"
    export(result.potential, "dmc", out)
    for frame in train[:2]:
        ours, theirs = RungCalculator(result.potential, fidelity="dmc"), mace_calculator(out, "float64")
        energy = ours.get_potential_energy(frame.atoms)
        assert energy == pytest.approx(theirs.get_potential_energy(frame.atoms), abs=1e-8)
        np.testing.assert_allclose(ours.get_forces(frame.atoms), theirs.get_forces(frame.atoms), atol=1e-8)
        assert abs(energy - frame.labelled("dmc").energy) < 0.5
    again = load_base(out, fidelity="dmc")
    assert again.elements == base.elements


def test_its_weights_move_at_the_head_that_was_named(base: ReadoutPotential) -> None:
    model = trainable(base, {"dmc": "pbe"})
    assert model.frozen().at("dmc").elements == base.elements
