import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from rung.errors import DataError
from rung.evaluate.coverage import coverage, coverage_table
from rung.evaluate.errors import ErrorSums, relative_errors
from rung.storage import jsonable
from tests.evaluate.sums import split_errors

NAN = np.nan


def test_two_structures_by_hand():
    found = split_errors(
        energy=[-10.0, -20.3],
        energy_label=[-10.2, -20.0],
        n_atoms=[2, 3],
        formulas=["H2", "H2O"],
        energy_stderr_label=[0.1, 0.3],
        energy_stderr=[0.1, 0.4],
        forces=np.zeros((5, 3)),
        forces_label=np.full((5, 3), 0.2),
        base_forces=np.full((5, 3), -0.05),
        stress=np.zeros((2, 6)),
        stress_label=np.full((2, 6), 0.003),
    )
    assert found.n_structures == found.n_energies == found.n_stresses == 2
    assert found.n_forces == 15
    assert found.energy_mae == pytest.approx(100.0)
    assert found.energy_rmse == pytest.approx(100.0)
    assert np.isnan(found.energy_rmse_rel)
    assert found.force_mae == pytest.approx(200.0)
    assert found.force_rmse == pytest.approx(200.0)
    assert found.force_departure_rmse == pytest.approx(50.0)
    assert found.stress_mae == found.stress_rmse == pytest.approx(3.0)
    assert found.energy_chi2 == pytest.approx((4.0 + 1.0) / 2)
    assert found.energy_z2 == pytest.approx((0.04 / 0.02 + 0.09 / 0.25) / 2)
    assert found.noise_floor == pytest.approx(np.sqrt((50.0**2 + 100.0**2) / 2))


def test_nothing_labelled_is_nan_and_no_warning():
    found = split_errors([1.0], [NAN], [2], ["H2"], forces=np.zeros((2, 3)), forces_label=np.full((2, 3), NAN))
    numbers = found.as_json()
    assert [numbers[name] for name in ("n_structures", "n_energies", "n_forces", "n_stresses")] == [1, 0, 0, 0]
    assert all(np.isnan(value) for name, value in numbers.items() if not name.startswith("n_"))
    assert "NaN" not in json.dumps(jsonable(numbers))


def test_no_structures():
    assert split_errors([], [], [], []).n_structures == 0


@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_unlabelled_structures_change_nothing(extra, seed):
    rng = np.random.default_rng(seed)
    atoms, names = [2, 2, 3], ["A", "A", "B"]
    energy, label, sigma = rng.normal(size=(3, 3))
    forces, wanted = rng.normal(size=(2, 7, 3))
    alone = split_errors(
        energy, label, atoms, names, energy_stderr_label=np.abs(sigma), forces=forces, forces_label=wanted
    )
    more = split_errors(
        np.append(energy, rng.normal(size=extra)),
        np.append(label, np.full(extra, NAN)),
        [*atoms, *[4] * extra],
        [*names, *["A"] * extra],
        energy_stderr_label=np.append(np.abs(sigma), np.full(extra, 0.1)),
        forces=[*np.split(forces, [2, 4]), *rng.normal(size=(extra, 4, 3))],
        forces_label=[*np.split(wanted, [2, 4]), *np.full((extra, 4, 3), NAN)],
    )
    assert more.n_structures == 3 + extra
    np.testing.assert_equal({**more.as_json(), "n_structures": 3}, alone.as_json())


@given(arrays(float, (4,), elements=st.floats(-5, 5)), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_relative_errors_ignore_an_offset_per_composition(energies, first, second):
    labels = np.zeros(4)
    offset = np.array([first, first, second, second])
    one = split_errors(energies, labels, [3] * 4, ["A", "A", "B", "B"])
    two = split_errors(energies + offset, labels, [3] * 4, ["A", "A", "B", "B"])
    assert two.energy_rmse_rel == pytest.approx(one.energy_rmse_rel, abs=1e-6)


def test_relative_errors_leave_lone_compositions_out():
    found = relative_errors(np.array([1.0, 5.0, 3.0]), ["A", "B", "A"])
    assert found == pytest.approx([-np.sqrt(2.0), np.sqrt(2.0)])  # one mean of two errors takes half of their variance
    lone = split_errors([1.0, 5.0, 3.0], [0.0] * 3, [1] * 3, ["A", "B", "A"])
    assert lone.energy_rmse_rel == pytest.approx(1000.0 * np.sqrt(2.0))


def test_relative_errors_are_as_large_as_the_errors_whatever_the_number_of_structures():
    random = np.random.default_rng(3)
    for members in (2, 3, 20):
        errors = random.normal(size=6000)
        found = relative_errors(errors, [str(k // members) for k in range(len(errors))])
        assert np.sqrt(np.mean(found**2)) == pytest.approx(1.0, rel=0.04)


def test_layouts_of_forces_agree():
    rng = np.random.default_rng(1)
    forces, wanted = rng.normal(size=(2, 5, 3))
    base = {"energy": [0.0, 0.0], "energy_label": [0.0, 0.0], "n_atoms": [2, 3], "formulas": ["H2", "H3"]}
    flat = split_errors(**base, forces=forces.ravel(), forces_label=wanted)
    split = split_errors(**base, forces=[forces[:2], forces[2:]], forces_label=[wanted[:2], wanted[2:]])
    assert flat == pytest.approx(split) or flat.as_json() == pytest.approx(split.as_json(), nan_ok=True)
    assert flat.force_rmse == pytest.approx(1000 * np.sqrt(np.mean((forces - wanted) ** 2)))


def test_half_labelled_forces_count_by_component():
    wanted = np.zeros((2, 3))
    wanted[1, 2] = NAN
    found = split_errors([0.0], [0.0], [2], ["H2"], forces=np.full((2, 3), 0.1), forces_label=wanted)
    assert found.n_forces == 5
    assert found.force_rmse == pytest.approx(100.0)


def test_zero_and_unknown_sigma_do_not_divide():
    found = split_errors(
        [1.0, 1.0, 1.0],
        [0.0] * 3,
        [1] * 3,
        ["A"] * 3,
        energy_stderr_label=[0.0, NAN, 0.5],
        energy_stderr=[2, 1, np.inf],
    )
    assert found.energy_chi2 == pytest.approx(4.0)
    assert found.energy_z2 == pytest.approx((0.25 + 1.0) / 2)
    assert found.n_energy_bars == 2 and found.n_energies > 2


def test_honest_bars_give_one():
    rng = np.random.default_rng(3)
    sigma, bar = rng.uniform(0.01, 0.1, size=(2, 20000))
    energy = rng.normal(scale=bar)
    label = rng.normal(scale=sigma)
    found = split_errors(energy, label, [1] * 20000, ["A"] * 20000, energy_stderr_label=sigma, energy_stderr=bar)
    assert found.energy_z2 == pytest.approx(1.0, abs=0.03)
    assert found.energy_chi2 > 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy": [1.0]}, "energy has 1 value for 2"),
        ({"formulas": ["A"]}, "There is 1 formula for 2"),
        ({"energy": [1.0, NAN]}, "not finite"),
        ({"forces": np.zeros((3, 3))}, "9 components for 4 atoms"),
        ({"forces": np.full((4, 3), NAN)}, "12 predicted force"),
        ({"stress": np.zeros((2, 3))}, "shapes"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    given_arrays = {
        "energy": [1.0, 2.0],
        "energy_label": [1.0, 2.0],
        "n_atoms": [2, 2],
        "formulas": ["A", "A"],
        "forces": np.zeros((4, 3)),
        "forces_label": np.zeros((4, 3)),
        "stress": np.zeros((2, 6)),
        "stress_label": np.zeros((2, 6)),
    }
    with pytest.raises(DataError, match=message):
        split_errors(**{**given_arrays, **change})


class TestCoverage:
    def test_equals_the_normal_distribution(self):
        draws = norm.ppf((np.arange(10000) + 0.5) / 10000)
        for level in (0.5, 0.68, 0.95):
            assert coverage(draws, np.zeros(10000), np.ones(10000), level) == pytest.approx(level, abs=2e-4)
            assert coverage(3 * draws, np.zeros(10000), np.ones(10000), level) < level - 0.2

    def test_unknown_truths_and_bars_do_not_count(self):
        assert coverage([0.0, 9.0, 9.0, 9.0], [0.0, NAN, 0.0, 0.0], [1.0, 1.0, NAN, np.inf], 0.68) == 1.0
        assert np.isnan(coverage([1.0], [NAN], [1.0], 0.68))

    def test_table_holds_its_interval(self):
        row, wide = coverage_table([0.0, 3.0], [0.0, 0.0], [1.0, 1.0])
        assert (row.level, row.fraction, row.n, wide.level) == (0.68, 0.5, 2, 0.95)
        assert row.low == pytest.approx(0.0945, abs=1e-4)
        assert row.high == pytest.approx(0.9055, abs=1e-4)
        assert np.isnan(coverage_table([], [], [])[0].low)

    def test_bad_input(self):
        with pytest.raises(DataError, match="equal shapes"):
            coverage([1.0], [1.0, 2.0], [1.0], 0.68)
        with pytest.raises(DataError, match="between 0 and 1"):
            coverage([1.0], [1.0], [1.0], 68)


def test_errors_that_come_in_parts_are_those_of_all():
    rng = np.random.default_rng(0)
    n_atoms, formulas = rng.integers(1, 5, size=12), ["H2", "H2O", "O2"] * 4
    columns = {name: rng.normal(size=12) for name in ("energy", "energy_label", "energy_stderr_label", "energy_stderr")}
    columns["energy_label"][3] = NAN
    blocks = {name: [rng.normal(size=(n, 3)) for n in n_atoms] for name in ("forces", "forces_label", "base_forces")}
    blocks["forces_label"][5][0] = NAN
    stress = {name: rng.normal(size=(12, 6)) for name in ("stress", "stress_label")}
    whole = split_errors(n_atoms=n_atoms, formulas=formulas, **columns, **blocks, **stress)
    sums = ErrorSums()
    for rows in (slice(0, 5), slice(5, 5), slice(5, 12)):
        cut = {name: values[rows] for name, values in {**columns, **blocks, **stress}.items()}
        sums.add(n_atoms=n_atoms[rows], formulas=formulas[rows], **cut)
    assert sums.errors().as_json() == pytest.approx(whole.as_json(), rel=1e-12)


@pytest.mark.parametrize("which", ["energy_label", "forces_label", "stress_label"])
def test_an_infinite_label_is_refused_and_not_taken_for_an_absent_one(which: str) -> None:
    arrays = {"energy_label": np.zeros(2), "forces_label": np.zeros((2, 3)), "stress_label": np.zeros((2, 6))}
    arrays[which].flat[1] = np.inf
    with pytest.raises(DataError, match=f"{which} holds an infinite value"):
        split_errors(
            np.zeros(2), n_atoms=[1, 1], formulas=["H", "H"], forces=np.zeros((2, 3)), stress=np.zeros((2, 6)), **arrays
        )
