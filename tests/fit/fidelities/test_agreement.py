"""What is known before the first step: parity with the base, and whether two fidelities oppose each other."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from rung.backends.mace import wrap
from rung.backends.training import trainable
from rung.data.batch import collate
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.fit.fidelities.agreement import PAIRS, agreement, step_zero
from rung.model.conditioning import Conditioning
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from tests.fit.toy_model import ToyTrainable
from tests.fit.toy_surface import REFERENCE, toy_structures
from tests.mace_models import tiny_mace
from tests.several_fidelities import CONDITIONINGS, stirred

SHIFTS = np.array([0.5, -0.25, 1.0])


def water(count: int) -> list[Structure]:
    return [structure for structure in toy_structures(4 * count) if structure.formula == "H2O"]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_every_conditioning_starts_at_the_base_whatever_its_reference_energies(conditioning: Conditioning) -> None:
    base = wrap(tiny_mace(), "low")
    model = trainable(base, {"low": "low", "high": "low"}, conditioning)
    high = model.references["high"]
    moved = high.moved(sorted(high.energies), np.linspace(-1.0, 2.0, len(high.energies)))
    model.set_references({**model.references, "high": moved})
    structures = [s for s in toy_structures(12) if set(s.atoms.numbers.tolist()) <= base.elements]
    found = step_zero(model, base, {"low": "low", "high": "low"}, structures)
    assert found.energy < 1e-9 and found.force < 1e-9
    assert found.warnings == ()


def test_a_start_that_left_the_base_is_measured_and_said() -> None:
    base = wrap(tiny_mace(), "low")
    model = trainable(base, {"high": "low"})
    stirred(model, {name for name, _ in model.named_parameters() if "readout" in name}, 0.01)
    structures = [s for s in toy_structures(8) if set(s.atoms.numbers.tolist()) <= base.elements]
    found = step_zero(model, base, {"high": "low"}, structures)
    model.eval()
    said = model(collate(structures, ["high"] * len(structures), base.cutoff), forces=True)
    known = base.predict(collate(structures, ["low"] * len(structures), base.cutoff))
    sizes = torch.tensor([len(structure) for structure in structures])
    energy, force = (said.energy - known.energy).detach() / sizes, (said.forces - known.forces).detach()
    assert found.energy == pytest.approx(1000 * energy.abs().max().item(), rel=1e-9)
    assert found.force == pytest.approx(1000 * force.abs().max().item(), rel=1e-9)
    assert "differs from the base" in found.warnings[0]


class World:
    """A toy model and structures whose labels ask for chosen changes of what it says."""

    def __init__(self, count: int = 12) -> None:
        references = {name: ReferenceEnergies(REFERENCE) for name in ("low", "high")}
        self.model: TrainablePotential = ToyTrainable(references=references)
        self.structures = water(count)
        generator = np.random.default_rng(2)
        self.energy = generator.normal(0.0, 0.1, count)
        self.forces = [generator.normal(0.0, 0.2, (3, 3)) for _ in range(count)]
        self.other = generator.normal(0.0, 0.1, count)

    def labelled(self, wanted: Mapping[str, float], *, forces: bool = True, offset: float = 0.0) -> list[Structure]:
        """Return structures whose labels of each fidelity ask for the same change times a factor, plus ``offset``."""
        self.model.eval()
        found = []
        for k, structure in enumerate(self.structures):
            said = self.model(collate([structure], ["low"], self.model.cutoff, names=("low", "high")))
            labels = {}
            for name, factor in wanted.items():
                force = said.forces.numpy() + factor * self.forces[k] if forces else np.full((3, 3), np.nan)
                energy = said.energy.item() + factor * self.energy[k] + offset
                labels[name] = replace(empty_labels(3), energy=energy, forces=force)
            found.append(replace(structure, labels=labels))
        return found


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (-0.5, 1.0), (0.3, -2.0)])
def test_wanted_changes_that_are_proportional_agree_fully_or_not_at_all(low: float, high: float) -> None:
    world = World()
    found = agreement(world.model, world.labelled({"low": low, "high": high}, offset=7.0), "low", "high")
    sign = np.sign(low * high)
    assert found.energy == pytest.approx(sign, abs=1e-9)
    assert found.force == pytest.approx(sign, abs=1e-9)
    assert found.energy_share == pytest.approx(abs(low / high), rel=1e-9)
    assert found.force_share == pytest.approx(abs(low / high), rel=1e-9)
    assert (found.n_energies, found.n_forces) == (12, 108)
    opposed = sign < 0 and abs(low / high) > 0.2
    assert len(found.warnings) == (2 if opposed else 0)
    assert set(found.facts) == {"energy_agreement_low", "force_agreement_low"}


def test_correlation_is_that_of_numpy_within_compositions() -> None:
    world = World()
    world.structures = toy_structures(48)[:14]
    world.model.eval()
    generator = np.random.default_rng(9)
    wanted = {name: generator.normal(size=14) for name in ("low", "high")}
    structures = []
    for k, structure in enumerate(world.structures):
        said = world.model(collate([structure], ["low"], world.model.cutoff, names=("low", "high"))).energy.item()
        labels = {
            name: replace(empty_labels(len(structure)), energy=said + len(structure) * values[k])
            for name, values in wanted.items()
        }
        structures.append(replace(structure, labels=labels))
    found = agreement(world.model, structures, "low", "high")
    formulas = np.array([structure.formula for structure in structures])
    low, high = (
        np.concatenate([values[formulas == one] - values[formulas == one].mean() for one in sorted(set(formulas))])
        for values in (wanted["low"], wanted["high"])
    )
    expected = np.corrcoef(low, high)[0, 1]
    assert found.energy == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found.force) and found.n_forces == 0


def test_too_little_to_compare_says_nothing() -> None:
    world = World()
    structures = world.labelled({"low": -1.0, "high": 1.0}, forces=False)
    few = agreement(world.model, structures[:7], "low", "high")
    assert few.n_energies == 7 and np.isnan(few.energy) and few.warnings == () and few.facts == {}
    apart = [replace(s, labels={name: s.labels[name]}) for name, s in zip(["low", "high"] * 6, structures, strict=True)]
    assert agreement(world.model, apart, "low", "high").n_energies == 0


def test_a_small_wish_opposes_nothing_and_many_geometries_are_thinned() -> None:
    world = World(PAIRS + 20)
    structures = world.labelled({"low": -0.1, "high": 1.0})
    found = agreement(world.model, structures, "low", "high")
    assert found.n_energies == PAIRS
    assert found.energy < -0.99 and found.warnings == ()
