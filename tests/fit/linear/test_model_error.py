"""The model's own error is local and extensive: what repeats counts once, what cancels is no error, and bars cover."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.data.structure import Structure
from rung.features.errorbars import shared_environments
from rung.features.passes import build_designs
from rung.fit.lift import Base
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.evidence import HyperPrior
from rung.fit.linear.gaussian import MODEL_ERROR, EnergyData, LinearModel, PriorComponent
from rung.fit.linear.model_error import SMOOTH_SHARE, FeatureError, feature_error
from rung.fit.linear.problem import Problem, shared_error
from rung.fit.linear.result import posterior_of
from rung.fit.linear.terms import Assembly, Energies, WeightPrior, assemble
from rung.model.errorbars import variance_of_sum
from tests.fit.pair_world import FIDELITIES, geometries, labelled, pair_base, truth

SIGMA = 0.01


def problem_of(frames: Sequence[Structure]) -> Problem:
    base = Base(pair_base(), "low")
    designs = base.energy_designs(frames, None)
    environments = base.environments(frames, frames, None)
    return Problem(
        tuple(frames), tuple(designs), base.surface.readout, base.surface, (6, 8), FIDELITIES["high"], environments
    )


def misfit(frames: Sequence[Structure], seed: int = 9) -> list[Structure]:
    """Give each geometry an error that no readout has: 30 meV/√atom, equal for equal cells and n-fold for n of them."""
    random, size = np.random.default_rng(seed), {}
    found = []
    for frame in frames:
        error = size.setdefault(frame.geometry_hash, 0.03 * np.sqrt(len(frame)) * random.normal())
        label = frame.labelled("high")
        found.append(replace(frame, labels={"high": replace(label, energy=label.energy + error)}))
    return found


def fitted(frames: Sequence[Structure]) -> tuple[Problem, Solution]:
    problem = problem_of(frames)
    return problem, quadratic_solution(assemble((Energies(), WeightPrior()), problem))


@pytest.fixture(scope="module")
def once() -> list[Structure]:
    base = pair_base()
    return misfit(labelled(geometries(30), base, truth(base), 30, 0.0))


def noisy(frames: Sequence[Structure], sigma: float, seed: int) -> list[Structure]:
    random = np.random.default_rng(seed)
    return [
        replace(
            frame,
            labels={
                "high": replace(
                    frame.labelled("high"),
                    energy=frame.labelled("high").energy + sigma * random.normal(),
                    energy_stderr=sigma,
                )
            },
        )
        for frame in frames
    ]


def test_a_geometry_labelled_twice_says_no_more_of_the_error_than_once(once: list[Structure]) -> None:
    first, second = noisy(once, SIGMA, 1), noisy(once, SIGMA, 2)
    averaged = [
        replace(
            one,
            labels={
                "high": replace(
                    one.labelled("high"),
                    energy=0.5 * (one.labelled("high").energy + two.labelled("high").energy),
                    energy_stderr=SIGMA / np.sqrt(2),
                )
            },
        )
        for one, two in zip(first, second, strict=True)
    ]
    _, twice = fitted([*first, *second])
    _, single = fitted(averaged)
    assert twice.model_error == pytest.approx(single.model_error, rel=0.05)
    ratio = np.sqrt(np.diag(twice.gaussian.covariance) / np.diag(single.gaussian.covariance))
    assert_allclose(ratio, 1.0, rtol=0.1)


def test_exact_copies_of_a_label_change_next_to_nothing(once: list[Structure]) -> None:
    exact = noisy(once, 0.0, 0)
    _, twice = fitted([*exact, *exact])
    _, single = fitted(exact)
    assert twice.model_error == pytest.approx(single.model_error, rel=0.05)


def test_cells_repeated_in_space_leave_the_error_of_an_atom_as_it_is(once: list[Structure]) -> None:
    repeated = []
    for frame in once:
        label = frame.labelled("high")
        atoms = frame.atoms.repeat((2, 2, 1))
        zero = np.zeros((len(atoms), 3))
        larger = replace(label, energy=4 * label.energy, forces=zero * np.nan, forces_stderr=zero * np.nan)
        repeated.append(Structure(atoms, f"{frame.structure_id}-many", {"high": larger}))
    _, many = fitted(noisy(repeated, 0.0, 0))
    _, one = fitted(noisy(once, 0.0, 0))
    assert many.model_error == pytest.approx(one.model_error, rel=0.2)


def test_labels_of_one_geometry_share_the_error_also_where_no_features_are_known(once: list[Structure]) -> None:
    shared = shared_error([once[0], once[1], once[0]], None)
    assert_allclose(shared[0, 2], len(once[0]), rtol=1e-12)
    assert shared[0, 1] == 0.0


def test_what_reference_energies_absorb_is_no_error(once: list[Structure]) -> None:
    """A basis that counts atoms alone tells nothing that E0 does not: its smooth error is zero."""
    problem = problem_of(once)
    counted = [
        replace(design, energy=np.full_like(design.energy, design.n_atoms), composition=design.composition)
        for design in problem.designs
    ]
    flat = feature_error(replace(problem, designs=tuple(counted)), ())
    assert flat.smooth_share == 0.0
    error = feature_error(problem, ())
    gradients = np.hstack([problem.energy_design, problem.composition])
    variance = np.einsum("ip,pq,iq->i", gradients, error.covariance, gradients)
    assert np.mean(variance / problem.n_atoms) == pytest.approx(1.0, rel=1e-6)


def test_a_structure_less_itself_and_far_copies_have_no_error(once: list[Structure]) -> None:
    problem, solution = fitted(noisy(once, SIGMA, 1))
    posterior = posterior_of(problem, solution, feature_error(problem, ()))
    assert posterior.environments is not None
    start, moved = once[1].atoms, once[3].atoms.copy()
    moved.set_cell(start.cell)

    def bar(first: Atoms, second: Atoms) -> float:
        frames = [Structure(atoms, str(k), {}) for k, atoms in enumerate((first, second))]
        base = pair_base()
        designs = build_designs(
            frames, base.backbone, problem.readout, forces=False, fidelity="low", keep_features=True
        )
        gradients = [np.concatenate([design.energy, design.composition]) for design in designs]
        apart = np.array([1.0, -1.0])
        overlap = float(apart @ shared_environments(designs, posterior) @ apart)
        return float(np.sqrt(variance_of_sum(gradients[0] - gradients[1], overlap, posterior).total))

    alone = bar(moved, start)
    assert bar(start, start) == pytest.approx(0.0, abs=1e-6)

    def beside(first: Atoms) -> Atoms:
        box = [100.0, 100.0, 100.0]
        parts = []
        for k, atoms in enumerate([first, *[start] * 15]):
            part = Atoms(atoms.numbers, positions=atoms.positions + 20.0 * np.array([k // 4, k % 4, 0.0]))
            parts.append(part)
        whole = parts[0]
        for part in parts[1:]:
            whole += part
        whole.set_cell(box)
        whole.pbc = True
        return whole

    cluster = Atoms(moved.numbers, positions=moved.positions), Atoms(start.numbers, positions=start.positions)
    for atoms in cluster:
        atoms.set_cell([100.0] * 3)
        atoms.pbc = True
    alone = bar(*cluster)
    assert bar(beside(moved), beside(start)) == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("factor", [0.03, 10.0])
def test_all_energies_larger_by_a_factor_give_corrections_and_bars_nearly_larger_by_it(
    once: list[Structure], factor: float
) -> None:
    """What is usual for the base, which does not change by the factor, has the say of one or two labels."""
    plain = noisy(once[:14], SIGMA, 1)
    problem = problem_of(plain)
    larger = [
        replace(
            frame,
            labels={
                "high": replace(
                    frame.labelled("high"),
                    energy=before + factor * (frame.labelled("high").energy - before),
                    energy_stderr=factor * SIGMA,
                )
            },
        )
        for frame, before in zip(plain, problem.base_energy, strict=True)
    ]
    (_, one), (_, other) = fitted(plain), fitted(larger)
    assert other.model_error == pytest.approx(factor * one.model_error, rel=0.2)
    bars = [np.sqrt(np.diag(solution.gaussian.covariance)) for solution in (one, other)]
    assert_allclose(bars[1], factor * bars[0], rtol=0.2)
    assert (np.abs(other.gaussian.mean - factor * one.gaussian.mean) < 0.3 * factor * bars[0]).all()


N_WEIGHTS, N_LABELS, S, ALPHA = 24, 40, 0.05, 0.2


def synthetic(seed: int) -> dict[str, tuple[float, float]]:
    """Return error and bar of several quantities on one draw from the model: visible and hidden features are alike."""
    random = np.random.default_rng(seed)
    sizes = random.integers(3, 9, size=(N_LABELS + 4, 2)).astype(float)
    sizes[-2:] = sizes[-2] + 1.0  # two ends of a barrier
    n_atoms = sizes.sum(axis=1)
    visible, hidden = (random.normal(size=(len(n_atoms), N_WEIGHTS)) * np.sqrt(n_atoms)[:, None] for _ in range(2))
    pull, unseen = (random.normal(size=(3, N_WEIGHTS)) for _ in range(2))  # of three components of forces
    d = ALPHA * random.normal(size=N_WEIGHTS)
    e = 3.0 * random.normal(size=2)
    v = np.sqrt(SMOOTH_SHARE / N_WEIGHTS) * S * random.normal(size=N_WEIGHTS)
    rough = np.sqrt(1 - SMOOTH_SHARE) * S
    exact = visible @ d + hidden @ v + sizes @ e + rough * np.sqrt(n_atoms) * random.normal(size=len(n_atoms))
    force = pull @ d + unseen @ v + rough * 0.7 * random.normal(size=3)
    seen = slice(0, N_LABELS)
    sigma = random.uniform(0.02, 0.08, N_LABELS)
    data = EnergyData(
        visible[seen],
        sizes[seen],
        exact[seen] + sigma * random.normal(size=N_LABELS),
        np.diag(sigma**2),
        np.diag(n_atoms[seen]),
    )
    model = LinearModel((PriorComponent.centred("alpha", np.eye(N_WEIGHTS)),), data)
    fixed = {"alpha": HyperPrior(ALPHA, 0.0), MODEL_ERROR: HyperPrior(S, 0.0)}
    solution = quadratic_solution(Assembly(model, fixed, {}))
    carried = np.vstack([np.eye(N_WEIGHTS), -np.linalg.lstsq(sizes[seen], visible[seen], rcond=None)[0]])
    own = FeatureError(carried @ carried.T / N_WEIGHTS, 0.7)
    total = solution.gaussian.covariance + SMOOTH_SHARE * S**2 * own.covariance
    gradients = np.hstack([visible, sizes])
    predicted = gradients @ solution.gaussian.mean
    sums = {
        "energy": [1.0, 0.0, 0.0, 0.0],
        "difference of equal composition": [0.0, 0.0, 1.0, -1.0],
        "difference of unequal composition": [1.0, -1.0, 0.0, 0.0],
        "binding energy": [2.0, -1.0, -1.0, 0.0],
    }
    found = {}
    for name, coefficients in sums.items():
        c = np.concatenate([np.zeros(N_LABELS), coefficients])
        variance = (c @ gradients) @ total @ (gradients.T @ c) + rough**2 * (c**2 @ n_atoms)
        found[name] = (float(c @ (predicted - exact)), float(np.sqrt(variance)))
    weights = total[:N_WEIGHTS, :N_WEIGHTS]
    change = pull @ solution.gaussian.mean[:N_WEIGHTS] - force
    found["force"] = (float(change[0]), float(np.sqrt(pull[0] @ weights @ pull[0] + (rough * 0.7) ** 2)))
    return found


def test_bars_cover_on_draws_from_the_model() -> None:
    draws = [synthetic(seed) for seed in range(500)]
    for name in draws[0]:
        ratio = np.abs([error / bar for error, bar in (draw[name] for draw in draws)])
        assert 0.64 <= np.mean(ratio < 1.0) <= 0.72, name
        assert 0.93 <= np.mean(ratio < 1.96) <= 0.97, name
