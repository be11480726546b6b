"""Start sets that settle reference energies, and choices that weigh answers by their tolerances."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from rung.campaign.budget import Left
from rung.campaign.choosing import Choice, order_of, settled, start_count, start_set
from rung.campaign.rounds import _within
from rung.data.structure import Structure
from rung.results.campaign import RoundChoice, Wanted
from tests.fit.pair_world import geometries


def of(symbols: str, name: str) -> Structure:
    positions = np.arange(3 * len(Atoms(symbols))).reshape(-1, 3)
    return Structure(Atoms(symbols, positions=positions), name, {})


def test_a_start_set_settles_every_reference_energy_first() -> None:
    candidates = [*(of("C2O2", f"a{k}") for k in range(5)), of("C3O", "b"), of("C2OH", "c")]
    chosen = start_set(candidates, (), 4, list(range(7)))
    assert [candidates[k].structure_id for k in chosen] == ["a0", "b", "c", "a1"]
    assert not settled([candidates[k] for k in chosen[:2]], candidates)
    assert settled([candidates[k] for k in chosen[:3]], candidates)


def test_it_takes_more_than_were_asked_for_where_these_need_it() -> None:
    candidates = [of("C2O2", "a"), of("C3O", "b"), of("C2OH", "c")]
    assert len(start_set(candidates, (), 1, [0, 1, 2])) == 3
    assert start_set(candidates, candidates[:2], 1, [0, 1, 2]) == [2]


def test_how_many_there_must_be_follows_from_the_compositions() -> None:
    assert start_count(geometries(8), None) == 6
    elements = ("H", "He", "Li", "Be", "B", "C", "N", "O")
    assert start_count([of(name, name) for name in elements], None) == 10
    assert start_count(geometries(8), 3) == 3


def test_orders_are_those_of_a_seed_or_of_features() -> None:
    candidates = geometries(6)
    assert order_of(candidates, None, 3) == order_of(candidates, None, 3)
    assert sorted(order_of(candidates, None, 3)) == list(range(6))
    assert order_of(candidates, None, 3) != order_of(candidates, None, 4)
    points = np.array([[0.0], [0.1], [5.0], [-5.0], [0.2], [0.3]])
    assert set(order_of(candidates, points, 0)[1:3]) == {2, 3}


def test_without_candidates_nothing_is_open() -> None:
    assert settled((), ())
    assert not settled((), [of("C2O2", "a")])
    assert settled([replace(of("C2O2", "a"))], ())
    with pytest.raises(IndexError):
        start_set([of("C2O2", "a")], (), 1, [1])


def test_what_is_too_dear_is_passed_over() -> None:
    """The first label of a start set may cost more than all that is left: a campaign then ended for good."""
    candidates = [of("H2O", "dear"), of("H2", "cheap"), of("O2", "middle")]
    labels = tuple(
        Wanted(structure_id=one.structure_id, n_atoms=len(one), stderr=0.1, cost=cost, reason="start")
        for one, cost in zip(candidates, (7.0, 0.5, 2.0), strict=True)
    )
    choice = Choice(tuple(candidates), RoundChoice(candidates=3, labels=labels))
    taken = _within(choice, Left(labels=None, cost=3.0))
    assert [one.structure_id for one in taken.structures] == ["cheap", "middle"]
    assert [one.structure_id for one in taken.record.labels] == ["cheap", "middle"]
    assert not _within(choice, Left(labels=0, cost=9.0)).structures
