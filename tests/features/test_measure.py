"""What passes cost: a count that is the same on every machine, and times."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from rung.data.structure import Structure
from rung.features import measure
from rung.features.measure import full_work, held_numbers, measured_costs
from tests.pair_backbone import PairBackbone, pair_structures


def test_the_count_is_the_same_every_time_and_grows_with_the_structure(tiny_potential, molecules):
    backbone = tiny_potential.backbone
    counts = [[held_numbers(one, backbone, "low") for one in molecules] for _ in range(2)]
    assert counts[0] == counts[1]
    by_size = [count for _, count in sorted(zip([len(one) for one in molecules], counts[0], strict=True))]
    assert by_size == sorted(by_size)
    assert by_size[-1] > 10_000


def test_a_repeated_cell_holds_as_many_numbers_an_atom():
    backbone = PairBackbone()
    structure = next(one for one in pair_structures(backbone) if one.atoms.pbc.all())
    double = Structure(structure.atoms.repeat((2, 1, 1)), "double", {})
    one, two = (held_numbers(each, backbone, "low") for each in (structure, double))
    assert two == pytest.approx(2 * one, rel=0.02)


def test_work_counts_the_fewer_passes():
    backbone = PairBackbone()
    structures = pair_structures(backbone)[:1]
    n_atoms, held = len(structures[0]), held_numbers(structures[0], backbone, "low")
    assert full_work(structures, backbone, 5, "low") == pytest.approx(5 * held)
    assert full_work(structures, backbone, 10_000, "low") == pytest.approx(3 * n_atoms * held)
    assert full_work([], backbone, 5, "low") == 0


def test_every_pass_takes_time(tiny_potential, molecules):
    costs = measured_costs(molecules[0], tiny_potential.backbone, "low")
    assert costs.n_atoms == len(molecules[0])
    assert costs.n_bytes == 8 * held_numbers(molecules[0], tiny_potential.backbone, "low")
    assert min(costs.forward, costs.reverse, costs.jacobian, costs.probe) > 0
    assert costs.ratio == costs.jacobian / costs.reverse
    assert replace(costs, reverse=0.0).ratio == 1.0


def test_an_atom_alone_costs_no_reverse_pass():
    alone = Structure(Atoms("C", positions=np.zeros((1, 3))), "alone", {})
    costs = measured_costs(alone, PairBackbone(), "low")
    assert costs.forward > 0
    assert costs.ratio > 0


def test_calls_in_which_torch_compiles_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], [0]

    def work() -> None:
        calls[0] += 1
        clock[0] += 0.2 if calls[0] <= 2 else 0.01 * calls[0]  # two slow calls, then ever slower ones

    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])
    assert measure.settled_seconds(work) == pytest.approx(0.06)
    assert calls[0] == measure.WARM_UPS + measure.CALLS


def test_a_call_that_is_slow_is_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def work() -> None:
        clock[0] += 5.0

    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])
    assert measure.settled_seconds(work) == 5.0
    assert clock[0] == 10.0
