"""Error bars of a tangent fit: the kernel formula, exact cancellation, draws that are linear, files."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.backends.errors import tangent_errors
from rung.calculator import RungCalculator
from rung.checkpoint import Checkpoint, load, save
from rung.data.labels import empty_labels
from rung.data.structure import Structure, composition_matrix
from rung.errors import ModelError
from rung.features.tangent_errors import TangentErrors, TangentPosterior
from rung.fit.lift import Context, FitResult
from rung.fit.linear.gaussian import MODEL_ERROR
from rung.fit.methods.tangent import TangentSettings, fit_tangent
from rung.tasks.error_bars import error_bars_of
from tests.fit.lifts import lift_of
from tests.geometries import rattled

COUNT = 8


@dataclass(frozen=True)
class Fitted:
    """A fit, its training frames and its error bars."""

    train: list[Structure]
    result: FitResult
    errors: TangentErrors
    posterior: TangentPosterior


def training_frames(molecules: list[Structure]) -> list[Structure]:
    random = np.random.default_rng(4)
    frames = []
    for number in range(COUNT):
        atoms = rattled(molecules[number % 3].atoms, 100 + number, 0.1)
        energy = random.normal(scale=0.3) - 5.0 * len(atoms)
        label = replace(empty_labels(len(atoms)), energy=energy, energy_stderr=0.02 + 0.01 * number)
        frames.append(Structure(atoms, f"frame-{number}", {"high": label}))
    return frames


def fitted_with(molecules, base, **settings) -> Fitted:
    train = training_frames(molecules)
    result = fit_tangent(lift_of(train, base), TangentSettings(**settings), Context(dtype="float64"))
    assert isinstance(result.posterior, TangentPosterior)
    return Fitted(train, result, tangent_errors(result.potential, "high", result.posterior), result.posterior)


@pytest.fixture(scope="module")
def fitted(molecules, tiny_potential) -> Fitted:
    return fitted_with(molecules, tiny_potential)


@pytest.fixture(scope="module")
def calculator(fitted) -> RungCalculator:
    content = Checkpoint(fitted.result.potential, fitted.posterior, {"target": "high"})
    return RungCalculator(content, fidelity="high")


def others(molecules) -> list[Structure]:
    return [Structure(rattled(one.atoms, 7 + k, 0.05), "", {}) for k, one in enumerate(molecules[:3])]


def at_one_point(fitted: Fitted) -> tuple[TangentErrors, float, float, np.ndarray]:
    """Return the bars at the best hyper-parameters alone, α² per weight, s and the labels' variances."""
    posterior, numbers = fitted.posterior, fitted.result.diagnostics
    (group,) = posterior.groups
    design = fitted.errors.rows @ (group.combination @ fitted.errors.rows).T
    composition = composition_matrix(fitted.train, posterior.coordinates.elements)
    variance = np.array([frame.labels["high"].energy_stderr ** 2 for frame in fitted.train])
    noise = np.diag(variance + numbers[MODEL_ERROR] ** 2 * composition.sum(axis=1))  # no two frames are alike
    alpha, weights = numbers["alpha"], design.shape[1]
    precision = np.zeros((weights + composition.shape[1],) * 2)
    precision[:weights, :weights] = np.eye(weights) / alpha**2
    rows = np.hstack([design, composition])
    covariance = np.linalg.pinv(rows.T @ np.linalg.solve(noise, rows) + precision, rcond=1e-13)
    sharp = replace(
        posterior,
        coordinates=replace(posterior.coordinates, covariance=covariance),
        groups=(replace(group, variance=alpha**2),),
    )
    errors = TangentErrors(fitted.result.potential, "high", sharp, fitted.errors.model)
    return errors, alpha**2 / group.size**2, numbers[MODEL_ERROR], np.diag(noise)


def kernel_covariance(width: float, noise: np.ndarray, seen, wanted) -> np.ndarray:
    """Return the covariance of a Gaussian process with flat E0 (Rasmussen and Williams, eq. 2.41), from rows alone."""
    (rows, composition), (gradients, counts) = seen, wanted
    inverse = np.linalg.inv(width * rows @ rows.T + np.diag(noise))
    cross = width * rows @ gradients.T
    rest = counts.T - composition.T @ inverse @ cross
    return (
        width * gradients @ gradients.T
        - cross.T @ inverse @ cross
        + rest.T @ np.linalg.pinv(composition.T @ inverse @ composition) @ rest
    )


def test_variances_are_those_of_the_kernel(fitted, molecules):
    errors, width, _, noise = at_one_point(fitted)
    structures = others(molecules)
    elements = fitted.posterior.coordinates.elements
    energies = errors.energies(structures)
    seen = (errors.rows, composition_matrix(fitted.train, elements))
    expected = kernel_covariance(width, noise, seen, (energies.gradients, energies.composition))
    prior = width * np.sum(energies.gradients**2, axis=1).max()  # both sides are small differences of such numbers
    assert_allclose(energies.covariance(), expected, rtol=0, atol=1e-10 * prior)
    molecule = structures[0]
    units = np.eye(3 * len(molecule)).reshape(-1, len(molecule), 3)
    gradients = np.array([errors._row(molecule, unit) for unit in units])
    still = np.zeros((len(units), len(elements)))
    forces = kernel_covariance(width, noise, seen, (gradients, still))
    assert_allclose(errors.forces_stderr(molecule, model_error=False).ravel() ** 2, np.diag(forces), rtol=1e-9)


def test_half_of_the_models_own_error_is_smooth_and_carries_reference_energies_with_it(fitted):
    """Along all weights alike; for the training frames, E0 takes what compositions explain, and s² is left an atom."""
    frames, posterior = fitted.train, fitted.posterior
    energies = fitted.errors.energies(frames)
    own = energies.covariance("total") - energies.covariance()
    n_atoms = np.array([len(frame) for frame in frames])
    rest = (
        energies.gradients
        - energies.composition @ np.linalg.lstsq(energies.composition, energies.gradients, rcond=None)[0]
    )
    smooth = own - posterior.rough_variance * energies.overlaps
    assert_allclose(smooth, posterior.own_variance * rest @ rest.T, rtol=1e-6, atol=1e-9 * own.max())
    assert np.mean(np.diag(smooth) / n_atoms) == pytest.approx(0.5 * posterior.model_error**2, rel=1e-6)
    assert posterior.rough_variance == pytest.approx(0.5 * posterior.model_error**2)
    assert (np.diag(energies.overlaps) >= n_atoms * (1 - 1e-9)).all()


def test_the_rough_part_belongs_to_environments(calculator, fitted, molecules):
    """What two structures have in common cancels in their difference, at no more than the atoms that differ."""
    first, second = (rattled(molecules[1].atoms, seed, 0.1) for seed in (1, 2))
    bar = error_bars_of(calculator).difference(first, second)
    parts = fitted.errors.energies([Structure(first, "", {}), Structure(second, "", {})])
    variance = parts.combination_variance([1.0, -1.0])
    assert variance.rough > 0
    assert variance.rough <= 2 * fitted.posterior.rough_variance * parts.overlaps.max()
    assert bar.total == pytest.approx(np.sqrt(variance.weights + variance.smooth + variance.rough))


def test_forces_hold_the_rough_part_too(fitted, molecules):
    posterior, structure = fitted.posterior, others(molecules)[0]
    assert posterior.coordinates.force_error > 0
    smooth = replace(posterior, coordinates=replace(posterior.coordinates, force_error=0.0))
    without = replace(fitted.errors, posterior=smooth).forces_stderr(structure)
    whole = fitted.errors.forces_stderr(structure)
    assert_allclose(whole**2 - without**2, posterior.coordinates.force_error**2, rtol=1e-9)
    alone = fitted.errors.forces_stderr(structure, model_error=False)
    assert (alone < without).all()


def test_a_fit_that_knew_no_rough_part_keeps_its_bars(fitted, molecules):
    """Older files hold all of s² along the weights."""
    posterior = fitted.posterior
    old = replace(
        posterior,
        own_variance=2 * posterior.own_variance,
        coordinates=replace(posterior.coordinates, rough_error=None, environments=None, force_error=0.0),
    )
    errors = replace(fitted.errors, posterior=old)
    structures = others(molecules)
    variance = errors.energies(structures).combination_variance([1.0, 0.0, 0.0])
    smooth = fitted.errors.energies(structures).combination_variance([1.0, 0.0, 0.0]).smooth
    assert variance.rough == 0.0
    assert variance.smooth == pytest.approx(2 * smooth)


def test_a_structure_minus_itself_is_certain(calculator, molecules):
    atoms = others(molecules)[0].atoms
    assert calculator.energy_difference_stderr(atoms, atoms) == 0.0
    assert calculator.energy_difference_stderr(atoms, atoms, model_error="none") == 0.0


def test_copies_far_away_add_nothing(calculator, molecules):
    first, second = (rattled(molecules[0].atoms, seed, 0.08) for seed in (1, 2))
    copy = first.copy()
    copy.positions += 40.0
    alone = calculator.energy_difference_stderr(first, second)
    assert calculator.energy_difference_stderr(first + copy, second + copy) == pytest.approx(alone, rel=1e-7)
    twice = [first + copy, second + second.copy()]
    twice[1].positions[len(second) :] += 40.0
    assert calculator.energy_difference_stderr(*twice) == pytest.approx(2 * alone, rel=1e-7)


def test_what_no_label_identifies_has_no_bar(calculator, fitted):
    """H2O, CH4 and CO2 tell three elements apart in three compositions; two of them do not."""
    assert np.isfinite(calculator.get_energy_stderr(Atoms("O", positions=[[0, 0, 0]])))
    gold = Structure(Atoms("Au", positions=[[0, 0, 0]]), "", {})
    with pytest.raises(ModelError, match=r"\bAu\b"):
        fitted.errors.energies([gold])


def test_draws_are_a_linear_function_of_the_posterior(calculator, molecules):
    structures = [one.atoms for one in others(molecules)]
    changes = calculator.energy_changes(structures, 400)
    expected = calculator.energy_covariance(structures, model_error="none")
    assert_allclose(np.cov(changes.T, bias=True), expected, rtol=0.5, atol=0.3 * np.abs(expected).max())
    drawn = calculator.draw(3)
    atoms = structures[0].copy()
    atoms.calc = drawn
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert energy - calculator.get_potential_energy(structures[0]) == pytest.approx(changes[3, 0], abs=1e-9)
    step = 1e-4
    moved = [structures[0].copy(), structures[0].copy()]
    for one, sign in zip(moved, (1, -1), strict=True):
        one.positions[1, 2] += sign * step
        one.calc = drawn
    numerical = -(moved[0].get_potential_energy() - moved[1].get_potential_energy()) / (2 * step)
    assert forces[1, 2] == pytest.approx(numerical, abs=1e-6)


def test_forces_of_large_structures_have_bars_from_draws(fitted, molecules):
    """Twelve atoms have more components than there are draws: four copies have the bars of one, to their noise."""
    one = molecules[0].atoms
    exact = fitted.errors.forces_stderr(Structure(one, "", {}))
    many = one.copy()
    for number in range(1, 4):
        copy = one.copy()
        copy.positions += 30.0 * number
        many += copy
    drawn = fitted.errors.forces_stderr(Structure(many, "", {})).reshape(4, len(one), 3)
    assert_allclose(np.sqrt(np.mean(drawn**2)), np.sqrt(np.mean(exact**2)), rtol=0.25)
    atoms = fitted.errors.atom_energies_stderr(Structure(many, "", {}))
    assert atoms.shape == (len(many),)
    assert (atoms > 0).all()


def test_bars_survive_a_file_and_reach_tasks(fitted, calculator, molecules, tmp_path: Path):
    path = tmp_path / "model.rung"
    save(path, fitted.result.potential, posterior=fitted.posterior, metadata={"target": "high"})
    again = RungCalculator(load(path), fidelity="high")
    structures = [one.atoms for one in others(molecules)]
    expected = calculator.energy_covariance(structures, model_error="total")
    assert_allclose(again.energy_covariance(structures, model_error="total"), expected, rtol=1e-9)
    bars = error_bars_of(again)
    assert bars is not None
    bar = bars.difference(structures[0], fitted.train[0].atoms)
    assert 0 < bar.weights < bar.total
    stretched = structures[0].copy()
    stretched.positions *= 5.0
    inside, outside = again.places([fitted.train[0].atoms, stretched])
    assert inside is not None and outside is not None
    assert not inside.outside
    assert outside.distance > inside.distance
    size = path.stat().st_size
    save(tmp_path / "plain.rung", fitted.result.potential, metadata={"target": "high"})
    rows = fitted.errors.rows.nbytes
    assert size < 2.5 * (tmp_path / "plain.rung").stat().st_size + 40_000 < rows * 10


@pytest.mark.parametrize("settings", [{"groups": "layers"}, {"probes": 5}])
def test_groups_and_probes_have_bars_too(molecules, tiny_potential, settings):
    fitted = fitted_with(molecules, tiny_potential, **settings)
    structures = others(molecules)
    covariance = fitted.errors.energies(structures).covariance()
    assert np.linalg.eigvalsh(covariance)[0] > -1e-9 * covariance.max()
    prior = sum(
        group.variance
        / group.size**2
        * np.sum(np.where(members, fitted.errors.energies(structures).gradients, 0.0) ** 2, axis=1)
        for group, members in zip(fitted.posterior.groups, fitted.errors._members, strict=True)
    )
    assert (np.diag(covariance) > 0).all()
    assert (fitted.errors.forces_stderr(structures[0]) > 0).all()
    assert np.diag(covariance).mean() < prior.mean()
