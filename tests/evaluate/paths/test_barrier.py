import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc100, molecule
from ase.calculators.emt import EMT
from ase.io import read
from ase.mep import NEBTools

from rung.errors import ConfigError, DataError
from rung.evaluate.error_bars import Bar
from rung.evaluate.paths.barrier import BarrierSettings, relaxed_barrier, static_barrier
from rung.evaluate.paths.endpoints import check_endpoints, matched
from rung.storage import DamagedFileWarning
from tests.evaluate.paths.wells import DoubleWell, at

TIGHT = BarrierSettings(images=7, fmax=0.005, endpoint_fmax=0.001, interpolation="linear", max_steps=400)


@pytest.fixture(scope="module")
def relaxed():
    return relaxed_barrier(at(-0.9, 0.1, 0.05), at(1.1), DoubleWell(), TIGHT)


def test_relaxed_barrier_is_the_analytic_one(relaxed):
    barrier, reaction = DoubleWell().truth()
    assert relaxed.converged
    assert relaxed.reason == ""
    assert relaxed.barrier == pytest.approx(barrier, abs=1e-5)
    assert relaxed.reaction == pytest.approx(reaction, abs=1e-6)
    assert relaxed.reverse_barrier == pytest.approx(barrier - reaction, abs=1e-5)
    assert relaxed.images[relaxed.saddle].positions[0, 0] == pytest.approx(DoubleWell().stationary()[1], abs=2e-3)
    assert relaxed.max_force <= 0.005
    assert relaxed.notes == ()


def test_without_climbing_the_highest_image_lies_below_the_saddle():
    settings = TIGHT.model_copy(update={"climb": False, "images": 6})
    found = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), settings)
    assert found.converged
    assert found.barrier < DoubleWell().truth()[0] - 0.005


def test_relaxed_barrier_equals_the_tools_of_ase(relaxed):
    barrier, reaction = NEBTools(list(relaxed.images)).get_barrier(fit=False)
    assert relaxed.barrier == pytest.approx(barrier, abs=1e-12)
    assert relaxed.reaction == pytest.approx(reaction, abs=1e-12)


def test_swapping_the_ends_flips_the_reaction_exactly(relaxed):
    swapped = relaxed_barrier(at(1.1), at(-0.9, 0.1, 0.05), DoubleWell(), TIGHT)
    assert swapped.reaction == -relaxed.reaction
    assert swapped.barrier == pytest.approx(relaxed.reverse_barrier, abs=1e-5)


def test_each_image_is_computed_once_a_step():
    well = DoubleWell()
    settings = BarrierSettings(images=5, relax_endpoints=False, climb=False, max_steps=3, fmax=1e-6)
    found = relaxed_barrier(at(-1.0), at(1.0), well, settings)
    assert found.steps == 3
    assert well.calls == 2 + 3 * (found.steps + 1)


def test_too_few_steps_is_not_converged():
    found = relaxed_barrier(at(-0.9, 0.1), at(1.1), DoubleWell(), TIGHT.model_copy(update={"max_steps": 2}))
    assert not found.converged
    assert np.isnan(found.barrier)
    assert np.isfinite(found.energies).all()
    assert "after 2 steps" in found.reason


def test_an_end_that_does_not_relax_leaves_no_number():
    found = relaxed_barrier(at(-0.5, 0.6), at(1.1), DoubleWell(), TIGHT.model_copy(update={"endpoint_steps": 1}))
    assert not found.converged
    assert np.isnan(found.barrier)
    assert np.isnan(found.reaction)
    assert "initial" in found.reason


def test_ends_that_fall_together_are_no_barrier():
    found = relaxed_barrier(at(0.7), at(1.2), DoubleWell(), TIGHT)
    assert not found.converged
    assert np.isnan(found.barrier)
    assert "same minimum" in found.reason


def test_a_potential_that_breaks_down_is_not_converged():
    class Broken(DoubleWell):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            if abs(self.atoms.positions[0, 0]) < 0.5:
                self.results["forces"] = np.full((1, 3), np.nan)

    found = relaxed_barrier(at(-1.0), at(1.0), Broken(), TIGHT)
    assert not found.converged
    assert np.isnan(found.barrier)


def test_a_guess_decides_the_number_of_images_and_is_kept():
    guess = [at(x, 0.5 * (1 - x**2)) for x in np.linspace(-1, 1, 5)]
    found = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, guess_images=guess)
    assert found.converged
    assert len(found.images) == 5
    assert found.barrier == pytest.approx(DoubleWell().truth()[0], abs=1e-5)


class Killed(DoubleWell):
    """Dies after so many calls, as a process does."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def calculate(self, *args, **kwargs):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().calculate(*args, **kwargs)


def require_the_same(found, due):
    assert found.steps == due.steps
    assert found.barrier == due.barrier
    for one, other in zip(found.images, due.images, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)


@pytest.mark.parametrize("calls", [3, 71])
def test_a_band_that_was_killed_again_and_again_ends_as_an_unbroken_one_does(tmp_path, relaxed, calls):
    """Each kill comes a few steps later: in the ends, before and after the highest image begins to climb."""
    kills = 0
    while True:
        try:
            found = relaxed_barrier(
                at(-0.9, 0.1, 0.05), at(1.1), Killed(calls + 31 * kills), TIGHT, folder=tmp_path / "broken"
            )
        except KeyboardInterrupt:
            kills += 1
            continue
        break
    assert kills >= 2
    require_the_same(found, relaxed)


def test_restart_goes_on_from_the_folder(tmp_path):
    few = TIGHT.model_copy(update={"max_steps": 4})
    assert not relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), few, folder=tmp_path).converged
    kept = [image.positions.copy() for image in read(tmp_path / "band.traj", ":")]
    whole, once = DoubleWell(), DoubleWell()
    unbroken = relaxed_barrier(at(-0.9), at(1.1), whole, TIGHT)
    resumed = relaxed_barrier(at(-0.9), at(1.1), once, TIGHT, folder=tmp_path)
    assert len(kept) == 7
    assert resumed.converged
    require_the_same(resumed, unbroken)
    assert once.calls < whole.calls
    again = DoubleWell()
    require_the_same(relaxed_barrier(at(-0.9), at(1.1), again, TIGHT, folder=tmp_path), unbroken)
    assert again.calls == 7, "no step is taken: each image is looked at once"
    assert not list(tmp_path.glob("*.tmp"))


def test_a_folder_of_an_older_rung_goes_on_from_its_images(tmp_path):
    few = TIGHT.model_copy(update={"max_steps": 4})
    relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), few, folder=tmp_path)
    for file in tmp_path.glob("*.npz"):
        file.unlink()
    resumed = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, folder=tmp_path)
    assert resumed.barrier == pytest.approx(DoubleWell().truth()[0], abs=1e-5)


def test_a_folder_of_another_band_is_refused(tmp_path):
    relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, folder=tmp_path)
    with pytest.raises(DataError, match="other ends"):
        relaxed_barrier(at(-0.8), at(1.1), DoubleWell(), TIGHT, folder=tmp_path)
    with pytest.raises(DataError, match="another potential"):
        relaxed_barrier(at(-0.9), at(1.1), DoubleWell(tilt=0.2), TIGHT, folder=tmp_path)


@pytest.mark.parametrize("name", ["band.traj", "band.npz", "initial.npz", "final.traj"])
def test_a_damaged_file_is_named_and_made_again(tmp_path, name):
    whole = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, folder=tmp_path)
    before = (tmp_path / name).read_bytes()
    damaged = before[: len(before) // 2]
    (tmp_path / name).write_bytes(damaged)
    with pytest.warns(DamagedFileWarning, match=rf"{name} is damaged .* it is kept as {name}\.damaged and made again"):
        require_the_same(relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, folder=tmp_path), whole)
    assert (tmp_path / f"{name}.damaged").read_bytes() == damaged
    assert (tmp_path / name).stat().st_size == len(before)


@pytest.mark.parametrize("name", ["band", "initial"])
def test_a_missing_file_is_made_again(tmp_path, name):
    whole = relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, folder=tmp_path)
    for file in tmp_path.glob(f"{name}.[nt]*"):
        file.unlink()
    require_the_same(relaxed_barrier(at(-0.9), at(1.1), DoubleWell(), TIGHT, folder=tmp_path), whole)
    assert (tmp_path / f"{name}.npz").exists() and (tmp_path / f"{name}.traj").exists()


class Distances:
    """Error bars that grow with the way from the first image."""

    def difference(self, image, reference):
        distance = float(np.linalg.norm(image.positions - reference.positions))
        return Bar(distance, 2 * distance)


def test_error_bars_are_those_of_differences():
    found = static_barrier([at(-1.0), at(0.0, 0.5), at(1.0)], DoubleWell(), error_bars=Distances())
    assert found.stderr.tolist() == pytest.approx([0.0, np.sqrt(1.25), 2.0])
    assert found.bar.weights == pytest.approx(np.sqrt(1.25))
    assert found.bar.total == pytest.approx(2 * np.sqrt(1.25))
    assert list(found.curve("lifted").stderr) == found.stderr.tolist()
    assert found.entry("lifted").stderr_total == found.bar.total


def test_static_barrier_takes_the_band_as_it_is():
    well = DoubleWell(tilt=0.1)
    band = [at(-1.0), at(0.0, 0.5), at(1.0)]
    found = static_barrier(band, well)
    assert found.energies.tolist() == pytest.approx([-0.1, 0.8, 0.1])
    assert found.barrier == pytest.approx(0.9)
    assert found.reaction == pytest.approx(0.2)
    assert found.saddle == 1
    assert found.coordinate.tolist() == pytest.approx([0.0, np.sqrt(1.25), 2 * np.sqrt(1.25)])
    assert np.isnan(found.bar.weights)
    assert found.curve("base").stderr is None


def test_a_symmetric_path_is_recognised():
    settings = TIGHT.model_copy(update={"fmax": 0.02})
    even = relaxed_barrier(at(-1.1), at(0.9, 0.1), DoubleWell(tilt=0.0), settings)
    assert "symmetric" in even.notes[0]
    assert even.saddle == 3
    tilted = relaxed_barrier(at(-1.1), at(0.9, 0.1), DoubleWell(tilt=0.05), settings)
    assert tilted.notes == ()


def test_an_image_that_breaks_down_is_said_and_the_band_is_kept(tmp_path):
    class Broken(DoubleWell):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            if abs(self.atoms.positions[0, 1] - 0.4) < 0.1:
                self.results["forces"] = np.full((1, 3), np.nan)

    found = relaxed_barrier(at(-0.9), at(1.1), Broken(), TIGHT, folder=tmp_path)
    assert not found.converged
    assert "broke down" in found.reason
    assert (tmp_path / "initial.traj").exists()


def test_static_barrier_says_when_there_is_none():
    found = static_barrier([at(-1.0), at(-0.5, 0.375), at(0.0, 0.5)], DoubleWell())
    assert found.saddle == 2
    assert "no barrier" in found.notes[0]


def test_a_minimum_on_the_way_is_said():
    band = [at(x, 0.5 * (1 - x**2)) for x in (-2.0, -1.5, -1.0, 0.0, 1.0, 1.5)]
    found = static_barrier([at(-1.2), *band[2:5], at(0.0), at(1.0)], DoubleWell())
    assert "minimum of its own" in found.notes[0]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_band_has_three_images(count):
    with pytest.raises(DataError, match="three images"):
        static_barrier([at(0.0)] * count, DoubleWell())


def test_an_energy_that_is_not_finite_is_refused():
    class Hole(DoubleWell):
        def floor(self, x):
            return np.nan if x == 0 else super().floor(x)

    with pytest.raises(DataError, match="image 1"):
        static_barrier([at(-1.0), at(0.0), at(1.0)], Hole())


def test_unknown_settings_are_refused():
    with pytest.raises(ConfigError, match="fmax"):
        BarrierSettings.read({"fmx": 0.1})


class TestEndpoints:
    slab = fcc100("Al", (2, 2, 2), vacuum=5.0)

    def moved(self, index, by):
        other = self.slab.copy()
        other.positions[index] += by
        return other

    def test_equal_ends(self):
        with pytest.raises(DataError, match="are the same"):
            check_endpoints(self.slab, self.moved(0, [0.01, 0, 0]))

    def test_equal_up_to_a_lattice_vector(self):
        with pytest.raises(DataError, match="are the same"):
            check_endpoints(self.slab, self.moved(3, self.slab.cell[0] - self.slab.cell[1]))

    def test_different_formula(self):
        other = self.moved(0, [1, 0, 0])
        other.numbers[0] = 29
        with pytest.raises(DataError, match="formula"):
            check_endpoints(self.slab, other)

    def test_different_number_of_atoms(self):
        with pytest.raises(DataError, match="formula"):
            check_endpoints(self.slab, self.slab[:-1])

    def test_other_order(self):
        water = molecule("H2O")
        with pytest.raises(DataError, match="index 0"):
            check_endpoints(water, water[[1, 0, 2]])

    def test_other_cell(self):
        other = self.moved(0, [1, 0, 0])
        other.set_cell(other.cell * 1.01)
        with pytest.raises(DataError, match="cell"):
            check_endpoints(self.slab, other)

    def test_position_not_finite(self):
        with pytest.raises(DataError, match="finite"):
            check_endpoints(self.slab, self.moved(0, [np.nan, 0, 0]))

    @pytest.mark.parametrize("order", [[1, 0, 2, 3], [1, 2, 3, 0]])
    def test_like_atoms_permuted(self, order):
        other = self.slab.copy()
        other.positions[:4] = other.positions[order]
        other.positions[7] += [0.0, 0.0, 2.0]
        with pytest.raises(DataError, match="numbered differently"):
            check_endpoints(self.slab, other)
        check_endpoints(self.slab, other, allow_exchange=True)

    @pytest.mark.parametrize("order", [[1, 0, 2, 3], [1, 2, 3, 0]])
    def test_like_atoms_are_matched(self, order):
        other = self.slab.copy()
        other.positions[:4] = other.positions[order] + [0.05, 0, 0]
        other.positions[7] += [0.0, 0.0, 2.0]
        found, changed = matched(self.slab, other)
        assert changed == tuple(index for index in range(4) if order[index] != index)
        assert found.positions[:4] == pytest.approx(self.slab.positions[:4] + np.array([0.05, 0, 0]))
        check_endpoints(self.slab, found)

    def test_matching_mends_another_order_of_the_elements(self):
        water = molecule("H2O")
        moved = water[[2, 0, 1]]
        moved.positions += 0.3
        found, _ = matched(water, moved)
        assert found.numbers.tolist() == water.numbers.tolist()
        assert found.positions == pytest.approx(water.positions + 0.3)
        with pytest.raises(DataError, match="formula"):
            matched(water, molecule("H2O2"))

    def test_a_hop_is_no_permutation(self):
        check_endpoints(self.slab, self.moved(7, [2.86, 0, 0]))

    def test_atoms_that_follow_each_other_are_no_permutation(self):
        row = Atoms("Al2", positions=[[0, 0, 0], [3, 0, 0]])
        check_endpoints(row, Atoms("Al2", positions=[[3, 0, 0], [6, 0, 0]]))

    def test_a_long_hop_that_pushes_a_neighbour_is_no_permutation(self):
        row = Atoms("Al2", positions=[[0, 0, 0], [2, 0, 0]])
        check_endpoints(row, Atoms("Al2", positions=[[4, 0, 0], [2.8, 0, 0]]))


def hopping():
    """A gold atom on aluminium, in two neighbouring hollows: ASE's own tutorial case."""
    from ase.build import add_adsorbate
    from ase.constraints import FixAtoms

    slab = fcc100("Al", size=(2, 2, 3), vacuum=8.0, periodic=True)
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in slab]))
    final = slab.copy()
    final[-1].x += slab.cell[0, 0] / 2
    return slab, final


def test_a_periodic_band_equals_one_made_by_ase_alone():
    from ase.mep import NEB
    from ase.optimize import BFGS, FIRE

    initial, final = hopping()
    wrapped = final.copy()
    wrapped.positions[-1] -= wrapped.cell[0]
    settings = BarrierSettings(images=5, fmax=0.01, endpoint_fmax=0.005)
    found = relaxed_barrier(initial, wrapped, EMT(), settings)

    ends = [initial.copy(), final.copy()]
    for end in ends:
        end.calc = EMT()
        BFGS(end, logfile=None).run(fmax=0.005)
    images = [ends[0], *(ends[0].copy() for _ in range(3)), ends[1]]
    for image in images[1:-1]:
        image.calc = EMT()
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate("idpp", mic=True)
    assert FIRE(band, logfile=None).run(fmax=0.01, steps=300)
    energies = [image.get_potential_energy() for image in images]
    assert found.converged
    assert found.barrier == pytest.approx(max(energies) - energies[0], abs=1e-4)
    assert 0.3 < found.barrier < 0.5
    assert found.reaction == pytest.approx(0.0, abs=1e-4)


def test_a_free_molecule_may_turn():
    initial = molecule("NH3")
    final = initial.copy()
    final.positions[0, 2] = 2 * final.positions[1, 2] - final.positions[0, 2]
    turned = final.copy()
    turned.rotate(40, "x")
    turned.translate([3.0, 1.0, 0.0])
    settings = BarrierSettings(images=5, fmax=0.05, free_molecule=True, allow_exchange=True)
    straight = relaxed_barrier(initial, final, EMT(), settings)
    found = relaxed_barrier(initial, turned, EMT(), settings)
    assert straight.converged
    assert found.converged
    assert found.barrier == pytest.approx(straight.barrier, abs=1e-3)
