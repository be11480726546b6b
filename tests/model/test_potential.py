"""A potential of several surfaces: what one of them says is its own, and a fingerprint sees every part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from numpy.testing import assert_allclose

from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError
from rung.model.potential import ReadoutPotential, gradients_of, voigt_stress
from tests.pair_backbone import PairBackbone, analytic, pair_potential, pair_structures


def potential() -> ReadoutPotential:
    return pair_potential(PairBackbone(), ("low", "high"))


def test_the_energy_is_the_formula_of_the_class() -> None:
    structures = pair_structures(PairBackbone())
    for name in ("low", "high"):
        surface = potential().surface(name)
        predicted = potential().predict(collate(structures, [name] * len(structures), potential().cutoff))
        for structure, energy in zip(structures, predicted.energy.tolist(), strict=True):
            truth = analytic(structure.atoms, PairBackbone())
            interaction = surface.readout.atom_energies(torch.as_tensor(truth.features)).sum().item()
            reference = sum(surface.reference.energies[int(number)] for number in structure.atoms.numbers)
            assert energy == pytest.approx(interaction + reference + truth.fixed_energy, rel=1e-11)


def test_rows_of_several_fidelities_are_those_of_each_alone() -> None:
    structures = pair_structures(PairBackbone())[:4]
    names = ["high", "low", "low", "high"]
    mixed = potential().predict(collate(structures, names, potential().cutoff), stress=True)
    atoms = 0
    for row, (structure, name) in enumerate(zip(structures, names, strict=True)):
        alone = potential().predict(collate([structure], [name], potential().cutoff), stress=True)
        assert mixed.energy[row].item() == pytest.approx(alone.energy.item(), rel=1e-12)
        assert_allclose(mixed.forces[atoms : atoms + len(structure)], alone.forces, atol=1e-12)
        assert_allclose(mixed.stress[row], alone.stress[0], atol=1e-14)
        atoms += len(structure)
    assert mixed.atom_energies.sum().item() == pytest.approx(mixed.energy.sum().item(), rel=1e-12)


def test_unknown_fidelities_and_elements_are_named() -> None:
    with pytest.raises(ConfigError, match=r"'hihg'; there is: high, low\. Did you mean 'high'"):
        potential().surface("hihg")
    gold = Structure(Atoms("Au"), "gold", {})
    with pytest.raises(ModelError, match=r"\bAu\b"):
        potential().predict(collate([gold], ["low"], 3.0))


def test_a_surface_added_leaves_the_others() -> None:
    start = potential()
    added = start.with_surface("dear", start.surface("high"))
    assert added.fidelities == ("low", "high", "dear") and start.fidelities == ("low", "high")
    assert added.surface("low") is start.surface("low") and added.backbone is start.backbone
    batch = collate(pair_structures(PairBackbone())[:1], ["dear"], 3.0)
    same = collate(pair_structures(PairBackbone())[:1], ["high"], 3.0)
    assert torch.equal(added.predict(batch).energy, potential().predict(same).energy)


def test_the_fingerprint_sees_weights_reference_energies_and_backbone() -> None:
    start = potential()
    surface = start.surface("high")
    moved = surface.readout.moved(1e-9 * np.ones(len(surface.readout.weights)))
    shifted = surface.reference.moved(surface.reference.elements, np.full(2, 1e-9))
    others = [
        start.with_surface("high", replace(surface, readout=moved)),
        start.with_surface("high", replace(surface, reference=shifted)),
        start.with_surface("dear", surface),
        replace(start, backbone=PairBackbone(seed=1)),
    ]
    assert len({start.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert potential().fingerprint == start.fingerprint


def test_a_plain_potential_stays_and_a_conditioned_one_needs_a_backbone_that_folds() -> None:
    assert potential().at("low").fidelities == ("low", "high")
    with pytest.raises(ConfigError, match="'dear'"):
        potential().at("dear")
    conditioned = pair_potential(PairBackbone(conditioning={"low": 1.0, "high": 1.4}), ("low", "high"))
    with pytest.raises(ModelError, match="PairBackbone cannot be reduced"):
        conditioned.at("low")


def test_gradients_are_zero_where_nothing_depends_on_a_leaf() -> None:
    one, other = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    slope, none = gradients_of((one**2).sum(), [one, other])
    assert slope.tolist() == [2.0, 2.0, 2.0] and none.tolist() == [0.0, 0.0, 0.0]
    assert gradients_of((one**2).sum(), []) == []
    assert gradients_of(torch.ones(()), [one])[0].tolist() == [0.0, 0.0, 0.0]
    kept = gradients_of((one**3).sum(), [one], create_graph=True)[0]
    assert torch.autograd.grad(kept.sum(), one)[0].tolist() == [6.0, 6.0, 6.0]


def test_stress_is_in_voigt_order_over_the_volume_and_absent_without_one() -> None:
    crystal, molecule = pair_structures(PairBackbone())[0], pair_structures(PairBackbone())[4]
    batch = collate([crystal, molecule], ["low", "low"], 3.0)
    virial = torch.arange(18, dtype=torch.float64).reshape(2, 3, 3)
    stress = voigt_stress(virial, batch)
    volume = crystal.atoms.get_volume()
    assert_allclose(stress[0] * volume, [0.0, 4.0, 8.0, 6.0, 4.0, 2.0], rtol=1e-12)
    assert stress[1].isnan().all()
