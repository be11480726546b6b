"""Frames relaxed at one level: their small forces and energies are no mistake, and mistakes are found beside them."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from rung.data.labels import Labels, empty_labels
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.doctor.relaxed import still, telling_forces
from rung.units import BOHR, HARTREE
from tests.doctor.sabotage import everywhere, found
from tests.doctor.test_differences import difference

RELAXED = Path(__file__).parents[2] / "benchmarks/testbed/ingan/relaxed.extxyz"
LEVELS = {"low": 1.0, "high": 1.02, "higher": 0.98}
"""EMT at lengths times these: the other levels have other bond lengths."""


def labels(atoms: Atoms, scale: float) -> Labels:
    """Return the exact labels of EMT at coordinates times ``scale``, with a tenth more energy where it is not 1."""
    stretched = atoms.copy()
    stretched.set_cell(atoms.cell * scale)
    stretched.positions = atoms.positions * scale
    stretched.calc = EMT()
    factor = 1.0 if scale == 1.0 else 1.1
    return replace(
        empty_labels(len(atoms)),
        energy=factor * float(stretched.get_potential_energy()) - (3.0 if factor > 1.0 else 0.0) * len(atoms),
        forces=factor * scale * stretched.get_forces(),
        stress=factor * scale**3 * stretched.get_stress() if atoms.pbc.all() else np.full(6, np.nan),
    )


def displaced(kind: str, generator: np.random.Generator, number: int) -> Atoms:
    if kind == "molecules":
        atoms = molecule(("CH3CH2OH", "CH3OH")[number % 2])
    elif kind == "diatomics":
        atoms = molecule(("N2", "CO")[number % 2])
    elif kind == "slabs":
        atoms = fcc111(("Cu", "Ag", "Au")[number % 3], (1, 1, 4), vacuum=6.0)
        atoms.positions[:, 2] *= 1.0 - generator.uniform(0.005, 0.03)
        return atoms
    else:
        atoms = bulk("Cu", cubic=True)
        atoms.numbers[: number % 3] = 79
        atoms.set_cell(atoms.cell * (1.0 + generator.uniform(-0.03, 0.03)), scale_atoms=True)
    atoms.positions += generator.normal(0.0, 0.08, atoms.positions.shape)
    return atoms


@cache
def frames(kind: str, relaxed: bool = True) -> tuple[Structure, ...]:
    generator = np.random.default_rng(3)
    made = []
    for number in range(12):
        atoms = displaced(kind, generator, number)
        if relaxed:
            atoms.calc = EMT()
            BFGS(FrechetCellFilter(atoms) if kind == "cells" else atoms, logfile=None).run(fmax=0.05, steps=60)
            atoms.calc = None
        known = {name: labels(atoms, scale) for name, scale in LEVELS.items()}
        made.append(Structure(atoms, f"{kind}-{relaxed}-{number}", known))
    return tuple(made)


def of_levels(members, low, high):
    return tuple(replace(one, labels={low: one.labels[low], high: one.labels[high]}) for one in members)


def codes(members, target=None):
    """Return what is found, but for rough frames that lie far from relaxed ones."""
    return {code for _, code in found(diagnose({"train": members}, target=target))} - {"outliers"}


def test_the_relaxed_frames_of_the_testbed_hold_totals():
    found = diagnose({"relaxed": read_structures(RELAXED)}).findings
    assert not [one for one in found if one.severity == "error"]


@pytest.mark.parametrize("other", ["high", "higher"])
@pytest.mark.parametrize("kind", ["molecules", "diatomics", "slabs", "cells", "alloys"])
def test_frames_relaxed_at_one_level_have_no_findings(kind, other):
    members = of_levels(frames(kind), "low", other)
    assert still([one.labels["low"].forces for one in members]).mean() > 0.9  # one relaxation may not be done
    assert not codes(members)
    rough = of_levels(frames(kind, relaxed=False)[:4], "low", other)
    assert not codes((*members, *rough))


@pytest.mark.parametrize("share", [0, 5])
def test_differences_are_found_among_relaxed_and_other_frames(share):
    members = of_levels((*frames("alloys")[:share], *frames("alloys", relaxed=False)), "low", "high")
    assert not codes(members)
    assert codes(difference("low", "high")(members)) >= {"difference-labels"}


def test_differences_of_energies_are_found_in_relaxed_frames():
    members = read_structures(RELAXED)
    for name in ("pbe", "r2scan"):
        members = everywhere(name, forces=np.full((16, 3), np.nan))(members)
    assert "difference-labels" in codes(difference("pbe", "r2scan")(members), "r2scan")


def test_differences_of_forces_alone_are_found_where_some_frames_are_relaxed():
    members = of_levels((*frames("molecules")[:5], *frames("molecules", relaxed=False)), "low", "high")
    alone = everywhere("high", energy=np.nan)(difference("low", "high")(members))
    assert not codes(everywhere("high", energy=np.nan)(members))
    assert "difference-labels" in codes(alone, "high")


def test_forces_of_a_large_unit_are_small_and_still_judged():
    members = of_levels(frames("alloys", relaxed=False), "low", "high")
    hartree = everywhere("high", forces=lambda forces: forces / HARTREE * BOHR)(members)
    assert still([one.labels["high"].forces for one in hartree]).all()
    assert "force-unit" in codes(hartree)


def test_forces_at_rest_tell_nothing_of_another_level():
    generator = np.random.default_rng(0)
    there = list(generator.normal(0.0, 0.5, (10, 4, 3)))
    rests = [generator.normal(0.0, 0.01, (4, 3)) for _ in there]
    assert telling_forces(there, rests)[0].size == 0
    x, y = telling_forces(there, [*rests[:9], there[9]])
    assert np.array_equal(x, there[9].ravel()) and np.array_equal(y, there[9].ravel())
    assert telling_forces(there, [0.02 * one for one in there])[0].size == 120
    assert telling_forces([], [])[0].size == 0
