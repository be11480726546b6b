"""Designs of a SevenNet base: full ones by either way, and rows along random directions, say the same forces."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.backends import load_base
from rung.data.structure import Structure
from rung.features.passes import build_designs
from rung.features.probes import Probe
from rung.model.potential import ReadoutPotential
from tests.contract.checks import predict
from tests.sevennet_models import tiny_sevennet


@pytest.fixture(scope="module", params=["plain", "scales", "modalities"])
def potential(request: pytest.FixtureRequest, two_modalities: Path) -> ReadoutPotential:
    """A model, one whose elements have scales of their own, and one whose features depend on the fidelity."""
    if request.param == "modalities":
        return load_base(two_modalities, fidelity="low", head={"low": "a", "high": "b"}, dtype="float64")
    return tiny_sevennet(element_scales=(1.3, 0.6, 2.1) if request.param == "scales" else ())


@pytest.mark.parametrize("kind", ["jacobian", "summed"])
def test_energies_and_forces_are_linear_in_the_readout(
    kind: str, potential: ReadoutPotential, structures: list[Structure]
) -> None:
    for fidelity in potential.fidelities:
        readout, reference = potential.surface(fidelity).readout, potential.surface(fidelity).reference
        designs = build_designs(structures, potential.backbone, readout, forces=True, fidelity=fidelity, kind=kind)
        said, start = predict(potential, structures, fidelity), 0
        for row, (structure, design) in enumerate(zip(structures, designs, strict=True)):
            constant = sum(reference.energies[number] for number in structure.atoms.numbers)
            energy = design.energy @ readout.weights + constant
            assert float(said.energy[row]) == pytest.approx(energy, abs=1e-9)
            forces = said.forces[start : start + len(structure)].numpy().ravel()
            assert_allclose(design.forces @ readout.weights, forces, rtol=0, atol=1e-9)
            start += len(structure)


def test_a_row_along_a_direction_is_that_of_the_full_design(
    potential: ReadoutPotential, structures: list[Structure]
) -> None:
    """By one pass in forward mode, through every module of SevenNet."""
    readout = potential.surface("low").readout
    options = {"forces": True, "fidelity": "low"}
    full = build_designs(structures, potential.backbone, readout, **options)
    for one, whole in zip(
        build_designs(structures, potential.backbone, readout, probe=Probe(), **options), full, strict=True
    ):
        scale = max(1.0, float(np.abs(whole.forces).max(initial=0.0)))
        assert_allclose(one.forces, one.sketch @ whole.forces, rtol=0, atol=1e-10 * scale)
