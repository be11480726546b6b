"""Rows of several fidelities: which labels train, on which geometries, and that a geometry is on one side only."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.structure import Structure, elements_in
from rung.errors import ConfigError, FitError
from rung.fit.fidelities.heldout import labelled_by
from rung.fit.fidelities.rows import RowSettings, restricted, rows_of, split_rows, training_fidelities
from tests.fit.levels import two_levels
from tests.fit.toy_surface import toy_structures

KNOWN = ("low", "high")


def settings_of(**options: object) -> RowSettings:
    return RowSettings.read(options)


def trains(structures: list[Structure], **options: object) -> list[Structure]:
    return restricted(structures, KNOWN, "high", settings_of(**options))


def has(structures: list[Structure], fidelity: str, what: str) -> int:
    values = [np.isfinite(getattr(item.labelled(fidelity), what)).all() for item in structures]
    return int(np.sum(values))


def test_by_default_every_fidelity_gives_every_label_and_the_target_comes_first() -> None:
    frames = two_levels(8, 3)
    assert training_fidelities(frames, ("low", "other", "high"), "high", settings_of()) == ("high", "low")
    kept = trains(frames)
    assert (has(kept, "low", "energy"), has(kept, "low", "forces"), has(kept, "high", "energy")) == (8, 8, 3)


@pytest.mark.parametrize(
    ("labels", "energies", "forces"), [("energy", 8, 0), ("forces", 0, 8), ("energy+forces", 8, 8), ("all", 8, 8)]
)
def test_labels_that_are_not_chosen_are_absent(labels: str, energies: int, forces: int) -> None:
    kept = trains(two_levels(8, 3), fidelities={"low": {"labels": labels}, "high": {}})
    assert (has(kept, "low", "energy"), has(kept, "low", "forces")) == (energies, forces)
    assert has(kept, "high", "energy") == 3


@pytest.mark.parametrize(("geometries", "low"), [("all", 8), ("paired", 3), ("disjoint", 5)])
def test_geometries_of_other_fidelities(geometries: str, low: int) -> None:
    kept = trains(two_levels(8, 3), geometries=geometries)
    assert (has(kept, "low", "energy"), has(kept, "high", "energy")) == (low, 3)
    rows = rows_of(kept, ("high", "low"))
    assert (len(rows), rows.count("high"), rows.count("low")) == (3 + low, 3, low)
    both = {s.structure_id for s, name in zip(rows.structures, rows.fidelities, strict=True) if name == "high"} & {
        s.structure_id for s, name in zip(rows.structures, rows.fidelities, strict=True) if name == "low"
    }
    assert len(both) == {"all": 3, "paired": 3, "disjoint": 0}[geometries]


def test_one_name_is_one_geometry_whichever_frame_labels_it() -> None:
    """The target's label may stand in a frame of its own."""
    low = toy_structures(4)
    high = toy_structures(2, fidelity="high")
    kept = restricted([*low, *high], KNOWN, "high", settings_of(geometries="disjoint"))
    assert has(kept, "low", "energy") == 2


@given(low=st.integers(0, 25), high=st.integers(1, 15), seed=st.integers(0, 5), fraction=st.floats(0.0, 0.5))
@settings(max_examples=20, deadline=None)
def test_no_geometry_is_on_both_sides(low: int, high: int, seed: int, fraction: float) -> None:
    low = max(low, high)
    frames = two_levels(low, high)
    rows, held = split_rows(frames, [], ("high", "low"), fraction, seed)
    assert not {s.structure_id for s in rows.structures} & {s.structure_id for s in held.structures}
    assert len(rows) + len(held) == low + high
    if fraction > 0:
        assert bool(held.count("high")) == (high >= 5)
        assert bool(held.count("low")) == (low - high >= 5 or high >= 5)


def test_one_fidelity_is_held_out_as_ever() -> None:
    """By a permutation of the sorted names whose seed is fixed: what was held out in a run that broke still is."""
    frames = toy_structures(20)
    rows, held = split_rows(frames, [], ("low",), 0.2, 4)
    names = sorted(frame.structure_id for frame in frames)
    out = {names[place] for place in np.random.default_rng([4, 0x5EED]).permutation(20)[:4]}
    assert [s.structure_id for s in rows.structures] == [s.structure_id for s in frames if s.structure_id not in out]
    assert [s.structure_id for s in held.structures] == [s.structure_id for s in frames if s.structure_id in out]


def test_held_out_geometries_are_whole_and_repeatable() -> None:
    structures = toy_structures(20)
    twins = [Structure(s.atoms, s.structure_id, s.labels) for s in structures[:10]]
    for seed in range(5):
        kept, held = split_rows([*structures, *twins], [], ("low",), 0.2, seed)
        names = {s.structure_id for s in kept.structures}, {s.structure_id for s in held.structures}
        assert not names[0] & names[1]
        assert len(names[1]) == 4
        assert len(kept) + len(held) == 30
        again = split_rows([*structures, *twins], [], ("low",), 0.2, seed)[1]
        assert [s.structure_id for s in held.structures] == [s.structure_id for s in again.structures]


def test_given_validation_data_are_used_as_they_are() -> None:
    train, valid = toy_structures(6), toy_structures(3, seed=1)

    def parts(train: list[Structure], valid: list[Structure], fraction: float) -> list[list[Structure]]:
        return [list(part.structures) for part in split_rows(train, valid, ("low",), fraction, 0)]

    assert parts(train, valid, 0.5) == [train, valid]
    assert parts(train, [], 0.0) == [train, []]
    assert parts(train[:4], [], 0.5) == [train[:4], []]


def test_structures_without_labels_of_the_target_are_left_out() -> None:
    assert labelled_by(toy_structures(2), "high") == []
    with pytest.raises(FitError, match="'high'"):
        split_rows(toy_structures(2), [], ("high",), 0.1, 0)


def test_validation_data_are_taken_as_they_are() -> None:
    rows, held = split_rows(two_levels(6, 6), two_levels(4, 1, seed=7), ("high", "low"), 0.5, 0)
    assert (rows.count("high"), rows.count("low"), held.count("high"), held.count("low")) == (6, 6, 1, 4)


def test_what_cannot_train_is_refused() -> None:
    frames = two_levels(6, 2)
    with pytest.raises(ConfigError, match="Unknown fidelity 'hgih'"):
        training_fidelities(frames, KNOWN, "high", settings_of(fidelities={"hgih": {}, "high": {}}))
    with pytest.raises(ConfigError, match="Unknown fidelity 'high'"):
        training_fidelities(frames, KNOWN, "high", settings_of(fidelities={"low": {}}))
    with pytest.raises(FitError, match="has a label of 'high'"):
        training_fidelities(toy_structures(3), KNOWN, "high", settings_of())
    with pytest.raises(FitError, match="has a label of 'low'"):
        split_rows(toy_structures(3, fidelity="high"), [], ("high", "low"), 0.1, 0)
    with pytest.raises(ConfigError, match="Did you mean 'geometries'"):
        settings_of(geometry="paired")


@pytest.mark.parametrize("seed", range(6))
def test_what_alone_has_an_element_is_never_held_out(seed: int) -> None:
    """A new model would not know the element, and refused the user's own structure."""
    structures = toy_structures(8)
    atoms = structures[3].atoms.copy()
    atoms.numbers[0] = 17
    structures[3] = replace(structures[3], atoms=atoms)
    kept, held = split_rows(structures, [], ("low",), 0.4, seed)
    assert 17 in elements_in(kept.structures) and held.structures
    assert len(kept.structures) + len(held.structures) == len(structures)
