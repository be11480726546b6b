"""Rung says of SevenNet's own checkpoints what SevenNet's own calculator says."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import rung
from rung import RungCalculator
from rung.backends import dump, load_base, restore
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential
from tests.contract.checks import CHECKS, predict
from tests.geometries import rattled
from tests.sevennet_models import calculator, shipped, write_sevennet

ENERGY, FORCES, STRESS = 2e-6, 6e-5, 2e-7
"""eV/atom, eV/Å, eV/Å³: what float32 leaves."""

WHEEL = [
    pytest.param("SevenNet_0__11Jul2024", None, id="7net-0"),
    pytest.param("SevenNet_MF_0", "PBE", id="mf-0-pbe"),
    pytest.param("SevenNet_MF_0", "R2SCAN", id="mf-0-r2scan"),
    pytest.param("SevenNet_0__22May2024", None, id="7net-0-may", marks=pytest.mark.slow),
    pytest.param("SevenNet_l3i5", None, id="l3i5", marks=pytest.mark.slow),
]


def frames() -> list[Atoms]:
    """Return a layer of MoS2 with a vacancy, a crystal of two atoms, one of one atom, a molecule and an atom."""
    data = Path(rung.__file__).parent / "demo_data" / "mos2" / "test.extxyz"
    return [
        ase.io.read(data, index=0),
        rattled(bulk("NaCl", "rocksalt", a=5.6), 1),
        bulk("Cu", "fcc", a=3.6),
        rattled(molecule("CH3OH"), 2),
        Atoms("O"),
    ]


def compare(potential: ReadoutPotential, reference: object, atoms: Atoms) -> None:
    """Hold energy, forces and stress of rung against those of another calculator."""
    mine, theirs = atoms.copy(), atoms.copy()
    mine.calc, theirs.calc = RungCalculator(potential, fidelity="low"), reference
    # near 10 eV a float32 comes in steps of 1e-6: a lone atom is allowed what three have
    allowed = ENERGY * max(len(atoms), 3)
    assert abs(mine.get_potential_energy() - theirs.get_potential_energy()) <= allowed
    assert np.abs(mine.get_forces() - theirs.get_forces()).max() <= FORCES
    if atoms.pbc.all():
        np.testing.assert_allclose(mine.get_stress(), theirs.get_stress(), rtol=2e-5, atol=STRESS)


@pytest.mark.parametrize(("name", "modality"), WHEEL)
def test_shipped_checkpoints(name: str, modality: str | None) -> None:
    path = shipped(name)
    potential = load_base(path, fidelity="low", head=modality)
    for atoms in frames():
        compare(potential, calculator(path, modality), atoms)


def test_two_modalities_in_one_potential() -> None:
    """Each fidelity says what its modality says alone, with its vectors in passing or folded into biases."""
    path = shipped("SevenNet_MF_0")
    both = load_base(path, fidelity="pbe", head={"pbe": "PBE", "r2scan": "R2SCAN"})
    assert both.backbone.conditioned
    assert both.backbone.at("pbe").fingerprint != both.backbone.at("r2scan").fingerprint
    structures = [Structure(atoms, "", {}) for atoms in frames()[1:]]
    for fidelity, modality in (("pbe", "PBE"), ("r2scan", "R2SCAN")):
        alone = load_base(path, fidelity=fidelity, head=modality)
        said, folded = predict(both, structures, fidelity), predict(both.at(fidelity), structures, fidelity)
        for other in (folded, predict(alone, structures, fidelity)):
            np.testing.assert_allclose(other.energy, said.energy, rtol=0, atol=2e-5)
            np.testing.assert_allclose(other.forces, said.forces, rtol=0, atol=2e-5)
        assert alone.surface(fidelity).reference == both.surface(fidelity).reference
        assert (alone.surface(fidelity).readout.weights == both.surface(fidelity).readout.weights).all()


@pytest.mark.parametrize(
    "options",
    [
        {"self_connection_type": "nequip", "is_parity": True},
        {"use_bias_in_linear": True, "element_scales": (1.3, 0.6, 2.1)},
        {"modalities": ("a", "b")},
        {"modalities": ("a", "b"), "use_bias_in_linear": True, "is_parity": True, "lmax": 2},
    ],
    ids=["nequip", "biases-and-scales", "modalities", "modalities-and-biases"],
)
def test_small_models_of_every_kind(options: dict[str, object], structures: list[Structure], tmp_path: Path) -> None:
    path = write_sevennet(tmp_path / "small.pth", **options)
    modality = "b" if "modalities" in options else None
    potential = load_base(path, fidelity="low", head=modality)
    for structure in structures:
        compare(potential, calculator(path, modality), structure.atoms)


def test_derivatives_of_the_path_in_double_precision() -> None:
    """Forces and stress of a real model are the derivatives of its energy, by finite differences."""
    potential = load_base(shipped("SevenNet_0__11Jul2024"), fidelity="low", dtype="float64")
    structure = Structure(rattled(bulk("NaCl", "rocksalt", a=5.6), 1), "", {})
    CHECKS["forces"](potential, [structure], 1e-10)
    CHECKS["stress"](potential, [structure], 1e-10)


def test_a_mirror_image_has_an_energy_of_its_own() -> None:
    """The shipped models know rotations, not reflections: that is said, and how much it matters is seen."""
    potential = load_base(shipped("SevenNet_0__11Jul2024"), fidelity="low", dtype="float64")
    assert not potential.mirrors
    atoms = frames()[0]
    mirrored = atoms.copy()
    mirrored.set_cell(atoms.cell.array * [1, -1, 1])
    mirrored.positions *= [1, -1, 1]
    energies = predict(potential, [Structure(one, "", {}) for one in (atoms, mirrored)]).energy
    assert 1e-5 < abs(float(energies[0] - energies[1])) < 5e-3
    CHECKS["rotation"](potential, [Structure(atoms, "", {})], 1e-11)


def test_neighbours_are_those_of_sevennet() -> None:
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    for atoms in frames():
        batch = collate([Structure(atoms, "", {})], ["low"], 5.0, names=["low"])
        assert batch.edges.shape[1] == unlabeled_atoms_to_graph(atoms, 5.0)["edge_index"].shape[1]


def test_an_isolated_atom_is_not_the_shift() -> None:
    """What a network says of a lone atom is its own: E0 is a constant of the fit, not that energy."""
    potential = load_base(shipped("SevenNet_0__11Jul2024"), fidelity="low")
    energy = float(predict(potential, [Structure(Atoms("C"), "", {})]).energy[0])
    assert abs(energy - potential.surface("low").reference.energies[6]) > 1.0


@pytest.mark.parametrize("head", [None, "both"])
def test_plain_data_give_back_every_bit(
    head: str | None, one_modality: Path, two_modalities: Path, structures: list[Structure]
) -> None:
    path, heads = (one_modality, None) if head is None else (two_modalities, {"low": "a", "high": "b"})
    potential = load_base(path, fidelity="low", head=heads)
    again = restore(dump(potential))
    assert again.fingerprint == potential.fingerprint
    for fidelity in potential.fidelities:
        before, after = predict(potential, structures, fidelity), predict(again, structures, fidelity)
        assert (before.energy == after.energy).all() and (before.forces == after.forces).all()
