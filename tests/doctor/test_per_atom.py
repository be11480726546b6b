"""Energies per atom where total energies are meant: found at any size of cell, and never seen in total energies."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from rung.data.labels import empty_labels
from rung.data.splits import draw_labels
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.doctor.per_atom import NEARER, nearness
from tests.doctor.sabotage import found

CELLS = (
    bulk("Cu", cubic=True),
    bulk("Cu", a=3.8) * (1, 1, 2),
    bulk("Cu", a=3.7) * (1, 2, 3),
    bulk("Cu", cubic=True) * (1, 1, 2),
)


def copper_gold(seed, count):
    """Cells of two to eight atoms of Cu and Au at two levels, whose total energies differ within a factor of five."""
    random, found = np.random.default_rng(seed), []
    for k in range(count):
        atoms = CELLS[random.integers(len(CELLS))].copy()
        atoms.set_chemical_symbols(list(random.choice(["Cu", "Au"], len(atoms))))
        atoms.set_cell(atoms.cell * random.uniform(1.0, 1.1), scale_atoms=True)
        atoms.rattle(0.1, seed=k)
        atoms.calc = EMT()
        low = float(atoms.get_potential_energy())
        high = 1.1 * low - 3.6 * len(atoms) - 0.4 * np.count_nonzero(atoms.numbers == 79)
        atoms.calc = None
        labels = {name: replace(empty_labels(len(atoms)), energy=e) for name, e in (("low", low), ("high", high))}
        found.append(Structure(atoms, f"cell-{k}", labels))
    return tuple(found)


def per_atom(structures, fidelity):
    return tuple(
        replace(
            one,
            labels={
                **one.labels,
                fidelity: replace(one.labels[fidelity], energy=one.labels[fidelity].energy / len(one)),
            },
        )
        if one.labelled(fidelity).has_energy
        else one
        for one in structures
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fidelities", [("low", "high"), ("high",)])
def test_energies_per_atom_of_small_cells_are_found(seed, fidelities):
    structures = tuple(
        replace(one, labels={name: one.labels[name] for name in fidelities}) for one in copper_gold(seed, 60)
    )
    assert ("error", "energy-unit") not in found(diagnose({"train": structures}, target="high"))
    diagnosis = diagnose({"train": per_atom(structures, "high")}, target="high")
    [finding] = [one for one in diagnosis.findings if one.code == "energy-unit"]
    assert finding.severity == "error" and "'high' energies in eV per atom" in finding.sentence


def test_a_split_of_few_is_judged_with_the_others():
    structures = per_atom(copper_gold(0, 60), "high")
    diagnosis = diagnose({"train": structures[:55], "test": structures[55:]}, target="high")
    assert {f.splits for f in diagnosis.findings if f.code == "energy-unit"} == {("train",), ("test",)}


def test_one_split_alone_is_found():
    structures = copper_gold(0, 80)
    diagnosis = diagnose({"train": structures[:40], "test": per_atom(structures[40:], "high")}, target="high")
    assert {f.splits for f in diagnosis.findings if f.code == "energy-unit"} == {("test",)}


def test_energies_per_atom_of_molecules_are_found(reactive):
    for fidelity in ("pm6", "dft"):
        diagnosis = diagnose({"train": per_atom(reactive["train"], fidelity)}, target="dft")
        assert ("error", "energy-unit") in found(diagnosis)


@pytest.mark.parametrize("seed", range(5))
def test_total_energies_are_never_taken_for_others(mos2, reactive, seed):
    splits = (mos2["train"], "r2scan"), (reactive["train"], "dft"), (copper_gold(seed, 60), "high")
    for structures, fidelity in splits:
        for count in (10, 20, 40):
            drawn = [one for one in draw_labels(structures, fidelity, count, seed) if one.labelled(fidelity).has_energy]
            assert nearness(drawn, fidelity) < NEARER
