"""Every potential keeps the contract."""

import numpy as np
import pytest
import torch

from rung.features.passes import build_designs
from rung.features.probes import Probe
from rung.model.potential import Surface
from tests.contract.checks import CHECKS, predict, same_predictions
from tests.contract.registry import ENTRIES, Entry, named

every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


DEVICES = ("cpu", *(["cuda"] if torch.cuda.is_available() else []))


@every_entry
@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("device", DEVICES)
def test_contract(entry: Entry, name: str, device: str) -> None:
    CHECKS[name](entry.on(device), entry.structures(), entry.tolerance)


@pytest.mark.parametrize("name", named("fidelities-all", "sum", "pair-conditioned", "sevennet-modalities"))
def test_an_entry_moves_to_a_device_by_its_plain_data(name: str) -> None:
    """What a test on an accelerator rests on: the copy is another object that predicts the same bits."""
    (entry,) = (entry for entry in ENTRIES if entry.name == name)
    moved, structures = entry.copied("cpu"), entry.structures()
    assert moved is not entry.build()
    assert same_predictions(predict(moved, structures), predict(entry.build(), structures))


@every_entry
def test_a_probe_sees_the_forces_along_its_direction(entry: Entry) -> None:
    potential, structures = entry.build(), entry.structures()
    surface = potential.surface("low")
    said = predict(potential, structures)
    assert said.forces is not None
    forces = said.forces.double().split([len(one) for one in structures])
    designs = build_designs(structures, potential.backbone, surface.readout, forces=True, fidelity="low", probe=Probe())
    for design, whole in zip(designs, forces, strict=True):
        row = design.forces @ surface.readout.weights + design.fixed_forces
        size = max(float(np.sqrt(np.sum(whole.numpy() ** 2))), 1e-3)
        assert abs(row - design.seen(whole.numpy())) <= 10 * entry.tolerance * size


@every_entry
def test_adding_a_fidelity_changes_no_other(entry: Entry) -> None:
    potential = entry.build()
    structures = entry.structures()
    before = predict(potential, structures)
    low = potential.surface("low")
    wild = Surface(low.readout.moved(np.full(len(low.readout.weights), 3.0)), low.reference)
    # a conditioned backbone must know the name, so an existing fidelity is replaced there
    name = "high" if potential.backbone.conditioned else "third"
    assert same_predictions(predict(potential.with_surface(name, wild), structures), before)


@every_entry
def test_step_zero_reproduces_the_base(entry: Entry) -> None:
    potential = entry.build()
    structures = entry.structures()
    low = potential.surface("low")
    elements = low.reference.elements
    start = Surface(
        low.readout.moved(np.zeros(len(low.readout.weights))), low.reference.moved(elements, np.zeros(len(elements)))
    )
    before = predict(potential, structures)
    assert same_predictions(predict(potential.with_surface("low", start), structures), before)


@every_entry
def test_fidelities_differ(entry: Entry) -> None:
    """The contract would hold of a potential that ignores the fidelity."""
    potential = entry.build()
    low, high = (predict(potential, entry.structures(), name) for name in ("low", "high"))
    assert float((low.energy - high.energy).abs().max()) > 0.1
    assert float((low.forces - high.forces).abs().max()) > 1e-3


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.pure], ids=lambda entry: entry.name)
def test_isolated_atom_has_its_reference_energy(entry: Entry) -> None:
    potential = entry.build()
    surface = potential.surface("low")
    for structure in entry.structures():
        if len(structure) == 1 and not structure.atoms.pbc.any():
            (number,) = structure.atoms.numbers
            energy = float(predict(potential, [structure]).energy[0])
            assert energy == pytest.approx(surface.reference.energies[int(number)] + surface.readout.shift, abs=1e-12)
            break
    else:
        pytest.fail("no isolated atom among the structures")
