from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.labels import empty_labels
from rung.data.splits import (
    check_disjoint,
    draw_labels,
    energies_only,
    evenly_spaced,
    evenly_spread,
    formula,
    grouped_folds,
    grouped_split,
    holding,
    key_of,
    overlaps,
    with_energies,
    without_labels,
)
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError


def dimer(place, *, energy=None, symbols="CO", name=None):
    atoms = Atoms(symbols, positions=[[0, 0, 0], [0, 0, 1.0 + 0.01 * place]])
    low = replace(empty_labels(2), energy=-float(place), forces=np.full((2, 3), float(place)))
    labels = {"pbe": low}
    if energy is not None:
        labels["dmc"] = replace(empty_labels(2), energy=energy, forces=np.ones((2, 3)))
    return Structure(atoms, name or f"dimer-{place}", labels)


def sample(n, n_labelled):
    return [dimer(place, energy=100.0 + place if place < n_labelled else None) for place in range(n)]


def test_disjoint_splits_pass():
    structures = sample(6, 3)
    check_disjoint({"train": structures[:3], "valid": structures[3:5], "test": structures[5:]})


def test_one_geometry_in_two_splits_is_named_whatever_it_is_called():
    structures = sample(4, 2)
    twin = dimer(1, name="another")
    with pytest.raises(
        DataError, match=r"1 pair of structures stands .* 'dimer-1' of train and 'another' of test have the same g"
    ):
        check_disjoint({"train": structures, "test": [dimer(9), twin]})


def test_one_name_in_two_splits_is_refused():
    with pytest.raises(DataError, match="the same structure_id"):
        check_disjoint({"train": [dimer(1)], "valid": [dimer(2)], "test": [dimer(3, name="dimer-2")]})


def test_a_leak_is_counted_once():
    structures = sample(4, 0)
    found = overlaps({"train": [structures[0], structures[0]], "test": [structures[0], structures[0], structures[1]]})
    assert len(found) == 1 and found[0].same_geometry


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.data(), st.integers(0, 2**31))
def test_draws_keep_n_labels_nested_and_touch_nothing_else(n, data, seed):
    n_labelled = data.draw(st.integers(0, n))
    structures = sample(n, n_labelled)
    small = data.draw(st.integers(0, n_labelled))
    large = data.draw(st.integers(small, n_labelled))
    drawn = {size: draw_labels(structures, "dmc", size, seed, noise=(0.02, 0.06)) for size in (small, large)}
    kept = {}
    for size, result in drawn.items():
        assert [s.structure_id for s in result] == [s.structure_id for s in structures]
        assert all(s.labels["pbe"] is before.labels["pbe"] for s, before in zip(result, structures, strict=True))
        kept[size] = {s.structure_id: s.labels["dmc"] for s in result if "dmc" in s.labels}
        assert len(kept[size]) == size
        assert all(0.02 <= label.energy_stderr <= 0.06 for label in kept[size].values())
    for name, label in kept[small].items():
        assert kept[large][name].energy == label.energy
        assert kept[large][name].energy_stderr == label.energy_stderr


def test_draws_without_noise_keep_the_labels_themselves():
    structures = sample(5, 5)
    drawn = draw_labels(structures, "dmc", 5, 0)
    assert all(one is other for one, other in zip(drawn, structures, strict=True))


def test_draws_depend_on_the_seed_and_choose_evenly():
    structures = sample(10, 10)
    chosen = Counter(
        s.structure_id for seed in range(300) for s in draw_labels(structures, "dmc", 3, seed) if "dmc" in s.labels
    )
    assert len(chosen) == 10
    assert all(55 < count < 130 for count in chosen.values())  # 90 expected, four standard deviations


def test_the_noise_has_the_stated_size():
    structures = sample(2000, 2000)
    drawn = draw_labels(structures, "dmc", 2000, 3, noise=0.05)
    error = np.array([s.labels["dmc"].energy - 100.0 - place for place, s in enumerate(drawn)])
    assert abs(error.mean()) < 4 * 0.05 / np.sqrt(2000)
    assert error.std() == pytest.approx(0.05, rel=4 / np.sqrt(4000))


def test_impossible_draws_say_why():
    structures = sample(5, 2)
    with pytest.raises(DataError, match="3 energies of 'dmc' were asked for; only 2"):
        draw_labels(structures, "dmc", 3, 0)
    with pytest.raises(DataError, match=r"Unknown fidelity 'dmcc'; there is: dmc, pbe\. Did you mean 'dmc'"):
        draw_labels(structures, "dmcc", 1, 0)
    with pytest.raises(ConfigError, match="positive noise"):
        draw_labels(structures, "dmc", 1, 0, noise=-0.1)
    with pytest.raises(ConfigError, match="positive noise"):
        draw_labels(structures, "dmc", 1, 0, noise=np.nan)


def test_labels_are_hidden_and_replaced():
    structure = dimer(1, energy=5.0)
    assert set(without_labels(structure, "dmc").labels) == {"pbe"}
    hidden = energies_only([structure], "dmc")[0].labels["dmc"]
    assert hidden.energy == 5.0 and np.isnan(hidden.forces).all()
    exact = with_energies([structure], "dmc", {"dimer-1": 7.0})[0].labels["dmc"]
    assert exact.energy == 7.0 and exact.has_forces and np.isnan(exact.energy_stderr)
    with pytest.raises(DataError, match="1 structure has no exact energy, the first is 'dimer-1'"):
        with_energies([structure], "dmc", {})


groups = st.lists(st.integers(0, 8), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(groups, st.integers(2, 5), st.integers(0, 2**31))
def test_folds_hold_out_everything_once_and_tear_no_group(names, n_folds, seed):
    structures = [dimer(place, name=f"group-{name}") for place, name in enumerate(names)]
    if len(set(names)) < n_folds:
        with pytest.raises(DataError, match="cannot fill"):
            grouped_folds(structures, n_folds, seed)
        return
    folds = grouped_folds(structures, n_folds, seed)
    assert sorted(np.concatenate(folds)) == list(range(len(names)))
    assert all(len(fold) for fold in folds)
    owner = {}
    for number, fold in enumerate(folds):
        for place in fold:
            assert owner.setdefault(names[place], number) == number
    largest = max(Counter(names).values())
    assert max(map(len, folds)) - min(map(len, folds)) <= largest
    again = grouped_folds(structures, n_folds, seed)
    assert all((one == other).all() for one, other in zip(folds, again, strict=True))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(["CO", "NO", "CN", "OO", "NN"]), min_size=1, max_size=40), st.integers(0, 2**31))
def test_splits_by_formula_lose_nothing_and_tear_no_formula(symbols, seed):
    structures = [dimer(place, symbols=pair) for place, pair in enumerate(symbols)]
    parts = grouped_split(structures, {"train": 0.6, "valid": 0.1, "test": 0.3}, seed, key=formula)
    assert sorted(s.structure_id for part in parts.values() for s in part) == sorted(s.structure_id for s in structures)
    formulas = [{s.formula for s in part} for part in parts.values()]
    assert sum(map(len, formulas)) == len(set().union(*formulas))
    check_disjoint(parts)


def test_split_fractions_are_met_when_groups_are_small():
    parts = grouped_split(sample(200, 0), {"train": 0.75, "test": 0.25}, 1)
    assert {name: len(part) for name, part in parts.items()} == {"train": 150, "test": 50}
    with pytest.raises(ConfigError, match="sum to 1"):
        grouped_split(sample(4, 0), {"train": 0.75, "test": 0.2}, 1)


def test_a_geometry_stays_on_one_side_whatever_the_key():
    frames = [replace(frame, info={"x": float(place % 2)}) for place, frame in enumerate(sample(8, 8))]
    twin = replace(frames[0], structure_id="twin", info={"x": 1.0})  # the geometry of one group, the key of the other
    named = replace(frames[2], structure_id="dimer-3", info={"x": 0.0})
    assert len(grouped_folds(frames, 2, 0, key_of("x"))) == 2
    with pytest.raises(DataError, match="1 group of structures cannot"):
        grouped_folds([*frames, twin], 2, 0, key_of("x"))
    with pytest.raises(DataError, match="1 group of structures cannot"):
        grouped_folds([*frames, named], 2, 0, key_of("x"))


def test_keys_are_names_compositions_or_entries_of_a_frame():
    frame = replace(dimer(1), info={"temperature": np.float64(300.0), "site": ("a", 1)})
    assert key_of("structure_id")(frame) == "dimer-1"
    assert key_of("composition")(frame) == "CO"
    assert key_of("temperature")(frame) == 300.0
    assert key_of("site")(frame) == "('a', 1)"
    with pytest.raises(DataError, match=r"'dimer-1' cannot be grouped: .* Did you mean 'temperature'"):
        key_of("temprature")(frame)


def test_frames_are_found_by_all_keys_together():
    frames = [replace(frame, info={"x": place % 2, "t": place // 4}) for place, frame in enumerate(sample(8, 0))]
    assert holding(frames, {"x": (1,)}) == (1, 3, 5, 7)
    assert holding(frames, {"x": (0, 1), "t": (1,)}) == (4, 5, 6, 7)
    assert holding(frames, {"x": (1,), "t": (0,)}) == (1, 3)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 400))
def test_evenly_spaced_members_are_distinct_with_gaps_that_differ_by_one(total: int, count: int) -> None:
    indices = evenly_spaced(total, count)
    assert len(indices) == min(total, count)
    assert evenly_spread(range(total), count) == indices.tolist()
    if total <= count:
        assert indices.tolist() == list(range(total))
    elif count > 1:
        gaps = np.diff(indices)
        assert (indices[0], indices[-1]) == (0, total - 1)
        assert gaps.min() >= 1 and np.ptp(gaps) <= 1


def test_no_member_is_chosen_where_none_is_asked_for() -> None:
    assert evenly_spread([1, 2], 0) == [] and evenly_spread([], 0) == []
