"""Vacancies in monolayers: the builders' geometry, and energies on a potential for which they are known."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.geometry import get_distances

from rung.errors import DataError
from rung.evaluate.error_bars import Bar
from rung.evaluate.paths.endpoints import check_endpoints, displacements, matched
from rung.evaluate.paths.vacancies import (
    Monolayer,
    binding_energy,
    column_sites,
    concerted_hop,
    formation_energy,
    row_sites,
    sequential_hops,
    without,
)

LAYER = Monolayer(lattice=3.18)
SIZE = (5, 4)
PERFECT = LAYER.build(SIZE)


class Bonds(Calculator):
    """−1 eV for each pair of sulfur atoms nearer than 3.3 Å, and −2 eV for each atom: an energy that can be counted."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        sulfur = self.atoms[self.atoms.symbols == "S"]
        _, lengths = get_distances(sulfur.positions, cell=sulfur.cell, pbc=sulfur.pbc)
        pairs = int((np.triu(lengths, 1) > 0)[(np.triu(lengths, 1) < 3.3)].sum())
        self.results = {"energy": -1.0 * pairs - 2.0 * len(self.atoms), "forces": np.zeros((len(self.atoms), 3))}


def test_the_layer_has_the_bond_lengths_of_its_lattice():
    assert PERFECT.get_chemical_formula() == "Mo20S40"
    assert PERFECT.pbc.all()
    _, lengths = get_distances(PERFECT.positions, cell=PERFECT.cell, pbc=PERFECT.pbc)
    near = np.sort(lengths[0])[1:7]
    assert near == pytest.approx([np.hypot(3.18 / np.sqrt(3), 3.13 / 2)] * 6)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_row_lies_along_the_first_vector_in_one_plane(count):
    sites = row_sites(PERFECT, "S", SIZE, count)
    assert len(set(sites)) == count
    assert set(PERFECT.numbers[list(sites)]) == {16}
    assert np.ptp(PERFECT.positions[list(sites), 2]) == pytest.approx(0.0)
    for one, two in pairwise(sites):
        step = displacements(PERFECT[[one]], PERFECT[[two]])[0]
        assert step == pytest.approx([3.18, 0.0, 0.0], abs=1e-9)


def test_a_column_is_two_atoms_above_each_other():
    one, two = column_sites(PERFECT, "S")
    assert PERFECT.positions[one] - PERFECT.positions[two] == pytest.approx([0.0, 0.0, 3.13])


@pytest.mark.parametrize("count", [1, 3])
def test_a_concerted_hop_moves_the_row_by_one_lattice_vector(count):
    hop = concerted_hop(PERFECT, "S", SIZE, count)
    assert len(hop.initial) == len(PERFECT) - count
    check_endpoints(hop.initial, hop.final)
    ways = displacements(hop.initial, hop.final)
    lengths = np.linalg.norm(ways, axis=1)
    assert sorted(np.flatnonzero(lengths > 0.1)) == sorted(hop.moving)
    assert lengths[list(hop.moving)] == pytest.approx([3.18] * count)
    assert ways[list(hop.moving)] == pytest.approx(np.tile(ways[hop.moving[0]], (count, 1)))
    # the two ends are one defect at two places: the perfect layer's shift takes one into the other
    back = hop.initial.copy()
    back.positions += PERFECT.cell[1] / SIZE[1]
    assert np.abs(displacements(matched(hop.final, back)[0], hop.final)).max() == pytest.approx(0.0, abs=1e-9)


def test_sequential_hops_follow_each_other_and_end_where_the_concerted_one_does():
    hops = sequential_hops(PERFECT, "S", SIZE, 3)
    together = concerted_hop(PERFECT, "S", SIZE, 3)
    assert [len(hop.moving) for hop in hops] == [1, 1, 1]
    for before, after in pairwise(hops):
        assert np.array_equal(before.final.positions, after.initial.positions)
    assert np.array_equal(hops[0].initial.positions, together.initial.positions)
    assert np.array_equal(hops[-1].final.positions, together.final.positions)
    assert tuple(index for hop in hops for index in hop.moving) == together.moving


def test_energies_of_formation_and_binding_are_those_that_can_be_counted():
    calculator = Bonds()
    single = without(PERFECT, row_sites(PERFECT, "S", SIZE, 1))
    pair = without(PERFECT, row_sites(PERFECT, "S", SIZE, 2))
    column = without(PERFECT, column_sites(PERFECT, "S"))
    # an atom has six neighbours in its plane and one below: seven bonds and its own -2 eV are lost
    assert formation_energy(PERFECT, single, calculator, -5.0).value == pytest.approx(9.0 - 5.0)
    assert formation_energy(PERFECT, pair, calculator, -5.0).value == pytest.approx(13.0 + 4.0 - 10.0)
    # neighbours lose the bond between them once and not twice
    assert binding_energy(PERFECT, single, pair, calculator).value == pytest.approx(1.0)
    assert binding_energy(PERFECT, single, column, calculator).value == pytest.approx(1.0)
    row = without(PERFECT, row_sites(PERFECT, "S", SIZE, 3))
    assert binding_energy(PERFECT, single, row, calculator).value == pytest.approx(2.0)


def test_error_bars_are_asked_of_balanced_sums():
    asked = []

    class Bars:
        def combination(self, structures, coefficients):
            asked.append(sum(factor * len(atoms) for atoms, factor in zip(structures, coefficients, strict=True)))
            return Bar(0.1, 0.2)

    single = without(PERFECT, row_sites(PERFECT, "S", SIZE, 1))
    pair = without(PERFECT, row_sites(PERFECT, "S", SIZE, 2))
    found = binding_energy(PERFECT, single, pair, Bonds(), error_bars=Bars())
    assert found.bar == Bar(0.1, 0.2)
    assert asked == [0.0]


def test_a_formation_energy_that_no_label_identifies_is_refused():
    class Bars:
        def combination(self, structures, coefficients):
            return Bar(np.inf, np.inf)

    single = without(PERFECT, row_sites(PERFECT, "S", SIZE, 1))
    with pytest.raises(DataError, match="do not identify"):
        formation_energy(PERFECT, single, Bonds(), -5.0, error_bars=Bars())


def test_what_cannot_be_is_refused():
    single = without(PERFECT, row_sites(PERFECT, "S", SIZE, 1))
    with pytest.raises(DataError, match="does not fit"):
        row_sites(PERFECT, "S", SIZE, 6)
    with pytest.raises(DataError, match="three repeats"):
        concerted_hop(LAYER.build((5, 2)), "S", (5, 2), 1)
    with pytest.raises(DataError, match="once"):
        without(PERFECT, [3, 3])
    with pytest.raises(DataError, match="choice of yours"):
        formation_energy(PERFECT, single, Bonds(), float("nan"))
    with pytest.raises(DataError, match="less atoms of one element"):
        formation_energy(PERFECT, PERFECT, Bonds(), -5.0)
    with pytest.raises(DataError, match="one vacancy"):
        binding_energy(PERFECT, single, single, Bonds())
    assert isinstance(single, Atoms)
